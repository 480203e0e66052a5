"""What one agent hands to another is explicit, narrower, good once, and judged by governance."""

import pytest
from msgspec import structs

from bridle.model import calls
from bridle.model.record import LeafKind
from bridle.store.rows import BudgetRow, GrantRow
from bridle.trust.grants.claims import Detail, Predicate, ToolGrant
from bridle.trust.holder import Holder
from governor.delegation.runs import EMBEDDED, HANDING
from governor.desk import AGENT, HOUR, MINUTE, Desk, codes, said, text_of

READS = Detail("bridle_action", {"note.read": ToolGrant({"id": Predicate(eq=1)})})
NOTES = Detail("bridle_action", {"note.*": ToolGrant()})


@pytest.fixture
def desk():
    made = Desk(HANDING)
    yield made
    made.verified()
    made.governor.close()


def leaf(desk: Desk, session: str) -> str:
    return desk.runs[session][1]


# --- the root ------------------------------------------------------------------------------------


def test_a_session_with_a_key_holds_the_missions_root_grant(desk: Desk):
    session = desk.session()
    row = desk.core.write(lambda turn: turn.tx.get(GrantRow, leaf(desk, session)))
    assert (row.depth, row.parent, row.state, row.line) == (0, "", "active", "")
    assert b"note" not in row.sealed
    [record] = [each for each in desk.leaves(LeafKind.DELEGATION) if each.body["grant"] == row.id]
    assert (record.body["what"], record.body["to"]) == ("root", "clerk")


def test_a_session_without_a_key_starts_nothing_irreversible_from_elsewhere(desk: Desk):
    session = desk.keyless()
    assert said(desk.act("note.read", "a", session=session, id=1)) == ("allow", [])
    assert said(desk.act("bank.pay", "b", session=session, amount=1)) == ("deny", ["proof_missing"])
    offered = desk.refused(calls.Offer(session=session, link="x"), AGENT)
    assert offered == "no_grant"


@pytest.mark.parametrize("key", ["x", "ed25519:AAAA", "ed25519:" + "A" * 43 + "="])
def test_no_session_is_opened_for_what_is_no_key(desk: Desk, key: str):
    call = calls.OpenSession(mission=desk.mission, agent="clerk", holder=key)
    assert desk.refused(call) == "key_invalid"


# --- proofs --------------------------------------------------------------------------------------


def unproved(desk: Desk, **given) -> calls.Decide:
    plain = {"tool": "note.read", "args": '{"id":1}', "key": "k", "start": True}
    return calls.Decide(session=desk.session(), **{**plain, **given})


def asked(desk: Desk, call: calls.Call, caller=AGENT):
    """The call as it is, with no proof that it lacks."""
    return desk.governor.handle(caller, call).verdict


def test_a_stolen_handle_alone_starts_nothing(desk: Desk):
    assert said(asked(desk, unproved(desk))) == ("deny", ["proof_missing"])
    assert desk.core.write(lambda turn: turn.tx.count(GrantRow)) == 1


def test_from_within_the_governors_process_only_what_cannot_be_undone_needs_a_proof(desk: Desk):
    assert said(asked(desk, unproved(desk), EMBEDDED)) == ("allow", [])
    pay = unproved(desk, tool="bank.pay", args='{"amount":1}', key="p")
    assert said(asked(desk, pay, EMBEDDED)) == ("deny", ["proof_missing"])
    assert said(asked(desk, desk.proved(pay), EMBEDDED)) == ("allow", [])


def test_a_captured_request_is_good_once(desk: Desk):
    call = desk.proved(unproved(desk))
    assert asked(desk, call).attempt
    assert said(asked(desk, structs.replace(call))) == ("deny", ["proof_replayed"])
    assert said(asked(desk, call)) == ("deny", ["proof_replayed"])


@pytest.mark.parametrize(
    "other",
    [
        {"args": '{"id":2}'},
        {"tool": "note.index"},
        {"key": "another"},
        {"start": False},
        {"requester": "0" * 64},
        {"definition": "0" * 64},
        {"adapter": "other"},
    ],
)
def test_a_proof_of_one_request_is_none_of_another(desk: Desk, other):
    call = structs.replace(desk.proved(unproved(desk)), **other)
    assert said(asked(desk, call)) == ("deny", ["proof_invalid"])


