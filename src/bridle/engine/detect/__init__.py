"""Detectors: what is in a text, in the open or behind an encoding, and where."""

from bridle.bundle.parse.manifest import UNSEARCHED
from bridle.engine.detect.expression import Expression, PatternError
from bridle.engine.detect.registry import BUILT_IN, MAX_TEXT, Detectors, Span

__all__ = [
    "BUILT_IN",
    "MAX_TEXT",
    "UNSEARCHED",
    "Detectors",
    "Expression",
    "PatternError",
    "Span",
]
