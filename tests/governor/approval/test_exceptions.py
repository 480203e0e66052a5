"""Approving for a mission: what is lifted, for which arguments, how often, until when."""

import pytest

from bridle.governor.approval import exceptions
from bridle.model import calls
from bridle.model.calls import Terms
from governor.desk import HOUR, MINUTE, Desk, changed, codes, said

MAIL = """
[tools."mail.send"]
system = "notes"
effect = "write"
idempotent = true
timeout = "30s"
arguments.body = { sink = "content" }
arguments."cover.note" = { sink = "content" }
[tools."mail.send".input]
type = "object"
required = ["to", "body"]
[tools."mail.send".input.properties]
to = { type = "array", items = { type = "string" } }
body = { type = "string" }
copies = { type = "integer" }
urgent = { type = "boolean" }
[tools."mail.send".input.properties.cover]
type = "object"
properties = { note = { type = "string" }, stamp = { type = "string" } }
"""
LIMITS = """
@id("ask-mail") @reason("a lead reads mail first") @hold("leads")
forbid (principal, action == Action::"mail.send", resource);
@id("big-pay-too") @hold("board:1")
forbid (principal, action == Action::"bank.pay", resource)
when { context.input.amount.greaterThan(decimal("65.0")) };
"""
FILES = changed(
    ("systems.toml", "", MAIL),
    ("policies/limits.dw", "", LIMITS),
    ("missions.toml", '"bell.ring"]', '"bell.ring", "mail.send"]'),
    ("missions.toml", "limit = 100\n", "limit = 5000\n"),
)
LETTER = {"to": ["a@x.example"], "body": "hello", "cover": {"note": "n", "stamp": "s"}}


@pytest.fixture
def desk():
    desk = Desk(FILES)
    yield desk
    desk.verified()
    desk.governor.close()


def granted(desk: Desk, terms: Terms, tool: str = "bank.pay", **given: object) -> str:
    """Hold an action, approve it with these terms, let it run, and return the exception's id."""
    given = given or {"amount": 60, "order": 7}
    held = desk.decide(tool, "first", **given)
    assert held.effect == "hold", said(held)
    assert desk.answer(held.approval, "ben", terms=terms) == "approved"
    assert desk.redeem(held.approval).attempt
    [row] = desk.rows(calls.Exceptions())
    assert row["approval"] == held.approval
    return row["id"]


def refusal(desk: Desk, approval: str, terms: Terms, **more: object) -> str:
    call = calls.Answer(approval=approval, approve=True, as_user="ben", terms=terms, **more)
    return desk.refused(call)


def test_the_same_again_needs_no_human_as_often_as_approved(desk: Desk):
    name = granted(desk, Terms(count=2))
    for key in ("b", "c"):
        verdict = desk.act("bank.pay", key, amount=60, order=7)
        assert verdict.attempt
        assert desk.leaves("decision")[-1].ids["exceptions"] == name
    assert (desk.exception(name).used, desk.exception(name).status) == (2, "used")
    assert desk.act("bank.pay", "d", amount=60, order=7).effect == "hold"
    assert desk.exception(name).used == 2


def test_the_approved_action_itself_does_not_count(desk: Desk):
    assert desk.exception(granted(desk, Terms(count=1))).used == 0


@pytest.mark.parametrize(
    ("given", "lifted"),
    [
        ({"amount": 60, "order": 7}, True),
        ({"amount": 60.0, "order": 7}, True),
        ({"amount": 61, "order": 7}, False),
        ({"amount": 59, "order": 7}, False),
        ({"amount": 60, "order": 8}, False),
        ({"amount": 60}, False),
    ],
)
def test_every_argument_that_steers_must_be_the_approved_one(desk: Desk, given, lifted):
    granted(desk, Terms(count=5))
    assert desk.act("bank.pay", "b", **given).effect == ("allow" if lifted else "hold")


