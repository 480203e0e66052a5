"""A text as fingerprints: what it says, in which order, and what else may give it away."""

from bridle.engine.flow.reading.leaves import leaves, number_text
from bridle.engine.flow.reading.reader import MOST_CHUNKS, Reader, Reading

__all__ = ["MOST_CHUNKS", "Reader", "Reading", "leaves", "number_text"]
