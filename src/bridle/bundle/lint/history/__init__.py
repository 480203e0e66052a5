"""Lints of conditions over history: well-formed, well-typed, and likely what was meant."""
