"""Lints of what a bundle declares beside its policies: tools, missions, budgets, keys."""
