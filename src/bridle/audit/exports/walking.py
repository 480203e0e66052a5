"""Walks a folder that strangers made: finds what does not belong, and never follows a link."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from bridle.audit.exports.layout import DEEPEST
from bridle.bundle.folder import MAX_FILES
from bridle.ledger.verify import MOST_FINDINGS, Findings


def names(folder: Path, most: int) -> list[str]:
    """Return the names in a folder, sorted, at most so many; none where there is no folder."""
    found: list[str] = []
    for entry in _scan(folder):
        found.append(entry.name)
        if len(found) == most:
            break
    return sorted(found)


def files(folder: Path, deepest: int) -> Iterator[str]:
    """Yield the plain files below a folder, relative to it, as many as a bundle may have."""
    waiting = [""]
    count = 0
    while waiting:
        at = waiting.pop()
        for entry in _scan(folder / at if at else folder):
            path = f"{at}/{entry.name}" if at else entry.name
            count += 1
            if count > 2 * MAX_FILES:
                return
            if entry.is_dir(follow_symlinks=False) and path.count("/") < deepest:
                waiting.append(path)
            elif entry.is_file(follow_symlinks=False):
                yield path


def assert_nothing_else(folder: Path, belongs: Callable[[str], bool], found: Findings) -> None:
    """Note each file (`file_unexpected`) that does not belong, links, pipes and empty folders too.

    So is a folder that cannot be listed: anything may lie there. Gives up after a thousand.
    """
    before = found.count

    def unlisted(path: Path, why: str) -> None:
        shown = ascii(str(path.relative_to(folder)))[1:-1]
        found.add(-1, "file_unexpected", f"what lies in {shown} cannot be listed: {why}")

    waiting = [("", 0)]
    while waiting and found.count - before < MOST_FINDINGS:
        at, depth = waiting.pop()
        empty = True
        for entry in _scan(folder / at if at else folder, unlisted):
            empty = False
            path = f"{at}/{entry.name}" if at else entry.name
            if entry.is_dir(follow_symlinks=False) and depth < DEEPEST:
                waiting.append((path, depth + 1))
            elif not (entry.is_file(follow_symlinks=False) and belongs(path)):
                found.add(-1, "file_unexpected", f"{ascii(path)[1:-1]} is no part of an export")
            if found.count - before >= MOST_FINDINGS:
                return
        if empty and at:
            found.add(-1, "file_unexpected", f"{ascii(at)[1:-1]} is an empty folder")


def _scan(
    folder: Path, unlisted: Callable[[Path, str], None] | None = None
) -> Iterator[os.DirEntry[str]]:
    try:
        # A link in place of a folder is not followed: what it leads to is no part of the export.
        if folder.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, "it is a link")
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as problem:
        if unlisted is not None:
            unlisted(folder, problem.strerror or "it is not readable")