@pytest.mark.parametrize(
    ("change", "lifted"),
    [
        ({"body": "another text"}, True),
        ({"cover": {"note": "other", "stamp": "s"}}, True),
        ({"cover": {"stamp": "s"}}, True),
        ({"cover": {"note": "n", "stamp": "x"}}, False),
        ({"cover": {"note": "n"}}, False),
        ({"to": ["a@x.example", "b@x.example"]}, False),
        ({"to": []}, False),
        ({"to": ["b@x.example"]}, False),
        ({"copies": 1}, False),
        ({"urgent": False}, False),
    ],
)
def test_content_may_differ_and_nothing_else(desk: Desk, change, lifted):
    granted(desk, Terms(count=5), "mail.send", **LETTER)
    verdict = desk.act("mail.send", "b", **(LETTER | change))
    assert verdict.effect == ("allow" if lifted else "hold")


def test_true_is_not_one(desk: Desk):
    granted(desk, Terms(count=5, free=("to",)), "mail.send", **LETTER, urgent=True, copies=1)
    again = LETTER | {"urgent": True, "copies": 1}
    assert desk.act("mail.send", "b", **again).attempt
    assert desk.act("mail.send", "c", **(again | {"copies": 2})).effect == "hold"


def test_free_arguments_may_have_any_value_or_none(desk: Desk):
    granted(desk, Terms(count=9, free=("order",)))
    for key, given in {"b": {"order": 8}, "c": {"order": -1}, "d": {}}.items():
        assert desk.act("bank.pay", key, amount=60, **given).attempt
    assert desk.act("bank.pay", "e", amount=61, order=7).effect == "hold"


@pytest.mark.parametrize(
    ("amount", "lifted"), [(51, True), (60, True), (64.5, True), (64.51, False), (65, False)]
)
def test_bounded_arguments_go_up_to_their_bound(desk: Desk, amount, lifted):
    granted(desk, Terms(count=9, most={"amount": "64.5"}))
    verdict = desk.act("bank.pay", "b", amount=amount, order=7)
    assert verdict.effect == ("allow" if lifted else "hold")


def test_a_bound_does_not_let_an_amount_below_nothing_pass(desk: Desk):
    below = '@id("neg") @hold("leads") forbid (principal, action == Action::"bank.pay", resource);'
    desk.activate({**FILES, "policies/more.dw": below})
    granted(desk, Terms(count=9, most={"amount": "64"}), amount=40)
    assert desk.act("bank.pay", "b", amount=0).attempt
    assert desk.act("bank.pay", "c", amount=-1).effect == "hold"


def test_it_lifts_no_other_policy(desk: Desk):
    granted(desk, Terms(count=9, most={"amount": "500"}))
    more = desk.act("bank.pay", "b", amount=70, order=7)
    assert more.effect == "hold"
    causes = [c["id"] for c in desk.hold(more.approval).causes]
    assert causes == ["big-pay-too"]
    # What it lifted of an action that waits for others is counted when that runs, once.
    [row] = desk.rows(calls.Exceptions())
    assert row["used"] == 0
    assert desk.answer(more.approval, "dora") == "approved"
    assert desk.redeem(more.approval).attempt
    assert desk.exception(row["id"]).used == 1


def test_it_lifts_no_forbid_without_a_remedy(desk: Desk):
    name = granted(desk, Terms(count=9))
    desk.later(3 * HOUR)
    assert codes(desk.act("bank.pay", "b", amount=60, order=7)) == ["forbidden"]
    assert desk.exception(name).used == 0


def test_it_pays_no_budget(desk: Desk):
    name = granted(desk, Terms(count=9, most={"amount": "65"}))
    small = {**FILES, "missions.toml": FILES["missions.toml"].replace("5000", "100")}
    desk.activate(small)
    assert codes(desk.act("bank.pay", "b", amount=60, order=7)) == ["budget_exhausted"]
    assert desk.exception(name).used == 0


def test_other_agents_and_missions_have_no_part_in_it(desk: Desk):
    granted(desk, Terms(count=9))
    scout = desk.session("scout")
    assert desk.act("bank.pay", "b", session=scout, amount=60, order=7).effect == "hold"
    other = desk.session(mission=desk.start_mission())
    assert desk.act("bank.pay", "b", session=other, amount=60, order=7).effect == "hold"


