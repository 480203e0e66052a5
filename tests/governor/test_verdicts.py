"""Every verdict is a leaf in its mission's chain: who decided, who executes, and under what."""

import json
from pathlib import Path

import pytest

from bridle.model import calls
from bridle.model.action import action_id
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.record import SYSTEM_CHAIN
from bridle.store.sqlite import open_store
from governor.desk import ANYONE, Desk, bundle_of, changed, codes, said

VERDICTS = [
    ("note.read", {"id": 7}, "allow", []),
    ("note.write", {"text": "gossip"}, "deny", ["no-gossip"]),
    ("note.write", {"text": "a long note indeed"}, "modify", ["short-notes"]),
    ("bank.pay", {"amount": 60}, "hold", ["big-pay"]),
]


@pytest.mark.parametrize(("tool", "args", "effect", "policies"), VERDICTS)
def test_each_of_the_four_verdicts_is_recorded_with_both_identities(
    desk: Desk, tool, args, effect, policies
):
    verdict = desk.decide(tool, "k", **args)
    assert verdict.effect == effect
    leaf = desk.leaves("decision")[-1]
    assert leaf.chain == desk.mission
    assert leaf.body["effect"] == effect
    assert leaf.body["tool"] == tool
    assert leaf.body["policies"] == policies
    assert leaf.body["durability"] == "strict"
    assert leaf.ids["agent"] == "clerk"
    assert leaf.ids["executor"] == "worker"
    assert leaf.ids["identities"] == "two"
    assert leaf.ids["user"] == "ana"
    assert leaf.ids["action"] == desk.pseudonym(verdict.action)
    assert leaf.ids["level"] == "offline"
    assert leaf.ids["bundle"] == bundle_of().digest == verdict.bundle
    assert leaf.ids["epoch"] == "1"
    assert leaf.commit["args"]


def test_the_receipt_names_the_leaf_of_the_verdict(desk: Desk):
    verdict = desk.decide("note.read", "k", id=7)
    assert verdict.receipt is not None
    leaf = desk.leaves()[verdict.receipt.index]
    assert leaf.ids["action"] == desk.pseudonym(verdict.action)
    assert verdict.receipt.durability == "strict"


def test_an_agent_that_executes_itself_is_recorded_as_the_same_identity(desk: Desk):
    desk.decide("note.read", "k", session=desk.session(executor=""), id=7)
    leaf = desk.leaves("decision")[-1]
    assert (leaf.ids["executor"], leaf.ids["identities"]) == ("clerk", "same")


def test_only_an_allow_or_modify_carries_arguments_to_execute(desk: Desk):
    given = [
        desk.decide(tool, str(number), **args).args
        for number, (tool, args, _, _) in enumerate(VERDICTS)
    ]
    read = [json.loads(text) if text else None for text in given]
    assert read == [{"id": 7}, None, {"text": "a long not"}, None]


def test_an_allowed_text_is_byte_for_byte_the_requested_one(desk: Desk):
    odd = '{ "id" :\n 7 }'
    assert desk.decide("note.read", "k", odd).args == odd


DENIALS = [
    ("no.such.tool", '{"id":7}', "unknown_tool"),
    ("note.read", '{"id":"seven"}', "schema_mismatch"),
    ("note.read", '{"id":7,"x":1}', "schema_mismatch"),
    ("note.read", '{"id":1e400}', "not_canonical"),
    ("note.read", '{"id":', "malformed"),
    ("note.read", '{"id":{"__entity":1}}', "reserved_input"),
]


@pytest.mark.parametrize(("tool", "args", "code"), DENIALS)
def test_what_cannot_be_read_as_an_action_is_denied_on_record(desk: Desk, tool, args, code):
    verdict = desk.decide(tool, "k", args)
    assert said(verdict) == ("deny", [code])
    leaf = desk.leaves("decision")[-1]
    assert leaf.body["codes"] == [code]
    assert leaf.ids["action"] == desk.pseudonym(verdict.action)
    assert desk.opened_leaf(verdict.receipt.index)["args"] == args


def test_a_call_without_a_session_is_answered_and_not_recorded(desk: Desk):
    before = len(desk.leaves())
    verdict = desk.decide("note.read", "k", session="ses_0000", id=7)
    assert said(verdict) == ("deny", ["no_session"])
    assert verdict.receipt is None
    assert len(desk.leaves()) == before


def test_a_call_without_a_key_is_denied_on_record_under_no_action(desk: Desk):
    for key in ("", "k" * 513):
        verdict = desk.decide("note.read", key, id=7)
        assert said(verdict) == ("deny", ["malformed"])
        assert desk.leaves("decision")[-1].ids["action"] == ""


