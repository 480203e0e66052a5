"""What a governor's process gives up before it reads anything: root, core dumps, being traced."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

from msgspec import Struct

from bridle.model.errors import BridleError, RefusedError

# The numbers that prctl(2) gives them.
_SET_DUMPABLE, _SET_NO_NEW_PRIVS = 4, 38


class Account(Struct, frozen=True):
    """A user of the system, as the user database names them."""

    name: str
    uid: int
    gid: int


def harden() -> None:
    """Make this process useless to others that run as the same user, for as long as it lives.

    No core dumps, no tracing and no look into its memory by its peers (prctl(2), ptrace(2)), no
    program that gains rights, files for its owner alone. Raises `BridleError` where that fails.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    call = ctypes.CDLL(None, use_errno=True).prctl
    call.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    for option, value in ((_SET_NO_NEW_PRIVS, 1), (_SET_DUMPABLE, 0)):
        if call(option, value, 0, 0, 0) != 0:
            raise BridleError(f"prctl({option}) failed: {os.strerror(ctypes.get_errno())}")


def become(account: Account) -> None:
    """Turn from root into another user for good. Raises `RefusedError` if a way back is left."""
    # INVARIANT: I9 — nothing of a bundle or a client is read by a process that could be root.
    os.initgroups(account.name, account.gid)
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    # The kernel lets a process be traced again, or not, whenever its user changes.
    harden()
    _assert_no_way_back(account)


def _assert_no_way_back(account: Account) -> None:
    uids, gids = os.getresuid(), os.getresgid()
    try:
        os.setuid(0)
    except PermissionError:
        stuck = True
    else:
        stuck = False
    whole = set(uids) == {account.uid} and set(gids) == {account.gid} and 0 not in os.getgroups()
    if not (stuck and whole) or _capable():
        raise RefusedError(
            f"root could not be given up for {account.name!r}",
            code="still_root",
            hint="start it as root without added capabilities, or as that user",
        )


def _capable() -> bool:
    """Whether any capability is left that counts without starting a program (proc(5))."""
    lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    held = {"CapPrm", "CapEff", "CapAmb"}
    return any(
        int(value, 16) != 0
        for name, _, value in (line.partition(":") for line in lines)
        if name in held
    )
