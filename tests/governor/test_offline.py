"""Offline judging: one line in, one answer out, in order, the same each time, whatever it is."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridle.governor.offline import Offline
from governor.desk import FILES, bundle_of, changed


def fed(*lines: dict[str, Any] | bytes, files: dict[str, str] = FILES, **given: str) -> list[Any]:
    offline = Offline(bundle_of(files), **given)
    try:
        return [
            offline.feed(line if isinstance(line, bytes) else json.dumps(line).encode())
            for line in lines
        ]
    finally:
        offline.close()


def action(name: str, tool: str, **args: Any) -> dict[str, Any]:
    return {"type": "action", "id": name, "tool": tool, "args": args}


def reasons(answer: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in answer["reasons"]]


def test_the_four_verdicts_as_lines():
    allow, modify, hold, deny = fed(
        action("a1", "note.read", id=7),
        action("a2", "note.write", text="a long note indeed"),
        action("a3", "bank.pay", amount=60),
        action("a4", "note.write", text="gossip"),
    )
    assert allow == {"id": "a1", "effect": "allow", "reasons": []}
    assert modify == {
        "id": "a2",
        "effect": "modify",
        "args": {"text": "a long not"},
        "reasons": [{"policy": "short-notes", "code": "modified", "text": "notes are short"}],
    }
    approval = hold.pop("approval")
    assert approval.startswith("hold_")
    assert hold == {
        "id": "a3",
        "effect": "hold",
        "reasons": [{"policy": "big-pay", "code": "held", "text": "more than 50 needs a lead"}],
    }
    assert deny == {
        "id": "a4",
        "effect": "deny",
        "reasons": [{"policy": "no-gossip", "code": "forbidden", "text": "no gossip in notes"}],
    }


def test_an_outcome_is_answered_by_the_release_of_its_result():
    _, passed, _, cut, _, shut, _, failed, _, held = fed(
        action("a1", "note.read", id=1),
        {"type": "outcome", "action": "a1", "output": {"body": "b"}},
        action("a2", "note.read", id=2),
        {"type": "outcome", "action": "a2", "output": {"body": "b", "pin": "1"}},
        action("a3", "note.read", id=3),
        {"type": "outcome", "action": "a3", "output": {"body": "burnt"}},
        action("a4", "note.read", id=4),
        {"type": "outcome", "action": "a4", "error": "timeout"},
        action("a5", "note.read", id=5),
        {"type": "outcome", "action": "a5", "output": {"body": "sealed"}},
    )
    assert passed == {"id": "a1", "effect": "allow", "reasons": []}
    assert (cut["effect"], cut["output"]) == ("modify", {"body": "b"})
    assert (shut["effect"], reasons(shut)) == ("deny", ["forbidden"])
    assert "output" not in shut
    assert failed["effect"] == "allow"
    assert (held["effect"], held["approval"][:5]) == ("hold", "hold_")


def test_missions_are_started_under_the_inputs_own_names():
    answers = fed(
        {"type": "mission", "id": "m1", "template": "reading", "user": "ben", "prompt": "read"},
        {**action("a1", "note.read", id=1), "mission": "m1", "agent": "scout"},
        {**action("a2", "note.write", text="x"), "mission": "m1", "agent": "scout"},
        {**action("a3", "note.read", id=1), "mission": "m1", "agent": "clerk"},
        {**action("a4", "note.read", id=1), "mission": "m2"},
        {"type": "mission", "id": "m1"},
        {"type": "mission", "id": "m3", "template": "holiday"},
        {"type": "mission", "id": "m4", "user": "mallory"},
    )
    assert answers[0] == {"id": "m1", "ok": True}
    assert [a["effect"] for a in answers[1:]] == ["allow"] + ["deny"] * 6
    assert [reasons(a)[0] for a in answers[2:]] == [
        "out_of_mission",
        "out_of_mission",
        "out_of_mission",
        "duplicate_mission",
        "not_found",
        "unknown_user",
    ]


def test_defaults_of_the_bundle_and_options_stand_in_for_what_is_not_said():
    line = action("a1", "note.write", text="x")
    assert fed(line)[0]["effect"] == "allow"
    assert reasons(fed(line, executor="porter", agent="scout")[0]) == []
    assert reasons(fed(line, mission="reading", agent="scout")[0]) == ["out_of_mission"]
    bare = changed(("bridle.toml", FILES["bridle.toml"].split("[limits]")[0].split("[defaults]")[1],
                    "\n"))  # fmt: skip
    assert fed(line, files=bare)[0]["effect"] == "deny"
    full = {"mission": "office", "user": "ana", "agent": "clerk"}
    assert fed(line, files=bare, **full)[0]["effect"] == "allow"


def test_an_action_without_an_outcome_counts_as_started():
    first, again, other, unknown = fed(
        action("a1", "bank.pay", amount=20),
        {**action("a1", "bank.pay", amount=20), "at": "2026-01-01T00:30:00Z"},
        action("a1", "bank.pay", amount=21),
        {"type": "outcome", "action": "a9", "output": 1},
    )
    assert first["effect"] == "allow"
    assert reasons(again) == ["already_started"]
    assert reasons(other) == ["args_changed"]
    assert reasons(unknown) == ["not_decided"]


def test_time_is_what_the_lines_say_and_never_runs_back():
    def pay(name: str, at: str) -> dict[str, Any]:
        return {**action(name, "bank.pay", amount=1), "at": at}

    early, late, back, night = fed(
        pay("a1", "2026-01-01T00:59:59.999Z"),
        pay("a2", "2026-01-01T01:00:00Z"),
        pay("a3", "2026-01-01T00:00:00Z"),
        pay("a4", "2026-01-01T05:00:00+02:00"),
    )
    assert early["effect"] == "allow"
    assert late["effect"] == back["effect"] == "hold"
    assert reasons(night) == ["forbidden"]


def test_the_exact_text_of_arguments_is_judged_where_it_is_given():
    odd = {"type": "action", "id": "a1", "tool": "note.read", "args_raw": '{"id":1,"id":2}'}
    both = {**odd, "args": {"id": 1}}
    none = {"type": "action", "id": "a3", "tool": "note.index"}
    answers = fed(odd, both, none, b'{"type":"action","tool":"note.read","args":{"id":1,"id":2}}')
    assert [reasons(a) for a in answers] == [["malformed"], ["malformed"], [], ["malformed"]]
    assert answers[3]["id"] == "line-4"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"type":"action"}',
        b'{"type":"action","tool":"note.read","args":{"id":1},"extra":1}',
        b'{"type":"wish","id":"a1"}',
        b'{"type":"action","id":7,"tool":"note.read"}',
        b'{"type":"action","id":"a1","tool":"note.read","at":"soon"}',
        b'{"type":"action","id":"a1","tool":"note.read","at":"2026-01-01T00:00:00"}',
        b'{"type":"action","id":"a1","tool":"note.read","at":"9999-12-31T23:59:59-23:59"}',
        b'{"type":"action","id":"a1","tool":"note.read","args":{"id":"\xff"}}',
        b'{"type":"action","id":"a1","tool":"note.read","args":"\\ud800"}',
        b'{"type":"outcome","action":"a1","output":1,"error":"x"}',
        b'{"type":"action","id":"a1","tool":' + b"[" * 100_000,
        b'{"type":"mission"}',
    ],
)
def test_a_line_that_cannot_be_read_is_one_denial_with_its_code(line: bytes):
    [answer] = fed(line)
    assert answer["effect"] == "deny"
    assert len(answer["reasons"]) == 1
    assert answer["reasons"][0]["code"]
    assert json.dumps(answer)


def test_a_line_that_is_too_long_is_refused_unread():
    [answer] = fed(b" " * (8 * 1024 * 1024 + 1))
    assert reasons(answer) == ["limit_exceeded"]


def test_an_unreadable_line_is_answered_under_its_id_if_it_can_be_seen():
    one, two, three = fed(
        b'{"type":"action","id":"a1","tool":7}',
        b'{"type":"outcome","action":"a2","output":1,"why":1}',
        b'{"id":["a3"]}',
    )
    assert [one["id"], two["id"], three["id"]] == ["a1", "a2", ""]


LINES = st.one_of(
    st.binary(max_size=200),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["action", "outcome", "mission", "x"])},
        optional={
            "id": st.sampled_from(["a", "b", ""]) | st.text(max_size=5),
            "action": st.sampled_from(["a", "b"]),
            "tool": st.sampled_from(["note.read", "bank.pay", "note.write"]) | st.text(max_size=9),
            "args": st.dictionaries(
                st.sampled_from(["id", "amount", "text"]),
                st.integers() | st.text(max_size=20) | st.floats() | st.none(),
            ),
            "args_raw": st.text(max_size=30),
            "agent": st.sampled_from(["clerk", "scout", "x"]),
            "mission": st.sampled_from(["a", "default"]),
            "template": st.sampled_from(["office", "reading", "x"]),
            "user": st.sampled_from(["ana", "x"]),
            "output": st.dictionaries(st.sampled_from(["body", "pin"]), st.text(max_size=9)),
            "error": st.sampled_from(["", "timeout"]),
            "at": st.sampled_from(["2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "x"]),
        },
    ).map(lambda line: json.dumps(line).encode()),
)


@settings(max_examples=60)
@given(st.lists(LINES, max_size=12))
def test_every_line_has_one_answer_and_two_runs_agree(lines: list[bytes]):
    first, second = fed(*lines), fed(*lines)
    assert first == second
    assert len(first) == len(lines)
    for answer in first:
        assert json.dumps(answer)
        assert answer.get("ok") is True or answer["effect"] in {"allow", "deny", "modify", "hold"}


def test_a_failure_inside_is_a_denial_of_its_line(monkeypatch: pytest.MonkeyPatch):
    offline = Offline(bundle_of())

    def fail(*_: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(offline._governor, "handle", fail)
    answer = offline.feed(json.dumps(action("a1", "note.read", id=1)).encode())
    assert (answer["id"], reasons(answer)) == ("a1", ["internal"])
    offline.close()
