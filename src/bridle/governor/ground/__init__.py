"""What a governor stands on: store, clock, chance, keys, records, and the bundle in force."""
