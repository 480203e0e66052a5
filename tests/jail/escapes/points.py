"""Every way out that is tried: the probe, the wall before it, and the jail without that wall."""

import os
import platform
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bridle.jail.bubblewrap import Plan
from bridle.jail.places import system
from bridle.jail.profile import MEBI
from jail.escapes import walls
from jail.escapes.grounds import Grounds

Weaken = Callable[[Grounds, Plan], Plan]


@dataclass(frozen=True)
class Point:
    """One way out. `wall` says what stands before it, and is what `weaken` takes out.

    `sink` names the service that must not be touched. With `ends` the jail may be ended for trying,
    for that excess (or "signal"). `limits` are the strong jail's own. `lacking` says why the jail
    without the wall cannot be shown here.
    """

    name: str
    probe: str
    wall: str
    weaken: Weaken
    given: Callable[[Grounds], tuple[Any, ...]] = lambda _: ()
    sink: str = ""
    ends: str = ""
    limits: tuple[tuple[str, float], ...] = ()
    lacking: Callable[[], str] = lambda: ""

    def arguments(self, grounds: Grounds) -> tuple[str, ...]:
        """What the probe is told, as JSON."""
        return tuple(msgspec.json.encode(each).decode() for each in self.given(grounds))


def _net(_: Grounds, plan: Plan) -> Plan:
    return walls.without(plan, "--unshare-net")


def _letting(*names: str) -> Weaken:
    return lambda _, plan: walls.letting(plan, *names)


def _outer(grounds: Grounds, plan: Plan) -> Plan:
    return walls.with_(plan, "--bind", str(grounds.outer), str(grounds.outer))


def _powerful(*names: str, powers: tuple[str, ...] = ("ALL",)) -> Weaken:
    return lambda _, plan: walls.letting(walls.powerful(plan, *powers), *names)


def _as_root(_: Grounds, plan: Plan) -> Plan:
    plan = walls.swapped(walls.powerful(plan, "ALL"), ("--uid", "1000"), ("--uid", "0"))
    return walls.swapped(plan, ("--gid", "1000"), ("--gid", "0"))


def _seen_socket(grounds: Grounds, plan: Plan) -> Plan:
    folder = str(Path(grounds.services["path"][1]).parent)
    return walls.with_(plan, "--ro-bind", folder, folder)


def _name_server(_: Grounds, plan: Plan) -> Plan:
    own = system.WRITTEN["resolv.conf"].encode()
    return walls.swapped(plan, (own,), (b"nameserver 127.0.0.1\n",))


def _service(name: str) -> Callable[[Grounds], tuple[Any, ...]]:
    return lambda grounds: grounds.services[name]


def _namespace(kind: str, weaken: Weaken) -> Point:
    def outside(_: Grounds) -> tuple[str, str]:
        return kind, str(Path(f"/proc/self/ns/{kind}").readlink())

    return Point(
        f"the host's {kind} namespace", "network.namespace", f"--unshare-{kind}", weaken, outside
    )


def _only_x86() -> str:
    return "" if platform.machine() == "x86_64" else "this machine has one calling convention"


def _sysctl(name: str, wanted: str) -> Callable[[], str]:
    path = Path("/proc/sys", name)

    def why() -> str:
        found = path.read_text().strip() if path.exists() else wanted
        return "" if found == wanted else f"{name.replace('/', '.')} is {found}"

    return why


NETWORK = (
    Point("socket families", "network.families", "filter: socket", _letting("socket")),
    Point(
        "raw and packet sockets", "network.raw", "filter: socket, unshare; --disable-userns",
        _powerful("socket", "unshare"),
    ),
    Point("pairs of families", "network.pairs", "filter: socketpair", _letting("socketpair")),
    Point("a service on 127.0.0.1", "network.stream", "--unshare-net", _net, _service("tcp"),
          sink="tcp"),
    Point("a service on ::1", "network.stream", "--unshare-net", _net, _service("tcp6"),
          sink="tcp6"),
    Point("a datagram to 127.0.0.1", "network.datagram", "--unshare-net", _net, _service("udp"),
          sink="udp"),
    Point("an abstract socket", "network.stream", "--unshare-net", _net, _service("abstract"),
          sink="abstract"),
    Point("the operators' socket", "network.stream", "its folder is not mounted", _seen_socket,
          _service("path"), sink="path"),
    Point("name servers", "network.name_servers", "an /etc of its own", _name_server),
    _namespace("net", _net),
    _namespace("ipc", lambda _, plan: walls.without(plan, "--unshare-ipc")),
    _namespace("uts", lambda _, plan: walls.swapped(
        walls.without(plan, "--unshare-uts"), ("--hostname", "jail"), ())),
    _namespace("cgroup", lambda _, plan: walls.without(plan, "--unshare-cgroup")),
    _namespace("pid", lambda _, plan: walls.in_host_processes(plan)),
)  # fmt: skip

