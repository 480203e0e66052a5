"""What is erased is nowhere any more: in no file of the store, and in no export of it.

A governor is fed marked words wherever people and agents can say something. Before the erasure all
that was sealed, and the sealed key, is noted down byte for byte; afterwards every file is searched.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.audit.exports import reading, writing
from bridle.audit.places import place
from bridle.audit.stores import Asked, verify
from bridle.governor.governor import Governor
from bridle.ledger import leaf
from bridle.model import calls
from bridle.model.calls import Caller
from bridle.model.record import LeafKind
from bridle.store.rows import ROWS, PayloadKeyRow
from bridle.store.sqlite.reading import snapshot
from governor.desk import FILES

MARK = "Xq7-marked"
"""Stands in everything that is to be erased."""
_WINDOW = 16
HUMAN = Caller(operator=True, method="embedded", uid=os.geteuid())


def word(what: str) -> str:
    return f"{MARK}-{what}-{MARK}"


class Store:
    """A store in which two missions said much; the first of them is over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle = folder / "bundle"
        for name, text in FILES.items():
            if name == "policies/hours.dw":  # that nobody pays at night
                continue
            file = self.bundle / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        with bridle.open(self.bundle, embedded=True) as governor:
            self.mission = work(governor, word)
            self.other = work(governor, lambda what: f"others-{what}")
        (database,) = (folder / "state" / "bridle").glob("*/store.db")
        self.state = database.parent
        self.sealed = self.noted(self.mission)
        self.kept = self.noted(self.other)

    def noted(self, mission: str) -> list[bytes]:
        """Every sealed value of a mission and its wrapped key, as bytes and as rows spell them."""
        with snapshot(self.state / "store.db") as tx:
            found = [each.sealed for each in tx.leaves() if each.chain == mission and each.sealed]
            key = tx.get(PayloadKeyRow, mission)
            assert key is not None
            found.append(key.sealed)
            found += [
                filed.row.sealed  # type: ignore[union-attr]
                for kind in ROWS
                for filed in tx.every(kind)
                if getattr(filed.row, "mission", "") == mission
                and getattr(filed.row, "sealed", b"")
            ]
        assert len(found) > 12
        return found + [base64.b64encode(each) for each in found]

    def files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}

    def erased(self) -> None:
        """No file holds a marked word or sixteen bytes in a row of what was sealed."""
        for path, data in self.files().items():
            if path.is_relative_to(self.bundle):
                continue
            assert MARK.encode() not in data, path
            windows = {data[at : at + _WINDOW] for at in range(len(data) - _WINDOW + 1)}
            for secret in self.sealed:
                left = [at for at in range(len(secret) - _WINDOW + 1) if _at(secret, at) in windows]
                assert left == [], path

    def verified(self) -> None:
        found = verify(place(None, self.state), Asked(None, (), None))
        assert found.ok, found.report.findings

    def redactions(self) -> list[dict[str, Any]]:
        with snapshot(self.state / "store.db") as tx:
            leaves = [leaf.parse(each.data) for each in tx.leaves()]
        return [each.body for each in leaves if each.kind is LeafKind.REDACTION]

    def still_sealed(self) -> int:
        with snapshot(self.state / "store.db") as tx:
            return sum(bool(each.sealed) for each in tx.leaves() if each.chain == self.mission)


def _at(secret: bytes, at: int) -> bytes:
    return secret[at : at + _WINDOW]


def work(governor: bridle.Bridle, said: Callable[[str], str]) -> str:
    """Say something wherever something can be said."""
    mission = governor.start_mission("office", user="ana", prompt=said("prompt"))
    mission.add_prompt(said("more"), user="ana")
    clerk = mission.agent("clerk")
    clerk.call("note.read", {"id": 7}, effect=lambda id: {"body": said("result" * 40)})  # noqa: A006
    with pytest.raises(bridle.Denied):
        clerk.call("note.read", {"id": said("mistyped")}, effect=lambda **_: None)
    with pytest.raises(bridle.Denied):
        clerk.call(said("no tool"), {}, effect=lambda **_: None)
    with pytest.raises(RuntimeError):
        clerk.call("note.index", {"depth": 1}, effect=failing(said("broken")))
    for _ in range(8):
        clerk.decide("note.write", {"text": said("a long note" * 30)})
    with pytest.raises(bridle.Held) as held:
        clerk.call("bank.pay", {"amount": 60, "order": 4}, effect=lambda **_: said("paid"))
    terms = bridle.Terms(count=2, free=("order",))
    approval = held.value.approval_id
    governor.approve(approval, as_user="ben", reason=said("because"), terms=terms)
    held.value.resume()
    with pytest.raises(bridle.Held) as waiting:
        clerk.call("safe.open", {"id": 5}, effect=lambda **_: None)
    governor.deny(waiting.value.approval_id, as_user="ben", reason=said("no"))
    mission.close()
    return mission.id


def failing(text: str) -> Callable[..., Any]:
    def effect(**_: Any) -> Any:
        raise RuntimeError(text)

    return effect


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Store(tmp_path)


