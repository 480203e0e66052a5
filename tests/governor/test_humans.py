"""Who is the human: a user with a key acts only over a connection that proved it."""

from collections.abc import Callable

import pytest
from msgspec import structs

from bridle.model import calls, public_key
from bridle.model.calls import Caller, Failed
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.trust import credential
from bridle.trust.proof import Challenge
from governor.desk import ANYONE, FILES, SECOND, Desk, changed
from governor.proving import ANA, BEN, CLEO, HUMAN, PORTAL, SERVICE, answered, keyed, proved


@pytest.fixture
def desk() -> Desk:
    return Desk(keyed())


def lost_attempt(desk: Desk) -> str:
    """An attempt nobody heard of again."""
    attempt = desk.act("note.write", "n", text="x")
    desk.later(31 * SECOND)
    assert attempt.attempt
    return attempt.attempt


# Where a record names the human who acted: approvals name them as `user`.
BY = ("by", "user")

Ask = Callable[[Desk, str], calls.Call]

# What raises authority or speaks for somebody, as a user.
RAISING: dict[str, Ask] = {
    "approve": lambda d, who: calls.Answer(approval=held(d), approve=True, as_user=who),
    "deny": lambda d, who: calls.Answer(approval=held(d), approve=False, as_user=who),
    "lift a kill": lambda d, who: calls.Unkill(scope="tool", subject=killed(d), as_user=who),
    "resume a mission": lambda d, who: calls.MissionVerb(
        mission=suspended(d), verb="resume", as_user=who
    ),
    "resume an agent": lambda d, who: calls.IdentityVerb(
        kind="agent", id="scout", verb="resume", as_user=who
    ),
    "retire an agent": lambda d, who: calls.IdentityVerb(
        kind="agent", id="scout", verb="retire", as_user=who
    ),
    "settle": lambda d, who: calls.Settle(
        attempt=lost_attempt(d), outcome=Outcome(OutcomeKind.NOT_STARTED), as_user=who
    ),
    "start a mission": lambda d, who: calls.StartMission(template="office", user=who),
    "add a prompt": lambda d, who: calls.AddPrompt(mission=d.mission, user=who, prompt="more"),
    "open a session": lambda d, who: calls.OpenSession(
        mission=d.mission, agent="clerk", as_user=who
    ),
}
# What only takes authority away.
LOWERING: dict[str, Ask] = {
    "kill": lambda d, who: calls.Kill(scope="all", as_user=who),
    "suspend a mission": lambda d, who: calls.MissionVerb(
        mission=d.mission, verb="suspend", as_user=who
    ),
    "close a mission": lambda d, who: calls.MissionVerb(
        mission=d.mission, verb="close", as_user=who
    ),
    "end an exception": lambda d, who: calls.EndException(exception=excepted(d), as_user=who),
    "suspend an agent": lambda d, who: calls.IdentityVerb(
        kind="agent", id="scout", verb="suspend", as_user=who
    ),
}


def held(desk: Desk) -> str:
    approval = desk.decide("bank.pay", "p", amount=60).approval
    assert approval
    return approval


def excepted(desk: Desk) -> str:
    """An exception that ben granted."""
    vote = calls.Answer(
        approval=held(desk), approve=True, as_user="ben", terms=calls.Terms(count=2)
    )
    desk.done(vote)
    return desk.rows(calls.Exceptions())[0]["id"]


def killed(desk: Desk) -> str:
    desk.done(calls.Kill(scope="tool", subject="bell.ring", as_user="ana"))
    return "bell.ring"


def suspended(desk: Desk) -> str:
    desk.done(calls.MissionVerb(mission=desk.mission, verb="suspend", as_user="ana"))
    return desk.mission


@pytest.mark.parametrize("what", RAISING)
def test_nobody_takes_a_keyed_users_name_without_the_key(desk: Desk, what: str) -> None:
    call = RAISING[what](desk, "ben")
    before = len(desk.leaves())
    reply = desk.ask(call, HUMAN)
    assert isinstance(reply, Failed)
    assert reply.code == "key_needed"
    assert reply.about == {"user": "ben", "key": public_key.fingerprint(BEN.public)}
    assert reply.hint
    assert len(desk.leaves()) == before


