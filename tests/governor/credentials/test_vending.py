"""Who is given a credential: the separate worker, proven, for the attempt that it has started."""

import pytest

from bridle.model.calls import Caller, Redeem
from bridle.model.verdict import Effect, Verdict
from governor.credentials.conftest import Opens
from governor.credentials.counter import API_KEY, CRM_KEY, NEVER, PERFORMING, Counter, Valet
from governor.desk import AGENT, ANYONE, judged
from governor.proving import SERVICE

EMBEDDED = Caller(operator=True, method="embedded", uid=1000)


def codes(found: Verdict) -> list[str]:
    assert found.effect is Effect.DENY
    assert not found.attempt
    return [str(reason.code) for reason in found.reasons]


# --- who is --------------------------------------------------------------------------------------


def test_a_proven_separate_worker_is_given_it(opens: Opens) -> None:
    counter = opens()
    found = counter.vended(counter.started())
    assert found.secret == {"secret": CRM_KEY}
    assert found.system == "crm"
    assert found.expires == counter.clock.now() + 30_000
    (row,) = counter.leases()
    assert (row.state, row.system, row.broker, row.executor) == ("live", "crm", "sealed", "crate")


def test_the_governors_side_is_given_it_for_what_it_carries_out(opens: Opens) -> None:
    counter = opens()
    session = counter.session("clerk", "worker")
    found = counter.judge("api.issue", PERFORMING, session=session, perform=True, title="x")
    assert counter.vended(found.attempt, PERFORMING, session).secret == {"secret": API_KEY}
    (leaf,) = counter.leaves("started")
    assert (leaf.ids["agent"], leaf.ids["executor"]) == ("clerk", "governor")


def test_once_for_each_attempt_and_none_after_it(counter: Counter) -> None:
    attempt = counter.started()
    counter.vended(attempt)
    assert counter.code(counter.vend(attempt)) == "credential_denied"
    counter.report(attempt)
    assert counter.code(counter.vend(attempt)) == "lease_lapsed"
    assert len(counter.leases()) == 1


def test_no_longer_than_its_declaration_its_mission_and_its_grant(counter: Counter) -> None:
    counter.later(8 * 3_600_000 - 10_000)
    session = counter.opened("clerk", "crate") if counter.mission else ""
    found = counter.vended(counter.started(session=session), session=session)
    mission = counter.rows_of_mission().expires
    assert found.expires <= min(mission, counter.clock.now() + 30_000)


# --- who is not ----------------------------------------------------------------------------------


def test_an_agent_in_its_own_process_starts_nothing_that_needs_one(counter: Counter) -> None:
    session = counter.session("clerk", "")
    assert codes(counter.judge("crm.find", AGENT, session=session)) == ["not_separated"]
    assert codes(counter.judge("crm.find", AGENT, session=session, start=False, key="2")) == [
        "not_separated"
    ]


@pytest.mark.parametrize("executor", ["worker", "mixed"])
def test_a_workload_that_is_not_separate_starts_nothing(counter: Counter, executor: str) -> None:
    caller = counter.as_mixed() if executor == "mixed" else AGENT
    session = counter.session("clerk", executor)
    assert codes(counter.judge("crm.find", caller, session=session)) == ["not_separated"]


def test_a_separate_workload_that_has_not_proved_itself_starts_nothing(counter: Counter) -> None:
    for caller in (AGENT, SERVICE, counter.as_other()):
        found = counter.judge("crm.find", caller)
        assert codes(found)[0] in ("executor_not_proven", "not_separated")


def test_another_connection_is_not_given_what_the_worker_started(counter: Counter) -> None:
    attempt = counter.started()
    for caller in (AGENT, SERVICE, counter.as_other(), counter.as_mixed()):
        assert counter.code(counter.vend(attempt, caller)) == "not_separated"
    assert counter.code(counter.vend(attempt, PERFORMING)) == "not_decided"
    assert not counter.leases()
    counter.vended(attempt)


