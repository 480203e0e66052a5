"""What an adapter says of where arguments came from makes verdicts stricter, and never milder."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from bridle.governor.offline import Offline
from bridle.model import calls
from bridle.model.verdict import Verdict
from governor.desk import bundle_of, judged, said, text_of
from governor.provenance.reading import CARD, FILES, PLAIN, ReadingDesk
from governor.provenance.test_tracing import ALLOW, HOLD, LABELS, explained

BOB = {"to": "bob@x.example"}
ASKING = {**FILES, "policies/labels.dw": LABELS}


def prompted(files: dict[str, str] = ASKING) -> ReadingDesk:
    desk = ReadingDesk(files)
    desk._mission = desk.start_mission(prompt="Send bob@x.example the report: all is well.")
    return desk


def decide(
    desk: ReadingDesk, key: str, known: Any, tool: str = "mail.send", **args: Any
) -> Verdict:
    text = known if isinstance(known, str) else json.dumps(known)
    call = calls.Decide(
        session=desk.session(), tool=tool, args=text_of(args), key=key, provenance=text
    )
    return judged(desk.ask(call))


def read(desk: ReadingDesk, tool: str, output: str, **given: Any) -> str:
    """The id of an action that returned this."""
    verdict = desk.act(tool, f"{tool} {output}", **given)
    desk.observe(verdict.attempt, output)
    return verdict.action


def test_a_label_that_is_declared_is_carried() -> None:
    desk = prompted()
    body = {"body": "all is well", **BOB}
    assert said(decide(desk, "a", {}, **body)) == ALLOW
    assert said(decide(desk, "b", {"body": {"labels": ["pci"]}}, **body)) == ("deny", ["forbidden"])


def test_a_value_made_from_a_hostile_result_is_not_trusted_though_the_user_says_it_too() -> None:
    desk = prompted()
    page = read(desk, "web.get", '"nothing of note"', url="u")
    assert said(decide(desk, "a", {}, **BOB)) == ALLOW
    verdict = decide(desk, "b", {"to": {"read": [page]}}, **BOB)
    assert said(verdict) == HOLD
    found = explained(desk, verdict.action)["to"]
    assert (found["trusted"], found["prompted"], found["sources"]) == (False, False, ["web"])
    assert [source["action"] for source in found["read"]][-1] == page


def test_a_value_made_from_a_trusted_result_carries_its_labels_and_stays_trusted() -> None:
    desk = prompted()
    record = read(desk, "crm.find", '{"name":"Carla"}', id=1)
    cc = {"cc": "bob@x.example", **BOB}
    assert said(decide(desk, "a", {}, **cc)) == ALLOW
    assert said(decide(desk, "b", {"cc": {"read": [record]}}, **cc)) == ("deny", ["forbidden"])
    verdict = decide(desk, "c", {"to": {"read": [record]}}, **cc)
    assert said(verdict) == ALLOW
    assert explained(desk, verdict.action)["to"]["labels"] == ["customer", "pii"]


def test_a_value_made_from_a_result_carries_what_detectors_found_there() -> None:
    desk = prompted()
    page = read(desk, "web.get", f'"paid with {CARD}"', url="u")
    body = {"body": "all is well", **BOB}
    assert said(decide(desk, "a", {}, **body)) == ALLOW
    assert said(decide(desk, "b", {"body": {"read": [page]}}, **body)) == ("deny", ["forbidden"])


def test_nothing_that_is_declared_makes_a_value_trusted() -> None:
    desk = prompted()
    record = read(desk, "crm.find", '{"name":"Carla"}', id=1)
    for number, known in enumerate(({"read": [record]}, {"labels": []}, {})):
        verdict = decide(desk, f"a{number}", {"to": known}, to="eve@evil.example")
        assert said(verdict) == HOLD
        found = explained(desk, verdict.action)["to"]
        assert (found["trusted"], found["unknown"]) == (False, True)


def test_of_a_result_that_is_no_longer_known_everything_is_feared() -> None:
    desk = prompted()
    empty = read(desk, "crm.find", "null", id=1)
    read(desk, "crm.find", '{"name":"Carla"}', id=2)
    verdict = decide(desk, "a", {"to": {"read": [empty]}}, **BOB)
    assert said(verdict) == HOLD
    assert explained(desk, verdict.action)["to"]["labels"] == ["customer", "office", "pii"]


@pytest.mark.parametrize(
    "known",
    [
        {"cc": {"labels": ["pci"]}},
        {"nobody": {}},
        {"to": {"labels": ["cpi"]}},
        {"to": {"read": ["act_" + "0" * 32]}},
        {"to": {"read": ["\ud800"]}},
        {"to": {"read": [""]}},
        {"to": {"read": [7]}},
        {"to": {"trusted": True}},
        {"to": None},
        {"to": {"labels": ["pci"] * 65}},
        {"to": {"read": [f"act_{n}" for n in range(65)]}},
        [],
        "nothing",
        "{",
        '{"to":{"labels":["pci"]},"to":{}}',
        '{"to":{"labels":["pci"],"labels":[]}}',
        '{"to":{"labels":[["pci"]]}}',
        '{"to":{"labels":["' + "x" * 70_000 + '"]}}',
        "[" * 10_000,
    ],
)
def test_what_is_not_understood_is_refused(known: Any) -> None:
    desk = prompted()
    verdict = decide(desk, "a", known, **BOB)
    assert verdict.effect.value == "deny"
    assert verdict.reasons[0].code.value in {"malformed", "limit_exceeded"}
    assert verdict.reasons[0].text.startswith("provenance: ")
    assert said(desk.decide("mail.send", "b", **BOB)) == ALLOW


def test_results_of_other_missions_and_of_nothing_that_ran_are_not_named() -> None:
    desk = prompted()
    theirs = desk.act(
        "web.get", "theirs", session=desk.opened(mission=desk.start_mission()), url="u"
    )
    held = desk.decide("mail.send", "held", to="eve@evil.example")
    for action in (theirs.action, held.action):
        verdict = decide(desk, f"a {action}", {"to": {"read": [action]}}, **BOB)
        assert said(verdict) == ("deny", ["malformed"])


def test_what_is_declared_is_judged_again_with_an_approval() -> None:
    desk = prompted({**ASKING, "policies/held.dw": HOLDING})
    page = read(desk, "web.get", '"nothing of note"', url="u")
    verdict = decide(
        desk, "a", {"body": {"labels": ["pii"]}, "to": {"read": [page]}}, body="x", **BOB
    )
    assert said(verdict) == ("hold", ["held", "held"])
    desk.answer(verdict.approval, "ben")
    released = desk.redeem(verdict.approval)
    assert released.effect.value == "allow"
    assert explained(desk, verdict.action)["body"]["labels"] == ["office", "pii"]


HOLDING = """
@id("pii-asks") @reason("personal data") @hold("leads")
forbid (principal, action == Action::"mail.send", resource)
when { context.flow has body && context.flow.body.labels.contains("pii") };
"""


def test_it_stands_on_record_and_lies_sealed() -> None:
    desk = prompted()
    known = {"to": {"labels": ["pii"]}}
    verdict = decide(desk, "a", known, **BOB)
    assert verdict.receipt is not None
    opened = desk.opened_leaf(verdict.receipt.index)
    assert json.loads(opened["provenance"]) == known
    (row,) = desk.rows(calls.Explain(action=verdict.action))
    assert row["provenance"] == known
    desk.verified()


def test_where_no_policy_asks_it_is_read_all_the_same() -> None:
    desk = prompted(PLAIN)
    assert said(decide(desk, "a", {"to": {"labels": ["pci"]}}, **BOB)) == ALLOW
    page = read(desk, "web.get", '"x"', url="u")
    assert said(decide(desk, "b", {"to": {"read": [page]}}, **BOB)) == ALLOW
    assert said(decide(desk, "c", {"to": {"labels": ["cpi"]}}, **BOB)) == ("deny", ["malformed"])


labels = st.lists(st.sampled_from(["pii", "pci", "customer", "office"]), max_size=3)
saying = st.fixed_dictionaries({"labels": labels, "read": st.lists(st.integers(0, 3), max_size=3)})
STRICTER = {"allow": 0, "modify": 0, "hold": 1, "deny": 2}


@settings(max_examples=40, deadline=None)
@given(
    known=st.dictionaries(st.sampled_from(["to", "cc", "body"]), saying, max_size=3),
    args=st.fixed_dictionaries(
        {"to": st.sampled_from(["bob@x.example", "eve@evil.example"])},
        optional={
            "cc": st.sampled_from(["bob@x.example", "carla@x.example"]),
            "body": st.sampled_from(["all is well", CARD, "made up"]),
        },
    ),
)
def test_a_verdict_is_never_milder_for_what_was_declared(
    known: dict[str, Any], args: dict[str, str]
) -> None:
    desk = prompted()
    results = [
        read(desk, "web.get", '"nothing"', url="u"),
        read(desk, "web.get", f'"{CARD}"', url="u"),
        read(desk, "crm.find", '{"mail":"carla@x.example"}', id=1),
        read(desk, "crm.find", "null", id=2),
    ]
    named = {
        argument: {**each, "read": [results[n] for n in each["read"]]}
        for argument, each in known.items()
        if argument in args
    }
    without, with_it = decide(desk, "a", "", **args), decide(desk, "b", named, **args)
    assert STRICTER[with_it.effect.value] >= STRICTER[without.effect.value]
    before, after = explained(desk, without.action), explained(desk, with_it.action)
    for argument, found in before.items():
        assert set(found["labels"]) <= set(after[argument]["labels"])
        assert set(found["sources"]) <= set(after[argument]["sources"])
        assert after[argument]["trusted"] <= found["trusted"]
        assert after[argument]["prompted"] <= found["prompted"]
        assert after[argument]["unknown"] == found["unknown"]


def test_bridle_decide_takes_it_with_actions_as_the_input_names_them() -> None:
    lines: list[dict[str, Any]] = [
        {"type": "mission", "id": "m", "template": "office", "user": "ana", "prompt": BOB["to"]},
        {"type": "action", "id": "page", "mission": "m", "tool": "web.get", "args": {"url": "u"}},
        {"type": "outcome", "action": "page", "output": "nothing"},
        {"type": "action", "id": "a", "mission": "m", "tool": "mail.send", "args": BOB},
        {"type": "action", "id": "b", "mission": "m", "tool": "mail.send", "args": BOB,
         "provenance": {"to": {"read": ["page"]}}},
        {"type": "action", "id": "c", "mission": "m", "tool": "mail.send", "args": BOB,
         "provenance": {"to": {"read": ["none"]}}},
    ]  # fmt: skip
    offline = Offline(bundle_of(FILES))
    try:
        *_, plain, named, unknown = [offline.feed(json.dumps(line).encode()) for line in lines]
    finally:
        offline.close()
    assert (plain["effect"], named["effect"], unknown["effect"]) == ("allow", "hold", "deny")
    assert named["flow"]["to"]["read"][-1]["action"] == "page"


def test_a_proof_is_for_what_was_declared_too() -> None:
    desk = prompted()
    call = calls.Decide(
        session=desk.session(),
        tool="mail.send",
        args=text_of(BOB),
        key="a",
        provenance='{"to":{"labels":["pci"]}}',
    )
    proved = desk.proved(call)
    assert proved.proof is not None
    stripped = structs.replace(proved, provenance="")
    assert said(judged(desk.ask(stripped))) == ("deny", ["proof_invalid"])