@pytest.mark.parametrize("what", RAISING)
def test_a_proved_user_acts_as_themselves_with_and_without_saying_so(what: str) -> None:
    for named in ("ben", ""):
        if what in ("start a mission", "add a prompt") and not named:
            continue
        desk = Desk(keyed())
        call = RAISING[what](desk, named)
        desk.done(call, proved(desk, BEN))
        last = [leaf for leaf in desk.leaves() if "ben" in (leaf.ids.get(n) for n in BY)][-1]
        assert last.ids["method"] == f"key:{BEN.fingerprint[:16]}"


@pytest.mark.parametrize("what", [*RAISING, *LOWERING])
def test_a_proved_user_is_nobody_else_not_even_one_without_a_key(desk: Desk, what: str) -> None:
    call = {**RAISING, **LOWERING}[what](desk, "ana")
    named = "user" if hasattr(call, "user") else "as_user"
    for other in ("ana", "cleo"):
        posing = structs.replace(call, **{named: other})
        assert desk.refused(posing, proved(desk, BEN)) == "not_you"


@pytest.mark.parametrize("what", LOWERING)
def test_stopping_never_waits_for_a_key(desk: Desk, what: str) -> None:
    desk.done(LOWERING[what](desk, "ben"), HUMAN)
    last = [leaf for leaf in desk.leaves() if leaf.ids.get("by") == "ben"][-1]
    assert last.ids["method"] == "peer:1000"


@pytest.mark.parametrize("what", RAISING)
def test_a_user_without_a_key_acts_on_the_connections_word(what: str) -> None:
    desk = Desk(FILES)
    desk.done(RAISING[what](desk, "ben"), HUMAN)


def test_where_keys_are_required_a_user_without_one_does_nothing_but_stop() -> None:
    all_ = {"ana": ANA, "ben": BEN, "cleo": CLEO, "dora": credential.generate("user", "dora")}
    desk = Desk(
        keyed(
            ("bridle.toml", "[limits]", "[oversight]\nrequire_keys = true\n[limits]"),
            ("agents.toml", "", "[users.eve]\n"),
            **all_,
        )
    )
    reply = desk.ask(calls.StartMission(template="office", user="eve"), HUMAN)
    assert isinstance(reply, Failed)
    assert (reply.code, reply.about) == ("key_needed", {"user": "eve", "key": ""})


@pytest.mark.parametrize("what", RAISING)
def test_offline_judging_needs_no_key(desk: Desk, what: str) -> None:
    desk.done(RAISING[what](desk, "ben"), ANYONE)


# --- logging in ----------------------------------------------------------------------------------


def refusal(desk: Desk, who: credential.Credential, caller: Caller = HUMAN) -> str:
    found = answered(desk, who, caller)
    assert isinstance(found, Failed)
    assert found.message
    return found.code


def test_a_login_says_on_every_later_record_by_which_key(desk: Desk) -> None:
    caller = proved(desk, BEN)
    assert caller == structs.replace(
        HUMAN, user="ben", key=BEN.fingerprint, method=f"key:{BEN.fingerprint[:16]}"
    )


def test_only_the_key_of_the_bundle_in_force_proves_anything(desk: Desk) -> None:
    for who in (
        credential.generate("user", "ben"),
        credential.generate("user", "dora"),
        credential.generate("user", "nobody"),
        credential.generate("user", ""),
        credential.generate("user", "\ud800"),
    ):
        assert refusal(desk, who) == "not_proven"
    for who in (
        credential.generate("workload", "portal"),
        credential.generate("workload", "worker"),
    ):
        assert refusal(desk, who, SERVICE) == "not_proven"


def test_bens_key_does_not_prove_ana(desk: Desk) -> None:
    posing = credential.Credential("user", "ana", BEN._private)
    assert refusal(desk, posing) == "not_proven"


def test_anas_public_key_alone_proves_nothing(desk: Desk) -> None:
    challenge = Challenge(store="s", nonce="5a" * 32, role="operator")
    login = structs.replace(BEN.login(challenge), name="ana", key=ANA.public)
    assert desk.governor.login(HUMAN, login, challenge).code == "not_proven"


def test_a_proof_for_another_connection_store_or_socket_proves_nothing(desk: Desk) -> None:
    mine = Challenge(store="s", nonce="5a" * 32, role="operator")
    for other in (
        structs.replace(mine, nonce="5b" * 32),
        structs.replace(mine, store="t"),
        structs.replace(mine, role="agent"),
    ):
        assert desk.governor.login(HUMAN, BEN.login(other), mine).code == "not_proven"


