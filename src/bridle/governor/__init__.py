"""Joins engine, store and ledger: path, attempts, fence, missions, approvals, budgets."""