@pytest.mark.parametrize("whose", ["run", "agent", "workload", "mission"])
def test_another_session_is_not_given_it(counter: Counter, whose: str) -> None:
    attempt = counter.started()
    session, caller = {
        "run": lambda: (counter.opened("clerk", "crate"), counter.as_crate()),
        "agent": lambda: (counter.session("scout", "crate"), counter.as_crate()),
        "workload": lambda: (counter.session("clerk", "other"), counter.as_other()),
        "mission": lambda: (
            counter.session("clerk", "crate", counter.start_mission()),
            counter.as_crate(),
        ),
    }[whose]()
    assert counter.code(counter.vend(attempt, caller, session)) == "not_decided"
    assert not counter.leases()


def test_without_a_key_runs_of_one_agent_are_still_two(counter: Counter) -> None:
    first, second = (counter.keyless("clerk", "crate") for _ in range(2))
    found = counter.judge("crm.find", counter.as_crate(), session=first)
    assert counter.code(counter.vend(found.attempt, session=second)) == "not_decided"
    counter.vended(found.attempt, session=first)


def test_made_up_attempts_get_nothing(counter: Counter) -> None:
    counter.session("clerk", "crate")
    for attempt in ("", "att_0", "\udc80", "x" * 10_000):
        assert counter.code(counter.vend(attempt)) in ("not_decided", "malformed")
    assert counter.code(counter.vend(counter.started(), session="ses_0")) == "no_session"


# --- carried out by the governor's side ----------------------------------------------------------


def test_what_the_governors_side_carries_out_starts_nowhere_else(counter: Counter) -> None:
    session = counter.session("clerk", "crate")
    for tool in ("api.issue", "api.poll"):
        for caller in (AGENT, SERVICE, counter.as_crate()):
            found = counter.judge(tool, caller, session=session, key=f"{tool}{caller.method}")
            assert codes(found)[0] in ("not_separated", "executor_not_proven")


def test_what_nobody_declares_as_performed_is_not_performed(counter: Counter) -> None:
    session = counter.session("clerk", "worker")
    given = {"note.write": {"text": "a"}, "crm.find": {}, "api.poll": {}}
    for tool, args in given.items():
        found = counter.judge(tool, PERFORMING, session=session, perform=True, **args)
        assert codes(found) == ["not_separated"]


def test_an_agent_that_says_perform_performs_nothing(counter: Counter) -> None:
    session = counter.session("clerk", "worker")
    for caller in (AGENT, SERVICE, ANYONE):
        found = counter.judge(
            "api.issue", caller, session=session, key=caller.method, perform=True, title="x"
        )
        assert codes(found) == ["not_separated"]


def test_an_agent_cannot_report_or_prolong_what_the_governors_side_runs(counter: Counter) -> None:
    session = counter.session("clerk", "worker")
    found = counter.judge("api.issue", PERFORMING, session=session, perform=True, title="x")
    release = counter.report(found.attempt, '"made up"', AGENT, session).release
    assert release.effect is Effect.DENY
    assert counter.beat(found.attempt, session) == "not_decided"
    assert counter.code(counter.vend(found.attempt, AGENT, session)) == "not_decided"
    own = counter.report(found.attempt, '"done"', PERFORMING, session).release
    assert own.effect is Effect.ALLOW


def test_the_name_of_the_governor_is_nobodys(counter: Counter) -> None:
    from bridle.model import calls

    call = calls.OpenSession(mission=counter.mission, agent="clerk", executor="governor")
    assert counter.refused(call) == "unknown_workload"
    grant, receiver = counter.hand_on()
    assert counter.refused(counter.accepting(grant, receiver, "governor"), AGENT) == (
        "unknown_workload"
    )


def test_an_embedded_governor_neither_performs_nor_vends(opens: Opens) -> None:
    counter = opens(level="embedded", brokers=False)
    session = counter.session("clerk", "worker")
    found = counter.judge("api.issue", EMBEDDED, session=session, perform=True, title="x")
    assert codes(found) == ["not_separated"]
    found = counter.judge("crm.find", EMBEDDED, session=counter.session("clerk", "crate"))
    assert codes(found) == ["not_separated"]
    assert counter.code(counter.vend("att_0", EMBEDDED)) == "not_separated"


# --- the gates -----------------------------------------------------------------------------------


def test_a_verdict_for_the_worker_is_started_by_nobody_else(counter: Counter) -> None:
    session = counter.session("clerk", "crate")
    found = counter.judge("crm.find", counter.as_crate(), session=session, start=False)
    assert found.effect is Effect.ALLOW
    assert codes(counter.begin(found.action, session))[0] == "executor_not_proven"