def test_users_and_workloads_each_have_their_socket(desk: Desk) -> None:
    assert refusal(desk, BEN, SERVICE) == "login_role"
    assert refusal(desk, PORTAL, HUMAN) == "login_role"
    assert refusal(desk, credential.generate("agent", "clerk"), HUMAN) == "login_role"


def test_who_is_suspended_does_not_get_in(desk: Desk) -> None:
    desk.done(calls.IdentityVerb(kind="user", id="ben", verb="suspend", as_user="ana"))
    desk.done(calls.IdentityVerb(kind="workload", id="portal", verb="suspend", as_user="ana"))
    assert refusal(desk, BEN) == "suspended"
    assert refusal(desk, PORTAL, SERVICE) == "suspended"


# --- and staying ---------------------------------------------------------------------------------

ANY_CALL = [
    calls.Status(),
    calls.Missions(),
    calls.Kill(scope="all"),
    calls.StartMission(template="office", user="ben"),
]


@pytest.mark.parametrize("call", ANY_CALL, ids=lambda call: type(call).__name__)
@pytest.mark.parametrize(
    ("files", "code"),
    [
        (keyed(ana=ANA, ben=CLEO), "key_changed"),
        (keyed(ana=ANA), "key_changed"),
        (
            keyed(
                ("agents.toml", "[users.cleo]", "[users.cleo]\n# other"),
            ),
            "",
        ),
    ],
    ids=["another key", "no key", "another change"],
)
def test_a_key_counts_as_long_as_the_bundle_in_force_names_it(
    desk: Desk, call: calls.Call, files: dict[str, str], code: str
) -> None:
    caller = proved(desk, BEN)
    desk.activate(files)
    reply = desk.ask(call, caller)
    assert (reply.code if isinstance(reply, Failed) else "") == code


@pytest.mark.parametrize("call", ANY_CALL, ids=lambda call: type(call).__name__)
@pytest.mark.parametrize("verb", ["suspend", "retire"])
def test_who_is_suspended_after_the_login_does_nothing_more(
    desk: Desk, call: calls.Call, verb: str
) -> None:
    caller = proved(desk, BEN)
    desk.done(calls.IdentityVerb(kind="user", id="ben", verb=verb, as_user="ana"))
    assert desk.refused(call, caller) == "suspended"


def test_a_key_changes_by_activation_and_the_new_one_counts_at_once(desk: Desk) -> None:
    new = credential.generate("user", "ben")
    old = proved(desk, BEN)
    desk.activate(keyed(ana=ANA, ben=new))
    vote = calls.Answer(approval=held(desk), approve=True)
    assert desk.refused(vote, old) == "key_changed"
    assert refusal(desk, BEN) == "not_proven"
    desk.done(vote, proved(desk, new))


def test_an_agents_calls_go_on_without_a_proof_that_lapsed(desk: Desk) -> None:
    """They never needed one, and an outcome must not be lost for want of it."""
    caller = proved(desk, PORTAL)
    session = desk.session()

    def seen() -> Caller:
        return desk.core.write(lambda turn: turn.caller, caller=caller)

    assert seen().workload == "portal"
    desk.done(calls.IdentityVerb(kind="workload", id="portal", verb="suspend", as_user="ana"))
    assert seen() == SERVICE
    reply = desk.ask(
        calls.Decide(session=session, tool="note.read", args='{"id":1}', key="k", start=True),
        caller,
    )
    assert isinstance(reply, calls.Judged)
    assert reply.verdict.attempt


# --- workloads that speak for users --------------------------------------------------------------


def test_a_workload_starts_missions_for_users_and_the_record_says_who_spoke(desk: Desk) -> None:
    portal = proved(desk, PORTAL)
    for user in ("ana", "cleo"):
        reply = desk.done(calls.StartMission(template="office", user=user, prompt="hello"), portal)
        assert isinstance(reply, calls.Opened)
        desk.done(calls.AddPrompt(mission=reply.id, user=user, prompt="and"), portal)
        session = desk.done(calls.OpenSession(mission=reply.id, agent="clerk"), portal)
        assert isinstance(session, calls.Opened)
        assert session.id.startswith("ses_")
        row = desk.rows(calls.Missions(mission=reply.id))[0]
        assert (row["user"], row["method"], row["prompt_trusted"]) == (
            user, "workload:portal", True,
        )  # fmt: skip
        told = [leaf for leaf in desk.leaves("mission") if leaf.chain == reply.id]
        assert [leaf.body["what"] for leaf in told] == ["start", "prompt", "open_session"]
        assert {leaf.ids["method"] for leaf in told} == {"workload:portal"}
        assert [leaf.body.get("trusted") for leaf in told] == [True, True, None]


