"""Keys of identities: who proves to be whom while keys come, overlap, end and are revoked."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import structs

from bridle.governor.identity import identities
from bridle.model import calls, public_key
from bridle.model.calls import Caller, Failed, Judged, Opened
from bridle.model.errors import RefusedError
from bridle.model.reason import ReasonCode
from bridle.store.rows import RevokedRow
from bridle.trust import credential
from bridle.trust.credential import Credential
from bridle.trust.holder import Holder
from governor.desk import AGENT, HOUR, MINUTE, Desk
from governor.proving import ANA, BEN, HUMAN, PORTAL, SERVICE, answered, keyed, proved

WORKER, WORKER_2, WORKER_3 = (credential.generate("workload", "worker") for _ in range(3))
PORTER = credential.generate("workload", "porter")
CLERK, CLERK_2 = (credential.generate("agent", "clerk") for _ in range(2))
BEN_2, BEN_3 = (credential.generate("user", "ben") for _ in range(2))

ADDED = ("agents.toml", "[workloads.worker]\n", f'[workloads.worker]\nkey = "{WORKER.public}"\n')
OF_CLERK = ("agents.toml", "[agents.clerk]\n", f'[agents.clerk]\nkey = "{CLERK.public}"\n')

HANDING = ("governance/all.dw", "", '@id("all") permit (principal, action, resource);\n')
OF_PORTAL = ("agents.toml", "may_assert_user = true\n", 'may_assert_user = true\ntools = ["*"]\n')


@pytest.fixture
def desk() -> Desk:
    return Desk(keyed(ADDED))


def verb(desk: Desk, what: str, who: Credential | str, by: Caller, **given: Any) -> Any:
    """Change the keys of an identity, or say the code of the refusal."""
    named = {"kind": who.kind, "name": who.name, "key": who.public} if who else {"kind": "governor"}
    reply = desk.ask(calls.KeyVerb(verb=what, **{**named, **given}), by)
    return reply.code if isinstance(reply, Failed) else reply.rows


def states(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["key"]: row["state"] for row in rows}


def handle(desk: Desk, executor: str = "worker") -> str:
    """A session without a key of its own: what is asked here is who executes."""
    reply = desk.done(calls.OpenSession(mission=desk.mission, agent="clerk", executor=executor))
    assert isinstance(reply, Opened)
    return reply.id


class Traffic:
    """Reads that a connection asks for, one after the other, each an action of its own."""

    def __init__(self, desk: Desk, session: str) -> None:
        self.desk, self.session, self.asked = desk, session, 0

    def code(self, caller: Caller) -> str:
        """Why the next read is denied, empty if it starts."""
        self.asked += 1
        call = calls.Decide(
            session=self.session,
            tool="note.read",
            args='{"id":1}',
            key=f"k{self.asked}",
            start=True,
        )
        reply = self.desk.ask(call, caller)
        assert isinstance(reply, Judged), reply
        return reply.verdict.reasons[0].code if reply.verdict.reasons else ""


# --- who may carry out ---------------------------------------------------------------------------


def test_a_session_of_a_keyed_workload_is_worthless_on_any_other_connection(desk: Desk) -> None:
    traffic = Traffic(desk, handle(desk))
    assert traffic.code(proved(desk, WORKER)) == ""
    others = {"nobody": AGENT, "another workload": proved(desk, PORTAL)}
    for who, caller in others.items():
        assert traffic.code(caller) == ReasonCode.EXECUTOR_NOT_PROVEN, who


def test_an_action_judged_for_its_workload_is_not_begun_by_anybody_else(desk: Desk) -> None:
    session = handle(desk)
    call = calls.Decide(session=session, tool="note.write", args='{"text":"a"}', key="k")
    reply = desk.ask(call, proved(desk, WORKER))
    assert isinstance(reply, Judged)
    begin = calls.Begin(session=session, action=reply.verdict.action)
    refused = desk.ask(begin, AGENT)
    assert isinstance(refused, Judged)
    assert [r.code for r in refused.verdict.reasons] == [ReasonCode.EXECUTOR_NOT_PROVEN]
    assert not desk.leaves("started")
    # The refusal says something about the connection, and ends nothing.
    again = desk.ask(structs.replace(call, start=True), proved(desk, WORKER))
    assert isinstance(again, Judged)
    assert again.verdict.attempt


def test_a_stored_answer_is_not_told_to_who_is_not_the_workload(desk: Desk) -> None:
    session = handle(desk)
    call = calls.Decide(session=session, tool="note.write", args='{"text":"a"}', key="k")
    desk.done(call, proved(desk, WORKER))
    reply = desk.ask(call, AGENT)
    assert isinstance(reply, Judged)
    assert [r.code for r in reply.verdict.reasons] == [ReasonCode.EXECUTOR_NOT_PROVEN]
    assert reply.verdict.args == ""


def test_a_workload_without_keys_is_whoever_holds_the_handle_until_it_gets_one(desk: Desk) -> None:
    traffic = Traffic(desk, handle(desk, "porter"))
    assert traffic.code(AGENT) == ""
    verb(desk, "add", PORTER, proved(desk, ANA))
    assert traffic.code(AGENT) == ReasonCode.EXECUTOR_NOT_PROVEN
    assert traffic.code(proved(desk, PORTER)) == ""


def test_within_the_governors_own_process_there_is_no_connection_to_prove(desk: Desk) -> None:
    within = Caller(operator=True, method="embedded", uid=1001)
    assert Traffic(desk, handle(desk)).code(within) == ""


# --- rotation in traffic -------------------------------------------------------------------------


def test_a_workload_rotates_with_overlap_and_no_request_is_refused_in_between(desk: Desk) -> None:
    traffic = Traffic(desk, handle(desk))
    old = proved(desk, WORKER)
    assert traffic.code(old) == ""
    rows = verb(desk, "rotate", WORKER_2, proved(desk, ANA), overlap_ms=10 * MINUTE)
    assert states(rows) == {WORKER_2.public: "active", WORKER.public: "ending"}
    new = proved(desk, WORKER_2)
    for _ in range(9):
        desk.later(MINUTE)
        assert (traffic.code(old), traffic.code(new)) == ("", "")
        assert isinstance(answered(desk, WORKER, SERVICE), Caller)
    desk.later(MINUTE - 1)
    assert traffic.code(old) == ""
    desk.later(1)
    assert traffic.code(old) == ReasonCode.EXECUTOR_NOT_PROVEN
    assert traffic.code(new) == ""
    refused = answered(desk, WORKER, SERVICE)
    assert isinstance(refused, Failed)
    assert refused.code == "not_proven"


def test_without_overlap_the_old_key_ends_with_the_commit(desk: Desk) -> None:
    traffic = Traffic(desk, handle(desk))
    old = proved(desk, WORKER)
    verb(desk, "rotate", WORKER_2, proved(desk, ANA))
    assert traffic.code(old) == ReasonCode.EXECUTOR_NOT_PROVEN
    assert traffic.code(proved(desk, WORKER_2)) == ""


def test_an_ended_key_stays_ended_whatever_the_bundle_says_later(desk: Desk) -> None:
    verb(desk, "rotate", WORKER_2, proved(desk, ANA))
    desk.activate(keyed(ADDED, ("bridle.toml", 'version = "1"', 'version = "2"')))
    assert isinstance(answered(desk, WORKER, SERVICE), Failed)
    assert verb(desk, "add", WORKER, proved(desk, ANA)) == "key_known"
    desk.activate(keyed())
    assert isinstance(answered(desk, WORKER, SERVICE), Failed)
    assert isinstance(answered(desk, WORKER_2, SERVICE), Caller)


def test_a_second_rotation_does_not_lengthen_the_first(desk: Desk) -> None:
    verb(desk, "rotate", WORKER_2, proved(desk, ANA), overlap_ms=MINUTE)
    verb(desk, "rotate", WORKER_3, proved(desk, ANA), overlap_ms=HOUR)
    desk.later(MINUTE)
    assert isinstance(answered(desk, WORKER, SERVICE), Failed)
    assert isinstance(answered(desk, WORKER_2, SERVICE), Caller)


def test_a_key_dropped_from_the_bundle_counts_no_more_than_the_overlap_it_was_given(
    desk: Desk,
) -> None:
    verb(desk, "rotate", WORKER_2, proved(desk, ANA), overlap_ms=HOUR)
    desk.activate(keyed())
    assert isinstance(answered(desk, WORKER, SERVICE), Caller)
    desk.later(HOUR)
    assert isinstance(answered(desk, WORKER, SERVICE), Failed)


def test_an_identity_that_the_bundle_drops_has_no_keys_at_all(desk: Desk) -> None:
    verb(desk, "add", PORTER, proved(desk, ANA))
    assert isinstance(answered(desk, PORTER, SERVICE), Caller)
    desk.activate(keyed(ADDED, ("agents.toml", '[workloads.porter]\ntools = ["note.*"]\n', "")))
    assert isinstance(answered(desk, PORTER, SERVICE), Failed)


def test_a_name_that_comes_back_is_somebody_else_without_the_keys_of_the_first(
    desk: Desk,
) -> None:
    verb(desk, "add", PORTER, proved(desk, ANA))
    desk.activate(keyed(ADDED, ("agents.toml", '[workloads.porter]\ntools = ["note.*"]\n', "")))
    desk.activate(keyed(ADDED))
    assert isinstance(answered(desk, PORTER, SERVICE), Failed)
    assert Traffic(desk, handle(desk, "porter")).code(AGENT) == ReasonCode.EXECUTOR_NOT_PROVEN
    assert desk.leaves("identity")[-1].body["what"] == "key_end"


def test_another_key_in_the_bundle_shuts_out_what_a_thief_of_the_old_one_added() -> None:
    desk = Desk(keyed())
    verb(desk, "rotate", BEN_2, proved(desk, BEN))
    assert isinstance(answered(desk, BEN_2, HUMAN), Caller)
    desk.activate(keyed(ana=ANA, ben=BEN_3))
    for stolen in (BEN, BEN_2):
        assert isinstance(answered(desk, stolen, HUMAN), Failed)
    assert isinstance(answered(desk, BEN_3, HUMAN), Caller)


def test_the_bundle_may_follow_a_rotation_without_ending_it() -> None:
    desk = Desk(keyed())
    verb(desk, "rotate", BEN_2, proved(desk, BEN), overlap_ms=HOUR)
    desk.activate(keyed(ana=ANA, ben=BEN_2))
    assert isinstance(answered(desk, BEN_2, HUMAN), Caller)
    assert isinstance(answered(desk, BEN, HUMAN), Failed)


def test_a_bundle_whose_operators_hold_dead_keys_alone_is_not_activated() -> None:
    desk = Desk(keyed())
    verb(desk, "add", BEN_2, proved(desk, BEN))
    revoke(desk, ANA.fingerprint)
    revoke(desk, BEN.fingerprint)
    alone = ("bridle.toml", 'operators = ["ana", "ben"]', 'operators = ["ana"]')
    with pytest.raises(RefusedError) as refused:
        desk.activate(keyed(alone))
    assert refused.value.code == "locks_out"
    desk.activate(keyed(("bridle.toml", 'version = "1"', 'version = "2"')))


# --- retiring and revoking -----------------------------------------------------------------------


def test_a_retired_key_ends_at_once_and_the_epoch_moves_on(desk: Desk) -> None:
    verb(desk, "add", WORKER_2, proved(desk, ANA))
    traffic = Traffic(desk, handle(desk))
    old = proved(desk, WORKER)
    epoch = desk.rows(calls.Status())[0]["epoch"]
    named = WORKER.fingerprint[:16]
    rows = verb(desk, "retire", WORKER, proved(desk, ANA), key=named)
    assert states(rows) == {WORKER_2.public: "active", WORKER.public: "ended"}
    assert desk.rows(calls.Status())[0]["epoch"] == epoch + 1
    assert traffic.code(old) == ReasonCode.EXECUTOR_NOT_PROVEN
    assert traffic.code(proved(desk, WORKER_2)) == ""


def revoke(desk: Desk, fingerprint: str) -> None:
    """What revoking a key leaves in the store."""

    def job(turn: Any) -> None:
        state = turn.globals
        turn.tx.put(structs.replace(state, epoch=state.epoch + 1, revoked=state.revoked + 1))
        row = RevokedRow(
            id=f"key:{fingerprint}",
            kind="key",
            subject=fingerprint,
            time=turn.now,
            epoch=state.epoch + 1,
            by="ana",
        )
        turn.tx.put(row)

    desk.core.write(job)


def test_a_revoked_key_proves_nothing_from_that_commit_on(desk: Desk) -> None:
    traffic = Traffic(desk, handle(desk))
    old = proved(desk, WORKER)
    revoke(desk, WORKER.fingerprint)
    assert traffic.code(old) != ""
    assert isinstance(answered(desk, WORKER, SERVICE), Failed)
    assert verb(desk, "add", WORKER, proved(desk, ANA)) == "key_known"


def test_who_has_lost_every_key_is_not_taken_at_a_connections_word(desk: Desk) -> None:
    """Revoking a key must never make its owner one of those who need none."""
    traffic = Traffic(desk, handle(desk))
    revoke(desk, WORKER.fingerprint)
    assert traffic.code(AGENT) == ReasonCode.EXECUTOR_NOT_PROVEN
    revoke(desk, BEN.fingerprint)
    reply = desk.ask(calls.StartMission(template="office", user="ben"), HUMAN)
    assert isinstance(reply, Failed)
    assert (reply.code, reply.about) == ("key_needed", {"user": "ben", "key": ""})


def test_a_user_who_rotated_and_was_dropped_from_the_bundles_keys_still_needs_one() -> None:
    desk = Desk(keyed())
    verb(desk, "rotate", BEN_2, proved(desk, BEN))
    desk.activate(keyed(ana=ANA))
    assert desk.refused(calls.StartMission(template="office", user="ben"), HUMAN) == "key_needed"
    desk.done(calls.StartMission(template="office", user="ben"), proved(desk, BEN_2))


def test_revoking_which_asks_for_no_key_does_not_lock_the_last_operator_out_for_good() -> None:
    desk = Desk(keyed())

    def revoke_key(whose: Credential) -> str:
        call = calls.Revoke(kind="key", subject=whose.fingerprint, as_user="ana")
        reply = desk.ask(call, HUMAN)
        return reply.code if isinstance(reply, Failed) else ""

    assert revoke_key(BEN) == ""
    assert revoke_key(ANA) == "last_operator"
    ana = proved(desk, ANA)
    ana_2 = credential.generate("user", "ana")
    verb(desk, "rotate", ana_2, ana)
    assert revoke_key(ANA) == ""
    assert revoke_key(ana_2) == "last_operator"
    desk.done(calls.StartMission(template="office", user="ana"), proved(desk, ana_2))


# --- who may change keys -------------------------------------------------------------------------


def test_only_a_user_who_has_proved_a_key_adds_to_their_own(desk: Desk) -> None:
    for what in ("add", "rotate"):
        for by in (HUMAN, proved(desk, ANA)):
            assert verb(desk, what, BEN_2, by) == "key_needed"
            assert verb(desk, what, BEN_2, by, as_user="ben") in ("key_needed", "not_you")
    new = credential.generate("user", "cleo")
    assert verb(desk, "add", new, HUMAN) == "key_needed", "a first key stands in the bundle"
    rows = verb(desk, "rotate", BEN_2, proved(desk, BEN))
    assert states(rows) == {BEN_2.public: "active", BEN.public: "ended"}
    assert isinstance(answered(desk, BEN, HUMAN), Failed)
    assert isinstance(answered(desk, BEN_2, HUMAN), Caller)


def test_a_key_added_with_a_stolen_one_goes_with_its_owners_suspension(desk: Desk) -> None:
    verb(desk, "add", BEN_2, proved(desk, BEN))
    desk.done(calls.IdentityVerb(kind="user", id="ben", verb="suspend", as_user="ana"))
    refused = answered(desk, BEN_2, HUMAN)
    assert isinstance(refused, Failed)
    assert refused.code == "suspended"


def test_the_only_key_of_a_user_is_not_retired(desk: Desk) -> None:
    assert verb(desk, "retire", BEN, proved(desk, BEN)) == "last_key"
    verb(desk, "add", BEN_2, proved(desk, BEN))
    rows = verb(desk, "retire", BEN, proved(desk, ANA))
    assert states(rows) == {BEN_2.public: "active", BEN.public: "ended"}


def test_an_agents_keys_are_its_owners_and_the_operators_to_change() -> None:
    desk = Desk(keyed())
    cleo = credential.generate("user", "cleo")
    scout = credential.generate("agent", "scout")
    assert verb(desk, "add", CLERK, HUMAN, as_user="cleo") == "not_an_operator"
    assert verb(desk, "add", CLERK, HUMAN, as_user="ana") == "key_needed"
    assert states(verb(desk, "add", CLERK, proved(desk, ANA))) == {CLERK.public: "active"}
    assert states(verb(desk, "add", scout, proved(desk, ANA))) == {scout.public: "active"}
    owned = ("agents.toml", '[agents.clerk]\nowner = "ana"', '[agents.clerk]\nowner = "cleo"')
    desk = Desk(keyed(owned, ana=ANA, ben=BEN, cleo=cleo))
    assert states(verb(desk, "add", CLERK, proved(desk, cleo))) == {CLERK.public: "active"}
    assert verb(desk, "add", scout, proved(desk, cleo)) == "not_an_operator"


def test_agents_and_their_workloads_change_no_keys(desk: Desk) -> None:
    for by in (AGENT, proved(desk, WORKER), proved(desk, PORTAL)):
        for what in ("add", "rotate", "retire"):
            assert verb(desk, what, WORKER_2, by) == "operator_only"
        assert desk.refused(calls.Keys(), by) == "operator_only"


@pytest.mark.parametrize("what", ["add", "rotate"])
def test_a_key_proves_one_identity_only_whoever_asks(desk: Desk, what: str) -> None:
    ana = proved(desk, ANA)
    for taken in (ANA, BEN, PORTAL, WORKER):
        assert verb(desk, what, PORTER, ana, key=taken.public) == "key_known"
    verb(desk, "add", PORTER, ana)
    assert verb(desk, what, CLERK, ana, key=PORTER.public) == "key_known"


def test_a_bundle_gives_nobody_a_key_that_the_registry_knows_as_anothers(desk: Desk) -> None:
    verb(desk, "add", PORTER, proved(desk, ANA))
    stolen = ("agents.toml", "[agents.clerk]\n", f'[agents.clerk]\nkey = "{PORTER.public}"\n')
    desk.activate(keyed(ADDED, stolen))
    keys = desk.core.write(lambda turn: identities.in_force(turn, "agent", "clerk"))
    assert keys == ()
    assert isinstance(answered(desk, PORTER, SERVICE), Caller)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"verb": "steal"}, "usage"),
        ({"kind": "group"}, "usage"),
        ({"kind": ""}, "usage"),
        ({"name": "nobody"}, "not_found"),
        ({"name": ""}, "not_found"),
        ({"name": "worker\ud800"}, "malformed"),
        ({"key": ""}, "key_invalid"),
        ({"key": "ed25519:" + "A" * 44}, "key_invalid"),
        ({"key": public_key.written(bytes(32))}, "key_invalid"),
        ({"overlap_ms": -1}, "usage"),
        ({"overlap_ms": 91 * 24 * HOUR}, "usage"),
        ({"verb": "add", "overlap_ms": 1}, "usage"),
        ({"verb": "retire", "key": "0" * 15}, "usage"),
        ({"verb": "retire", "key": "0" * 64}, "not_found"),
        ({"verb": "retire", "key": ""}, "usage"),
        ({"kind": "governor", "name": "", "key": WORKER_2.public}, "usage"),
        ({"kind": "governor", "name": "worker", "key": ""}, "usage"),
        ({"kind": "governor", "verb": "add", "name": "", "key": ""}, "usage"),
        ({"kind": "governor", "verb": "retire", "name": "", "key": ""}, "usage"),
        ({"kind": "governor", "verb": "retire", "name": "", "key": WORKER.public}, "not_found"),
    ],
)
def test_what_makes_no_sense_changes_nothing(desk: Desk, given: dict[str, Any], code: str) -> None:
    ana = proved(desk, ANA)
    before = len(desk.leaves())
    call = structs.replace(
        calls.KeyVerb(verb="rotate", kind="workload", name="worker", key=WORKER_2.public), **given
    )
    assert desk.refused(call, ana) == code
    assert len(desk.leaves()) == before


def test_an_identity_has_eight_keys_in_force_at_most(desk: Desk) -> None:
    ana = proved(desk, ANA)
    for _ in range(7):
        assert isinstance(verb(desk, "add", credential.generate("workload", "worker"), ana), list)
    assert verb(desk, "add", WORKER_2, ana) == "too_many_keys"


# --- runs of agents ------------------------------------------------------------------------------


def certified(desk: Desk, holder: str, certificate: str) -> str:
    """The key that certifies a run, or the code of the refusal."""
    try:
        return desk.core.write(
            lambda turn: identities.certified(turn, "clerk", holder, certificate)
        )
    except RefusedError as refused:
        return refused.code


def test_a_run_of_a_keyed_agent_begins_with_a_certificate_of_its_own_alone() -> None:
    desk = Desk(keyed(OF_CLERK))
    store = desk.core.store_id
    run = credential.generate("agent", "run").public
    good = CLERK.certify(store, run)
    assert certified(desk, run, good) == CLERK.fingerprint
    other = credential.generate("agent", "clerk")
    scout = Credential("agent", "scout", CLERK._private)
    wrong = {
        "none": "",
        "of another store": CLERK.certify("elsewhere", run),
        "of another run": CLERK.certify(store, other.public),
        "by a key that is not the agent's": other.certify(store, run),
        "for another agent": scout.certify(store, run),
        "not base64": "é",
        "cut": good[:-4],
    }
    for what, certificate in wrong.items():
        assert certified(desk, run, certificate) == "not_certified", what
    assert certified(desk, "", good) == "not_certified"


@pytest.mark.parametrize("taken", [CLERK, ANA, PORTAL, WORKER_2], ids=lambda each: each.name)
def test_the_key_of_an_identity_is_never_that_of_a_run(taken: Credential) -> None:
    desk = Desk(keyed(OF_CLERK))
    verb(desk, "add", WORKER_2, proved(desk, ANA))
    certificate = CLERK.certify(desk.core.store_id, taken.public)
    assert certified(desk, taken.public, certificate) == "key_known"


def test_an_agents_key_rotates_and_certificates_of_the_old_one_open_nothing_after_it() -> None:
    desk = Desk(keyed(OF_CLERK))
    run = credential.generate("agent", "run").public
    by_old, by_new = (each.certify(desk.core.store_id, run) for each in (CLERK, CLERK_2))
    verb(desk, "rotate", CLERK_2, proved(desk, ANA), overlap_ms=MINUTE)
    assert certified(desk, run, by_old) == CLERK.fingerprint
    assert certified(desk, run, by_new) == CLERK_2.fingerprint
    desk.later(MINUTE)
    assert certified(desk, run, by_old) == "not_certified"
    assert certified(desk, run, by_new) == CLERK_2.fingerprint


def test_an_agent_whose_last_key_was_revoked_runs_no_more_certified_or_not() -> None:
    desk = Desk(keyed(OF_CLERK))
    run = credential.generate("agent", "run").public
    revoke(desk, CLERK.fingerprint)
    for certificate in ("", CLERK.certify(desk.core.store_id, run)):
        assert certified(desk, run, certificate) == "not_certified"


def test_an_agent_without_keys_needs_no_certificate(desk: Desk) -> None:
    assert certified(desk, "", "") == ""


def begun(desk: Desk, agent: Credential, *, certificate: str | None = None) -> str:
    """A run that its agent's key has certified: the handle, or the code of the refusal."""
    run = Holder.generate()
    vouched = agent.certify(desk.core.store_id, run.public) if certificate is None else certificate
    call = calls.OpenSession(
        mission=desk.mission,
        agent=agent.name,
        executor="worker",
        holder=run.public,
        certificate=vouched,
    )
    reply = desk.ask(call)
    if isinstance(reply, Failed):
        return reply.code
    assert isinstance(reply, Opened)
    desk.runs[reply.id] = (run, reply.grant)
    return reply.id


