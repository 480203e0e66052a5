"""Nothing that is emitted holds anybody's data."""

import json

import pytest

from bridle.emit import cloudevents, ocsf, told
from bridle.emit.record import Record
from bridle.emit.spans import Spans
from bridle.model.record import LeafKind
from emit.busy import MARK
from emit.odd import record


def test_the_life_holds_every_mark_in_its_sealed_values(life, records: list[Record]) -> None:
    kinds = {each.leaf.kind for each in records}
    rare = {
        LeafKind.DELEGATION,
        LeafKind.REVOCATION,
        LeafKind.CREDENTIAL,
        LeafKind.LOG,
        LeafKind.PLAN,
    }
    assert set(LeafKind) - kinds <= rare
    sealed = {name for each in records for name in each.leaf.commit}
    assert {"prompt", "args", "modified", "released", "output", "message", "reason"} <= sealed
    bases = [each.leaf.body["basis"] for each in records if each.leaf.kind is LeafKind.REDACTION]
    assert len(bases) == 2
    assert all(MARK in basis for basis in bases)


def test_no_event_holds_arguments_results_prompts_or_words_of_humans(
    records: list[Record],
) -> None:
    spans = Spans()
    for each in records:
        for event in (ocsf.event(each), cloudevents.event(each), spans.of(each)):
            assert MARK not in repr(event)


def test_a_tool_that_no_bundle_knows_is_not_named(records: list[Record]) -> None:
    (unknown,) = [each for each in records if "unknown_tool" in each.leaf.body.get("codes", [])]
    assert MARK in unknown.leaf.body["tool"]
    assert told.body(unknown)["tool"] == told.UNTOLD
    (span,) = Spans().of(unknown)
    assert span.name == "execute_tool ?"


@pytest.mark.parametrize("kind", LeafKind)
def test_what_is_not_on_the_list_is_not_told(kind: LeafKind) -> None:
    secret = {name: f"secret {name}" for name in ("args", "output", "prompt", "basis", "note")}
    leaf = record(kind, {**secret, "rows": {"actions/secret": "00"}}, {"adapter": "secret"})
    for event in (ocsf.event(leaf), cloudevents.event(leaf), Spans().of(leaf)):
        assert "secret" not in repr(event)


def test_amounts_are_not_told_since_they_follow_from_arguments(records: list[Record]) -> None:
    paid = [each for each in records if each.leaf.body.get("charged")]
    assert paid
    for each in paid:
        assert "charged" not in json.dumps([ocsf.event(each), cloudevents.event(each)])
