"""The suite for stores, on SQLite: in a file and in memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridle.store.base import Store
from bridle.store.sqlite import SqliteStore, open_store

pytest.register_assert_rewrite("store.conformance", "store.log_conformance")

from store.conformance import *  # noqa: E402, F403
from store.conformance import Driver  # noqa: E402
from store.log_conformance import *  # noqa: E402, F403


class SqliteDriver:
    """A store at `path`, or in memory."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def open(self) -> SqliteStore:
        return open_store(self.path, relaxed_ms=60_000)

    def commits(self, store: Store) -> Callable[[], int]:
        assert isinstance(store, SqliteStore)
        seen: list[None] = []

        def hook() -> bool:
            seen.append(None)
            return False

        store._connection.set_commit_hook(hook)
        return lambda: len(seen)

    @contextmanager
    def failing_commits(self, store: Store) -> Iterator[None]:
        assert isinstance(store, SqliteStore)
        store._connection.set_commit_hook(lambda: True)  # SQLite rolls back instead
        yield
        store._connection.set_commit_hook(None)

    def queued(self, store: Store) -> int:
        assert isinstance(store, SqliteStore)
        return len(store._combiner._queue)


@pytest.fixture(params=["file", "memory"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    if request.param == "file":
        return SqliteDriver(tmp_path / "store" / "store.db")
    if "reopening" in request.node.name:
        pytest.skip("a store in memory ends with its close")
    return SqliteDriver(None)
