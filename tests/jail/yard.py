"""Jails for tests: of the user who runs them, or of the agent's user when that is root."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bridle.jail import support
from bridle.jail.bubblewrap import Plan
from bridle.jail.errors import JailError
from bridle.jail.launch import launch, planned
from bridle.jail.places import folders
from bridle.jail.profile import MEBI, Identity, Limits, Profile
from bridle.jail.running import Ended, Jail, start
from uids.cast import AGENT, Python, folder_for_all

SMALL = Limits(memory=256 * MEBI, processes=32, files=64, file_size=64 * MEBI, cpu=20,
               scratch=16 * MEBI, entries=1_000, time=40)  # fmt: skip
"""So that a wall that does not hold takes little with it."""


def identity() -> Identity | None:
    """Whose the jails are: root's are the agent's."""
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam(AGENT)
    return Identity(user.pw_name, user.pw_uid, user.pw_gid)


def missing() -> str:
    """Why no jail can be had here; empty when one can."""
    try:
        support.require(identity())
    except KeyError:
        return f"there is no user {AGENT}: .ci/setup makes it"
    except JailError as lack:
        return lack.message
    return ""


class Yard:
    """A place for jails: a work folder of theirs, and an interpreter that they can run."""

    def __init__(self) -> None:
        self.user = identity()
        self.folder = folder_for_all("bridle-jail-")
        self.work = self.made("work")
        self._python: Path | None = None
        self.environ: dict[str, str] = {}
        self.read: tuple[Path, ...] = ()

    def made(self, name: str) -> Path:
        """Make a folder that the jail's user owns."""
        path = self.folder / name
        path.mkdir()
        if self.user:
            os.chown(path, self.user.uid, self.user.gid)
        return path

    @property
    def python(self) -> str:
        """An interpreter that can be run inside; it takes a moment when it must be copied."""
        if self._python is None and self.user is None:
            self._python = Path(sys.executable)
        elif self._python is None:
            folder = self.folder / "python"
            found = Python(folder)
            self._python = found.path
            if found.path.is_relative_to(folder):
                self.read = (folder,)
                self.environ = {"LD_LIBRARY_PATH": found.environ["LD_LIBRARY_PATH"]}
        return str(self._python)

    def profile(self, *command: str, **changes: Any) -> Profile:
        """Return a small jail's profile."""
        profile = Profile(
            command=command,
            work=self.work,
            user=self.user,
            python=self.user is None,
            limits=SMALL,
            read=self.read,
            environ=self.environ,
        )
        return msgspec.structs.replace(profile, **changes)

    def run(self, *command: str, **changes: Any) -> tuple[Ended, str, str]:
        """Run a command in a jail, to its end."""
        pipe = subprocess.PIPE
        profile = self.profile(*command, **changes)
        return ended(launch(profile, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe))

    def code(self, text: str, *args: str, **changes: Any) -> tuple[Ended, str, str]:
        """Run Python code in a jail."""
        return self.run(self.python, "-I", "-S", "-c", text, *args, **changes)

    @contextmanager
    def plan(self, *command: str, **changes: Any) -> Iterator[Plan]:
        """Yield a plan, for a test to change before it is started."""
        profile = self.profile(*command, **changes)
        work, read = folders.opened(profile)
        try:
            yield planned(profile, work, read)
        finally:
            for each in (work, *read):
                os.close(each.descriptor)

    def changed(self, plan: Plan, **changes: Any) -> tuple[Ended, str, str]:
        """Start a plan with changes, which nobody checks, and return how it ended."""
        pipe = subprocess.PIPE
        other = msgspec.structs.replace(plan, **changes)
        return ended(start(other, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe))

    def clear(self) -> None:
        """Take the whole place away."""
        shutil.rmtree(self.folder)


def ended(jail: Jail) -> tuple[Ended, str, str]:
    """Return how a jail with pipes ended, and what it wrote."""
    assert jail.stdout is not None
    assert jail.stderr is not None
    with jail.stdout, jail.stderr:
        # Little is written: neither pipe fills up while the other is read.
        out, err = jail.stdout.read(), jail.stderr.read()
    return jail.wait(50), out.decode(errors="replace"), err.decode(errors="replace")


def gone(pid: int) -> bool:
    """Whether a process is no more, or a zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def descriptors() -> int:
    """How many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def children(pid: int | str = "self") -> set[int]:
    """Which children a process has, those that ended and were not waited for included."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found.update(map(int, (task / "children").read_text().split()))
    return found
