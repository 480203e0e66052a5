"""Somebody who holds on to every signed checkpoint that can be seen, and acts on none."""

import time
from pathlib import Path

from crash.kills.journal import Journal

_PAUSE = 0.004


def watch(folder: Path, files: tuple[Path, ...]) -> None:
    """Write down what each file holds whenever it is another, until told to stop."""
    journal = Journal(folder / "watcher.journal")
    held: dict[Path, bytes] = {}
    while not (folder / "stop").exists():
        for file in files:
            try:
                found = file.read_bytes()
            except FileNotFoundError:
                found = b""
            if found != held.get(file, b""):
                journal.write("seen", file=file.name, note=found.decode())
                held[file] = found
        time.sleep(_PAUSE)
