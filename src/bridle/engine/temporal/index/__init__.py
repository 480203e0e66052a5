"""What a partition keeps of its events, arranged so that conditions find it at once."""
