"""What can be reached by sockets. Families are only created, never connected."""

import contextlib
import json
import socket
from pathlib import Path

from probes.calls import call, powers_taken

LET = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
STREAM, DATAGRAM, RAW, SEQUENCE, PACKET = 1, 2, 3, 5, 10


def families():
    for family in range(1, 47):
        if family in LET:
            continue
        for kind in (STREAM, DATAGRAM, RAW, SEQUENCE):
            if call("socket", family, kind, 0) >= 0:
                yield f"a socket of family {family}, type {kind}"


def raw():
    powers_taken("net")
    for family in (socket.AF_INET, socket.AF_INET6):
        for kind, protocol in ((RAW, 1), (RAW, 255), (RAW, 58), (PACKET, 0x0300)):
            if call("socket", family, kind, protocol) >= 0:
                yield f"family {family}, type {kind}, protocol {protocol}"


def pairs():
    """Families that make connected pairs: TIPC, for one, is a module loaded for the asking."""
    place = (socket.AF_INET, socket.AF_INET6, 16, 30, 40)
    for family in place:
        result = call("socketpair", family, STREAM, 0, None)
        if result != -1:
            yield f"socketpair of family {family} was looked at: {result}"


def stream(family, address):
    """Connect to a service, and read what it says to whoever comes."""
    where = tuple(address) if isinstance(address, list) else address
    with socket.socket(getattr(socket, family), STREAM) as each, contextlib.suppress(OSError):
        each.settimeout(5)
        each.connect(where)
        each.sendall(b"in")
        yield f"{address!r} answered {each.recv(9)!r}"


def datagram(family, address):
    with socket.socket(getattr(socket, family), DATAGRAM) as each, contextlib.suppress(OSError):
        each.settimeout(5)
        each.connect(tuple(address))
        each.send(b"in")
        yield f"{address!r} answered {each.recv(9)!r}"


def name_servers():
    for line in Path("/etc/resolv.conf").read_text().splitlines():
        if line.startswith("nameserver"):
            yield line


def namespace(kind, outside):
    if str(Path(f"/proc/self/ns/{kind}").readlink()) == outside:
        yield f"the {kind} namespace of the host"


def descriptor_passed(path, opened):
    """Pass a descriptor to a socket, and look whether one comes back."""
    with socket.socket(socket.AF_UNIX) as each, contextlib.suppress(OSError):
        each.settimeout(5)
        each.connect(path)
        with Path(opened).open() as file:
            socket.send_fds(each, [json.dumps({"take": "this"}).encode()], [file.fileno()])
        _, descriptors, _, _ = socket.recv_fds(each, 9, 4)
        if descriptors:
            yield f"{len(descriptors)} descriptors came back"
