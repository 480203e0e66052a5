"""Each event is what the published schema of its class says."""

import functools
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from bridle.emit import ocsf
from bridle.emit.record import Record
from bridle.model.record import LeafKind
from emit.odd import RARE, odd_records, record


@functools.cache
def schemas() -> OcsfJsonSchemaEmbedded:
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(version=ocsf.VERSION))


@functools.cache
def validator(class_uid: int, profiles: tuple[str, ...]) -> jsonschema_rs.Draft202012Validator:
    name = schemas().lookup_class_name_from_uid(class_uid=class_uid)
    schema = schemas().get_class_schema(class_name=name, profiles=list(profiles))
    return jsonschema_rs.Draft202012Validator(schema)


def flaws(event: dict[str, Any]) -> list[str]:
    profiles = tuple(event["metadata"].get("profiles", ()))
    found = validator(event["class_uid"], profiles).iter_errors(event)
    return [f"{each.instance_path}: {each.message}" for each in found]


def test_the_version_is_a_released_one() -> None:
    assert get_ocsf_schema(version=ocsf.VERSION)["version"] == ocsf.VERSION
    assert "dev" not in ocsf.VERSION


def test_every_record_is_a_valid_event(records: list[Record]) -> None:
    for each in (*records, *RARE):
        assert flaws(ocsf.event(each)) == [], each


def test_the_schema_would_notice(records: list[Record]) -> None:
    event = ocsf.event(records[-1])
    assert flaws({**event, "invented": 1})
    assert flaws({name: event[name] for name in event if name != "activity_id"})
    assert flaws({**event, "severity_id": 7})


@given(odd_records())
def test_odd_records_are_valid_events_too(odd: Record) -> None:
    assert flaws(ocsf.event(odd)) == []


def test_an_event_points_to_its_record(records: list[Record]) -> None:
    for each in records:
        event = ocsf.event(each)
        assert event["metadata"]["sequence"] == each.index
        assert event["metadata"]["uid"] == each.hash
        assert event["metadata"]["log_name"] == each.origin
        assert event["time"] == each.leaf.time
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]


def decided(codes: list[str], effect: str = "deny", **ids: str) -> tuple[int, int]:
    body = {"effect": effect, "tool": "mail.send", "codes": codes}
    event = ocsf.event(record(LeafKind.DECISION, body, ids))
    assert event["class_uid"] == ocsf.API_ACTIVITY
    return event["action_id"], event["disposition_id"]


def test_verdicts_are_actions_and_dispositions() -> None:
    assert decided([], "allow") == (1, 1)
    assert decided([], "allow", approval="hol_1") == (1, 8)
    assert decided(["modified"], "modify") == (4, 11)
    assert decided(["held"], "hold") == (99, 14)
    assert decided(["forbidden"]) == (2, 2)
    assert decided(["killed"]) == (2, 24)
    assert decided(["approval_denied"]) == (2, 25)
    assert decided(["no_permit"]) == (2, 26)
    # A verdict that nobody knows is no permission.
    assert decided([], "perhaps") == (2, 2)


@pytest.mark.parametrize(
    ("kind", "body", "activity", "entity"),
    [
        (LeafKind.KILL, {"what": "kill", "scope": "agent:clerk"}, 12, ("agent", "clerk")),
        (LeafKind.KILL, {"what": "resume", "scope": "all:"}, 13, ("all", "all")),
        (LeafKind.IDENTITY, {"what": "retire", "kind": "user", "id": "ana"}, 7, ("User", "ana")),
        (LeafKind.POLICY, {"what": "activate", "digest": "d", "name": "n"}, 10, ("Policy", "n")),
    ],
)
def test_what_humans_change_is_entity_management(
    kind: LeafKind, body: dict[str, Any], activity: int, entity: tuple[str, str]
) -> None:
    event = ocsf.event(record(kind, body, {"by": "ben"}, chain="system"))
    assert event["class_uid"] == ocsf.ENTITY_MANAGEMENT
    assert event["activity_id"] == activity
    assert (event["entity"]["type"], event["entity"]["name"]) == entity
    assert event["actor"] == {"user": {"name": "ben"}}


def test_an_outcome_tells_success_from_failure(records: list[Record]) -> None:
    found = {}
    for each in records:
        if each.leaf.kind is LeafKind.OUTCOME:
            found[each.leaf.body["kind"]] = ocsf.event(each)["status_id"]
    assert found == {"ok": 1, "error": 2, "not_started": 2, "unknown": 2}