def denied(desk: Desk, session: str, key: str) -> list[str]:
    """Why a read is denied, nothing if it may run."""
    return [reason.code for reason in desk.decide("note.read", key, session=session, id=1).reasons]


def test_a_certified_run_goes_on_while_its_agents_key_rotates_and_retires() -> None:
    desk = Desk(keyed(OF_CLERK))
    assert begun(desk, CLERK, certificate="") == "not_certified"
    session = begun(desk, CLERK)
    assert denied(desk, session, "before") == []
    verb(desk, "rotate", CLERK_2, proved(desk, ANA), overlap_ms=MINUTE)
    assert denied(desk, session, "within") == []
    desk.later(MINUTE)
    assert begun(desk, CLERK) == "not_certified"
    assert denied(desk, session, "after") == []
    assert denied(desk, begun(desk, CLERK_2), "new") == []


def test_a_revoked_agents_key_ends_every_run_it_certified_and_all_they_handed_on() -> None:
    """Whoever has an agent's key makes runs of it: revoking the key leaves them nothing."""
    desk = Desk(keyed(OF_CLERK, HANDING))
    verb(desk, "add", CLERK_2, proved(desk, ANA))
    stolen, sound = begun(desk, CLERK), begun(desk, CLERK_2)
    below = {each: desk.delegated(session=each) for each in (stolen, sound)}
    for session in (stolen, sound, *below.values()):
        assert denied(desk, session, f"before {session}") == []
    reply = desk.done(calls.Revoke(kind="key", subject=CLERK.fingerprint, as_user="ana"), HUMAN)
    assert isinstance(reply, calls.Fenced)
    for session in (stolen, below[stolen]):
        assert denied(desk, session, f"after {session}") == [ReasonCode.REVOKED]
    for session in (sound, below[sound]):
        assert denied(desk, session, f"after {session}") == []
    assert begun(desk, CLERK) == "not_certified"


