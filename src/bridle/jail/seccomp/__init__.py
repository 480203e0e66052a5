"""The filter on system calls that everything in a jail runs under."""