def test_a_proof_by_another_run_of_the_same_agent_is_none(desk: Desk):
    mine, other = desk.session(), desk.opened()
    holder, _ = desk.runs[other]
    call = unproved(desk)
    proof = holder.prove(call, desk.core.instance, leaf(desk, mine), time_ms=desk.core.clock.now())
    assert said(asked(desk, structs.replace(call, proof=proof))) == ("deny", ["proof_invalid"])


@pytest.mark.parametrize(("late", "code"), [(30_000, ""), (30_001, "proof_stale")])
def test_a_proof_is_good_for_half_a_minute(desk: Desk, late: int, code: str):
    call = desk.proved(unproved(desk))
    desk.later(late, tick=False)
    assert codes(asked(desk, call)) == ([code] if code else [])


def test_a_proof_for_one_governor_is_none_for_another(desk: Desk):
    holder, grant = desk.runs[desk.session()]
    call = unproved(desk)
    proof = holder.prove(call, "0" * 64, grant, time_ms=desk.core.clock.now())
    assert said(asked(desk, structs.replace(call, proof=proof))) == ("deny", ["proof_invalid"])


def test_a_refused_proof_leaves_the_action_as_it_was(desk: Desk):
    decided = desk.decide("note.write", "w", text="a")
    call = calls.Begin(session=desk.session(), action=decided.action)
    assert said(asked(desk, call)) == ("deny", ["proof_missing"])
    assert desk.begin(decided.action).attempt


# --- offer and acceptance ------------------------------------------------------------------------


def test_what_was_handed_on_is_done_under_it_and_stands_on_record(desk: Desk):
    session = desk.delegated()
    assert said(desk.act("note.read", "a", session=session, id=1)) == ("allow", [])
    record = desk.leaves("decision")[-1]
    trail = record.ids["grants"].split(">")
    assert trail == [leaf(desk, desk.session())[:16], leaf(desk, session)[:16]]
    assert (record.ids["line"], record.ids["agent"]) == ("clerk>scout", "scout")
    assert (record.ids["proof"], record.ids["key"]) == (
        "ed25519",
        desk.runs[session][0].fingerprint[:16],
    )
    kinds = [each.body["what"] for each in desk.leaves(LeafKind.DELEGATION)]
    assert kinds == ["root", "offer", "accept"]


def test_without_a_permit_of_governance_nothing_is_handed_on():
    desk = Desk()
    call = desk.offer("scout", Holder.generate())
    assert desk.refused(call, AGENT) == "governance_denied"
    [refusal] = [e for e in desk.leaves(LeafKind.DELEGATION) if e.body["what"] == "refuse"]
    assert refusal.body["codes"] == ["governance_denied"]
    desk.verified()


def test_a_child_that_says_more_than_its_parent_gains_nothing(desk: Desk):
    narrow = desk.delegated(details=(READS,))
    wide = desk.delegated("clerk", narrow, details=(Detail("bridle_action", {"*": ToolGrant()}),))
    assert said(desk.act("note.read", "a", session=wide, id=1)) == ("allow", [])
    assert said(desk.act("note.read", "b", session=wide, id=2)) == ("deny", ["not_granted"])
    assert said(desk.act("bank.pay", "c", session=wide, amount=1)) == ("deny", ["not_granted"])


def test_an_argument_is_held_against_every_link(desk: Desk):
    session = desk.delegated(details=(READS,))
    assert said(desk.act("note.read", "a", session=session, id=2)) == ("deny", ["not_granted"])
    assert said(desk.act("note.read", "b", session=session, id=1)) == ("allow", [])


def test_what_would_run_is_held_against_the_grant_too(desk: Desk):
    long = "a note that is long"
    only = Detail("bridle_action", {"note.write": ToolGrant({"text": Predicate(eq=long)})})
    session = desk.delegated(details=(only,))
    # The policy shortens it, and the shorter text was not granted.
    found = desk.act("note.write", "w", session=session, text=long)
    assert said(found) == ("deny", ["not_granted"])
    assert desk.act("note.write", "x", text=long).effect == "modify"


