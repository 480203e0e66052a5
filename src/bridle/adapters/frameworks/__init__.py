"""Agent frameworks: each tool call of theirs is decided, and carried out once."""
