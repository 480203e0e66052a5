"""What humans erase from the command line, and what they are told is kept."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.model.record import LeafKind
from bridle.store.rows import MissionRow
from bridle.store.sqlite import open_store
from cli.terminals import AtTerminal
from ledger import written

BASIS = ("--basis", "request 17", "--as", "me")


@pytest.fixture
def desk(bridle_, starter: Path, serving: Callable[[Path], None]) -> Path:
    serving(starter)
    return starter


def ended(gov: bridle.Bridle, prompt: str = "Answer Lea") -> str:
    mission = gov.start_mission("desk", user="me", prompt=prompt)
    mission.agent("assistant").call("notes.read", {"name": "a"}, effect=lambda **_: {"text": "b"})
    mission.close()
    return mission.id


def test_a_mission_is_erased_and_the_log_verifies(bridle_, desk: Path, gov) -> None:
    mission = ended(gov)
    done = bridle_("audit", "redact", desk, "--mission", mission, *BASIS, "--yes", "--json")
    assert done.code == 0, done.err
    [row] = done.json["erased"]
    assert (row["mission"], done.json["left"], done.json["scrubbed"]) == (mission, [], True)
    assert row["records"] >= 3
    assert row["leaf"] > 0
    assert bridle_("audit", "verify", desk).code == 0
    again = bridle_("audit", "redact", desk, "--mission", mission, *BASIS, "--yes", "--json")
    assert again.json["erased"][0]["leaf"] == -1


def test_a_users_missions_are_erased_and_those_that_go_on_are_named(bridle_, desk, gov) -> None:
    over, going = ended(gov), gov.start_mission("desk", user="me").id
    done = bridle_("audit", "redact", desk, "--user", "me", *BASIS, "--yes", "--json")
    assert done.code == 1
    assert [row["mission"] for row in done.json["erased"]] == [over]
    [left] = done.json["left"]
    assert (left["mission"], left["refused"]) == (going, "mission_not_over")
    told = bridle_("audit", "redact", desk, "--user", "me", *BASIS, "--yes")
    assert told.code == 1
    assert going in told.out


def test_a_field_of_a_record_is_erased(bridle_, desk: Path, gov) -> None:
    ended(gov)
    report = bridle_("audit", "redact", desk, "--record", "0", *BASIS, "--yes")
    assert report.code == 3
    assert "nothing_sealed" in report.err
    told = bridle_("audit", "tail", desk, "--json").lines
    index = next(each["index"] for each in told if each["leaf"]["kind"] == "decision")
    field = ("--record", str(index), "--field", "args")
    done = bridle_("audit", "redact", desk, *field, *BASIS, "--yes", "--json")
    assert done.json["erased"][0]["fields"] == ["args"]
    done = bridle_("audit", "redact", desk, "--record", str(index), *BASIS, "--yes", "--json")
    assert set(done.json["erased"][0]["fields"]) == {"action", "args"}
    assert bridle_("audit", "verify", desk).code == 0


def test_nothing_is_erased_unless_somebody_says_yes(bridle_, desk: Path, gov) -> None:
    mission = ended(gov)
    ran = bridle_("audit", "redact", desk, "--mission", mission, *BASIS)
    assert (ran.code, "nobody is there" in ran.err) == (3, True)
    held = bridle_("audit", "retention", desk, "--json").json
    assert held["missions"][0]["records"] >= 3


def test_what_will_go_is_shown_before_anybody_says_yes(bridle_, desk: Path, gov) -> None:
    mission = ended(gov)
    words = ("audit", "redact", desk, "--mission", mission, *BASIS)
    for said, code in (("n", 1), ("y", 0)):
        asked = AtTerminal(bridle_.environ, *words)
        asked.answer("", said)  # typed ahead: the terminal keeps it
        assert asked.end() == code
        assert mission in asked.out
        assert "Erase this for good?" in asked.err
        left = bridle_("audit", "retention", desk, "--json").json["missions"][0]["records"]
        assert (left == 0) == (code == 0)


def test_a_store_that_nobody_serves_is_erased_from(bridle_, starter: Path, monkeypatch) -> None:
    for name in ("XDG_STATE_HOME", "TMPDIR"):
        monkeypatch.setenv(name, bridle_.environ[name])
    with bridle.open(starter, embedded=True) as governor:
        mission = ended(governor)
    done = bridle_("audit", "redact", starter, "--mission", mission, *BASIS, "--yes")
    assert done.code == 0, done.err
    assert "on record" in done.out


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--mission", "m", "--user", "me"),
        ("--mission", "m", "--field", "args"),
        ("--record", "-1"),
    ],
)
def test_what_is_to_go_has_to_be_said(bridle_, starter: Path, words: tuple[str, ...]) -> None:
    assert bridle_("audit", "redact", starter, *words, *BASIS, "--yes").code == 2
    assert bridle_("audit", "redact", starter, "--mission", "m", "--yes").code == 2


def test_retention_tells_what_is_kept_of_whom_and_what_was_erased(bridle_, desk, gov) -> None:
    first, second = ended(gov), ended(gov, "x" * 500)
    found: dict[str, Any] = bridle_("audit", "retention", desk, "--json").json
    one, two = found["missions"]
    assert (one["mission"], two["mission"]) == (first, second)
    assert (one["user"], one["template"], one["status"]) == ("me", "desk", "closed")
    assert one["oldest"] <= one["newest"] <= one["ended"]
    assert one["bytes"] + 400 < two["bytes"]
    assert (found["records"], found["bytes"]) == (
        one["records"] + two["records"],
        one["bytes"] + two["bytes"],
    )
    bridle_("audit", "redact", desk, "--mission", first, *BASIS, "--yes")
    one, two = bridle_("audit", "retention", desk, "--json").json["missions"]
    assert (one["records"], one["bytes"], one["oldest"], one["newest"]) == (0, 0, 0, 0)
    [erased] = one["erased"]
    assert (erased["by"], erased["basis"], erased["what"]) == ("me", "request 17", "mission")
    assert two["erased"] == []
    assert "request 17" in bridle_("audit", "retention", desk).out


def test_retention_names_what_is_due_and_how_to_erase_it(bridle_, desk: Path, gov) -> None:
    first, second, going = ended(gov), ended(gov), gov.start_mission("desk", user="me").id
    bridle_("audit", "redact", desk, "--mission", first, *BASIS, "--yes")
    due = bridle_("audit", "retention", desk, "--older-than", "0", "--json").json
    assert [each["mission"] for each in due["missions"]] == [second]
    told = bridle_("audit", "retention", desk, "--older-than", "0").out
    assert f"bridle audit redact --mission {second}" in told
    assert going not in told
    assert bridle_("audit", "retention", desk, "--older-than", "1", "--json").json["missions"] == []


def test_a_hostile_store_puts_no_command_into_what_is_to_be_pasted(bridle_, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir(mode=0o700)
    chain = "mis_1; touch $(id)"
    fields = {"args": b"x"}
    data, digest, _ = written.build(
        LeafKind.DECISION, chain, 0, bytes(32), 1, {}, {}, fields, bytes(32)
    )
    ended = MissionRow(
        id=chain, template="t", user="u", status="closed", started=1, expires=2, ended=2
    )
    store = open_store(folder / "store.db")
    store.write(lambda tx: (tx.append(chain, 0, data, digest, b"sealed"), tx.put(ended)))
    store.close()
    told = bridle_("audit", "retention", "--store", folder, "--older-than", "0").out
    (line,) = [each for each in told.splitlines() if each.startswith("bridle audit redact")]
    assert shlex.split(line)[4] == chain
