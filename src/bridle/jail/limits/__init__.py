"""What a jail may use of the machine, and what ends it when it takes more."""