def test_it_ends_with_its_time(desk: Desk):
    name = granted(desk, Terms(count=9, expires_ms=10 * MINUTE))
    desk.later(10 * MINUTE - 1, tick=False)
    assert desk.act("bank.pay", "b", amount=60, order=7).attempt
    desk.later(1, tick=False)
    assert desk.act("bank.pay", "c", amount=60, order=7).effect == "hold"
    desk.governor.tick()
    assert desk.exception(name).status == "expired"
    leaf = desk.leaves("approval")[-1]
    assert (leaf.ids["exception"], leaf.body["status"]) == (name, "expired")


def test_it_never_outlives_its_mission(desk: Desk):
    held = desk.decide("bank.pay", "a", amount=60)
    desk.answer(held.approval, terms=Terms(count=9, expires_ms=10**12))
    [row] = desk.rows(calls.Exceptions())
    [mission] = desk.rows(calls.Missions(mission=desk.mission))
    assert row["expires"] == mission["expires"]
    desk.done(calls.MissionVerb(mission=desk.mission, verb="close"))
    assert desk.exception(row["id"]).status == "void"
    assert desk.rows(calls.Exceptions()) == []


@pytest.mark.parametrize(
    "edit",
    [
        ("policies/limits.dw", "needs a lead", "wants a lead"),
        ("systems.toml", 'order = { type = "integer" }',
         'order = { type = "integer", minimum = 0 }'),
        ("systems.toml", 'no_effect = ["no_such_order"]',
         'no_effect = ["no_such_order"]\narguments.order = { sink = "content" }'),
    ],
)  # fmt: skip
def test_a_policy_or_tool_with_another_text_ends_it_for_good(desk: Desk, edit):
    name = granted(desk, Terms(count=9))
    file, old, new = edit
    desk.activate({**FILES, file: FILES[file].replace(old, new)})
    assert desk.exception(name).status == "void"
    ends = [x for x in desk.leaves("approval") if x.body.get("status") == "void"]
    assert [x.ids["exception"] for x in ends] == [name]
    desk.activate(FILES)
    assert desk.act("bank.pay", "b", amount=60, order=7).effect == "hold"


def test_an_unrelated_change_leaves_it_in_force(desk: Desk):
    granted(desk, Terms(count=9))
    desk.activate({**FILES, "bridle.toml": FILES["bridle.toml"].replace('"1"', '"2"')})
    assert desk.act("bank.pay", "b", amount=60, order=7).attempt


def test_while_who_granted_it_is_suspended_it_lifts_nothing(desk: Desk):
    granted(desk, Terms(count=9))
    verb = calls.IdentityVerb(kind="user", id="ben", verb="suspend", as_user="ana")
    desk.done(verb)
    assert desk.act("bank.pay", "b", amount=60, order=7).effect == "hold"
    desk.done(calls.IdentityVerb(kind="user", id="ben", verb="resume", as_user="ana"))
    assert desk.act("bank.pay", "c", amount=60, order=7).attempt


def test_labels_bound_what_the_mission_may_carry(desk: Desk):
    name = granted(desk, Terms(count=9, labels=("plain",)))
    assert desk.act("bank.pay", "b", amount=60, order=7).attempt
    labelled = FILES["missions.toml"].replace(
        'expires = "8h"', 'expires = "8h"\nlabels = ["secret"]'
    )
    desk.activate({**FILES, "missions.toml": labelled})
    assert desk.act("bank.pay", "c", amount=60, order=7).effect == "hold"
    assert desk.exception(name).used == 1


