"""Event schemas: what history is made of, for any action, and for the actions of one schema."""
