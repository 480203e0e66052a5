"""What a record says of origins: what differs from nothing, read back in full."""

import json
from typing import Any, cast

from bridle.engine.flow.source import Origin
from bridle.governor.provenance import told

UNKNOWN = Origin(labels=frozenset(["pii"]))
NOBODY = cast("Any", None)
FULL = {
    "sources": [],
    "domains": [],
    "labels": ["pii"],
    "trusted": False,
    "prompted": False,
    "unknown": True,
    "read": [],
}


def test_a_record_leaves_out_what_is_not_so() -> None:
    said = {"labels": ["pii"], "unknown": True}
    assert json.loads(told.field({"to": UNKNOWN, "body": UNKNOWN})) == {"body": said, "to": said}


def test_what_was_left_out_is_shown_as_what_was_written_out() -> None:
    written = told.shown(NOBODY, NOBODY, json.dumps({"to": FULL}))
    assert written == told.shown(NOBODY, NOBODY, told.field({"to": UNKNOWN}))
    assert written == [{"argument": "to", **FULL}]


def test_only_what_says_no_more_than_unknown_says_nothing() -> None:
    nothing = {**FULL, "labels": []}
    assert not told.says_anything(nothing)
    for more in ({"unknown": False}, {"trusted": True}, {"labels": ["pii"]}, {"sources": ["web"]}):
        assert told.says_anything({**nothing, **more})
