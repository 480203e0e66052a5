"""Makers of credentials: each knows one way to open a system for seconds, and to close it again."""