def test_a_keyed_agent_takes_up_an_offer_with_a_certificate_only() -> None:
    scout = credential.generate("agent", "scout")
    key = ("agents.toml", "[agents.scout]\n", f'[agents.scout]\nkey = "{scout.public}"\n')
    desk = Desk(keyed(key, HANDING))
    grant, receiver = desk.hand_on("scout")
    accept = desk.accepting(grant, receiver)
    assert desk.refused(accept, AGENT) == "not_certified"
    vouched = scout.certify(desk.core.store_id, receiver.public)
    certified_one = structs.replace(desk.accepting(grant, receiver), certificate=vouched)
    assert isinstance(desk.done(certified_one, AGENT), Opened)


def test_a_receiver_names_no_workload_but_the_givers_or_one_that_is_there() -> None:
    """Humans say which workload executes; an agent that could say it would be believed in reports
    of use, and by every policy that looks at executors."""
    desk = Desk(keyed(HANDING, OF_PORTAL))
    grant, receiver = desk.hand_on("scout")
    for executor in ("porter", "portal"):
        accept = desk.accepting(grant, receiver, executor)
        assert desk.refused(accept, AGENT) == ReasonCode.EXECUTOR_NOT_PROVEN
    accept = desk.accepting(grant, receiver, "portal")
    assert isinstance(desk.done(accept, proved(desk, PORTAL)), Opened)
    for executor in ("worker", ""):
        assert desk.taken_up(*desk.hand_on("scout"), executor)


