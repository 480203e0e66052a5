"""The kill switch and the registry: what is stopped, by whom, and who may let it go on."""

from pathlib import Path

import pytest

from bridle.bundle.load import load
from bridle.governor.governor import Governor
from bridle.model import calls
from bridle.model.calls import Caller, Judged, Opened
from bridle.model.record import SYSTEM_CHAIN
from governor.desk import ANYONE, FILES, Desk, changed, codes

SCOPES = [
    ("all", ""),
    ("tool", "note.read"),
    ("agent", "clerk"),
    ("mission", "own"),
]


def subject_of(desk: Desk, subject: str) -> str:
    return desk.mission if subject == "own" else subject


@pytest.mark.parametrize(("scope", "subject"), SCOPES)
def test_a_kill_stops_its_scope_and_lists_what_was_started(desk: Desk, scope, subject):
    running = desk.act("note.read", "a", id=1)
    waiting = desk.decide("note.read", "b", id=1)
    kill = calls.Kill(scope=scope, subject=subject_of(desk, subject), as_user="ana", reason="why")
    assert [row["id"] for row in desk.rows(kill)] == [running.attempt]
    assert codes(desk.act("note.read", "c", id=1)) == ["killed"]
    assert codes(desk.begin(waiting.action)) == ["killed"]
    assert len(desk.leaves("started")) == 1
    leaf = desk.leaves("kill")[-1]
    assert (leaf.chain, leaf.ids["by"]) == (SYSTEM_CHAIN, "ana")
    assert leaf.body == {"what": "kill", "scope": f"{scope}:{subject_of(desk, subject)}"}
    assert desk.opened_leaf(desk.leaves().index(leaf)) == {"reason": "why"}
    assert desk.leaves("decision")[-1].ids["epoch"] == "2"
    # What has started may end.
    assert desk.observe(running.attempt, '{"body":"b"}').effect == "allow"


@pytest.mark.parametrize(
    ("scope", "subject"), [("tool", "note.write"), ("agent", "scout"), ("mission", "other")]
)
def test_a_kill_leaves_everything_else_alone(desk: Desk, scope, subject):
    desk.act("note.read", "a", id=1)
    target = desk.start_mission() if subject == "other" else subject
    assert desk.rows(calls.Kill(scope=scope, subject=target, as_user="ana")) == []
    assert desk.act("note.read", "b", id=1).attempt


@pytest.mark.parametrize(("scope", "subject"), SCOPES)
def test_another_operator_has_to_lift_a_kill(desk: Desk, scope, subject):
    target = subject_of(desk, subject)
    desk.done(calls.Kill(scope=scope, subject=target, as_user="ana"))
    lift = calls.Unkill(scope=scope, subject=target, as_user="ana")
    assert desk.refused(lift) == "same_human"
    # Pulling it again makes nobody else the one who pulled it.
    desk.done(calls.Kill(scope=scope, subject=target, as_user="ben"))
    assert desk.refused(lift) == "same_human"
    desk.done(calls.Unkill(scope=scope, subject=target, as_user="ben"))
    assert desk.act("note.read", "a", id=1).attempt
    assert desk.refused(calls.Unkill(scope=scope, subject=target, as_user="ben")) == "not_found"
    assert desk.core.write(lambda turn: turn.globals.kills) == 0
    whats = [leaf.body["what"] for leaf in desk.leaves("kill")]
    assert whats == ["kill", "kill", "resume"]


def test_two_kills_are_lifted_one_by_one(desk: Desk):
    desk.done(calls.Kill(scope="all", as_user="ana"))
    desk.done(calls.Kill(scope="agent", subject="clerk", as_user="ana"))
    desk.done(calls.Unkill(scope="all", as_user="ben"))
    assert codes(desk.act("note.read", "a", id=1)) == ["killed"]
    assert [k["id"] for k in desk.rows(calls.Status())[0]["kills"]] == ["agent:clerk"]
    desk.done(calls.Unkill(scope="agent", subject="clerk", as_user="ben"))
    assert desk.act("note.read", "a", id=1).attempt


@pytest.mark.parametrize(
    ("scope", "subject", "code"),
    [
        ("all", "clerk", "usage"),
        ("agent", "", "usage"),
        ("user", "ana", "usage"),
        ("agent", "stranger", "not_found"),
        ("tool", "no.such", "not_found"),
        ("mission", "mis_0", "not_found"),
    ],
)
def test_a_kill_of_nothing_is_refused(desk: Desk, scope, subject, code):
    assert desk.refused(calls.Kill(scope=scope, subject=subject, as_user="ana")) == code


@pytest.mark.parametrize("user", ["cleo", "mallory", ""])
def test_who_is_no_operator_kills_lifts_suspends_and_settles_nothing(desk: Desk, user):
    refusals = {"not_an_operator", "unknown_user", "who_are_you"}
    assert desk.refused(calls.Kill(scope="all", as_user=user)) in refusals
    assert desk.refused(calls.Unkill(scope="all", as_user=user)) in refusals
    verb = calls.IdentityVerb(kind="agent", id="clerk", verb="suspend", as_user=user)
    assert desk.refused(verb) in refusals


