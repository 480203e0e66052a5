"""What workers, adapters and the command line use: the public API, the protocol, and guard."""