@pytest.mark.parametrize("user", ["ben", "ana"])
def test_who_granted_it_and_operators_end_it(desk: Desk, user):
    name = granted(desk, Terms(count=9))
    running = desk.act("bank.pay", "b", amount=60, order=7)
    desk.done(calls.EndException(exception=name, as_user=user))
    assert desk.act("bank.pay", "c", amount=60, order=7).effect == "hold"
    leaf = desk.leaves("approval")[-1]
    assert (leaf.ids["by"], leaf.body["status"], leaf.body["used"]) == (user, "ended", 1)
    # It ends the exception and nothing else.
    assert desk.beat(running.attempt) == ""
    assert desk.refused(calls.EndException(exception=name, as_user=user)) == "exception_over"


def test_others_do_not_end_it(desk: Desk):
    name = granted(desk, Terms(count=9))
    assert desk.refused(calls.EndException(exception=name, as_user="dora")) == "not_an_operator"
    agent = calls.Caller(operator=False, method="peer:1001", uid=1001)
    assert desk.refused(calls.EndException(exception=name), agent) == "operator_only"
    assert desk.refused(calls.EndException(exception="exc_0", as_user="ana")) == "not_found"
    assert desk.exception(name).status == "active"


def test_the_list_shows_what_was_granted(desk: Desk):
    name = granted(desk, Terms(count=9, free=("order",), most={"amount": "65"}))
    [row] = desk.rows(calls.Exceptions(mission=desk.mission))
    assert row["args"] == '{"amount":60,"order":7}'
    assert (row["free"], row["most"], row["by"]) == (("order",), {"amount": "65"}, ["ben"])
    assert row["policies"].keys() == {"big-pay"}
    assert "sealed" not in row
    desk.done(calls.EndException(exception=name, as_user="ana"))
    assert desk.rows(calls.Exceptions()) == []
    assert [r["id"] for r in desk.rows(calls.Exceptions(all=True))] == [name]
    assert desk.rows(calls.Exceptions(all=True, mission="mis_0")) == []


@pytest.mark.parametrize(
    "terms",
    [
        Terms(count=1, expires_ms=2**70),
        Terms(count=0),
        Terms(count=-1),
        Terms(count=10**9),
        Terms(count=1, expires_ms=-1),
        Terms(count=1, free=("nothing",)),
        Terms(count=1, free=("",)),
        Terms(count=1, free=("order.deeper",)),
        Terms(count=1, free=("\ud800",)),
        Terms(count=1, free=tuple(f"a{n}" for n in range(100))),
        Terms(count=1, free=("order",), most={"order": "9"}),
        Terms(count=1, most={"amount": "much"}),
        Terms(count=1, most={"amount": "NaN"}),
        Terms(count=1, most={"amount": "Infinity"}),
        Terms(count=1, most={"amount": "1e9"}),
        Terms(count=1, most={"amount": "1_000"}),
        Terms(count=1, most={"amount": "\u0661\u0660\u0660"}),
        Terms(count=1, most={"amount": "9" * 10_000}),
        Terms(count=1, most={"amount": "59"}),
        Terms(count=1, labels=("",)),
        Terms(count=1, labels=("x" * 10_000,)),
    ],
)
def test_terms_that_make_no_sense_are_refused(desk: Desk, terms):
    held = desk.decide("bank.pay", "a", amount=60, order=7).approval
    before = desk.hold(held)
    assert refusal(desk, held, terms) == "bad_terms"
    assert desk.hold(held) == before


def test_a_bound_needs_a_number_that_was_approved(desk: Desk):
    held = desk.decide("bank.pay", "a", amount=60).approval
    assert refusal(desk, held, Terms(count=1, most={"order": "9"})) == "bad_terms"


def test_no_budget_and_no_doubt_is_lifted_for_a_mission(desk: Desk):
    tip = desk.decide("bank.tip", "a", amount=15).approval
    assert refusal(desk, tip, Terms(count=1)) == "bad_terms"
    note = desk.act("note.write", "n", text="x")
    desk.observe(note.attempt, "unknown")
    doubt = desk.act("note.write", "n", text="x").approval
    call = calls.Answer(approval=doubt, approve=True, as_user="ana", terms=Terms(count=1))
    assert desk.refused(call) == "bad_terms"