def test_a_kill_lists_every_started_attempt_however_many(desk: Desk):
    session = desk.session()
    started = {desk.act("note.read", f"k{n}", session=session, id=n).attempt for n in range(1_000)}
    rows = desk.rows(calls.Kill(scope="all", as_user="ana"))
    assert {row["id"] for row in rows} == started
    assert len(started) == 1_000


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(("scope", "subject"), SCOPES)
def test_a_kill_survives_the_governor(tmp_path: Path, scope, subject):
    root, state = written(tmp_path / "bundle", FILES), tmp_path / "state"
    governor = Governor.open(root, state=state, embedded=True)
    mission = governor.handle(ANYONE, calls.StartMission(template="office", user="ana"))
    assert isinstance(mission, Opened)
    session = governor.handle(ANYONE, calls.OpenSession(mission=mission.id, agent="clerk"))
    assert isinstance(session, Opened)
    target = mission.id if subject == "own" else subject
    governor.handle(ANYONE, calls.Kill(scope=scope, subject=target, as_user="ana"))
    governor.close()
    again = Governor.open(root, state=state, embedded=True)
    call = calls.Decide(session=session.id, tool="note.read", args='{"id":1}', key="k")
    reply = again.handle(Caller(operator=False, method="embedded"), call)
    assert isinstance(reply, Judged)
    assert codes(reply.verdict) == ["killed"]
    lift = calls.Unkill(scope=scope, subject=target, as_user="ben")
    assert isinstance(again.handle(ANYONE, lift), calls.Done)
    reply = again.handle(ANYONE, call)
    assert isinstance(reply, Judged)
    assert reply.verdict.effect == "allow"
    again.close()
    assert load(root).digest == reply.verdict.bundle


@pytest.mark.parametrize(("kind", "name"), [("agent", "clerk"), ("workload", "worker"),
                                            ("user", "cleo")])  # fmt: skip
@pytest.mark.parametrize("verb", ["suspend", "retire"])
def test_a_suspended_or_retired_identity_acts_no_more(desk: Desk, kind, name, verb):
    mission = desk.start_mission(user="cleo")
    session = desk.opened(mission=mission)
    desk.done(calls.IdentityVerb(kind=kind, id=name, verb=verb, as_user="ana"))
    assert codes(desk.decide("note.read", "a", session=session, id=1)) == ["suspended"]
    assert desk.refused(calls.OpenSession(mission=mission, agent="clerk", executor="worker")) == (
        "suspended")  # fmt: skip
    row = next(r for r in desk.rows(calls.Agents(kind=kind)) if r["id"] == name)
    assert row["status"] == {"suspend": "suspended", "retire": "retired"}[verb]
    back = calls.IdentityVerb(kind=kind, id=name, verb="resume", as_user="ben")
    if verb == "retire":
        assert desk.refused(back) == "retired"
        return
    desk.done(back)
    assert desk.decide("note.read", "a", session=session, id=1).effect == "allow"
    leaf = desk.leaves("identity")[-1]
    assert (leaf.ids["by"], leaf.body["what"]) == ("ben", "resume")


def test_suspending_twice_is_lifted_once(desk: Desk):
    for _ in range(2):
        desk.done(calls.IdentityVerb(kind="agent", id="clerk", verb="suspend", as_user="ana"))
    desk.done(calls.IdentityVerb(kind="agent", id="clerk", verb="resume", as_user="ana"))
    assert desk.core.write(lambda turn: turn.globals.suspended) == 0
    assert desk.act("note.read", "a", id=1).attempt


@pytest.mark.parametrize("verb", ["suspend", "retire"])
def test_the_last_operator_stays(desk: Desk, verb):
    desk.done(calls.IdentityVerb(kind="user", id="ben", verb=verb, as_user="ana"))
    own = calls.IdentityVerb(kind="user", id="ana", verb=verb, as_user="ana")
    assert desk.refused(own) == "last_operator"
    ben = calls.IdentityVerb(kind="user", id="ana", verb=verb, as_user="ben")
    assert desk.refused(ben) == "suspended"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"kind": "agent", "id": "stranger", "verb": "suspend"}, "not_found"),
        ({"kind": "robot", "id": "clerk", "verb": "suspend"}, "usage"),
        ({"kind": "agent", "id": "clerk", "verb": "explode"}, "usage"),
    ],
)
def test_the_registry_knows_declared_identities_and_three_verbs(desk: Desk, given, code):
    assert desk.refused(calls.IdentityVerb(**given, as_user="ana")) == code


def test_without_named_operators_every_declared_user_may_operate():
    desk = Desk(changed(("bridle.toml", 'operators = ["ana", "ben"]', "operators = []")))
    desk.done(calls.Kill(scope="all", as_user="dora"))
    desk.done(calls.Unkill(scope="all", as_user="dora"))
    desk.verified()