def test_an_offer_is_taken_up_once(desk: Desk):
    grant, receiver = desk.hand_on()
    assert desk.taken_up(grant, receiver)
    assert desk.refused(desk.accepting(grant, receiver), AGENT) == "no_offer"


def test_only_the_key_that_an_offer_is_bound_to_takes_it_up(desk: Desk):
    grant, receiver = desk.hand_on()
    assert desk.refused(desk.accepting(grant, Holder.generate()), AGENT) == "proof_invalid"
    call = desk.accepting(grant, receiver)
    assert desk.refused(structs.replace(call, executor="porter"), AGENT) == "proof_invalid"
    assert desk.taken_up(grant, receiver)


def test_an_offer_lapses_with_its_grant(desk: Desk):
    grant, receiver = desk.hand_on()
    desk.later(HOUR)
    code = desk.refused(desk.accepting(grant, receiver), AGENT)
    assert code in ("grant_expired", "no_offer")


def test_the_same_link_offered_again_is_the_same_offer(desk: Desk):
    call = desk.offer("scout", Holder.generate())
    assert desk.done(call, AGENT) == desk.done(call, AGENT)
    assert [e.body["what"] for e in desk.leaves(LeafKind.DELEGATION)].count("offer") == 1


@pytest.mark.parametrize(
    ("to", "caveats", "code"),
    [
        ("nobody", {}, "out_of_mission"),
        ("scout", {"details": (Detail("bridle_action", {"gone.*": ToolGrant()}),)},
         "grants_nothing"),
        ("scout", {"budgets": {"wishes": "1"}}, "unknown_budget"),
    ],
)  # fmt: skip
def test_what_could_never_be_of_use_is_not_offered(desk: Desk, to, caveats, code):
    assert desk.refused(desk.offer(to, Holder.generate(), **caveats), AGENT) == code


def test_a_link_of_another_chain_is_no_offer(desk: Desk):
    other = desk.opened()
    call = desk.offer("scout", Holder.generate(), other)
    mixed = structs.replace(call, session=desk.session())
    assert desk.refused(mixed, AGENT) == "grant_invalid"
    assert desk.refused(calls.Offer(session=desk.session(), link="no link"), AGENT) == (
        "grant_invalid"
    )


def test_an_agent_binds_no_grant_to_its_own_key(desk: Desk):
    holder, _ = desk.runs[desk.session()]
    assert desk.refused(desk.offer("scout", holder), AGENT) == "key_known"


def test_a_mission_that_is_not_handed_on_is_not():
    desk = Desk({**HANDING, "missions.toml": HANDING["missions.toml"].replace(
        'expires = "8h"', 'expires = "8h"\nmax_depth = 1', 1)})  # fmt: skip
    session = desk.delegated()
    with pytest.raises(Exception, match="may not be handed on"):
        desk.offer("clerk", Holder.generate(), session)
    desk.verified()


# --- lines ---------------------------------------------------------------------------------------


def test_two_who_were_handed_work_by_different_agents_never_meet_each_others_actions(desk: Desk):
    first = desk.delegated()
    own = desk.session("scout")
    decided = desk.decide("note.write", "w", session=first, text="a")
    same = desk.decide("note.write", "w", session=own, text="a")
    assert decided.action != same.action
    assert said(desk.begin(decided.action, own)) == ("deny", ["not_decided"])


def test_a_new_grant_after_a_crash_goes_on_where_the_run_was(desk: Desk):
    before = desk.delegated()
    started = desk.act("note.write", "w", session=before, text="a")
    desk.observe(started.attempt, "ok", before)
    after = desk.delegated()
    again = desk.act("note.write", "w", session=after, text="a")
    assert again.action == started.action
    assert again.outcome is not None


def test_what_came_of_an_action_is_told_to_nobody_who_holds_less(desk: Desk):
    before = desk.delegated()
    started = desk.act("note.read", "r", session=before, id=2)
    desk.observe(started.attempt, '{"body":"secret"}', before)
    narrow = desk.delegated(details=(READS,))
    assert said(desk.act("note.read", "r", session=narrow, id=2)) == ("deny", ["not_granted"])


