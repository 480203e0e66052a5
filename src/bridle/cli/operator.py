"""The operator's line to the governor of a bundle: to the one that serves it, or to its store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bridle.cli.unlocking import with_key
from bridle.client.bridle import Bridle
from bridle.client.opening import connect, installed_sockets, open_bundle
from bridle.model.calls import Call
from bridle.model.errors import NotFoundError, UnreachableError


def connected(bundle: Path) -> Bridle:
    """Connect to the governor that serves a bundle; `UnreachableError` when none does."""
    try:
        return with_key(connect(bundle))
    except UnreachableError as error:
        raise UnreachableError(
            f"no governor serves {bundle}: {error.message}",
            code=error.code,
            hint=f"start one with: bridle serve {bundle}",
        ) from error


def connected_or_opened(bundle: Path) -> Bridle:
    """Connect to the governor of a bundle; where none serves it, open its store meanwhile."""
    try:
        return with_key(connect(bundle))
    except UnreachableError:
        if installed_sockets(bundle) is not None:
            # Its store is another user's.
            raise
        return with_key(open_bundle(bundle, embedded=True))


def one(governor: Bridle, call: Call, what: str) -> dict[str, Any]:
    """Ask for a listing of one row."""
    rows = governor.rows(call)
    if len(rows) != 1:
        raise NotFoundError(f"there is no {what}")
    return rows[0]
