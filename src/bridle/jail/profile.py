"""What a jail is to be. One job: the data that everything in this folder works from.

Whether its folders may be had is checked in `bridle.jail.places`.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from bridle.jail.errors import JailError

SOCKET = Path("/run/bridle/socket")
"""Where the one socket to the governor is, inside."""
HOME = Path("/home/agent")
HOSTNAME = "jail"
SCRATCH = "/tmp, /dev/shm"  # noqa: S108 - of the jail alone
"""The other folders that it can write to; like the home they are in memory."""
UID = GID = 1000
"""Who a process is inside; outside it is the profile's user, or ours."""

MEBI = 1 << 20


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What everything in one jail may use together, unless it says "of each process".

    `memory`, `file_size` and `scratch` are bytes, `cpu` and `time` seconds. `cpu` is of each
    process, `file_size` of each file; `files` counts descriptors of each process. `scratch` is
    the size of each of /tmp, /dev/shm and the home, which count as memory, and `entries` the
    files in all three. `time` is by the wall; 0 means none. Raises `JailError` (jail_refused).
    """

    memory: int = 2048 * MEBI
    processes: int = 256
    files: int = 1024
    file_size: int = 1024 * MEBI
    cpu: int = 3600
    time: float = 0
    scratch: int = 256 * MEBI
    entries: int = 100_000

    def __post_init__(self) -> None:
        least = {"memory": 16 * MEBI, "processes": 2, "files": 16, "file_size": 1, "cpu": 1}
        least |= {"scratch": MEBI, "entries": 16}
        for name, least_of_it in least.items():
            if not least_of_it <= getattr(self, name) < 1 << 62:
                raise JailError(
                    f"a limit of {getattr(self, name)} on {name} is no limit",
                    code="jail_refused",
                    hint=f"give at least {least_of_it}",
                )
        if not 0 <= self.time < 1 << 31:
            raise JailError(f"a time of {self.time} seconds is no limit", code="jail_refused")


class Identity(Struct, frozen=True):
    """A user of the system, whose the processes of the jail are outside."""

    name: str
    uid: int
    gid: int


class Kept(Struct, frozen=True):
    """A place that no work folder may hold or lie in; if not `readable`, none to read either."""

    what: str
    path: Path
    readable: bool = False


class Profile(Struct, frozen=True, kw_only=True):
    """One jail: its command, what it sees of the file system, and what it may use.

    `work` is the one folder that it can write to, seen at its own path. `read` are files and
    folders seen besides, unchangeable. `environ` is all that its environment holds beyond
    `bridle.jail.bubblewrap.environment`. `socket` is the governor's way in, seen at `SOCKET`.
    `python` shows it the interpreter and packages that run this. `user` is for root alone, who
    must name one. `kept` is what must stay out of its reach.
    """

    command: tuple[str, ...]
    work: Path
    read: tuple[Path, ...] = ()
    environ: dict[str, str] = {}
    socket: Path | None = None
    python: bool = True
    limits: Limits = Limits()
    user: Identity | None = None
    kept: tuple[Kept, ...] = ()
