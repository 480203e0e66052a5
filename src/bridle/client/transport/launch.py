"""Starts `bridle serve` in the background, once, however many processes ask at the same time."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from bridle.client.transport.channel import error_of
from bridle.client.transport.unix import UnixChannel
from bridle.model.calls import Failed
from bridle.model.errors import BridleError, UnreachableError
from bridle.store.place import Place, place_of

_PAUSE = 0.05
_LOG = "serve.log"
_LOG_TAIL = 2_000


class _Error(Struct):
    code: str = "internal"
    message: str = ""
    hint: str = ""


class _Said(Struct):
    """The first line of `bridle serve --json`: that it serves, or why not."""

    ready: bool = False
    error: _Error | None = None


def launch(bundle: Path, *, idle_exit: float, deadline: float) -> None:
    """Start a governor for `bundle` and return once it serves.

    Raises `UnreachableError` with what it said when it does not serve by `deadline` (monotonic
    seconds). Where another process is starting one, waits for that.
    """
    place = place_of(bundle)
    with _turn(place, deadline):
        if _serves(place):
            return
        _start(bundle, place, idle_exit, deadline)


@contextmanager
def _turn(place: Place, deadline: float) -> Generator[None]:
    """Hold the start's own lock: one process starts, the others wait and then find it running."""
    lock = os.open(place.folder / "start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise _late(place) from None
                time.sleep(_PAUSE)
        yield
    finally:
        os.close(lock)


def _serves(place: Place) -> bool:
    channel = UnixChannel(place.operator_socket, role="operator", timeout=1.0)
    try:
        channel.connect()
    except UnreachableError:
        return False
    finally:
        channel.close()
    return True


def _start(bundle: Path, place: Place, idle_exit: float, deadline: float) -> None:
    log = os.open(place.folder / _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [
                sys.executable,
                # Nothing of the caller's working folder may become part of the governor.
                "-P",
                *("-m", "bridle", "serve", str(bundle)),
                *("--idle-exit", str(idle_exit), "--json"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )
    finally:
        os.close(log)
    # The governor outlives us or we outlive it; either way somebody has to take its exit status.
    threading.Thread(target=process.wait, name="bridle-reaper", daemon=True).start()
    assert process.stdout is not None
    with process.stdout as out:
        ready, _, _ = select.select([out], [], [], max(0.0, deadline - time.monotonic()))
        line = out.readline() if ready else b""
    said = _said(line)
    if not said.ready:
        if not ready:
            process.terminate()
        raise _why(said.error) if said.error else _late(place)


def _why(said: _Error) -> BridleError:
    return error_of(Failed(code=said.code, message=said.message, hint=said.hint))


def _said(line: bytes) -> _Said:
    try:
        return msgspec.json.decode(line, type=_Said)
    except (msgspec.MsgspecError, ValueError):
        return _Said()


def _environment() -> dict[str, str]:
    """The caller's environment; where it imports from holds in any folder."""
    package = str(Path(__file__).resolve().parents[3])
    inherited = os.environ.get("PYTHONPATH", "")
    paths = [package, *(str(Path(p).absolute()) for p in inherited.split(os.pathsep) if p)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _late(place: Place) -> UnreachableError:
    log = place.folder / _LOG
    try:
        said = log.read_text("utf-8", "replace")[-_LOG_TAIL:].strip()
    except OSError:
        said = ""
    return UnreachableError(
        "the governor did not start" + (f": {said}" if said else " in time"),
        hint=f"run `bridle serve` in a terminal to see why; its log is {log}",
    )
