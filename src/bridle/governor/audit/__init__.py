"""Sees to it that rows are what the ledger says: at every write, at the start, and offline."""
