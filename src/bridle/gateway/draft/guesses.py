"""What a tool's definition suggests: what it does to the world, and what its arguments mean.

A server's word about itself is a hint and no proof, so everything here is for a human to confirm,
and what is not said counts as the worst.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from bridle.bundle.lint.declared.tools import strings
from bridle.bundle.schema.json_schema import FORMATS, Schema
from bridle.bundle.schema.paths import ELEMENT, Place
from bridle.language.plain import is_object
from bridle.model.tool import EffectClass

CONTENT = "content"

_READING = re.compile(
    r"(?i)(?:^|[_.-])(?:read|list|get|describe|show|search|find|view|fetch|count|status|log|diff)"
    r"(?=$|[_.A-Z-])"
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SINKS = {
    CONTENT: "content contents text message msg body description comment comments note notes "
    "summary insight prose",
    "credential": "password passwd secret token credential credentials",
    "recipient": "to cc bcc recipient recipients email",
    "command": "command cmd query sql script code",
    "locator": "path paths file filename directory dir folder url uri source destination",
    "amount": "amount price total sum",
}
_BY_WORD = {word: sink for sink, words in _SINKS.items() for word in words.split()}
_BOUNDS = ("pattern", "enum", "const")
_STEP = re.compile(r"[A-Za-z0-9_-]+")


class Guess(Struct, frozen=True):
    """A value, and why it was chosen."""

    value: str
    why: str


def effect_of(tool: dict[str, Any]) -> Guess:
    """Guess a tool's effect class."""
    hints: Any = tool.get("annotations")
    known: dict[str, Any] = hints if is_object(hints) else {}
    read, destroys = known.get("readOnlyHint"), known.get("destructiveHint")
    if read is True and destroys is True:
        return Guess(EffectClass.IRREVERSIBLE, "readOnlyHint and destructiveHint contradict")
    if read is True:
        return Guess(EffectClass.READ, "the server says readOnlyHint")
    if destroys is False:
        return Guess(EffectClass.WRITE, "the server says destructiveHint = false")
    if destroys is True:
        return Guess(EffectClass.IRREVERSIBLE, "the server says destructiveHint")
    if read is None and _READING.search(str(tool.get("name", ""))):
        return Guess(EffectClass.WRITE, "the name sounds like reading, but no annotation says so")
    return Guess(EffectClass.IRREVERSIBLE, "no annotation says that it is less")


def sinks_of(schema: Schema) -> dict[str, Guess]:
    """Guess what the arguments mean that are texts, by path. Absent: `selector`."""
    found = dict[str, Guess]()
    for steps, place in strings(schema):
        names = [step for step in steps if step != ELEMENT]
        if not names or not all(_STEP.fullmatch(name) for name in names):
            continue  # no path can be written for it
        guess = _sink(names[-1], place)
        if guess is not None:
            found[".".join(steps).replace(f".{ELEMENT}", ELEMENT)] = guess
    return found


def _sink(name: str, place: Place) -> Guess | None:
    words = [word.lower() for word in _WORDS.findall(name)]
    sinks = [_BY_WORD[word] for word in words if word in _BY_WORD]
    steering = [sink for sink in sinks if sink != CONTENT]
    if steering:
        return Guess(steering[-1], "by its name")
    if sinks and not any(_bounded(part) for part in place.applied):
        return Guess(CONTENT, "free text by its name, and without a pattern")
    return None


def _bounded(part: Schema) -> bool:
    return any(key in part for key in _BOUNDS) or part.get("format") in FORMATS
