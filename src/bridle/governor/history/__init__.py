"""What happened, kept so that policies can look back on it: events, partitions, their state."""