def test_the_givers_workload_has_to_prove_itself_again_where_it_has_a_key() -> None:
    desk = Desk(keyed(ADDED, HANDING))
    grant, receiver = desk.hand_on("scout")
    accept = desk.accepting(grant, receiver, "worker")
    assert desk.refused(accept, AGENT) == ReasonCode.EXECUTOR_NOT_PROVEN
    again = desk.accepting(grant, receiver, "worker")
    assert isinstance(desk.done(again, proved(desk, WORKER)), Opened)


# --- what is shown and recorded ------------------------------------------------------------------


def test_each_change_is_on_record_and_the_books_agree(desk: Desk) -> None:
    ana = proved(desk, ANA)
    verb(desk, "add", WORKER_2, ana)
    verb(desk, "rotate", WORKER_3, ana, overlap_ms=MINUTE)
    verb(desk, "retire", WORKER_2, ana)
    leaves = desk.leaves("identity")[-3:]
    assert [leaf.ids["by"] for leaf in leaves] == ["ana"] * 3
    assert [leaf.ids["method"] for leaf in leaves] == [f"key:{ANA.fingerprint[:16]}"] * 3
    about = {"kind": "workload", "id": "worker"}
    bodies = [{k: v for k, v in leaf.body.items() if k != "rows"} for leaf in leaves]
    assert bodies[0] == {**about, "what": "key_add", "key": WORKER_2.fingerprint}
    ends = sorted([WORKER_2.fingerprint, WORKER.fingerprint])
    assert sorted(bodies[1].pop("ends")) == ends
    rotated = {**about, "what": "key_rotate", "key": WORKER_3.fingerprint, "overlap_ms": MINUTE}
    assert bodies[1] == rotated
    assert bodies[2] == {**about, "what": "key_retire", "key": WORKER_2.fingerprint}
    desk.verified()
    desk.witnessed()


