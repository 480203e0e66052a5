"""Lints of single policies: names, types, what they can apply to, what their remedies do."""