def test_what_was_decided_under_one_grant_does_not_start_under_another(desk: Desk):
    before, after = desk.delegated(), desk.delegated()
    decided = desk.decide("note.write", "w", session=before, text="a")
    assert said(desk.begin(decided.action, after)) == ("deny", ["not_decided"])


def test_a_forbid_on_who_handed_it_on_counts_for_who_does_it():
    no = (
        '@id("no-clerk") forbid (principal == Agent::"clerk", action == Action::"note.index", '
        "resource);"
    )
    desk = Desk({**HANDING, "policies/no.dw": no})
    session = desk.delegated()
    assert said(desk.act("note.index", "a", session=session)) == ("deny", ["forbidden"])
    assert said(desk.act("note.index", "a", session=desk.session("scout"))) == ("allow", [])
    desk.verified()


def test_a_grant_ends_at_its_time(desk: Desk):
    session = desk.delegated()
    decided = desk.decide("note.write", "w", session=session, text="a")
    desk.later(HOUR - 1, tick=False)
    assert codes(desk.act("note.read", "a", session=session, id=1)) == []
    desk.later(1, tick=False)
    assert said(desk.act("note.read", "b", session=session, id=1)) == ("deny", ["grant_expired"])
    assert desk.begin(decided.action, session).effect == "deny"


def test_what_an_agent_has_others_do_counts_in_its_own_history():
    rule = """
@id("twice") @reason("twice a day for an agent")
forbid (principal == Agent::"clerk", action == Action::"note.index", resource)
unless temporal { at_most(2, 24h, Action::"note.index"::request{}, Action::"note.index"::error{}) };
"""
    desk = Desk({**HANDING, "policies/agent/twice.dw": rule})
    session = desk.delegated()
    asker = leaf(desk, desk.session())
    index = calls.Decide(
        session=desk.session("scout"),
        tool="note.index",
        args="{}",
        key="s",
        start=True,
        requester=asker,
    )
    assert said(desk.act("note.index", "a", session=session)) == ("allow", [])
    assert said(desk.ask(index, AGENT).verdict) == ("allow", [])
    assert said(desk.act("note.index", "c")) == ("deny", ["forbidden"])
    assert said(desk.act("note.index", "d", session=session)) == ("deny", ["forbidden"])
    assert said(desk.act("note.index", "e", session=desk.session("scout"))) == ("allow", [])
    desk.verified()


def test_an_agent_is_shown_the_tools_that_its_grants_reach(desk: Desk):
    session = desk.delegated(details=(READS,))
    assert [row["name"] for row in desk.rows(calls.ToolsOf(session=session))] == ["note.read"]
    assert len(desk.rows(calls.ToolsOf(session=desk.session()))) == len(desk.bundle.tools)


# --- shares --------------------------------------------------------------------------------------


def test_siblings_cannot_spend_together_what_one_may_not(desk: Desk):
    team = desk.delegated(budgets={"calls": "2"})
    one = desk.delegated("clerk", team)
    two = desk.delegated("clerk", team)
    assert said(desk.act("note.read", "a", session=one, id=1)) == ("allow", [])
    assert said(desk.act("note.read", "b", session=two, id=2)) == ("allow", [])
    spent = ("deny", ["budget_exhausted"])
    assert said(desk.act("note.read", "c", session=one, id=3)) == spent
    assert said(desk.act("note.read", "d", session=two, id=4)) == spent
    assert said(desk.act("note.read", "e", session=team, id=5)) == spent
    assert said(desk.act("note.read", "f", id=6)) == ("allow", [])
    rows = desk.core.write(lambda turn: turn.tx.find(BudgetRow))
    assert [row.used for row in rows if row.id.startswith("grant:")] == [20_000]


def test_a_share_of_the_missions_money_is_measured_like_it(desk: Desk):
    session = desk.delegated(
        details=(Detail("bridle_action", {"bank.pay": ToolGrant()}),), budgets={"money": "10"}
    )
    assert said(desk.act("bank.pay", "a", session=session, amount=8)) == ("allow", [])
    assert said(desk.act("bank.pay", "b", session=session, amount=3)) == (
        "deny",
        ["budget_exhausted"],
    )


