"""A file-reading tool that opens what it was told to and nothing else, and keeps a trace."""

import os
from pathlib import Path

ROOT = "/srv/data"


class Files:
    """Files below `folder`, shown to agents as `/srv/data`.

    Opens component by component below the folder and follows no link, as openat2(2) does with
    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS: what a name leads to is settled by the open itself.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[str] = []
        self.read: list[str] = []

    def read_file(self, path: str) -> str:
        self.opened.append(path)
        with os.fdopen(self._open(path), encoding="utf-8") as file:
            text = file.read()
        self.read.append(path)
        return text

    def _open(self, path: str) -> int:
        parts = path.removeprefix(f"{ROOT}/").split("/")
        if not path.startswith(f"{ROOT}/") or {"", ".", ".."} & set(parts):
            raise PermissionError(path)
        at = os.open(self.folder, os.O_PATH | os.O_DIRECTORY)
        for part in parts[:-1]:
            at = _step(at, part, os.O_PATH | os.O_DIRECTORY)
        return _step(at, parts[-1], os.O_RDONLY)


def _step(at: int, name: str, flags: int) -> int:
    try:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    finally:
        os.close(at)
