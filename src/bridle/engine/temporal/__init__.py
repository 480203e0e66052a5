"""Evaluation of conditions over history: by the specification, and incrementally."""
