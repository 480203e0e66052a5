"""Activation: a human's act, refused where it would do harm; a changed folder decides nothing."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridle.bundle.load import load
from bridle.governor.governor import Governor
from bridle.governor.ground.watch import _EVERY_S, DiskWatch
from bridle.model import calls
from bridle.model.calls import Failed, Judged, Listing, Opened, Reply
from bridle.model.errors import BundleError, StoreError
from governor.desk import ANYONE, FILES, Desk, changed, codes


class House:
    """A bundle in a folder, and a governor that watches it."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "bundle", folder / "state"
        self.write(FILES)
        self.governor = Governor.open(self.root, state=self.state, embedded=True)
        self.session = self._session()

    def write(self, files: dict[str, str]) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def reopen(self) -> None:
        self.governor.close()
        self.governor = Governor.open(self.root, state=self.state, embedded=True)

    def _session(self) -> str:
        mission = self.ask(calls.StartMission(template="office", user="ana"))
        assert isinstance(mission, Opened)
        session = self.ask(calls.OpenSession(mission=mission.id, agent="clerk"))
        assert isinstance(session, Opened)
        return session.id

    def ask(self, call: calls.Call) -> Reply:
        return self.governor.handle(ANYONE, call)

    def decide(self, key: str) -> list[str]:
        # The folder is looked at four times a second; a test does not wait for that.
        self.governor._watch._next = 0.0
        call = calls.Decide(session=self.session, tool="note.read", args='{"id":1}', key=key)
        reply = self.ask(call)
        assert isinstance(reply, Judged)
        return codes(reply.verdict) or [reply.verdict.effect.value]

    def activate(self, digest: str = "", as_user: str = "ana") -> str:
        """Empty, or the code of the refusal."""
        digest = digest or load(self.root).digest
        reply = self.ask(calls.Activate(digest=digest, as_user=as_user))
        return reply.code if isinstance(reply, Failed) else ""

    def status(self) -> dict[str, object]:
        reply = self.ask(calls.Status())
        assert isinstance(reply, Listing)
        return reply.rows[0]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.governor.close()


NEXT = changed(("bridle.toml", 'version = "1"', 'version = "2"'))


def test_the_first_opening_activates_on_record(house: House):
    assert house.status()["active"] == load(house.root).digest
    assert house.status()["changed"] is False
    assert house.decide("a") == ["allow"]


def _edit(house: House) -> None:
    house.write(NEXT)


def _add(house: House) -> None:
    (house.root / "policies" / "more.dw").write_text(
        '@id("more") permit (principal, action, resource);'
    )


def _remove(house: House) -> None:
    (house.root / "policies" / "limits.dw").unlink()


def _break(house: House) -> None:
    (house.root / "bridle.toml").write_text("format = ")


def _empty(house: House) -> None:
    shutil.rmtree(house.root)


def _same_size(house: House) -> None:
    path = house.root / "policies" / "limits.dw"
    stamp = path.stat()
    path.write_text(path.read_text().replace("gossip", "gossiq"))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


@pytest.mark.parametrize("change", [_edit, _add, _remove, _break, _empty, _same_size])
def test_a_changed_folder_stops_decisions_until_it_is_put_back(
    house: House, change: Callable[[House], None]
):
    assert house.decide("a") == ["allow"]
    change(house)
    assert house.decide("b") == ["bundle_changed"]
    assert house.status()["changed"] is True
    house.write(FILES)
    assert house.decide("b") == ["allow"]


def test_a_changed_folder_stops_a_start_that_was_decided_before(house: House):
    call = calls.Decide(session=house.session, tool="note.read", args='{"id":1}', key="a")
    decided = house.ask(call)
    assert isinstance(decided, Judged)
    house.write(NEXT)
    house.governor._watch._next = 0.0
    begun = house.ask(calls.Begin(session=house.session, action=decided.verdict.action))
    assert isinstance(begun, Judged)
    assert codes(begun.verdict) == ["bundle_changed"]


def test_files_that_no_bundle_consists_of_change_nothing(house: House):
    (house.root / ".swp").write_text("x")
    (house.root / ".#lock").symlink_to("nobody@nowhere")
    (house.root / "README.md").write_text("x")
    assert house.decide("a") == ["allow"]


def test_a_link_that_leads_nowhere_fails_closed(house: House):
    (house.root / "policies" / "far.dw").symlink_to("/nowhere/at/all")
    assert house.decide("a") == ["bundle_changed"]


def test_an_activated_bundle_is_in_force_at_once_and_on_record(house: House):
    house.write(NEXT)
    assert house.decide("a") == ["bundle_changed"]
    assert house.activate() == ""
    assert house.decide("a") == ["allow"]
    assert house.status()["active"] == load(house.root).digest
    assert house.status()["version"] == "2"