def test_the_list_tells_each_keys_source_window_and_state(desk: Desk) -> None:
    ana = proved(desk, ANA)
    verb(desk, "rotate", WORKER_2, ana, overlap_ms=MINUTE)
    rows = {r["key"]: r for r in desk.rows(calls.Keys(kind="workload"))}
    assert set(rows) == {WORKER.public, WORKER_2.public, PORTAL.public}
    old, new = rows[WORKER.public], rows[WORKER_2.public]
    assert (old["source"], old["state"], old["until"]) == (
        "bundle", "ending", desk.clock.now() + MINUTE,
    )  # fmt: skip
    assert (new["source"], new["state"], new["until"], new["by"]) == (
        "registry",
        "active",
        0,
        "ana",
    )
    assert new["fingerprint"] == WORKER_2.fingerprint
    shown = desk.rows(calls.Agents(kind="workload", id="worker"))[0]
    assert {each["key"] for each in shown["keys"]} == {WORKER.public, WORKER_2.public}
    assert (shown["revoked"], shown["epoch"]) == (0, 0)
    assert {r["kind"] for r in desk.rows(calls.Keys())} == {"user", "workload"}
    assert desk.rows(calls.Keys(kind="workload", name="porter")) == []
    assert desk.refused(calls.Keys(kind="group")) == "usage"
    assert desk.refused(calls.Keys(kind="agent", name="nobody")) == "not_found"


