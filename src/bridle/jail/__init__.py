"""Runs an agent process whose only way out is its governor."""
