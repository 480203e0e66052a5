"""Orchestration engines: each step that they run is decided, and carried out once."""