def test_terms_are_part_of_what_is_voted_on(desk: Desk):
    held = desk.decide("safe.open", "a", id=1).approval
    desk.answer(held, "ben")
    assert desk.answer(held, "dora", terms=Terms(count=3)) == "pending"
    vote = calls.Answer(approval=held, approve=True, as_user="cleo")
    assert desk.refused(vote) == "digest_missing"
    assert desk.answer(held, "cleo", terms=Terms(count=4),
                       digest=desk.hold(held).digest) == "pending"  # fmt: skip
    assert desk.rows(calls.Exceptions()) == []
    assert desk.answer(held, "ben", digest=desk.hold(held).digest) == "approved"
    [row] = desk.rows(calls.Exceptions())
    assert (row["count"], row["by"]) == (4, ["ben", "cleo"])
    assert desk.redeem(held).attempt


def test_who_wants_the_action_alone_takes_the_terms_back(desk: Desk):
    held = desk.decide("safe.open", "a", id=1).approval
    desk.answer(held, "ben", terms=Terms(count=3))
    shown = desk.rows(calls.Approvals(approval=held))[0]
    assert shown["terms"]["count"] == 3
    assert desk.answer(held, "dora", digest=shown["digest"], args=shown["args"]) == "pending"
    assert desk.hold(held).terms is None
    assert desk.answer(held, "cleo") == "approved"
    assert desk.rows(calls.Exceptions()) == []
    assert desk.redeem(held).effect == "allow"


def test_terms_and_edits_together_are_about_the_edited_arguments(desk: Desk):
    held = desk.decide("bank.pay", "a", amount=60, order=7).approval
    desk.answer(held, args='{"amount":55,"order":7}', terms=Terms(count=1))
    assert desk.redeem(held).args == '{"amount":55,"order":7}'
    assert desk.act("bank.pay", "b", amount=60, order=7).effect == "hold"
    assert desk.act("bank.pay", "c", amount=55, order=7).attempt


def test_the_record_says_what_was_granted_and_hides_the_arguments(desk: Desk):
    name = granted(desk, Terms(count=9, most={"amount": "64"}))
    leaf = next(x for x in desk.leaves("approval") if x.ids.get("exception") == name)
    assert leaf.chain == desk.mission
    assert leaf.body["what"] == "exception"
    assert (leaf.body["count"], leaf.body["users"]) == (9, ["ben"])
    assert leaf.commit.keys() == {"predicate"}
    opened = desk.opened_leaf(next(i for i, x in enumerate(desk.leaves()) if x == leaf))
    assert '"64"' in opened["predicate"]


def test_several_exceptions_lift_together_what_several_policies_hold(desk: Desk):
    granted(desk, Terms(count=1, most={"amount": "500"}))
    more = desk.decide("bank.pay", "b", amount=70, order=7)
    desk.answer(more.approval, "dora", terms=Terms(count=1))
    assert desk.redeem(more.approval).attempt
    rows = {r["id"]: r for r in desk.rows(calls.Exceptions(all=True))}
    assert sorted(r["used"] for r in rows.values()) == [0, 1]
    # The first is used up, so the second alone does not do.
    again = desk.act("bank.pay", "c", amount=70, order=7)
    assert [c["id"] for c in desk.hold(again.approval).causes] == ["big-pay"]


def test_a_mission_has_no_more_exceptions_than_a_decision_looks_at(desk: Desk):
    held = desk.decide("bank.pay", "a", amount=60).approval
    hold = desk.hold(held)

    def fill(turn) -> None:
        for _ in range(exceptions.MOST):
            assert exceptions.grant(turn, hold, Terms(count=1), '{"amount":60}') is not None

    desk.core.write(fill)
    assert refusal(desk, held, Terms(count=1)) == "bad_terms"


def test_a_verdict_that_lapsed_unstarted_has_used_it_all_the_same(desk: Desk):
    name = granted(desk, Terms(count=2))
    desk.decide("bank.pay", "b", amount=60, order=7)
    desk.later(MINUTE)
    assert desk.act("bank.pay", "b", amount=60, order=7).attempt
    assert desk.exception(name).used == 2
