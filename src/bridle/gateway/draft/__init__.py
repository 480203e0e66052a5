"""A first bundle for an MCP server that somebody else wrote: cautious guesses, each marked."""
