"""A governor in front of MCP servers: the stdio proxy behind `bridle mcp`. Needs no SDK."""
