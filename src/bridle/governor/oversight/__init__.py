"""What humans do: missions, holds, the kill switch, the registry, activation."""
