"""Where a passphrase comes from: a file, a descriptor, the terminal. Never standard input, argv.

The options stand in `choice.passphrase`; commands without them still follow
`BRIDLE_PASSPHRASE_FILE` and the terminal.
"""

from __future__ import annotations

import os
import termios
from collections.abc import Callable
from pathlib import Path

import click
from msgspec import Struct

from bridle.model.errors import UsageError
from bridle.trust.credential import Credential
from bridle.trust.errors import KeyFileError

ENVIRONMENT = "BRIDLE_PASSPHRASE_FILE"

_META = "bridle.passphrase"
_LONGEST = 4_096
_TRIES = 3
_TERMINAL = "/dev/tty"


class Source(Struct):
    """What the command line said. Neither: the terminal is asked."""

    descriptor: int | None = None
    file: Path | None = None

    @property
    def given(self) -> bool:
        """Whether there is a passphrase without asking anybody."""
        return self.descriptor is not None or self.file is not None

    def read(self) -> str:
        """Return the passphrase: the first line. Raises `BridleError`."""
        from bridle.trust import folder

        if self.descriptor is not None:
            data = _from_descriptor(self.descriptor)
        else:
            assert self.file is not None
            data = folder.read_private(self.file, _LONGEST)
        try:
            return data.split(b"\n", 1)[0].removesuffix(b"\r").decode()
        except UnicodeDecodeError as problem:
            raise UsageError("the passphrase is not UTF-8 text") from problem


def source() -> Source:
    """Return where this command's passphrase comes from."""
    context = click.get_current_context(silent=True)
    found = context.meta.get(_META) if context is not None else None
    if isinstance(found, Source) and found.given:
        return found
    named = os.environ.get(ENVIRONMENT, "")
    return Source(file=Path(named) if named else None)


def keep_descriptor(ctx: click.Context, _: click.Parameter, value: int | None) -> None:
    """Remember what --passphrase-fd said."""
    _kept(ctx).descriptor = value


def keep_file(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    """Remember what --passphrase-file said."""
    _kept(ctx).file = value


def unlocked(what: str, unseal: Callable[[str], Credential]) -> Credential:
    """Return the key that a passphrase opens. On the terminal there are three tries."""
    where = source()
    if where.given:
        return unseal(where.read())
    for _ in range(_TRIES - 1):
        try:
            return unseal(ask(f"Passphrase of {what}: "))
        except KeyFileError as problem:
            if problem.code != "passphrase_wrong":
                raise
            click.echo(f"{problem.message}; try again", err=True)
    return unseal(ask(f"Passphrase of {what}: "))


def chosen(what: str) -> str:
    """Return a new passphrase; on the terminal it is typed twice."""
    from bridle.trust.keyfile import SHORTEST_PASSPHRASE

    where = source()
    if where.given:
        return where.read()
    while True:
        first = ask(f"New passphrase of {what} (at least {SHORTEST_PASSPHRASE} characters): ")
        if len(first) < SHORTEST_PASSPHRASE:
            click.echo("that is too short", err=True)
        elif ask("Once more: ") == first:
            return first
        else:
            click.echo("the two differ", err=True)


def ask(prompt: str) -> str:
    """Ask the terminal, which shows nothing of the answer. Raises `UsageError` without one."""
    try:
        terminal = os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as problem:
        raise UsageError(
            "a passphrase is needed, and there is no terminal to ask",
            code="passphrase_needed",
            hint=f"pass --passphrase-file or --passphrase-fd, or set {ENVIRONMENT}",
        ) from problem
    try:
        return _asked(terminal, prompt)
    finally:
        os.close(terminal)


def _asked(terminal: int, prompt: str) -> str:
    shown = termios.tcgetattr(terminal)
    hidden = [*shown]
    hidden[3] &= ~termios.ECHO
    # What was typed before the question is no answer to it.
    termios.tcsetattr(terminal, termios.TCSAFLUSH, hidden)
    try:
        os.write(terminal, prompt.encode())
        line = _line(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, shown)
        os.write(terminal, b"\n")
    if not line:
        raise click.Abort
    return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")


def _line(terminal: int) -> bytes:
    """Read one line; nothing at the end of input."""
    line = b""
    while not line.endswith(b"\n") and len(line) < _LONGEST:
        part = os.read(terminal, _LONGEST)
        if not part:
            break
        line += part
    return line


def _kept(ctx: click.Context) -> Source:
    found: Source = ctx.meta.setdefault(_META, Source())
    return found


def _from_descriptor(descriptor: int) -> bytes:
    data = b""
    try:
        while b"\n" not in data and len(data) <= _LONGEST:
            part = os.read(descriptor, _LONGEST)
            if not part:
                break
            data += part
    except OSError as problem:
        raise UsageError(
            f"descriptor {descriptor} cannot be read: {problem.strerror}", code="passphrase_needed"
        ) from problem
    return data