@pytest.mark.parametrize(
    "call",
    [
        calls.Kill(scope="all", as_user="ana"),
        calls.Status(),
        calls.Approvals(),
        calls.Activate(digest="d", as_user="ana"),
        calls.CloseSession(session="ses_x"),
        calls.MissionVerb(mission="m", verb="suspend"),
        calls.Answer(approval="a", approve=True, as_user="ana"),
        calls.IdentityVerb(kind="agent", id="clerk", verb="resume", as_user="ana"),
    ],
    ids=lambda call: type(call).__name__,
)
def test_a_workload_is_no_operator(desk: Desk, call: calls.Call) -> None:
    assert desk.refused(call, proved(desk, PORTAL)) == "operator_only"


def test_a_workload_that_may_not_speak_for_users_does_not(desk: Desk) -> None:
    desk = Desk(keyed(("agents.toml", "may_assert_user = true", "may_assert_user = false")))
    portal = proved(desk, PORTAL)
    for call in assertions(desk):
        assert desk.refused(call, portal) == "may_not_assert"


def assertions(desk: Desk) -> list[calls.Call]:
    return [
        calls.StartMission(template="office", user="ana"),
        calls.AddPrompt(mission=desk.mission, user="ana", prompt="x"),
        calls.OpenSession(mission=desk.mission, agent="clerk"),
    ]


def test_nobody_speaks_for_users_by_claiming_to_be_that_workload(desk: Desk) -> None:
    for call in assertions(desk):
        assert desk.refused(call, SERVICE) == "operator_only"
        # As a caller would look whose proof was of a key that the bundle does not name.
        posing = structs.replace(SERVICE, workload="portal", key=BEN.fingerprint)
        assert desk.refused(call, posing) == "key_changed"
        unproved = structs.replace(SERVICE, workload="portal")
        assert desk.refused(call, structs.replace(unproved, workload="worker")) == "may_not_assert"


def test_a_workload_loses_its_say_with_its_key_or_its_status(desk: Desk) -> None:
    portal = proved(desk, PORTAL)
    desk.done(calls.IdentityVerb(kind="workload", id="portal", verb="suspend", as_user="ana"))
    for call in assertions(desk):
        assert desk.refused(call, portal) == "suspended"
    desk.done(calls.IdentityVerb(kind="workload", id="portal", verb="resume", as_user="ana"))
    desk.activate(keyed(("agents.toml", "may_assert_user = true", "")))
    for call in assertions(desk):
        assert desk.refused(call, portal) == "may_not_assert"


def test_a_workload_speaks_for_declared_active_users_only(desk: Desk) -> None:
    portal = proved(desk, PORTAL)
    desk.done(calls.IdentityVerb(kind="user", id="dora", verb="suspend", as_user="ana"))
    for user, code in (("", "unknown_user"), ("zoe", "unknown_user"), ("dora", "suspended")):
        assert desk.refused(calls.StartMission(template="office", user=user), portal) == code


def test_a_workload_opens_sessions_as_the_missions_own_user_only(desk: Desk) -> None:
    portal = proved(desk, PORTAL)
    call = calls.OpenSession(mission=desk.mission, agent="clerk", as_user="ben")
    assert desk.refused(call, portal) == "not_you"
    desk.done(structs.replace(call, as_user="ana"), portal)


def test_governance_still_decides_whom_a_workload_may_speak_for() -> None:
    rules = (
        '@id("all") permit (principal, action, resource);\n'
        '@id("no-cleo") forbid'
        ' (principal == User::"cleo", action == Action::"start_mission", resource);'
    )
    desk = Desk(keyed(("governance/rules.dw", "", rules)))
    portal = proved(desk, PORTAL)
    desk.done(calls.StartMission(template="office", user="ana"), portal)
    refused = desk.refused(calls.StartMission(template="office", user="cleo"), portal)
    assert refused == "governance_denied"


