"""Has a file read in a jail, by a program that needs Python alone: text in, one answer out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from msgspec import Struct

from bridle.jail.errors import JailError
from bridle.jail.launch import launch
from bridle.jail.profile import MEBI, Identity, Limits, Profile

SECONDS = 20
"""What a reader may take, by the wall and of the processor."""

LIMITS = Limits(
    memory=512 * MEBI,
    processes=8,
    files=64,
    file_size=MEBI,
    cpu=SECONDS,
    time=SECONDS,
    scratch=MEBI,
    entries=16,
)
_GRACE = 10


class Python(Struct, frozen=True):
    """An interpreter: where it lies, and what has to be seen of it besides (`own`: of this one)."""

    path: str
    own: bool = True
    read: tuple[Path, ...] = ()
    environ: dict[str, str] = {}


def answer(
    source: str,
    data: bytes,
    *,
    most: int,
    user: Identity | None = None,
    python: Python | None = None,
) -> bytes:
    """Return what a program (its text) answers to `data`, at most `most` bytes.

    It sees no file but those of the system and of the interpreter, no network and no governor.
    Raises `JailError`: also where it fails, takes too long or says too much (`jail_failed`).
    """
    found = python or Python(sys.executable)
    work = Path(tempfile.mkdtemp(prefix="bridle-reading-"))
    try:
        if user is not None:
            os.chown(work, user.uid, user.gid)
        profile = Profile(
            command=(found.path, "-I", "-S", "-B", "-c", source),
            work=work,
            read=found.read,
            environ=found.environ,
            python=found.own,
            limits=LIMITS,
            user=user,
        )
        return _asked(profile, data, most)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _asked(profile: Profile, data: bytes, most: int) -> bytes:
    pipe = subprocess.PIPE
    with launch(profile, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as jail:
        if jail.stdin is None or jail.stdout is None:  # pragma: no cover - both were asked for
            raise JailError("the jail has no streams", code="jail_failed")
        # What is read and what is answered would otherwise wait for one another.
        writer = threading.Thread(target=_given, args=(jail.stdin, data), daemon=True)
        writer.start()
        said = jail.stdout.read(most + 1)
        if len(said) > most:
            raise JailError("the reader said too much", code="jail_failed")
        ended = jail.wait(SECONDS + _GRACE)
    if ended.status != 0:
        why = ended.excess or f"status {ended.status}"
        raise JailError(f"the reader ended before its answer ({why})", code="jail_failed")
    return said


def _given(stream: IO[bytes], data: bytes) -> None:
    try:
        with stream:
            stream.write(data)
    except OSError:
        return  # It has ended before: its status says so.
