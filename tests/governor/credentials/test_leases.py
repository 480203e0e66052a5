"""When a credential ends: with its attempt, its time, its authority; and what is seen of it."""

from collections.abc import Callable

import pytest

from bridle.model import calls
from bridle.model.calls import Fenced
from bridle.trust.holder import Holder
from governor.credentials.conftest import Opens
from governor.credentials.counter import Counter, Valet
from governor.desk import ANYONE, MINUTE, SECOND

Ends = Callable[[Counter, str], object]


def live(counter: Counter) -> tuple[str, str]:
    """An attempt and the token vended for it, which opens."""
    attempt = counter.started()
    token = counter.vended(attempt).secret["secret"]
    assert counter.valet is not None
    assert token in counter.valet.opens
    return attempt, token


def opens_still(counter: Counter) -> set[str]:
    assert counter.valet is not None
    counter.settled()
    return counter.valet.opens


ENDINGS: dict[str, tuple[Ends, str]] = {
    "reported": (lambda c, a: c.report(a), "attempt_ended"),
    "failed": (lambda c, a: c.report(a, "", kind="error", error="x"), "attempt_ended"),
    "unknown": (lambda c, a: c.report(a, "", kind="unknown"), "attempt_ended"),
    "lapsed": (lambda c, a: c.later(2 * MINUTE), "attempt_ended"),
    "expired": (lambda c, a: c.later(31 * SECOND), "expired"),
    "closed session": (
        lambda c, a: c.done(calls.CloseSession(session=c.session("clerk", "crate"), as_user="ana")),
        "session_closed",
    ),
    "killed": (
        lambda c, a: c.done(calls.Kill(scope="agent", subject="clerk", as_user="ana")),
        "killed",
    ),
    "killed tool": (
        lambda c, a: c.done(calls.Kill(scope="tool", subject="crm.find", as_user="ana")),
        "killed",
    ),
    "suspended agent": (
        lambda c, a: c.done(
            calls.IdentityVerb(kind="agent", id="clerk", verb="suspend", as_user="ana")
        ),
        "suspended",
    ),
    "suspended workload": (
        lambda c, a: c.done(
            calls.IdentityVerb(kind="workload", id="crate", verb="suspend", as_user="ana")
        ),
        "suspended",
    ),
    "suspended mission": (
        lambda c, a: c.done(calls.MissionVerb(mission=c.mission, verb="suspend", as_user="ana")),
        "mission_not_active",
    ),
    "closed mission": (
        lambda c, a: c.done(calls.MissionVerb(mission=c.mission, verb="close", as_user="ana")),
        "mission_not_active",
    ),
    "revoked agent": (
        lambda c, a: c.done(calls.Revoke(kind="agent", subject="clerk", as_user="ana")),
        "revoked",
    ),
    "revoked mission": (
        lambda c, a: c.done(calls.Revoke(kind="mission", subject=c.mission, as_user="ana")),
        "revoked",
    ),
    "revoked user": (
        lambda c, a: c.done(calls.Revoke(kind="user", subject="ana", as_user="ben")),
        "revoked",
    ),
    "revoked grant": (
        lambda c, a: c.done(calls.Revoke(kind="grant", subject=c.lease(a).grant, as_user="ana")),
        "revoked",
    ),
}


# What can happen before there is a lease that it could be about.
BEFORE = [how for how in ENDINGS if how not in ("expired", "revoked grant")]


@pytest.mark.parametrize("how", ENDINGS)
def test_it_is_taken_back_once_what_it_rests_on_ends(counter: Counter, how: str) -> None:
    ends, why = ENDINGS[how]
    attempt, token = live(counter)
    assert token in opens_still(counter)
    ends(counter, attempt)
    assert token not in opens_still(counter)
    assert counter.lease(attempt).state == "ended"
    whats = [(leaf.body["what"], leaf.body.get("why")) for leaf in counter.leaves("credential")]
    assert whats == [("ask", None), ("vend", None), ("ending", why), ("end", None)]


@pytest.mark.parametrize("how", BEFORE)
def test_nothing_is_vended_once_what_it_would_rest_on_has_ended(counter: Counter, how: str) -> None:
    attempt = counter.started()
    ENDINGS[how][0](counter, attempt)
    assert counter.code(counter.vend(attempt, counter_as(counter, how))) != ""
    assert not counter.leases()


def counter_as(counter: Counter, how: str) -> calls.Caller:
    """The worker, also where it could not log in any more: its connection may be older."""
    if how != "suspended workload":
        return counter.as_crate()
    resumed = calls.IdentityVerb(kind="workload", id="crate", verb="resume", as_user="ana")
    counter.done(resumed)
    caller = counter.as_crate()
    ENDINGS[how][0](counter, "")
    return caller