def test_what_is_sealed_can_be_seen_in_the_files_before_it_is_erased(store: Store) -> None:
    data = b"".join(store.files().values())
    assert sum(each in data for each in store.sealed if len(each) < 300) > 10
    writing.export(place(None, store.state), store.folder / "export", opened=True)
    shown = b"".join(path.read_bytes() for path in (store.folder / "export").rglob("*.jsonl"))
    said = {"prompt", "more", "mistyped", "no tool", "broken", "because", "no"}
    assert {what for what in said if word(what).encode() in shown} == said


def test_an_erased_mission_leaves_no_byte_in_any_file_or_export(store: Store) -> None:
    with bridle.open(store.bundle, embedded=True) as governor:
        [row] = governor.redact(store.mission, basis="request 17", as_user="ana")
        assert row["scrubbed"]
        store.erased()  # at once, while the governor goes on
        assert store.noted(store.other) == store.kept
    writing.export(place(None, store.state), store.folder / "export", opened=True)
    store.erased()
    store.verified()
    found = reading.verify(store.folder / "export")
    assert found.ok, found


def test_all_that_a_users_missions_said_can_be_erased_at_once(store: Store) -> None:
    with bridle.open(store.bundle, embedded=True) as governor:
        going = governor.start_mission("office", user="ana").id
        rows = governor.redact(user="ana", basis="request 17", as_user="ana")
        assert {row["mission"]: row.get("refused") for row in rows} == {
            going: "mission_not_over",
            store.mission: None,
            store.other: None,
        }
        assert rows[-1]["scrubbed"]
        store.erased()
        store.sealed = store.kept
        store.erased()
    store.verified()


def test_records_erased_one_by_one_leave_as_little(store: Store) -> None:
    with snapshot(store.state / "store.db") as tx:
        records = [
            each.index for each in tx.leaves() if each.chain == store.mission and each.sealed
        ]
        key = tx.get(PayloadKeyRow, store.mission)
    assert key is not None
    with bridle.open(store.bundle, embedded=True) as governor:
        for record in records:
            governor.redact(record=record, basis="request 17", as_user="ana")
        # The mission's key is for what it may still say.
        spelt = (key.sealed, base64.b64encode(key.sealed))
        store.sealed = [each for each in store.sealed if each not in spelt]
        store.erased()
    store.verified()


def test_a_reader_delays_scrubbing_and_the_governor_makes_up_for_it(store: Store) -> None:
    governor = Governor.open(store.bundle, embedded=True)
    try:
        call = calls.Redact(mission=store.mission, basis="request 17", as_user="ana")
        with snapshot(store.state / "store.db") as tx:
            assert tx.frontier().size
            reply = governor.handle(HUMAN, call)
            assert isinstance(reply, calls.Listing)
            assert not reply.rows[0]["scrubbed"]
        with pytest.raises(AssertionError):
            store.erased()
        governor.tick()
        store.erased()
    finally:
        governor.close()
    store.verified()


# --- killed in the middle -------------------------------------------------------------------------


_ERASING = """
import os, signal, sys
from pathlib import Path
from bridle.governor.governor import Governor
from bridle.model import calls
from bridle.model.calls import Caller
bundle, state, mission, last = sys.argv[1:]
governor = Governor.open(Path(bundle), state=Path(state), embedded=True)
steps = 0
def step(*_):
    global steps
    steps += 1
    if steps == int(last):
        os.kill(os.getpid(), signal.SIGKILL)
    return True
governor.core.store._connection.exec_trace = step
call = calls.Redact(mission=mission, basis="request 17", as_user="ana")
reply = governor.handle(Caller(operator=True, method="embedded", uid=os.geteuid()), call)
assert isinstance(reply, calls.Listing), reply
print(steps)
"""


def erasing(store: Store, state: Path, last: int) -> subprocess.CompletedProcess[bytes]:
    """Erase in a process that is killed before its `last` statement (0: never)."""
    return subprocess.run(
        [sys.executable, "-c", _ERASING, store.bundle, state, store.mission, str(last)],
        capture_output=True,
        check=False,
        timeout=50,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.fixture
def copies(store: Store) -> Iterator[Callable[[], Path]]:
    """Put the store back as it was, in its own place."""
    whole = store.folder.parent / f"{store.folder.name}-whole"
    shutil.copytree(store.state, whole)

    def fresh() -> Path:
        shutil.rmtree(store.state)
        shutil.copytree(whole, store.state)
        return store.state

    yield fresh
    shutil.rmtree(whole)


@pytest.mark.slow
def test_killed_anywhere_an_erasure_is_whole_or_nothing_and_a_repeat_completes_it(
    store: Store, copies: Callable[[], Path], count: Callable[[int, int], int]
) -> None:
    whole = erasing(store, copies(), 0)
    assert whole.returncode == 0, whole.stderr.decode()
    steps = json.loads(whole.stdout)
    assert steps > 30
    ends = set()
    stride = max(1, steps // count(12, steps))
    for last in range(steps, 0, -stride):
        state = copies()
        many = store.still_sealed()
        killed = erasing(store, state, last)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        done = store.redactions()
        assert (store.still_sealed(), len(done)) in {(many, 0), (0, 1)}
        ends.add(len(done))
        store.verified()
        with bridle.open(store.bundle, embedded=True) as governor:
            if done:
                store.erased()  # nobody has to know that it was cut off
            governor.redact(store.mission, basis="request 17", as_user="ana")
            store.erased()
        assert len(store.redactions()) == 1
        store.verified()
    assert ends == {0, 1}