def test_a_kept_bundle_stays_in_force_over_a_restart_whatever_lies_on_disk(house: House):
    before = house.status()["active"]
    house.write(NEXT)
    house.reopen()
    assert house.status()["active"] == before
    assert house.decide("a") == ["bundle_changed"]
    _break(house)
    house.reopen()
    assert house.decide("b") == ["bundle_changed"]
    # What keeps going: oversight.
    assert isinstance(house.ask(calls.Kill(scope="all", as_user="ana")), Listing)


FAILING = """
[[scenario]]
name = "gossip is fine"
mission = "office"
user = "ana"
[[scenario.step]]
agent = "clerk"
tool = "note.write"
args = { text = "gossip" }
expect = "allow"
"""


def test_a_new_store_does_not_begin_with_a_bundle_whose_scenarios_fail(
    house: House, tmp_path: Path
):
    house.write({**FILES, "tests/wrong.toml": FAILING})
    with pytest.raises(BundleError) as refused:
        Governor.open(house.root, state=tmp_path / "another", embedded=True)
    assert refused.value.code == "scenarios_fail"
    house.write(FILES)
    Governor.open(house.root, state=tmp_path / "another", embedded=True).close()


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({**FILES, "bridle.toml": "format = "}, "bundle_invalid"),
        ({**FILES, "tests/wrong.toml": FAILING}, "scenarios_fail"),
    ],
)
def test_a_bundle_that_would_do_harm_is_not_activated(house: House, files, code):
    active = house.status()["active"]
    house.write(files)
    digest = "0" * 64 if code == "bundle_invalid" else ""
    assert house.activate(digest) == code
    assert house.status()["active"] == active
    assert house.decide("a") == ["bundle_changed"]


def test_a_bundle_of_suspended_operators_only_is_not_activated(house: House):
    house.ask(calls.IdentityVerb(kind="user", id="ben", verb="suspend", as_user="ana"))
    house.write(changed(("bridle.toml", '["ana", "ben"]', '["ben"]')))
    assert house.activate() == "locks_out"


@pytest.mark.parametrize("users", [("ben", "cleo"), ("cleo", "dora")])
def test_a_group_with_too_few_active_humans_locks_out(house: House, users):
    # No lead at all; one of the board, where its declaration wants two.
    for user in users:
        house.ask(calls.IdentityVerb(kind="user", id=user, verb="suspend", as_user="ana"))
    house.write(NEXT)
    assert house.activate() == "locks_out"


def test_a_group_that_only_a_budget_names_locks_out_as_well(house: House):
    for user in ("cleo", "dora"):
        house.ask(calls.IdentityVerb(kind="user", id=user, verb="suspend", as_user="ana"))
    house.write(
        changed(
            ("missions.toml", 'hold = ["leads"]', 'hold = ["board"]'),
            ("policies/limits.dw", '@hold("board")', '@hold("leads")'),
            ("policies/hours.dw", '@hold("board")', '@hold("leads")'),
        )
    )
    assert house.activate() == "locks_out"


def test_only_what_the_human_saw_is_activated(house: House):
    house.write(NEXT)
    seen = load(house.root).digest
    house.write(changed(("bridle.toml", 'version = "1"', 'version = "3"')))
    assert house.activate(seen) == "digest_differs"


def test_only_an_operator_of_the_bundle_in_force_activates(house: House):
    house.write(changed(("bridle.toml", '["ana", "ben"]', '["cleo"]')))
    assert house.activate(as_user="cleo") == "not_an_operator"
    assert house.activate(as_user="ben") == ""
    house.write(FILES)
    assert house.activate(as_user="ana") == "not_an_operator"
    assert house.activate(as_user="cleo") == ""


def test_a_bundle_whose_tools_write_where_the_store_lies_is_not_activated(house: House):
    reach = f'[systems.notes]\ndomain = "house"\nwrites = ["{house.state}"]'
    house.write(changed(("systems.toml", '[systems.notes]\ndomain = "house"', reach)))
    assert house.activate() == "place_exposed"
    with pytest.raises(StoreError) as refused:
        house.reopen()
    assert refused.value.code == "place_exposed"
    house.write(FILES)
    house.governor = Governor.open(house.root, state=house.state, embedded=True)


def test_the_watch_looks_again_within_a_quarter_of_a_second(house: House):
    assert _EVERY_S <= 0.25
    watch = DiskWatch(house.root)
    active = load(house.root).digest
    assert not watch.differs(active)
    house.write(NEXT)
    assert watch._next <= time.monotonic() + _EVERY_S
    watch._next = 0.0
    assert watch.differs(active)
    assert not watch.differs(load(house.root).digest)
    assert watch.digest() == load(house.root).digest


def test_a_governor_without_a_folder_activates_nothing():
    assert Desk().refused(calls.Activate(digest="0", as_user="ana")) == "no_bundle"
