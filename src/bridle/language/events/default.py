"""The event schema that holds where none is given: that of the reference interpreter, by effect.

Pins the caller, so without a schema of its own a condition sees the events of the one who asks.
"""

from __future__ import annotations

from bridle.language.events.ast import EventSchema
from bridle.language.events.parse import parse
from bridle.language.lexer import Source

_COMMON = """
  pin callerPrincipal: principalType(A) = principal,
  callerResource: resourceType(A),
  sessionId: String,
  requestId: String
"""

TEXT = f"""\
decision event <A>::request {{
  ...inputs(A),{_COMMON}}}

event <A>::response {{
  ...inputs(A),
  ...outputs(A),{_COMMON}}}

event <A>::error {{
  ...inputs(A),{_COMMON}}}
"""


def default() -> EventSchema:
    """Return the built-in event schema."""
    return parse(Source("default.dwschema", TEXT))