def test_what_the_mission_does_not_involve_is_denied(desk: Desk):
    reading = desk.session("scout", "worker", desk.start_mission("reading", "ben"))
    assert said(desk.decide("note.write", "k", session=reading, text="x")) == (
        "deny", ["out_of_mission"])  # fmt: skip
    porter = desk.session(executor="porter")
    assert codes(desk.decide("bank.tip", "k", session=porter, amount=1)) == ["out_of_mission"]
    assert desk.decide("note.read", "k2", session=porter, id=1).effect == "allow"


def test_the_full_reasons_lie_sealed_in_the_record(desk: Desk):
    verdict = desk.decide("note.write", "k", text="gossip")
    kept = json.loads(desk.opened_leaf(verdict.receipt.index)["reasons"])
    assert kept == [{"code": "forbidden", "text": "no gossip in notes", "policy": "no-gossip"}]


def test_the_modified_arguments_lie_sealed_in_the_record(desk: Desk):
    verdict = desk.decide("note.write", "k", text="a long note indeed")
    opened = desk.opened_leaf(verdict.receipt.index)
    assert json.loads(opened["modified"]) == {"text": "a long not"}
    assert json.loads(opened["args"]) == {"text": "a long note indeed"}


def test_a_shadow_policy_is_recorded_and_changes_nothing():
    text = '@id("trial") @enforce("shadow") forbid (principal, action, resource);'
    desk = Desk(changed(("policies/permits.dw", "", text)))
    assert desk.decide("note.read", "k", id=7).effect == "allow"
    assert desk.leaves("decision")[-1].body["shadow"] == [{"policy": "trial", "error": False}]
    desk.verified()


def test_the_first_record_is_the_activation_of_the_bundle(desk: Desk):
    leaf = desk.leaves()[0]
    assert (leaf.kind, leaf.chain) == ("policy", SYSTEM_CHAIN)
    assert leaf.body["digest"] == bundle_of().digest


def test_no_byte_of_the_database_shows_arguments_results_or_prompts(tmp_path: Path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    store = open_store(folder / "bridle.db")
    desk = Desk(store=store)
    words = {name: f"plaintext-of-{name}-{'x' * 9}" for name in ("prompt", "output", "message",
             "error", "tool", "adapter", "key", "held", "released", "second")}  # fmt: skip
    mission = desk.start_mission(prompt=words["prompt"])
    session = desk.session(mission=mission)
    note = desk.decide("note.write", words["key"], session=session, start=True, text="hush-12345")
    desk.observe(note.attempt, json.dumps(words["output"]), session)
    long = desk.decide(
        "note.write", "k2", session=session, start=True, text="hush-12345-" + "y" * 9
    )
    assert long.effect == "modify"
    failed = desk.decide("note.index", "k3", session=session, start=True)
    outcome = Outcome(OutcomeKind.ERROR, error=words["error"] + " !", message=words["message"])
    desk.observe(failed.attempt, outcome, session)
    read = desk.decide("note.read", "k4", session=session, start=True, id=7)
    desk.observe(read.attempt, json.dumps({"body": "sealed", "pin": words["held"]}), session)
    desk.decide("bank.pay", "k5", session=session, amount=77)
    desk.decide(words["tool"] + " !", "k6", session=session)
    odd = calls.Decide(session=session, tool="note.read", args='{"id":7}', key="k7",
                       adapter=words["adapter"] + " !")  # fmt: skip
    desk.ask(odd)
    desk.done(calls.AddPrompt(mission=mission, user="ana", prompt=words["second"]), ANYONE)
    desk.verified()
    store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    desk.governor.close()
    data = b"".join(path.read_bytes() for path in folder.iterdir())
    assert mission.encode() in data
    for word in (*words.values(), "hush-12345"):
        assert word.encode() not in data, word


def test_no_leaf_holds_a_bare_hash_of_a_guessable_key(desk: Desk):
    """Whoever guesses a step's key cannot find its action in the ledger."""
    verdict = desk.act("note.read", "refund-for-dora", id=7)
    desk.observe(verdict.attempt, '{"body":"hello"}')
    assert verdict.action == action_id(desk.mission, "clerk", "python", "refund-for-dora")
    written = desk.core.write(lambda turn: [stored.data for stored in turn.tx.leaves()])
    assert not any(verdict.action.removeprefix("act_").encode() in data for data in written)
    assert verdict.receipt is not None
    assert desk.opened_leaf(verdict.receipt.index)["action"] == verdict.action