# --- deputies ------------------------------------------------------------------------------------


def served(desk: Desk, deputy: str, requester: str, key: str, **given):
    call = calls.Decide(
        session=deputy,
        tool="note.read",
        args=text_of({"id": given.get("id", 1)}),
        key=key,
        start=True,
        requester=requester,
    )
    return desk.ask(call, AGENT).verdict


def test_a_deputy_does_what_both_it_and_who_asks_may(desk: Desk):
    deputy, asker = desk.session("scout"), desk.delegated("clerk", details=(READS,))
    assert said(served(desk, deputy, leaf(desk, asker), "a")) == ("allow", [])
    record = desk.leaves("decision")[-1]
    assert record.ids["serves"] == "clerk>clerk"
    assert record.ids["requester"].split(">")[-1] == leaf(desk, asker)[:16]
    assert said(served(desk, deputy, leaf(desk, asker), "b", id=2)) == ("deny", ["not_granted"])
    assert said(desk.act("note.read", "c", session=deputy, id=2)) == ("allow", [])


def test_a_requester_that_nobody_knows_or_took_up_stops_a_deputy(desk: Desk):
    deputy = desk.session("scout")
    assert said(served(desk, deputy, "0" * 64, "a")) == ("deny", ["requester_invalid"])
    grant, receiver = desk.hand_on("clerk")
    assert said(served(desk, deputy, grant, "b")) == ("deny", ["requester_invalid"])
    desk.taken_up(grant, receiver)
    assert said(served(desk, deputy, grant, "c")) == ("allow", [])
    desk.later(2 * HOUR, tick=False)
    assert said(served(desk, deputy, grant, "d")) == ("deny", ["requester_invalid"])


def test_a_declared_deputy_never_acts_on_its_own_account():
    declared = HANDING["agents.toml"].replace("[agents.scout]", "[agents.scout]\ndeputy = true")
    desk = Desk({**HANDING, "agents.toml": declared})
    deputy, asker = desk.session("scout"), desk.session()
    denied = ("deny", ["requester_missing"])
    assert said(desk.act("note.read", "a", session=deputy, id=1)) == denied
    assert said(served(desk, deputy, leaf(desk, asker), "a")) == ("allow", [])
    desk.verified()


def test_one_step_for_two_requesters_is_not_one_step(desk: Desk):
    deputy = desk.session("scout")
    one, two = leaf(desk, desk.session()), leaf(desk, desk.delegated())
    found = served(desk, deputy, one, "same")
    desk.observe(found.attempt, '{"body":"for one"}', deputy)
    assert said(served(desk, deputy, two, "same")) == ("deny", ["args_changed"])


def test_who_asks_pays_for_what_a_deputy_does(desk: Desk):
    deputy, asker = desk.session("scout"), desk.delegated("clerk", budgets={"calls": "1"})
    assert said(served(desk, deputy, leaf(desk, asker), "a")) == ("allow", [])
    spent = ("deny", ["budget_exhausted"])
    assert said(served(desk, deputy, leaf(desk, asker), "b")) == spent


# --- erasure -------------------------------------------------------------------------------------


def test_an_erased_mission_keeps_no_grant_that_could_be_read(desk: Desk):
    only = Detail("bridle_action", {"note.read": ToolGrant({"id": Predicate(eq=47_110_815)})})
    asker = desk.delegated(details=(only,), task="find the will")
    other = desk.start_mission()
    deputy = desk.session("scout", mission=other)
    done = calls.MissionVerb(mission=desk.mission, verb="close", as_user="ana")
    desk.done(done)
    desk.later(MINUTE)
    desk.done(calls.Redact(mission=desk.mission, basis="asked for", as_user="ana"))
    rows = desk.core.write(lambda turn: turn.tx.find(GrantRow, mission=desk.mission))
    assert {(row.sealed, row.task) for row in rows} == {(b"", "")}
    [shown] = desk.rows(calls.Delegations(grant=leaf(desk, asker), all=True))[:1]
    assert "47110815" not in str(shown)
    assert "will" not in str(shown)
    found = served(desk, deputy, leaf(desk, asker), "a")
    assert said(found) == ("deny", ["requester_invalid"])
