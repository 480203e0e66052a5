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

from bridle.jail.errors import JailError
from bridle.jail.launch import launch
from bridle.jail.profile import MEBI, Identity, Limits, Profile

SECONDS = 20
"""What a reader may take, by the wall and of the processor."""

_LIMITS = Limits(
    memory=512 * MEBI,
    processes=8,
    files=64,
    file_size=MEBI,
    cpu=SECONDS,
    time=SECONDS,
    scratch=MEBI,
    entries=16,
)


def answer(program: Path, data: bytes, *, most: int, user: Identity | None = None) -> bytes:
    """Return what a program answers to `data`, at most `most` bytes. There is no way out of it.

    Raises `JailError`: also where it fails, takes too long or says too much (`jail_failed`).
    """
    work = Path(tempfile.mkdtemp(prefix="bridle-reading-"))
    try:
        if user is not None:
            os.chown(work, user.uid, user.gid)
        return _asked(program, data, most, Profile(
            command=(sys.executable, "-I", "-S", "-B", str(program)),
            work=work,
            limits=_LIMITS,
            user=user,
        ))  # fmt: skip
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _asked(program: Path, data: bytes, most: int, profile: Profile) -> bytes:
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
        ended = jail.wait(SECONDS + SECONDS)
    if ended.status != 0:
        why = ended.excess or f"status {ended.status}"
        raise JailError(f"{program.name} could not read it ({why})", code="jail_failed")
    return said


def _given(stream: IO[bytes], data: bytes) -> None:
    try:
        with stream:
            stream.write(data)
    except OSError:
        return  # It has ended before: its status says so.
