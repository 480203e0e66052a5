"""Erases on a human's word, of one mission or record, or of all that a user's missions sealed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec import structs

from bridle.model.calls import Call, Missions, Redact
from bridle.model.errors import RefusedError

Ask = Callable[[Call], list[dict[str, Any]]]

_PAGE = 1000
_OVER = ("closed", "expired")
_NOT_YET = ("mission_not_over", "mission_open")


def redact(ask: Ask, call: Redact, user: str = "") -> list[dict[str, Any]]:
    """Erase what a call names, or each mission of a user that is over.

    Returns one row each. A mission of a user that is not over, or has something open, has a row of
    `mission`, `refused` (the code) and `message`; any other refusal is raised (`RefusedError`).
    """
    if not user:
        return ask(call)
    return list(_of_user(ask, call, missions_of(ask, user)))


def missions_of(ask: Ask, user: str) -> list[dict[str, Any]]:
    """Return every mission of a user, newest first."""
    found: dict[str, dict[str, Any]] = {}
    before, full = 0, True
    while full:
        page = ask(Missions(limit=_PAGE, before=before))
        fresh = {row["id"]: row for row in page if row["id"] not in found}
        found |= fresh
        full = len(page) == _PAGE
        # Some may have started in the very millisecond of the last of a page.
        before = page[-1]["started"] + bool(fresh) if page else 0
    return [row for row in found.values() if row["user"] == user]


def _of_user(
    ask: Ask, call: Redact, missions: Iterable[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    # Those that are over come last, so that the files are scrubbed with the last of them, once.
    ordered = sorted(missions, key=lambda row: row["status"] in _OVER)
    for number, row in enumerate(ordered, 1):
        one = structs.replace(call, mission=row["id"], scrub=number == len(ordered))
        try:
            yield from ask(one)
        except RefusedError as problem:
            if problem.code not in _NOT_YET:
                raise
            yield {"mission": row["id"], "refused": problem.code, "message": problem.message}
