"""Records as events of the Open Cybersecurity Schema Framework, a released version of it.

Schema: <https://schema.ocsf.io/1.8.0>. What agents do is API Activity, what humans change is Entity
Management, what the log says of itself is a Base Event. `metadata.sequence` is the index in the
log, `metadata.uid` the leaf hash, so that each event points to its proof.
"""

from __future__ import annotations

from typing import Any

from bridle.emit import told
from bridle.emit.record import Record
from bridle.model.reason import ReasonCode
from bridle.model.record import LeafKind
from bridle.model.verdict import Effect

VERSION = "1.8.0"
BASE, ENTITY_MANAGEMENT, API_ACTIVITY = 0, 3004, 6003
PRODUCT = "Bridle"

_OTHER = 99
_INFORMATIONAL, _LOW, _MEDIUM, _HIGH = 1, 2, 3, 4
_SUCCESS, _FAILURE = 1, 2

# Action: what the control did; disposition: what became of the request.
_ALLOWED, _DENIED, _OBSERVED, _MODIFIED = (
    (1, "Allowed"),
    (2, "Denied"),
    (3, "Observed"),
    (4, "Modified"),
)
_HELD = (_OTHER, "Held")
_DISPOSITIONS = {
    1: "Allowed",
    2: "Blocked",
    8: "Approved",
    11: "Corrected",
    14: "Delayed",
    17: "Logged",
    24: "Access Revoked",
    25: "Rejected",
    26: "Unauthorized",
}
_DENIALS: dict[str, int] = {
    ReasonCode.KILLED: 24,
    ReasonCode.SUSPENDED: 24,
    ReasonCode.APPROVAL_DENIED: 25,
    ReasonCode.APPROVAL_EXPIRED: 25,
    ReasonCode.APPROVAL_VOID: 25,
    ReasonCode.NO_PERMIT: 26,
    ReasonCode.NO_SESSION: 26,
    ReasonCode.OUT_OF_MISSION: 26,
}
_RUNS: dict[str, tuple[tuple[int, str], int, int]] = {
    Effect.ALLOW: (_ALLOWED, 1, _INFORMATIONAL),
    Effect.MODIFY: (_MODIFIED, 11, _INFORMATIONAL),
    Effect.HOLD: (_HELD, 14, _LOW),
}
_ACTIONS = frozenset(
    (
        LeafKind.DECISION,
        LeafKind.STARTED,
        LeafKind.OUTCOME,
        LeafKind.RELEASE,
        LeafKind.APPROVAL,
    )
)
_MANAGED = frozenset(
    (
        *(LeafKind.MISSION, LeafKind.IDENTITY, LeafKind.KILL, LeafKind.POLICY),
        *(LeafKind.DELEGATION, LeafKind.REVOCATION),
    )
)
_VERBS = {
    "start": (1, "Create"),
    "open_session": (6, "Enroll"),
    "close_session": (7, "Unenroll"),
    "activate": (10, "Activate"),
    "close": (11, "Deactivate"),
    "expire": (11, "Deactivate"),
    "suspend": (12, "Suspend"),
    "kill": (12, "Suspend"),
    "resume": (13, "Resume"),
    "retire": (7, "Unenroll"),
}


def event(record: Record) -> dict[str, Any]:
    """Return the event of a record, as the schema's class for it has it."""
    kind = record.leaf.kind
    if kind in _ACTIONS:
        return _api_activity(record)
    return _entity_management(record) if kind in _MANAGED else _base(record)


def _api_activity(record: Record) -> dict[str, Any]:
    ids, said = told.ids(record), told.body(record)
    control, severity = _control(record, said)
    tool = told.text(said, "tool")
    api: dict[str, Any] = {"operation": tool or record.leaf.kind.value}
    if action := ids.get("action"):
        api["request"] = {"uid": action}
    if error := told.text(said, "error"):
        api["response"] = {"error": error}
    found: dict[str, Any] = {
        **_head(record, API_ACTIVITY, (_OTHER, record.leaf.kind.value), severity, ids, said),
        "actor": _actor(ids),
        "api": api,
        "src_endpoint": {"svc_name": ids.get("executor") or ids.get("by") or PRODUCT.lower()},
        **control,
        **_status(record, said),
    }
    if tool:
        found["resources"] = [{"name": tool, "type": "tool"}]
    found["metadata"]["profiles"] = ["security_control"]
    return found


