"""Starts a jail. One job: the way from a profile to a running command, refused at each lack."""

from __future__ import annotations

import os

from bridle.jail import bubblewrap, support
from bridle.jail.bubblewrap import Plan
from bridle.jail.places import folders
from bridle.jail.profile import Profile
from bridle.jail.running import Jail, Stream, start
from bridle.jail.seccomp import filter as seccomp


def launch(
    profile: Profile, *, stdin: Stream = None, stdout: Stream = None, stderr: Stream = None
) -> Jail:
    """Check that a jail can be had, try it, and start it.

    A stream is a descriptor or file, `subprocess.PIPE` or `DEVNULL`; None takes our own. The jail
    dies with the thread that calls this, at the latest; but a first process that has not begun its
    command by then must itself see that nobody is there any more, as the relay does. Raises
    `JailError`; then nothing runs.
    """
    support.require(profile.user)
    work, read = folders.opened(profile)
    try:
        plan = planned(profile, work, read)
        support.tried(plan)
        return start(plan, stdin=stdin, stdout=stdout, stderr=stderr)
    finally:
        for each in (work, *read):
            os.close(each.descriptor)


def planned(profile: Profile, work: folders.Seen, read: tuple[folders.Seen, ...]) -> Plan:
    """Return the jail of a profile, whose folders have been opened."""
    return Plan(
        bubblewrap.arguments(profile, work, read),
        profile.command,
        seccomp.program(support.machine()),
        profile.limits,
        profile.user,
    )