@pytest.mark.parametrize("how", BEFORE)
def test_what_ends_while_the_broker_is_at_work_gives_nothing(counter: Counter, how: str) -> None:
    attempt = counter.started()
    valet = counter.valet
    assert valet is not None
    caller = counter.as_crate()
    valet.meanwhile = lambda: ENDINGS[how][0](counter, attempt)
    assert counter.code(counter.vend(attempt, caller)) == "credential_denied"
    assert not opens_still(counter)
    assert counter.lease(attempt).state == "ended"


def test_a_grant_above_that_is_revoked_ends_it(counter: Counter) -> None:
    from bridle.trust.grants.claims import Detail, ToolGrant

    details = (Detail("bridle_action", {"crm.*": ToolGrant()}),)
    above = counter.session("clerk", "crate")
    grant, receiver = counter.hand_on(details=details, session=above)
    call = counter.accepting(grant, receiver, "crate")
    reply = counter.done(call, counter.as_crate())
    assert isinstance(reply, calls.Opened)
    counter.runs[reply.id] = (receiver, reply.grant)
    attempt = counter.started(session=reply.id)
    token = counter.vended(attempt, session=reply.id).secret["secret"]
    fenced = counter.done(calls.Revoke(kind="grant", subject=counter.runs[above][1], as_user="ana"))
    assert isinstance(fenced, Fenced)
    assert {row["kind"] for row in fenced.stopped} >= {"grant", "lease"}
    assert token not in opens_still(counter)


def test_whoever_hears_of_an_end_finds_its_lease_ended(counter: Counter) -> None:
    attempt, _ = live(counter)
    counter.report(attempt)
    assert counter.lease(attempt).state == "ending"


def test_others_keep_theirs(counter: Counter) -> None:
    _, token = live(counter)
    session = counter.session("scout", "crate")
    other = counter.started(session=session)
    kept = counter.vended(other, session=session).secret["secret"]
    counter.done(calls.Revoke(kind="agent", subject="clerk", as_user="ana"))
    assert opens_still(counter) == {kept}
    assert token != kept


def test_a_revocation_names_what_it_takes_back_until_it_has(counter: Counter) -> None:
    attempt, _ = live(counter)
    revoke = calls.Revoke(kind="agent", subject="clerk", as_user="ana")
    assert counter.valet is not None
    counter.valet.down = True
    look = counter.done(calls.Revoke(kind="agent", subject="clerk", as_user="ana", preview=True))
    fenced = counter.done(revoke)
    opens_still(counter)
    again = counter.done(revoke)
    for reply in (look, fenced, again):
        assert isinstance(reply, Fenced)
        named = [row for row in reply.stopped if row["kind"] == "lease"]
        assert [row["id"] for row in named] == [counter.lease(attempt).id]
    counter.valet.down = False
    counter.governor.keeper.retry()
    opens_still(counter)
    after = counter.done(calls.Revoke(kind="agent", subject="clerk", preview=True, as_user="ana"))
    assert isinstance(after, Fenced)
    assert not [row for row in after.stopped if row["kind"] == "lease"]


def test_humans_see_leases_and_never_what_was_vended(counter: Counter) -> None:
    attempt, token = live(counter)
    (row,) = counter.rows(calls.Leases())
    assert (row["state"], row["system"], row["attempt"]) == ("live", "crm", attempt)
    assert counter.rows(calls.Leases(mission=counter.mission))
    assert not counter.rows(calls.Leases(mission="mis_0"))
    assert token not in repr(counter.rows(calls.Leases(all=True)))
    (status,) = counter.rows(calls.Status())
    assert (status["leases"], status["leases_ending"]) == (1, 0)
    counter.report(attempt)
    opens_still(counter)
    assert not counter.rows(calls.Leases())
    assert [row["state"] for row in counter.rows(calls.Leases(all=True))] == ["ended"]
    assert counter.refused(calls.Leases(), counter.as_crate()) == "operator_only"


def test_records_say_where_the_agent_runs(opens: Opens) -> None:
    counter = opens(valet=Valet())
    holder = Holder.generate()
    call = calls.OpenSession(
        mission=counter.mission,
        agent="clerk",
        executor="crate",
        holder=holder.public,
        jailed=True,
    )
    reply = counter.done(call, ANYONE)
    assert isinstance(reply, calls.Opened)
    counter.runs[reply.id] = (holder, reply.grant)
    attempt = counter.started(session=reply.id)
    counter.report(attempt, session=reply.id)
    for kind in ("decision", "started", "outcome"):
        assert [leaf.ids.get("jailed") for leaf in counter.leaves(kind)] == ["yes"]
    counter.started()
    assert counter.leaves("started")[-1].ids.get("jailed") is None
