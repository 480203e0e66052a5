"""Plans as data: reading them strictly, and holding what is done against them. Pure."""
