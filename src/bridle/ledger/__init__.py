"""The tamper-evident log: tree hashing, leaves, commitments, sealing, offline verification. Bytes in, bytes out."""