def test_what_a_workload_says_where_it_acts_as_an_agent_is_not_the_users_word(desk: Desk) -> None:
    acting = structs.replace(proved(desk, PORTAL), acted=True)
    reply = desk.done(calls.StartMission(template="office", user="ana", prompt="x"), acting)
    assert isinstance(reply, calls.Opened)
    assert desk.rows(calls.Missions(mission=reply.id))[0]["prompt_trusted"] is False
    # And it spoils what the user said in a mission of their own.
    desk.done(calls.AddPrompt(mission=desk.mission, user="ana", prompt="x"), acting)
    assert desk.rows(calls.Missions(mission=desk.mission))[0]["prompt_trusted"] is False
    assert [leaf.body["trusted"] for leaf in desk.leaves("mission") if "trusted" in leaf.body] == [
        False, True, False,
    ]  # fmt: skip


def test_trust_never_comes_back_by_a_later_prompt(desk: Desk) -> None:
    portal = proved(desk, PORTAL)
    acting = structs.replace(portal, acted=True)
    desk.done(calls.AddPrompt(mission=desk.mission, user="ana", prompt="x"), acting)
    desk.done(calls.AddPrompt(mission=desk.mission, user="ana", prompt="y"), portal)
    assert desk.rows(calls.Missions(mission=desk.mission))[0]["prompt_trusted"] is False


def test_a_workload_that_acts_afterwards_takes_its_word_back_on_record(desk: Desk) -> None:
    portal = proved(desk, PORTAL)
    started = [
        desk.done(calls.StartMission(template="office", user="ana"), portal).id for _ in range(2)
    ]
    desk.governor.distrust(portal, (*started, "mis_unknown"))
    desk.governor.distrust(portal, tuple(started))
    for mission in started:
        assert desk.rows(calls.Missions(mission=mission))[0]["prompt_trusted"] is False
        told = [leaf for leaf in desk.leaves("mission") if leaf.chain == mission]
        assert [leaf.body["what"] for leaf in told] == ["start", "distrust"]
        assert told[-1].ids["method"] == "workload:portal"
    desk.verified()


def test_two_humans_with_keys_are_two_humans() -> None:
    """n-of-m binds more than honest people once the members have keys."""
    desk = Desk(changed(*_keys(ben=BEN, cleo=CLEO)))
    hold = desk.decide("safe.open", "s", id=1).approval
    ben, cleo = proved(desk, BEN), proved(desk, CLEO)
    assert desk.done(calls.Answer(approval=hold, approve=True), ben).note == "pending"
    assert desk.refused(calls.Answer(approval=hold, approve=True, as_user="cleo"), ben) == "not_you"
    keyless = calls.Answer(approval=hold, approve=True, as_user="cleo")
    assert desk.refused(keyless, HUMAN) == "key_needed"
    assert desk.done(calls.Answer(approval=hold, approve=True), cleo).note == "approved"


def _keys(**keys: credential.Credential) -> list[tuple[str, str, str]]:
    return [
        ("agents.toml", f"[users.{name}]\n", f'[users.{name}]\nkey = "{each.public}"\n')
        for name, each in keys.items()
    ]


def test_a_session_is_not_closed_in_somebody_elses_name(desk: Desk) -> None:
    handle = desk.opened()
    for as_user, caller, code in (
        ("nobody", HUMAN, "unknown_user"),
        ("ana", proved(desk, BEN), "not_you"),
    ):
        assert desk.refused(calls.CloseSession(session=handle, as_user=as_user), caller) == code
    desk.done(calls.CloseSession(session=handle), proved(desk, BEN))
    assert desk.leaves("mission")[-1].ids["by"] == "ben"


def test_the_record_of_an_action_names_the_workload_that_proved_to_carry_it_out(
    desk: Desk,
) -> None:
    session = desk.session()
    for key, caller in (("a", proved(desk, PORTAL)), ("b", SERVICE)):
        desk.ask(calls.Decide(session=session, tool="note.read", args='{"id":1}', key=key), caller)
    first, second = desk.leaves("decision")
    assert first.ids["proved"] == f"portal key:{PORTAL.fingerprint[:16]}"
    assert "proved" not in second.ids


def test_who_granted_an_exception_ends_it_with_their_key_and_without_saying_so(desk: Desk) -> None:
    exception = excepted(desk)
    desk.done(calls.EndException(exception=exception), proved(desk, BEN))
    assert desk.rows(calls.Exceptions(all=True))[0]["status"] != "active"


def test_a_login_that_names_another_key_than_it_signed_with_proves_nothing(desk: Desk) -> None:
    challenge = Challenge(store="s", nonce="5a" * 32, role="operator")
    login = structs.replace(BEN.login(challenge), key=ANA.public)
    assert desk.governor.login(HUMAN, login, challenge).code == "not_proven"
