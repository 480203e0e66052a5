"""Every way out is shut, and each jail that lacks the wall before it is found out."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec
import pytest

from bridle.jail.launch import launch
from bridle.jail.running import Ended, start
from jail.escapes.grounds import Grounds
from jail.escapes.points import POINTS, Point
from jail.yard import SMALL, Yard, ended

BY_NAME = {point.name: point for point in POINTS}
PIPE = subprocess.PIPE


@dataclass(frozen=True)
class Tried:
    """What a probe said, and how its jail ended."""

    began: bool
    done: bool
    reached: tuple[str, ...]
    ended: Ended
    errors: str


@pytest.fixture(scope="module")
def grounds(yard: Yard) -> Iterator[Grounds]:
    with ExitStack() as over:
        os.environ["BRIDLE_CANARY"] = "to be replaced"
        over.callback(os.environ.pop, "BRIDLE_CANARY")
        made = Grounds(yard, over)
        os.environ["BRIDLE_CANARY"] = made.marker
        yield made


def tried(point: Point, grounds: Grounds, *, weak: bool) -> Tried:
    command = grounds.command(point.probe, *point.arguments(grounds))
    yard = grounds.yard
    for name in ("soft", "hard"):
        (yard.work / name).unlink(missing_ok=True)
    changes = {
        "limits": msgspec.structs.replace(SMALL, **dict(point.limits)),
        "read": (*yard.read, grounds.programs),
    }
    grounds.touched.clear()
    if weak:
        with yard.plan(*command, **changes) as plan:
            jail = start(
                point.weaken(grounds, plan), stdin=subprocess.DEVNULL, stdout=PIPE, stderr=PIPE
            )
            over, out, errors = ended(jail)
    else:
        profile = yard.profile(*command, **changes)
        jail = launch(profile, stdin=subprocess.DEVNULL, stdout=PIPE, stderr=PIPE)
        over, out, errors = ended(jail)
    said = [json.loads(line) for line in out.splitlines()]
    return Tried(
        any("began" in line for line in said),
        any("done" in line for line in said),
        tuple(line["reached"] for line in said if "reached" in line),
        over,
        errors,
    )


@pytest.mark.parametrize("name", BY_NAME)
def test_there_is_no_way_out(grounds: Grounds, name: str) -> None:
    point = BY_NAME[name]
    found = tried(point, grounds, weak=False)
    assert found.reached == ()
    assert found.began, found
    assert found.done or _ended_for(point, found), found
    assert point.sink not in grounds.touched
    assert grounds.victim.poll() is None
    assert not (grounds.outer / "changed").exists()


def _ended_for(point: Point, found: Tried) -> bool:
    """Whether the jail was ended for what the probe did, and not for something else."""
    if point.ends == "signal":
        return found.ended.status > 128
    return bool(point.ends) and found.ended.excess == point.ends


@pytest.mark.parametrize("name", BY_NAME)
def test_a_jail_without_the_wall_is_found_out(grounds: Grounds, name: str) -> None:
    point = BY_NAME[name]
    if why := point.lacking():
        pytest.skip(f"not run: {why}")
    found = tried(point, grounds, weak=True)
    assert found.reached, found
    if point.sink == "victim":
        assert grounds.victim.wait(20) < 0
        grounds.renew()
    elif point.sink:
        assert point.sink in grounds.touched
    (grounds.outer / "changed").unlink(missing_ok=True)
