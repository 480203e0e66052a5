"""Starts the jail that it reads of, and waits: what a test kills."""

import os
import pickle
import subprocess
import sys

from bridle.jail.launch import planned
from bridle.jail.places import folders
from bridle.jail.profile import Profile
from bridle.jail.running import start
from jail.escapes import walls


def main(*without: str) -> None:
    profile = pickle.load(sys.stdin.buffer)
    assert isinstance(profile, Profile)
    work, read = folders.opened(profile)
    plan = planned(profile, work, read)
    plan = walls.without(plan, *without) if without else plan
    jail = start(plan, stdin=subprocess.DEVNULL)
    os.write(1, f"{jail.pid}\n".encode())
    jail.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
