"""Reading arguments and results: from text to a canonical, typed value with a digest."""

from bridle.engine.normalise.encoding import decimal_text, encode
from bridle.engine.normalise.normaliser import Normaliser

__all__ = ["Normaliser", "decimal_text", "encode"]