def test_the_governors_own_key_rotates_by_an_operator_alone(desk: Desk) -> None:
    desk.done(calls.KeyVerb(verb="rotate", kind="governor"), proved(desk, ANA))
    (first,) = desk.rows(calls.Keys(kind="governor"))
    assert (first["state"], first["source"], first["name"]) == ("active", "registry", "")
    rotate = calls.KeyVerb(verb="rotate", kind="governor", overlap_ms=MINUTE)
    assert desk.refused(rotate, HUMAN) in ("key_needed", "who_are_you")
    assert desk.refused(structs.replace(rotate, as_user="cleo"), HUMAN) == "not_an_operator"
    desk.done(rotate, proved(desk, ANA))
    assert sorted(r["state"] for r in desk.rows(calls.Keys(kind="governor"))) == [
        "active",
        "ending",
    ]
    retire = calls.KeyVerb(verb="retire", kind="governor", key=first["fingerprint"])
    desk.done(retire, proved(desk, ANA))
    assert sorted(r["state"] for r in desk.rows(calls.Keys(kind="governor"))) == ["active", "ended"]


# --- a book of its own ---------------------------------------------------------------------------

POOL = [credential.generate("workload", "worker") for _ in range(6)]
FOREVER = 2**62


class Keyring(RuleBasedStateMachine):
    """Keys come, overlap, end and are revoked in any order; a plain book says which ones count."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(keyed(ADDED))
        self.ana = proved(self.desk, ANA)
        self.ends = {WORKER.public: FOREVER}
        self.dead: set[str] = set()

    def counting(self) -> set[str]:
        now = self.desk.clock.now()
        return {key for key, end in self.ends.items() if now < end} - self.dead

    @rule(key=st.sampled_from(POOL), overlap=st.sampled_from([0, 1, MINUTE, HOUR]))
    def rotate(self, key: Credential, overlap: int) -> None:
        before, now = self.counting(), self.desk.clock.now()
        reply = verb(self.desk, "rotate", key, self.ana, overlap_ms=overlap)
        if key.public in self.ends or key.public in self.dead:
            assert reply == "key_known"
            return
        for each in before:
            self.ends[each] = min(self.ends[each], now + overlap)
        self.ends[key.public] = FOREVER

    @rule(key=st.sampled_from(POOL))
    def add(self, key: Credential) -> None:
        reply = verb(self.desk, "add", key, self.ana)
        if key.public in self.ends or key.public in self.dead:
            assert reply == "key_known"
        else:
            self.ends[key.public] = FOREVER

    @rule(key=st.sampled_from([WORKER, *POOL]))
    def retire(self, key: Credential) -> None:
        counts = key.public in self.counting()
        reply = verb(self.desk, "retire", key, self.ana)
        assert (reply != "not_found") == counts
        if counts:
            self.ends[key.public] = self.desk.clock.now()

    @rule(key=st.sampled_from([WORKER, *POOL]))
    def revoke(self, key: Credential) -> None:
        revoke(self.desk, key.fingerprint)
        self.dead.add(key.public)

    @rule(ms=st.sampled_from([1, MINUTE - 1, MINUTE, HOUR]))
    def wait(self, ms: int) -> None:
        self.desk.later(ms)

    @invariant()
    def the_book_and_the_registry_agree(self) -> None:
        def look(turn: Any) -> tuple[set[str], set[str], bool]:
            listed = {key.key for key in identities.in_force(turn, "workload", "worker")}
            asked = {
                each.public
                for each in (WORKER, *POOL)
                if identities.counts(turn, "workload", "worker", each.fingerprint)
            }
            return listed, asked, identities.keyed(turn, "workload", "worker")

        listed, asked, needs_key = self.desk.core.write(look)
        assert listed == asked == self.counting()
        assert needs_key

    def teardown(self) -> None:
        self.desk.witnessed()


TestKeyring = Keyring.TestCase
