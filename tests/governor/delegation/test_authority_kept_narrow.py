"""Ways around what a handoff narrows: each is an attack that the governor has to refuse."""

from bridle.model import calls
from bridle.model.calls import Terms
from bridle.model.verdict import Verdict
from bridle.trust.grants.claims import Detail, ToolGrant
from bridle.trust.holder import Holder
from governor.delegation.runs import HANDING
from governor.desk import AGENT, HOUR, Desk, said

DENIED = ("deny", ["requester_invalid"])


def leaf(desk: Desk, session: str) -> str:
    return desk.runs[session][1]


def serving(desk: Desk, session: str, requester: str, key: str) -> tuple[str, list[str]]:
    call = calls.Decide(
        session=session,
        tool="note.read",
        args='{"id":1}',
        key=key,
        start=True,
        requester=requester,
    )
    return said(desk.ask(call, AGENT).verdict)


def deputised() -> dict[str, str]:
    declared = HANDING["agents.toml"].replace("[agents.scout]", "[agents.scout]\ndeputy = true")
    return {**HANDING, "agents.toml": declared}


def without_the_clerk() -> dict[str, str]:
    return {**HANDING, "missions.toml": HANDING["missions.toml"].replace('"clerk", ', "")}


def test_a_declared_deputy_is_not_its_own_requester():
    desk = Desk(deputised())
    deputy = desk.session("scout")
    assert serving(desk, deputy, leaf(desk, deputy), "own") == DENIED
    other = desk.delegated("scout")
    assert serving(desk, deputy, leaf(desk, other), "another run") == DENIED
    assert serving(desk, deputy, leaf(desk, desk.session()), "asked") == ("allow", [])
    desk.verified()


def test_what_was_handed_on_ends_with_the_part_of_whoever_handed_it_on():
    desk = Desk(HANDING)
    scout, own = desk.delegated(), desk.session("scout")
    decided = desk.decide("note.write", "w", session=scout, text="a")
    assert decided.effect == "allow"
    desk.activate(without_the_clerk())
    assert said(desk.begin(decided.action, scout))[0] == "deny"
    gone = ("deny", ["out_of_mission"])
    assert said(desk.act("note.read", "r", session=scout, id=1)) == gone
    assert said(desk.act("note.read", "r", session=own, id=1)) == ("allow", [])
    desk.verified()


def test_an_offer_of_an_agent_without_a_part_any_more_is_not_taken_up():
    desk = Desk(HANDING)
    grant, receiver = desk.hand_on()
    desk.activate(without_the_clerk())
    reply = desk.ask(desk.accepting(grant, receiver), AGENT)
    assert isinstance(reply, calls.Failed)
    assert reply.code == "out_of_mission"


def test_a_requester_without_a_part_in_its_mission_any_more_is_none():
    desk = Desk(HANDING)
    deputy, asker = desk.session("scout"), leaf(desk, desk.session())
    assert serving(desk, deputy, asker, "a") == ("allow", [])
    desk.activate(without_the_clerk())
    assert serving(desk, deputy, asker, "b") == DENIED
    desk.verified()


def test_a_revoked_run_is_told_no_result_once_its_time_is_over_too():
    desk = Desk(HANDING)
    run = desk.session()
    done = desk.act("note.read", "r", session=run, id=1)
    desk.observe(done.attempt, '{"body":"x"}', run)
    desk.done(calls.Revoke(kind="grant", subject=leaf(desk, run), as_user="ana"))
    assert said(desk.act("note.read", "r", session=run, id=1)) == ("deny", ["revoked"])
    desk.later(30 * 24 * HOUR, tick=False)
    assert said(desk.act("note.read", "r", session=run, id=1)) == ("deny", ["revoked"])


def test_what_humans_lift_for_one_requester_is_lifted_for_no_other():
    rich = HANDING["missions.toml"].replace("limit = 100\n", "limit = 5000\n")
    desk = Desk({**HANDING, "missions.toml": rich})
    everything = Detail("bridle_action", {"*": ToolGrant()})
    deputy, one, two = (
        desk.session("scout"),
        desk.session(),
        desk.delegated("clerk", details=(everything,)),
    )

    def pay(requester: str, key: str) -> Verdict:
        args = '{"amount":60,"order":7}'
        call = calls.Decide(
            session=deputy, tool="bank.pay", args=args, key=key, requester=requester
        )
        return desk.ask(call, AGENT).verdict

    held = pay(leaf(desk, one), "a")
    assert desk.answer(held.approval, "ben", terms=Terms(count=5)) == "approved"
    redeemed = desk.ask(calls.Redeem(session=deputy, approval=held.approval), AGENT)
    assert said(redeemed.verdict) == ("allow", [])
    assert pay(leaf(desk, one), "b").effect == "allow"
    assert pay(leaf(desk, two), "c").effect == "hold"
    assert pay("", "d").effect == "hold"
    desk.verified()


def test_an_offer_that_governance_has_forbidden_since_is_not_taken_up():
    desk = Desk(HANDING)
    grant, receiver = desk.hand_on()
    no = '@id("none") forbid (principal, action == Action::"delegate", resource);'
    desk.activate({**HANDING, "governance/none.dw": no})
    reply = desk.ask(desk.accepting(grant, receiver), AGENT)
    assert isinstance(reply, calls.Failed)
    assert reply.code == "governance_denied"
    desk.activate(HANDING)
    assert isinstance(desk.ask(desk.accepting(grant, receiver), AGENT), calls.Opened)
    desk.verified()


def test_whoever_loses_its_part_in_a_mission_hands_nothing_on():
    desk = Desk(HANDING)
    desk.session("scout")
    offer = desk.offer("scout", Holder.generate())
    desk.activate(without_the_clerk())
    reply = desk.ask(offer, AGENT)
    assert isinstance(reply, calls.Failed)
    assert reply.code == "out_of_mission"
