"""The digest of a pipeline's definition: what its author registers, and its workload states.

It is what coreutils compute: `sha256sum NAME… | sha256sum`, with the names sorted by their bytes.
So an engine's adapter in any language comes to the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from bridle.model.errors import NotFoundError, UsageError

MOST_FILES = 10_000
# No control characters, and no backslash: `sha256sum` writes lines with these in another way.
_NAME = re.compile(r"[^\x00-\x1f\x7f\\]{1,1024}")


def digest_of(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 (hex) of a definition: of the names of its files and their contents.

    Names are relative paths with `/`. Raises `UsageError` (`definition_malformed`).
    """
    if not 0 < len(files) <= MOST_FILES:
        raise _malformed(f"a definition has 1 to {MOST_FILES:,} files")
    whole = hashlib.sha256()
    for name, content in sorted((_encoded(name), content) for name, content in files.items()):
        whole.update(hashlib.sha256(content).hexdigest().encode() + b"  " + name + b"\n")
    return whole.hexdigest()


def of_files(*paths: str | Path, root: str | Path = ".") -> str:
    """Return the digest of files as they are now, named by their paths below `root`.

    Raises `UsageError` for a file outside of `root`, `NotFoundError` for one that cannot be read.
    """
    files: dict[str, bytes] = {}
    for path in paths:
        full = Path(root, path).absolute()
        try:
            name = full.relative_to(Path(root).absolute()).as_posix()
        except ValueError as problem:
            raise _malformed(f"{path} does not lie below {root}") from problem
        _encoded(name)
        try:
            files[name] = full.read_bytes()
        except OSError as problem:
            raise NotFoundError(f"{path}: {problem.strerror}") from problem
    return digest_of(files)


def _encoded(name: str) -> bytes:
    parts = PurePosixPath(name).parts
    if not _NAME.fullmatch(name) or name != "/".join(parts) or ".." in parts:
        raise _malformed("a file of a definition is named by a relative path, without `..`")
    try:
        return name.encode()
    except UnicodeEncodeError as problem:
        raise _malformed("the name of a file is no valid Unicode") from problem


def _malformed(text: str) -> UsageError:
    return UsageError(text, code="definition_malformed")
