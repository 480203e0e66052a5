"""Reads receivers as the command line names them (`ocsf:FILE`, …), and follows a store for them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from bridle.emit import cloudevents, ocsf
from bridle.emit.cursor import Cursor
from bridle.emit.errors import EmitError
from bridle.emit.following import Follower, Worker
from bridle.emit.lines import File, Render
from bridle.emit.record import Emitter

FORMATS: dict[str, Render] = {"ocsf": ocsf.event, "cloudevents": cloudevents.event}
"""Vocabularies that are written as lines of JSON."""
OTEL = "otel"
SPELLING = "ocsf:FILE, cloudevents:FILE or otel[:ENDPOINT]"


class Target(Struct, frozen=True):
    """A receiver: the vocabulary, and the file or endpoint (empty: as the environment says)."""

    kind: str
    where: str = ""

    @property
    def name(self) -> str:
        """The name of its cursor. It tells nothing of what an endpoint's URL may carry."""
        return (
            f"{self.kind}-{sha256(self.where.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
        )

    @property
    def shown(self) -> str:
        """The target as logs may show it: a URL without user, password and query."""
        if self.kind != OTEL or not self.where:
            return f"{self.kind}:{self.where}".rstrip(":")
        parts = urlsplit(self.where)
        return f"{self.kind}:{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def target(text: str) -> Target:
    """Read a target; a file's path is made absolute. Raises `EmitError` (`emit_target`)."""
    kind, colon, where = text.partition(":")
    if kind == OTEL and bool(where) == bool(colon):
        from bridle.emit.otel import full

        return Target(OTEL, full(where))
    if kind in FORMATS and where and "\0" not in where:
        return Target(kind, str(Path(where).absolute()))
    raise EmitError(f"{text!r} names no receiver", code="emit_target", hint=f"Say {SPELLING}.")


def emitter(target: Target) -> Emitter:
    """Open a receiver. Raises `EmitError` where that can be seen at once."""
    if target.kind == OTEL:
        from bridle.emit.otel import over_http

        return over_http(target.where)
    return File(Path(target.where), FORMATS[target.kind])


class Emission:
    """All that one store's governor tells: a thread for each receiver."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []

    def start(self, store: Path, targets: Sequence[Target]) -> None:
        """Follow the store in the folder `store` for each target.

        Raises `EmitError` for one that cannot be opened, or that is named twice.
        """
        if len({each.where for each in targets}) != len(targets):
            raise EmitError("a receiver is named twice", code="emit_target", hint="Name it once.")
        with ExitStack() as opened:
            followers = [opened.enter_context(closing(_follower(store, each))) for each in targets]
            opened.pop_all()
        for each, follower in zip(targets, followers, strict=True):
            worker = Worker(follower, each.shown)
            worker.start()
            self._workers.append(worker)

    def close(self) -> None:
        """Tell what is left and end. Close the governor first: its last record is told, too."""
        for worker in self._workers:
            worker.close()
        self._workers.clear()


def _follower(store: Path, target: Target) -> Follower:
    _assert_outside(store, target)
    cursor = Cursor(store / "emit", target.name)
    return Follower(store / "store.db", cursor, emitter(target), target.shown)


def _assert_outside(store: Path, target: Target) -> None:
    """A file of events among the store's own could be the store itself."""
    if target.kind == OTEL:
        return
    folder = Path(target.where).parent.resolve()
    if store.resolve() in (folder, *folder.parents):
        hint = "Name a file in another folder."
        raise EmitError(f"{target.where} lies in the store", code="emit_target", hint=hint)
