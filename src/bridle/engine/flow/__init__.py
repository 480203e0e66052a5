"""Where the values of an action came from: what a mission has read, and what stands in it."""