def _control(record: Record, said: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return what the profile `security_control` says, and how severe that is."""
    action, disposition, severity = _ruled(record, said)
    found: dict[str, Any] = {
        "action_id": action[0],
        "action": action[1],
        "disposition_id": disposition,
        "disposition": _DISPOSITIONS[disposition],
    }
    effect = told.text(said, "effect")
    # An exception's policies are those it lifts; a judgement's are those that spoke.
    if policies := told.texts(said.get("policies")):
        found["authorizations"] = [
            {"decision": effect or "lifted", "policy": {"uid": each}} for each in policies
        ]
    if bundle := record.leaf.ids.get("bundle"):
        found["policy"] = {"uid": bundle, "type": "policy bundle"}
    return found, severity


def _ruled(record: Record, said: dict[str, Any]) -> tuple[tuple[int, str], int, int]:
    kind = record.leaf.kind
    if kind in (LeafKind.STARTED, LeafKind.OUTCOME):
        failed = kind is LeafKind.OUTCOME and said.get("kind") != "ok"
        return _OBSERVED, 17, _LOW if failed else _INFORMATIONAL
    if kind is LeafKind.APPROVAL:
        return _answered(said)
    effect = told.text(said, "effect")
    if effect in _RUNS:
        action, disposition, severity = _RUNS[effect]
        lifted = effect == Effect.ALLOW and {"approval", "exceptions"} & record.leaf.ids.keys()
        return action, 8 if lifted else disposition, severity
    codes = told.texts(said.get("codes"))
    denied = next((_DENIALS[code] for code in codes if code in _DENIALS), 2)
    return _DENIED, denied, _MEDIUM


def _answered(said: dict[str, Any]) -> tuple[tuple[int, str], int, int]:
    if said.get("approve") is True or said.get("status") in ("approved", "active"):
        return _ALLOWED, 8, _INFORMATIONAL
    return _DENIED, 25, _LOW


def _status(record: Record, said: dict[str, Any]) -> dict[str, Any]:
    codes = told.texts(said.get("codes"))
    found: dict[str, Any] = {"status_code": ",".join(codes)} if codes else {}
    if record.leaf.kind is LeafKind.OUTCOME:
        # An end that nobody reported says how it came about, and no kind.
        kind = told.text(said, "kind") or told.text(said, "why") or "unknown"
        found |= {"status_id": _SUCCESS if kind == "ok" else _FAILURE, "status_detail": kind}
        if error := told.text(said, "error"):
            found["status_code"] = error
    return found


def _entity_management(record: Record) -> dict[str, Any]:
    ids, said = told.ids(record), told.body(record)
    kind, what = record.leaf.kind, told.text(said, "what")
    activity = _VERBS.get(what, (_OTHER, what or kind.value))
    severity = _HIGH if what == "kill" else _INFORMATIONAL
    found = {
        **_head(record, ENTITY_MANAGEMENT, activity, severity, ids, said),
        "entity": _entity(record, said),
        "status_id": _SUCCESS,
    }
    if ids.get("by") or ids.get("user"):
        found["actor"] = _actor({"user": ids.get("by") or ids["user"]})
    return found


def _entity(record: Record, said: dict[str, Any]) -> dict[str, Any]:
    kind = record.leaf.kind
    if kind is LeafKind.POLICY:
        name, uid = told.text(said, "name") or PRODUCT, told.text(said, "digest")
        version = told.text(said, "version") or "?"
        policy = {"name": name, "uid": uid, "version": version}
        return {"type_id": 5, "type": "Policy", "name": name, "uid": uid, "policy": policy}
    if kind is LeafKind.IDENTITY:
        name, what = told.text(said, "id") or told.UNTOLD, told.text(said, "kind")
        if what == "user":
            return {"type_id": 2, "type": "User", "name": name, "user": {"name": name}}
        return {"type_id": _OTHER, "type": what or "identity", "name": name}
    if kind is LeafKind.KILL:
        scope, _, subject = told.text(said, "scope").partition(":")
        return {"type_id": _OTHER, "type": scope or "all", "name": subject or scope or "all"}
    return {"type_id": _OTHER, "type": "mission", "uid": record.leaf.chain}


def _base(record: Record) -> dict[str, Any]:
    said = told.body(record)
    what = told.text(said, "what") or record.leaf.kind.value
    degraded = record.leaf.kind is LeafKind.DEGRADED
    severity = _HIGH if degraded else _INFORMATIONAL
    head = _head(record, BASE, (_OTHER, what), severity, told.ids(record), said)
    if degraded and isinstance(said.get("denied_unrecorded"), int):
        head["count"] = max(1, said["denied_unrecorded"])
    return head


def _head(  # noqa: PLR0913, PLR0917 (what every class has)
    record: Record,
    class_uid: int,
    activity: tuple[int, str],
    severity: int,
    ids: dict[str, str],
    said: dict[str, Any],
) -> dict[str, Any]:
    from bridle import __version__

    leaf = record.leaf
    metadata: dict[str, Any] = {
        "version": VERSION,
        "product": {"name": PRODUCT, "vendor_name": PRODUCT, "version": __version__},
        "uid": record.hash,
        "sequence": record.index,
        "event_code": leaf.kind.value,
        "log_name": record.origin,
    }
    if record.mission:
        metadata["correlation_uid"] = record.mission
    return {
        "category_uid": class_uid // 1000,
        "class_uid": class_uid,
        "activity_id": activity[0],
        "activity_name": activity[1],
        "type_uid": class_uid * 100 + activity[0],
        "severity_id": severity,
        "time": leaf.time,
        "metadata": metadata,
        "unmapped": {"bridle": {**ids, "seq": leaf.seq, "record": said}},
    }


def _actor(ids: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if user := ids.get("user"):
        found["user"] = {"name": user}
    if agent := ids.get("agent"):
        found["app_name"] = agent
    if session := ids.get("session"):
        found["session"] = {"uid": session}
    return found if found.keys() & {"user", "app_name"} else {**found, "app_name": PRODUCT}
