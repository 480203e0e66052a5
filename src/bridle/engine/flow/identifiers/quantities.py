"""Numbers, alone or with a unit, and the one form of each.

`1,234.50` is 1234.5: the comma parts groups of three, the point starts the fraction. What could be
read in another way (`1,23`, `1 000`, `007`) has no form. A unit stays beside its number.
"""

from __future__ import annotations

import re

_WIDEST = 40

NUMBER = r"-?(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]*)(?:\.[0-9]+)?"
"""The pattern of a number without a unit (RE2 and `re`)."""

_SIGN = r"[$€£¥]"
_AMOUNT = re.compile(
    rf"(?P<before>{_SIGN}|[A-Z]{{3}})? ?(?P<number>{NUMBER})"
    rf"(?: ?(?P<behind>{_SIGN}|%|[A-Za-z]{{1,12}}))?(?P<per>/[a-z]{{1,12}})?"
)
_NAMES = {"€": "EUR"}


def quantity(text: str) -> tuple[str, str]:
    """Return the number and the unit of a text that is one, each "" where there is none."""
    found = _AMOUNT.fullmatch(text) if len(text) <= 2 * _WIDEST else None
    if not found or len(found["number"]) > _WIDEST or (found["before"] and found["behind"]):
        return "", ""
    unit = found["before"] or found["behind"] or ""
    return _plain(found["number"]), _NAMES.get(unit, unit) + (found["per"] or "")


def _plain(number: str) -> str:
    plain = number.replace(",", "")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain == "-0" else plain
