"""What the reader in the jail says of a DAG → tasks. The answer is as hostile as the DAG was."""

from __future__ import annotations

from typing import Any

from bridle.engine.case import Refusal as Unread
from bridle.engine.plans.imports.drafting import Refusal, Task, refused
from bridle.engine.strict_json import parse_arguments
from bridle.language.plain import is_array, is_object

MAX_BYTES = 1 << 20
"""Bytes of a DAG's file."""
MAX_ANSWER = 4 << 20

_DEPTH = 64
_SAID = 200


def tasks(answer: str, file: str) -> list[Task]:
    """Return the tasks of a DAG, whose reader answered so. Raises `UsageError`."""
    found = parse_arguments(answer, size=MAX_ANSWER, depth=_DEPTH)
    if isinstance(found, Unread):
        raise refused(file, f"what was read of it cannot be used: {found.text}")
    try:
        if "refused" in found:
            known = _refusal(found, file)
            raise refused(known.place, known.what)
        defaults = _arguments(found["defaults"], file)
        return [_task(each, defaults, file) for each in found["tasks"]]
    except (KeyError, TypeError, AttributeError):
        raise refused(file, "what was read of it cannot be used") from None


def _task(raw: Any, defaults: dict[str, Any], file: str) -> Task:
    after = raw["after"]
    if not is_array(after) or not all(isinstance(each, str) for each in after):
        raise TypeError
    return Task(
        id=_text(raw["id"]),
        kind=_text(raw["kind"]),
        place=_place(raw, file),
        args={**defaults, **_arguments(raw["args"], file)},
        after=tuple(after),
    )


def _arguments(raw: Any, file: str) -> dict[str, Any]:
    return {name: _argument(each, file) for name, each in raw.items()}


def _argument(raw: Any, file: str) -> Any:
    if not is_object(raw):
        raise TypeError
    return raw["value"] if "value" in raw else _refusal(raw, file)


def _refusal(raw: dict[str, Any], file: str) -> Refusal:
    said = "".join(c if c.isprintable() else "?" for c in _text(raw["refused"]))
    return Refusal(said[:_SAID], _place(raw, file))


def _place(raw: Any, file: str) -> str:
    line, column = raw["line"], raw["column"]
    if type(line) is not int or type(column) is not int:
        raise TypeError
    return f"{file}:{line}:{column}"


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise TypeError
    return raw
