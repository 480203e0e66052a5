"""Typed identifiers and their normal forms: what a value is called, however it is written."""

from bridle.engine.flow.identifiers.forms import Kind, accepted, near, said, standing

__all__ = ["Kind", "accepted", "near", "said", "standing"]
