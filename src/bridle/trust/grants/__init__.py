"""Grants: signed links of a delegation chain. What a chain allows is what every link allows."""
