"""What missions have read, on record, and what that says of where a value came from."""
