"""The tamper-evident log: tree, leaves, commitments, sealing, verification. Bytes in, bytes out."""
