"""Tells other systems what the ledger holds, in their vocabularies. Nothing is stored in these."""
