"""Conditions over history: their text, their meaning, what they need to be checked and lowered."""
