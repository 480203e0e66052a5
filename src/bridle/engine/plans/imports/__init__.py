"""Other people's definitions of work, read as data into plans. What cannot be read is refused."""