PROCESSES = (
    Point("command lines of others", "processes.seen", "--unshare-pid, its own /proc",
          lambda _, plan: walls.in_host_processes(plan), lambda grounds: (grounds.marker,)),
    Point("a signal to a process outside", "processes.signalled", "--unshare-pid",
          lambda _, plan: walls.in_host_processes(plan), lambda grounds: (grounds.victim.pid,),
          sink="victim"),
    Point("ptrace", "processes.traced", "filter: ptrace", _letting("ptrace")),
    Point("memory of another by call", "processes.memory_read", "filter: process_vm_*",
          _letting("process_vm_readv", "process_vm_writev")),
    Point("a descriptor of another", "processes.descriptor_taken", "filter: pidfd_getfd",
          _letting("pidfd_getfd")),
    Point("capabilities", "processes.powers", "--cap-drop ALL", _powerful()),
    Point("being root", "processes.root", "one user is mapped, no CAP_SETUID", _as_root),
)  # fmt: skip

KERNEL = (
    Point("namespaces by unshare", "kernel.unshared", "filter: unshare; --disable-userns",
          _powerful("unshare", powers=())),
    Point("namespaces by clone", "kernel.cloned", "filter: clone's flags; --disable-userns",
          _powerful("clone", powers=())),
    Point("namespaces by clone3", "kernel.cloned3", "filter: clone3; --disable-userns",
          _powerful("clone3", powers=())),
    Point("namespaces by setns", "kernel.entered", "filter: setns, unshare; --disable-userns",
          _powerful("setns", "unshare")),
    Point("mounts", "kernel.mounted", "filter: mount, fsopen, unshare; --disable-userns",
          _powerful("mount", "fsopen", "unshare"), lambda grounds: (str(grounds.yard.work),)),
    Point("another root", "kernel.other_root", "filter: chroot; --cap-drop ALL",
          _powerful("chroot"), lambda grounds: (str(grounds.yard.work),)),
    Point("key rings", "kernel.key_ring", "filter: add_key, keyctl",
          _letting("add_key", "keyctl")),
    Point("calls of 32 bits", "kernel.old_convention", "filter: architecture",
          lambda _, plan: walls.any_convention(plan), ends="signal", lacking=_only_x86),
    Point("shared memory of the host", "kernel.shared_memory", "--unshare-ipc; filter: shmget",
          lambda _, plan: walls.letting(walls.without(plan, "--unshare-ipc"), "shmget"),
          lambda grounds: (grounds.key,)),
    Point("queues of the host", "kernel.queue", "--unshare-ipc",
          lambda _, plan: walls.without(plan, "--unshare-ipc"), lambda grounds: (grounds.key,)),
    *(
        Point(f"the call {name}", "kernel.looked_at_by_the_kernel", f"filter: {name}",
              _letting(name), lambda _, name=name: (name,), lacking=lacking)
        for name, lacking in {
            "io_uring_setup": _sysctl("kernel/io_uring_disabled", "0"),
            "keyctl": lambda: "",
            "kcmp": lambda: "",
            "memfd_create": lambda: "",
            "name_to_handle_at": lambda: "",
            "open_tree": lambda: "",
            "move_pages": lambda: "",
            "personality": lambda: "",
            "pidfd_getfd": lambda: "",
            "process_vm_readv": lambda: "",
            "process_vm_writev": lambda: "",
            "request_key": lambda: "",
            "shmget": lambda: "",
            "unshare": lambda: "",
            "quotactl_fd": lambda: "",
            "perf_event_open": lambda: "",
            "userfaultfd": lambda: "",
        }.items()
    ),
)  # fmt: skip


def _leaking(grounds: Grounds, plan: Plan) -> Plan:
    descriptor = os.open(grounds.outer, os.O_RDONLY)
    grounds.over.callback(os.close, descriptor)
    return walls.with_(plan, "--setenv", "LEAKED", descriptor)


def _resolved_environment(grounds: Grounds, plan: Plan) -> Plan:
    # Two walls in a row: what starts bubblewrap hands it nothing, either.
    return walls.swapped(plan, ("--clearenv",), ("--clearenv", "--setenv", "TOKEN", grounds.marker))


def _files(grounds: Grounds) -> tuple[str, ...]:
    return grounds.marker, str(grounds.credential)


def _host(path: str) -> Weaken:
    return lambda _, plan: walls.with_(plan, "--ro-bind", path, path)


