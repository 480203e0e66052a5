"""The way of one `tools/call`."""
