"""Taking trust back: what was revoked, what it covers, what it stops, the list for others."""