FILES = (
    Point("settings of the kernel", "files.opened_for_writing", "one user is mapped, no powers",
          _as_root,
          lambda _: ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname",
                     "/proc/sys/kernel/modprobe", "/proc/sys/user/max_user_namespaces",
                     "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger", "/proc/kcore")),
    Point("a credential file", "files.contents", "its folder is not mounted", _outer, _files),
    Point("a link out of the work folder", "files.linked", "its folder is not mounted", _outer,
          _files),
    Point("writing to a file outside", "files.changed", "its folder is not mounted", _outer,
          lambda grounds: (str(grounds.outer / "changed"),)),
    Point("writing beside the work folder", "files.written", "--remount-ro /",
          lambda _, plan: walls.swapped(plan, ("--remount-ro", "/"), ()),
          lambda _: ("/", "/etc", "/run", "/home", "/usr", "/usr/bin", "/proc")),
    Point("writing into /dev", "files.written", "--remount-ro /dev",
          lambda _, plan: walls.swapped(plan, ("--remount-ro", "/dev"), ()),
          lambda _: ("/dev",)),
    Point("writing to what is for reading", "files.written", "--ro-bind-fd",
          lambda _, plan: walls.writable(plan),
          lambda grounds: (str(grounds.programs),)),
    Point("devices", "files.devices", "--dev",
          lambda _, plan: walls.swapped(walls.swapped(plan, ("--dev", "/dev"),
          ("--dev-bind", "/dev", "/dev")), ("--remount-ro", "/dev"), ())),
    Point("/sys", "files.there", "not mounted", _host("/sys"),
          lambda _: ("/sys/kernel", "/sys/class/net", "/sys/fs/cgroup")),
    Point("places of the system", "files.there", "not mounted", _host("/var"),
          lambda _: ("/var/lib", "/var/run", "/root", "/boot", "/etc/shadow", "/etc/ssh",
                     "/run/systemd", "/run/docker.sock", "/run/dbus")),
    Point("memory by name of the host", "files.there", "a /dev/shm of its own",
          lambda grounds, plan: walls.with_(plan, "--ro-bind", "/dev", "/dev/shm"),
          lambda _: ("/dev/shm/null",)),
    Point("the caller's environment", "files.environment", "--clearenv, none handed in",
          _resolved_environment, lambda grounds: (grounds.marker,)),
    Point("descriptors of who started it", "files.descriptors", "none are handed in", _leaking),
)  # fmt: skip

_SMALL = 8
BOMBS = (
    Point("a fork bomb", "bombs.forks", "limit: processes",
          lambda _, plan: walls.limited(plan, processes=200), lambda _: (20, 60),
          limits=(("processes", 20),), ends="processes"),
    Point("a descriptor bomb", "bombs.descriptors", "limit: files",
          lambda _, plan: walls.limited(plan, files=256), lambda _: (64, 128),
          limits=(("files", 64),)),
    Point("memory of one process", "bombs.memory", "limit: memory",
          lambda _, plan: walls.limited(plan, memory=512 * MEBI), lambda _: (48, 96),
          limits=(("memory", 48 * MEBI),), ends="memory"),
    Point("memory of several", "bombs.memory_together", "limit: memory, of all together",
          lambda _, plan: walls.limited(plan, memory=1024 * MEBI), lambda _: (64, 40, 4),
          limits=(("memory", 64 * MEBI),), ends="memory"),
    *(Point(f"filling {path}", "bombs.folder", "limit: scratch",
            lambda _, plan, path=path: _bigger(plan, path), lambda _, path=path: (path, _SMALL, 16),
            limits=(("scratch", _SMALL * MEBI),))
      for path in ("/tmp", "/dev/shm", "/home/agent")),
    Point("one large file", "bombs.one_file", "limit: file_size",
          lambda _, plan: walls.limited(plan, file_size=64 * MEBI),
          lambda grounds: (str(grounds.yard.work), 4, 8), limits=(("file_size", 4 * MEBI),)),
    Point("memory that lies nowhere", "bombs.nameless", "filter: memfd_create",
          _letting("memfd_create"), lambda _: (0, 4)),
    Point("time", "bombs.lasts", "limit: time",
          lambda _, plan: walls.limited(plan, time=0), lambda _: (4.0,),
          limits=(("time", 2),), ends="time"),
    Point("time of a processor", "bombs.computes", "limit: cpu",
          lambda _, plan: walls.limited(plan, cpu=30), lambda _: (1.6,),
          limits=(("cpu", 1),), ends="signal"),
)  # fmt: skip


def _bigger(plan: Plan, path: str) -> Plan:
    old = ("--size", str(_SMALL * MEBI), "--tmpfs", path)
    return walls.swapped(plan, old, ("--size", str(64 * MEBI), "--tmpfs", path))


POINTS = (*NETWORK, *PROCESSES, *KERNEL, *FILES, *BOMBS)
assert socket.AF_VSOCK == 40, "families are given to probes by number"
