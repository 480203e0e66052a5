"""Walls of a jail, each taken out by itself: what the suite must notice."""

import struct

import msgspec

from bridle.jail import support
from bridle.jail.bubblewrap import Arguments, Plan

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_ALLOW = 0x7FFF0000


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)


def letting(plan: Plan, *names: str) -> Plan:
    """Let calls past the filter, whatever it says of them."""
    numbers = support.machine().numbers
    first = _step(_LOAD, _NUMBER)
    for name in names:
        first += _step(_EQUAL, numbers[name], 0, 1) + _step(_RETURN, _ALLOW)
    return msgspec.structs.replace(plan, filter=first + plan.filter)


def any_convention(plan: Plan) -> Plan:
    """Let every call that is not made as this machine makes them."""
    native = support.machine().architecture
    first = _step(_LOAD, _ARCHITECTURE) + _step(_EQUAL, native, 1, 0) + _step(_RETURN, _ALLOW)
    return msgspec.structs.replace(plan, filter=first + plan.filter)


def unfiltered(plan: Plan) -> Plan:
    """Take the whole filter away."""
    return msgspec.structs.replace(plan, filter=b"")


def without(plan: Plan, *words: str) -> Plan:
    """Leave out words, each wherever it stands."""
    left = tuple(word for word in plan.arguments if word not in words)
    assert len(left) < len(plan.arguments), f"no {words} to leave out"
    return msgspec.structs.replace(plan, arguments=left)


def swapped(plan: Plan, old: Arguments, new: Arguments) -> Plan:
    """Put words in the place of others that stand together."""
    words = plan.arguments
    places = [i for i in range(len(words)) if words[i : i + len(old)] == old]
    assert places, f"no {old} to swap"
    at = places[0]
    return msgspec.structs.replace(plan, arguments=(*words[:at], *new, *words[at + len(old) :]))


def with_(plan: Plan, *words: str | int) -> Plan:
    """Show it something more; before what makes the rest unwritable."""
    return swapped(plan, ("--remount-ro", "/dev"), (*words, "--remount-ro", "/dev"))


def writable(plan: Plan) -> Plan:
    """Let it write to what it may read."""
    words = ("--bind-fd" if word == "--ro-bind-fd" else word for word in plan.arguments)
    return msgspec.structs.replace(plan, arguments=tuple(words))


def powerful(plan: Plan, *names: str) -> Plan:
    """Leave it powers over its namespaces, and user namespaces to make."""
    plan = without(plan, "--disable-userns", "--assert-userns-disabled")
    kept = tuple(word for name in names for word in ("--cap-add", name))
    return swapped(plan, ("--cap-drop", "ALL"), kept)


def limited(plan: Plan, **limits: float) -> Plan:
    """Give it other limits."""
    return msgspec.structs.replace(plan, limits=msgspec.structs.replace(plan.limits, **limits))


def in_host_processes(plan: Plan) -> Plan:
    """Leave it among the processes of the host."""
    return without(plan, "--unshare-pid", "--as-pid-1")
