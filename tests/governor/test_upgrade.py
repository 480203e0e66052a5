"""A store that release 0.1 wrote is opened by this one: nothing is lost, and nothing is alarming.

`tests/data/store-0.1` is such a store, as SQL, closed while much was open: a running attempt and a
verdict that nobody had started, an approval that nobody had used, one vote of two, a held result, a
kill, a suspension, budgets that were spent.
"""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bridle.governor.audit.opening import assert_witnessed
from bridle.governor.ground.chance import SystemChance
from bridle.governor.ground.clock import VirtualClock
from bridle.governor.ground.core import Core, Keys, Setting
from bridle.model import calls
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.store.sqlite import open_store
from governor.desk import HOUR, Desk, said

KEPT = Path(__file__).parents[1] / "data" / "store-0.1"
KNOWN = json.loads((KEPT / "known.json").read_text("utf-8"))


@pytest.fixture
def upgraded(tmp_path: Path) -> Desk:
    """The desk of that store, under this release."""
    path = tmp_path / "store" / "store.db"
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    with sqlite3.connect(path) as store:
        store.executescript((KEPT / "store.sql").read_text("utf-8"))
    store.close()
    return reopened(path)


def reopened(path: Path) -> Desk:
    clock = VirtualClock(KNOWN["now"])
    keys = Keys(*(bytes.fromhex(KNOWN[name]) for name in ("payload_key", "digest_key")))
    core = Core(open_store(path), keys, Setting("offline"), clock=clock, chance=SystemChance())
    assert_witnessed(core)
    desk = Desk.over(core, clock)
    desk._mission = KNOWN["mission"]
    desk._sessions["clerk", "worker", KNOWN["mission"]] = KNOWN["session"]
    return desk


def test_nothing_in_it_is_taken_for_tampering(upgraded: Desk, tmp_path: Path) -> None:
    upgraded.verified()
    upgraded.governor.close()
    again = reopened(tmp_path / "store" / "store.db")
    again.verified()
    again.later(HOUR)
    again.verified()


def test_what_was_open_goes_on(upgraded: Desk) -> None:
    # What cannot be undone takes a session with a key, which no earlier release opened.
    assert said(upgraded.redeem(KNOWN["held"])) == ("deny", ["proof_missing"])
    keyed = upgraded.opened()
    assert upgraded.redeem(KNOWN["held"], session=keyed).attempt
    digest = upgraded.hold(KNOWN["pend"]).digest
    assert upgraded.answer(KNOWN["pend"], "cleo", digest=digest) == "approved"
    assert upgraded.redeem(KNOWN["pend"], session=keyed).attempt
    assert upgraded.answer(KNOWN["res"]) == "approved"
    assert upgraded.redeem_result(KNOWN["res"]).output == '{"body":"sealed"}'
    assert said(upgraded.begin(KNOWN["dec"])) == ("deny", ["proof_missing"])
    upgraded.verified()


def test_an_old_vote_counts_for_no_edit(upgraded: Desk) -> None:
    assert upgraded.answer(KNOWN["pend"], "cleo", args='{"id":2}') == "pending"
    votes = upgraded.rows(calls.Approvals(approval=KNOWN["pend"]))[0]["votes"]
    assert [(vote["user"], vote["counts"]) for vote in votes] == [("ben", False), ("cleo", True)]


def test_what_was_stopped_stays_stopped(upgraded: Desk) -> None:
    assert said(upgraded.decide("note.index", "x", depth=1)) == ("deny", ["killed"])
    session = calls.OpenSession(mission=KNOWN["mission"], agent="scout")
    assert upgraded.refused(session) == "suspended"


def test_what_was_spent_stays_spent_and_what_was_lost_becomes_known(upgraded: Desk) -> None:
    def budgets() -> dict[str, Any]:
        [mission] = upgraded.rows(calls.Missions(mission=KNOWN["mission"]))
        return {row["budget"]: row["used"] for row in mission["budgets"]}

    assert budgets() == {"calls": "6", "money": "45", "tips": "0", "bells": "1"}
    upgraded.later(HOUR - 1)
    assert KNOWN["un"] in {row["id"] for row in upgraded.rows(calls.Attempts())}
    left = budgets()
    assert (left["calls"], left["money"]) == ("5", "40"), "the verdict that lapsed has paid nothing"


def test_what_lies_under_the_key_of_the_whole_store_is_erased_as_well(upgraded: Desk) -> None:
    mission = KNOWN["mission"]
    upgraded.done(calls.MissionVerb(mission=mission, verb="close", as_user="ana"))
    upgraded.later(HOUR)
    for attempt in upgraded.rows(calls.Attempts()):
        ended = Outcome(OutcomeKind.ERROR)
        upgraded.done(calls.Settle(attempt=attempt["id"], outcome=ended, as_user="ana"))
    erasing = calls.Redact(mission=mission, basis="request 17", as_user="ana")
    index = next(n for n, each in enumerate(upgraded.leaves()) if len(each.commit) > 1)
    field = min(upgraded.opened_leaf(index))
    one = calls.Redact(record=index, fields=(field,), basis="request 17", as_user="ana")
    assert upgraded.rows(one)[0]["records"] == 1
    assert upgraded.opened_leaf(index), "what is left of it is sealed under a key of the mission"
    upgraded.verified()
    assert upgraded.rows(erasing)[0]["records"] > 3
    left = upgraded.core.write(lambda turn: [x for x in turn.tx.leaves() if x.chain == mission])
    assert not any(each.sealed for each in left)
    upgraded.verified()
