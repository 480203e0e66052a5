"""What auditors do offline: verify a store or an export, prove a record, write an export."""
