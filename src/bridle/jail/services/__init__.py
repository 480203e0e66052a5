"""What the one socket of a jail offers, each by its name: governor, HTTP, programs outside."""
