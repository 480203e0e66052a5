"""Who signs the log, as an operator sees and changes it, and where checkpoints are put."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bridle.ledger import checkpoint, note
from bridle.store.place import place_of


@pytest.fixture
def desk(bridle_, starter: Path, serving: Callable[[Path], None]) -> Path:
    serving(starter)
    return starter


def test_the_keys_that_sign_are_listed_for_auditors(bridle_, desk: Path) -> None:
    (row,) = bridle_("audit", "keys", desk, "--json").json
    assert (row["state"], row["retired"]) == ("signs", 0)
    key = note.key(row["key"])
    assert key.id.hex() == row["id"]
    store = place_of(desk, bridle_.environ).folder
    signed = checkpoint.read((store / "checkpoint").read_bytes(), [key])
    assert signed.checkpoint.origin == bridle_("status", desk, "--json").json["origin"]
    told = bridle_("audit", "keys", "--store", store)
    assert row["key"] in told.out.splitlines()


def test_a_key_is_rotated_in_two_steps_and_the_log_verifies(bridle_, desk: Path) -> None:
    (old,) = bridle_("audit", "keys", desk, "--json").json
    both = bridle_("audit", "rotate-key", desk, "--as", "me", "--json")
    assert both.code == 0, both.err
    assert [row["state"] for row in both.json] == ["signs", "signs"]
    one = bridle_("audit", "rotate-key", desk, "--retire", old["id"], "--as", "me", "--json")
    assert [row["state"] for row in one.json] == ["retired", "signs"]
    again = bridle_("audit", "rotate-key", desk, "--retire", both.json[1]["id"], "--as", "me")
    assert again.code == 3
    assert "last_key" in again.err
    verified = bridle_("audit", "verify", desk, "--key", old["key"])
    assert verified.code == 0, verified.out


def test_without_a_store_there_are_no_keys(bridle_, starter: Path, tmp_path: Path) -> None:
    missing = bridle_("audit", "keys", starter)
    assert missing.code == 3
    assert "store_missing" in missing.err
    assert bridle_("audit", "keys", "--store", tmp_path / "none").code == 3


def test_a_key_is_rotated_where_nobody_serves_the_bundle(bridle_, starter: Path) -> None:
    done = bridle_("audit", "rotate-key", starter, "--as", "me", "--json")
    assert done.code == 0, done.err
    assert len(done.json) == 2
    assert len(list(place_of(starter, bridle_.environ).keys.iterdir())) == 4