def test_a_held_action_is_redeemed_only_where_it_may_run(opens: Opens) -> None:
    held = '@id("ask") @reason("a lead looks") @hold("leads")\nforbid (principal, action == '
    held += 'Action::"api.issue", resource);\n'
    counter = opens(("policies/held.dw", "", held), valet=Valet())
    session = counter.session("clerk", "worker")
    found = counter.judge("api.issue", PERFORMING, session=session, perform=True, title="x")
    assert found.effect is Effect.HOLD
    counter.answer(found.approval)
    call = Redeem(session=session, approval=found.approval, start=True)
    assert codes(judged(counter.ask(call, AGENT))) == ["not_decided"]
    asked = Redeem(session=session, approval=found.approval, start=True, perform=True)
    assert codes(judged(counter.ask(asked, AGENT))) == ["not_decided"]
    ran = judged(counter.ask(asked, PERFORMING))
    assert ran.effect is Effect.ALLOW
    counter.vended(ran.attempt, PERFORMING, session)


def test_a_delegate_is_bound_by_the_same_rule(counter: Counter) -> None:
    from bridle.trust.grants.claims import Detail, ToolGrant

    details = (Detail("bridle_action", {"crm.*": ToolGrant(), "api.*": ToolGrant()}),)
    grant, receiver = counter.hand_on(details=details, session=counter.session("clerk", ""))
    session = counter.taken_up(grant, receiver, "")
    assert codes(counter.judge("crm.find", AGENT, session=session)) == ["not_separated"]
    found = counter.judge("api.issue", PERFORMING, session=session, perform=True, title="x")
    row = counter.vended(found.attempt, PERFORMING, session)
    assert counter.lease(found.attempt).line == "clerk>scout"
    assert row.lease == counter.lease(found.attempt).id


# --- governance ----------------------------------------------------------------------------------


def test_who_governance_does_not_permit_is_told_with_the_verdict(opens: Opens) -> None:
    counter = opens(("governance/never.dw", "", NEVER), valet=Valet())
    session = counter.session("scout", "crate")
    found = counter.judge("crm.find", counter.as_crate(), session=session)
    assert codes(found) == ["credential_denied"]
    assert not counter.leases()
    assert counter.started()


def test_an_ancestor_that_may_not_keeps_it_from_those_below(opens: Opens) -> None:
    from bridle.trust.grants.claims import Detail, ToolGrant

    never = NEVER.replace("scout", "clerk")
    counter = opens(("governance/never.dw", "", never), valet=Valet())
    details = (Detail("bridle_action", {"api.*": ToolGrant()}),)
    grant, receiver = counter.hand_on(details=details)
    session = counter.taken_up(grant, receiver)
    found = counter.judge("api.issue", PERFORMING, session=session, perform=True, title="x")
    assert codes(found) == ["credential_denied"]


def test_governance_that_ends_between_start_and_asking_gives_nothing(counter: Counter) -> None:
    attempt = counter.started()
    forbids = NEVER.replace("scout", "clerk")
    counter.activate_with(("governance/never.dw", "", forbids))
    assert counter.code(counter.vend(attempt)) == "credential_denied"


def test_a_bundle_that_moves_the_system_gives_nothing_to_what_was_judged(
    counter: Counter,
) -> None:
    attempt = counter.started()
    counter.activate_with(("systems.toml", 'secret = "crm-key"', 'secret = "api-key"'))
    assert counter.code(counter.vend(attempt)) == "credential_denied"


def test_policies_see_who_would_carry_it_out(opens: Opens) -> None:
    only = (
        '@id("only") forbid (principal, action == Action::"vend_credential", resource)\n'
        'unless { context.executor == "governor" && context.effect == "write" };\n'
    )
    inside = (
        '@id("inside") @reason("no") forbid (principal, action == Action::"api.issue", resource)\n'
        'unless { context has executor && context.executor == Workload::"governor" };\n'
    )
    counter = opens(("governance/only.dw", "", only), ("policies/in.dw", "", inside))
    session = counter.session("clerk", "worker")
    assert codes(counter.judge("crm.find", counter.as_crate())) == ["credential_denied"]
    found = counter.judge("api.issue", PERFORMING, session=session, perform=True, title="x")
    assert found.effect is Effect.ALLOW
