"""What MCP is made of on a pipe: lines, messages, methods, and the process at the other end."""
