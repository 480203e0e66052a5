"""From the options of `bridle run` to a jail: limits, environment, what it must not reach."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bridle.client.access import Access
    from bridle.jail.profile import Identity, Kept, Limits
    from bridle.jail.services.command import CommandService

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SERVER = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "s": 1, "min": 60, "h": 3600}
_AMOUNT = re.compile(r"([0-9]{1,12})(k|m|g|s|min|h)?", re.IGNORECASE)
_BYTES = ("memory", "file_size", "scratch")
_SECONDS = ("cpu", "time")
_COUNTS = ("processes", "files", "entries")
# What the jail says itself. A proxy of somebody else's would be a way that leads nowhere.
_OURS = re.compile(r"BRIDLE_.*|HOME|PATH|(https?|no|all)_proxy", re.IGNORECASE)


def limits(said: Iterable[str]) -> Limits:
    """Return what `--limit NAME=AMOUNT` says. Raises `click.UsageError`, `JailError`."""
    from bridle.jail.profile import Limits

    found: dict[str, Any] = {}
    for part in (each for text in said for each in text.split(",")):
        name, _, amount = part.partition("=")
        match = _AMOUNT.fullmatch(amount)
        known = {"": (*_BYTES, *_SECONDS, *_COUNTS), "k": _BYTES, "m": _BYTES, "g": _BYTES}
        unit = (match[2] or "").lower() if match else ""
        if match is None or name not in known.get(unit, _SECONDS):
            names = ", ".join((*_BYTES, *_SECONDS, *_COUNTS))
            raise click.UsageError(f"--limit {part}: write one of {names}, =, and an amount.")
        found[name] = int(match[1]) * _UNITS[unit]
    return Limits(**found)


def environ(said: Iterable[str]) -> dict[str, str]:
    """Return what `--env NAME` (as it is here) and `--env NAME=VALUE` say."""
    found: dict[str, str] = {}
    for text in said:
        name, equals, value = text.partition("=")
        if not _NAME.fullmatch(name) or _OURS.fullmatch(name):
            raise click.UsageError(f"--env {name}: this name is not to be given.")
        if not equals and name not in os.environ:
            raise click.UsageError(f"--env {name}: it is not set here; write {name}=VALUE.")
        found[name] = value if equals else os.environ[name]
    return found


def servers(said: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return what `--mcp NAME=COMMAND` says: each server's name and words."""
    found: dict[str, tuple[str, ...]] = {}
    for text in said:
        name, _, command = text.partition("=")
        try:
            words = tuple(shlex.split(command))
        except ValueError as problem:
            raise click.UsageError(f"--mcp {name}: {problem}.") from problem
        if not _SERVER.fullmatch(name) or not words or name in found:
            raise click.UsageError(f"--mcp {name}: write a name of its own, =, and a command.")
        found[name] = words
    return found


def identity(name: str) -> Identity | None:
    """Return the user that `--as` names; None where it is left out."""
    from bridle.jail.profile import Identity

    if not name:
        return None
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise click.UsageError(f"--as {name}: there is no such user.") from None
    return Identity(found.pw_name, found.pw_uid, found.pw_gid)


def kept(place: Path) -> tuple[Kept, ...]:
    """Return what a jail must not reach of a bundle, or of the folder of a governor's sockets."""
    from bridle.client.opening import installed_sockets, sockets_at
    from bridle.jail.profile import Kept
    from bridle.store.place import place_of
    from bridle.trust import folder

    found = [Kept("keys", folder.place())]
    if opens := _passphrase():
        found.append(Kept("the key's passphrase", opens))
    sockets = sockets_at(place) or installed_sockets(place)
    if sockets is not None:
        found.append(Kept("the governor's sockets", sockets))
    if (place / "bridle.toml").is_file():
        found.append(Kept("the bundle", place.resolve(), readable=True))
        if sockets is None:
            store = place_of(place)
            found.append(Kept("the governor's state", store.folder.parent))
            found.append(Kept("the governor's sockets", store.runtime))
    return tuple(found)


def told(access: Access, names: Iterable[str]) -> dict[str, str]:
    """Return what the environment in the jail says of the run. None of it is a secret."""
    found = {"BRIDLE_MISSION": access.mission, "BRIDLE_AGENT": access.agent}
    if access.executor:
        found["BRIDLE_EXECUTOR"] = access.executor
    for name in names:
        variable = "BRIDLE_MCP_" + name.upper().replace("-", "_")
        found[variable] = shlex.join((*relay(), "connect", "mcp", name))
    return found


def relay() -> tuple[str, ...]:
    """Return the words that start the relay, inside."""
    from bridle import jail

    program = Path(next(iter(jail.__path__))).resolve() / "relay.py"
    return (sys.executable, "-I", "-S", str(program))


def proxied(
    place: Path,
    access: Access,
    name: str,
    server: tuple[str, ...],
    *,
    wait: float,
    workload: str | None,
) -> CommandService:
    """Return an MCP server behind `bridle mcp`, outside the jail, in the same session.

    `workload` is whom the run proves to be; the proxy unlocks the same key, by its file.
    """
    from bridle.jail.services.command import CommandService

    words = [sys.executable, "-P", "-m", "bridle", "mcp", str(place.absolute())]
    words += ["--mission-id", access.mission, "--agent", access.agent, "--wait", str(wait)]
    if any(row["system"] == name for row in access.tools()):
        words += ["--system", name]
    if workload is not None:
        words += ["--as-workload", workload, "--passphrase-file", str(_passphrase())]
    session = {"BRIDLE_SESSION": access.handed_over(), "PYTHONPATH": os.pathsep.join(_imports())}
    return CommandService((*words, "--", *server), {**os.environ, **session})


def require_passphrase_file() -> None:
    """Refuse a passphrase that can be had but once where each MCP server's proxy needs it too."""
    if _passphrase() is None:
        raise click.UsageError("--mcp with --as-workload needs --passphrase-file.")


def _passphrase() -> Path | None:
    """Return the file with the key's passphrase, where it comes from one."""
    from bridle.cli import passphrase

    file = passphrase.source().file
    return None if file is None else file.absolute()


def _imports() -> list[str]:
    """Return where this program imports from, whatever folder it is started in."""
    import bridle

    own = str(Path(bridle.__file__).resolve().parents[1])
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return list(dict.fromkeys([own, *(str(Path(each).absolute()) for each in inherited if each)]))
