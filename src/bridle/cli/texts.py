"""Files that a command is given, as text: `-` is standard input, once. One job: reading them.

What cannot be read is a finding with its place, as everything else that is wrong with them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from bridle.language.errors import fault
from bridle.model.errors import UsageError
from bridle.model.finding import Location

MAX_BYTES = 64 << 20
"""Of one file. Traces may be long."""

STDIN = "<stdin>"


class Texts:
    """Reads files; standard input can be only one of them."""

    def __init__(self) -> None:
        self._taken = False

    def read(self, path: Path, most: int = MAX_BYTES) -> tuple[str, str]:
        """Return name and text, of `most` bytes. Raises `LanguageError` where there is none."""
        given = str(path) == "-"
        name, data = (STDIN, self._stdin(most)) if given else (str(path), _file(path, most))
        if len(data) > most:
            raise fault(Location(name), "too_large", f"this file exceeds {most} bytes")
        try:
            return name, data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise fault(Location(name, line, 1), "not_utf8", "this is not UTF-8") from None

    def read_all(self, paths: Iterable[Path]) -> dict[str, str]:
        """Return the texts of several files by name, in order. Each may be there once."""
        found: dict[str, str] = {}
        for path in paths:
            name, text = self.read(path)
            if name in found:
                raise UsageError(f"{name} is named twice", hint="name each file once")
            found[name] = text
        return found

    def _stdin(self, most: int) -> bytes:
        if self._taken:
            raise UsageError("standard input is named twice", hint="only one file can be `-`")
        self._taken = True
        return sys.stdin.buffer.read(most + 1)


def _file(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        why = error.strerror or str(error)
        raise fault(Location(str(path)), "unreadable", f"cannot be read: {why}") from None
