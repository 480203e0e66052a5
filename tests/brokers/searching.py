"""Looks for a secret in everything of a process: memory, environment, arguments, open files.

Shared by whoever shows that an agent never holds one. A search that finds nothing shows something
only beside one that finds what is known to be there.
"""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

_PART = 1 << 24


def forms(secret: str) -> list[bytes]:
    """The secret as it may lie in memory or travel: plain, wide, hex, base64, reversed."""
    raw = secret.encode()
    coded = [base64.b64encode(b"\0" * n + raw)[4:-4] for n in range(3)]
    wide = [secret.encode(kind) for kind in ("utf-16-le", "utf-32-le")]
    return [raw, *wide, raw.hex().encode(), raw[::-1], *(c for c in coded if len(c) >= 8)]


def found_in(data: bytes, secret: str) -> bool:
    return any(form in data for form in forms(secret))


def places_in(pid: int, secret: str) -> list[str]:
    """Where a process holds a secret; the process is looked at from outside (ptrace rights)."""
    return [where for where, data in _everything(pid) if found_in(data, secret)]


def files_with(folder: Path, secret: str) -> list[Path]:
    """The files below a folder that hold a secret."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if found_in(path.read_bytes(), secret)]


def _everything(pid: int) -> Iterator[tuple[str, bytes]]:
    proc = Path(f"/proc/{pid}")
    for name in ("environ", "cmdline"):
        yield name, (proc / name).read_bytes()
    for link in (proc / "fd").iterdir():
        target = link.resolve() if link.exists() else None
        if target is not None and target.is_file():
            yield f"fd {link.name} ({target})", target.read_bytes()
    yield from _memory(proc)


def _memory(proc: Path) -> Iterator[tuple[str, bytes]]:
    read = 0
    with (proc / "mem").open("rb", buffering=0) as memory:
        for line in (proc / "maps").read_text().splitlines():
            area, rights, *_, name = f"{line} ".split(" ", 5)
            start, end = (int(text, 16) for text in area.split("-"))
            if rights[0] != "r" or name.strip() in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            data = _area(memory.fileno(), start, end)
            read += len(data)
            yield f"memory {area} {name.strip()}", data
    # A search that could read nothing has shown nothing.
    assert read > 1_000_000


def _area(memory: int, start: int, end: int) -> bytes:
    parts: list[bytes] = []
    at = start
    while at < end:
        try:
            part = os.pread(memory, min(_PART, end - at), at)
        except OSError:
            break  # pages of a file that has become shorter
        if not part:
            break
        parts.append(part)
        at += len(part)
    return b"".join(parts)
