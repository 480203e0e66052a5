"""What a jail can and cannot reach. One job: to say so for a profile, row by row, before it runs.

Rows come from what bubblewrap and the filter are given, so that they cannot tell of another jail.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from bridle.jail.bubblewrap import environment
from bridle.jail.limits import cgroup, watch
from bridle.jail.places import system
from bridle.jail.profile import HOME, MEBI, SCRATCH, SOCKET, Limits, Profile

Reach = Literal["yes", "no", "governor"]
"""Whether: by itself, not at all, or only through the governor."""

_WORDS: dict[Reach, str] = {"yes": "yes", "no": "no", "governor": "only through the governor"}


class Row(Struct, frozen=True):
    """One thing, whether the jail's processes reach it, and how or why not."""

    what: str
    reach: Reach
    how: str


def rows(profile: Profile) -> tuple[Row, ...]:
    """Return what can be said of a jail; nothing is started."""
    return (*_files(profile), *_network(profile), *_machine(), *_limits(profile.limits))


def text(found: tuple[Row, ...]) -> str:
    """Return rows as lines for a terminal."""
    width = max(len(row.what) for row in found)
    side = max(len(_WORDS[row.reach]) for row in found)
    return "\n".join(
        f"{row.what:<{width}}  {_WORDS[row.reach]:<{side}}  {row.how}" for row in found
    )


def _files(profile: Profile) -> list[Row]:
    interpreter = system.python() if profile.python else []
    size = f"{profile.limits.scratch // MEBI} MiB each"
    return [
        Row(f"{profile.work}", "yes", "the work folder: read and write"),
        *(Row(f"{path}", "yes", "read only") for path in profile.read),
        *(Row(f"{path}", "yes", "read only, of the system") for path in system.folders()),
        *(Row(f"{path}", "yes", "read only, of the interpreter") for path in interpreter),
        Row(f"{HOME}, {SCRATCH}", "yes", f"its own, in memory, {size}, gone at the end"),
        Row("every other file", "no", "not mounted: other homes, /var, /run, the rest of /etc"),
        Row("environment", "yes", ", ".join(sorted(environment(profile))) + "; nothing else"),
        Row("open descriptors", "no", "none but the standard three, none of which is a file"),
    ]


def _network(profile: Profile) -> list[Row]:
    gate = Row("the governor", "governor", f"the socket {SOCKET}, the one way out")
    if profile.socket is None:
        gate = Row("the governor", "no", "no socket was given")
    return [
        gate,
        Row("any host, the internet", "no", "a network of its own, with a loopback device only"),
        Row("services on this machine's loopback", "no", "its loopback is its own"),
        Row("sockets of other processes", "no", "neither seen as files nor by abstract names"),
        Row("vsock, netlink, raw and other families", "no", "refused by the filter on calls"),
    ]


def _machine() -> list[Row]:
    return [
        Row("other processes of this machine", "no", "a PID namespace of its own"),
        Row("shared memory and queues of others", "no", "an IPC namespace of its own"),
        Row("tracing, other processes' memory", "no", "refused by the filter, its own too"),
        Row("new namespaces and mounts", "no", "refused by the filter, and none are left"),
        Row("root and capabilities", "no", "none held; setuid programs give nothing"),
        Row("key rings, BPF, io_uring, modules", "no", "refused by the filter"),
        Row("this terminal's input", "no", "a session of its own; it reads what it is given"),
    ]


def _limits(limits: Limits) -> list[Row]:
    exact = cgroup.possible(limits, cgroup.beside_own())
    counted = f"all together, counted every {watch.SECONDS} s; more ends the jail"
    memory = "all together, kept by the kernel (a control group)" if exact else counted
    found = [
        Row(f"memory: {limits.memory // MEBI} MiB", "yes", memory),
        Row(f"processes and threads: {limits.processes}", "yes", "all together, by the kernel"),
        Row(f"descriptors: {limits.files}", "yes", "of each process, by the kernel"),
        Row(f"file size: {limits.file_size // MEBI} MiB", "yes", "of each file, by the kernel"),
        Row(f"processor time: {limits.cpu} s", "yes", "of each process, by the kernel"),
        Row("size of the work folder", "yes", "as its disk allows: it has no limit of its own"),
    ]
    if limits.time:
        found.append(Row(f"time: {limits.time:g} s", "yes", "then the jail is ended"))
    return found
