"""What a jail sees of the file system, and what it must not."""
