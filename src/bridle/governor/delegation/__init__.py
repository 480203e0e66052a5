"""Grants, keys and revocations, as the governor keeps and enforces them."""
