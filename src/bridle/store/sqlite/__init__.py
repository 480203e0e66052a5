"""The store on SQLite: one file, one writing process."""

from bridle.store.sqlite.store import RELAXED_MS, SqliteStore, open_store

__all__ = ["RELAXED_MS", "SqliteStore", "open_store"]
