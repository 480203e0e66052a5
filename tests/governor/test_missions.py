"""Missions and sessions: who may start, feed, stop and end them, and what is on record of it."""

import pytest

from bridle.model import calls
from governor.desk import ANYONE, FILES, HOUR, Desk, changed, codes

GOVERNED = changed(
    (
        "governance/missions.dw",
        "",
        """@id("ana-starts")
permit (principal == User::"ana", action == Action::"start_mission", resource);
@id("ana-and-ben-prompt") permit (principal, action == Action::"add_prompt", resource)
when { principal == User::"ana" || principal == User::"ben" };
@id("no-reading") @reason("reading is suspended")
forbid (principal, action == Action::"start_mission", resource)
when { context.mission.template == "reading" };
""",
    )
)


def test_governance_alone_decides_who_starts_and_prompts():
    desk = Desk(GOVERNED)
    mission = desk.start_mission(user="ana")
    assert desk.refused(calls.StartMission(template="office", user="ben")) == "governance_denied"
    assert desk.refused(calls.StartMission(template="reading", user="ana")) == "governance_denied"
    desk.done(calls.AddPrompt(mission=mission, user="ben", prompt="hurry"))
    late = calls.AddPrompt(mission=mission, user="cleo", prompt="hurry")
    assert desk.refused(late) == "governance_denied"
    assert [leaf.body["what"] for leaf in desk.leaves("mission")] == ["start", "prompt"]
    desk.verified()


def test_a_mission_starts_on_record_with_its_prompt_sealed(desk: Desk):
    mission = desk.start_mission(user="cleo", prompt="pay the baker")
    leaf = desk.leaves("mission")[-1]
    assert (leaf.chain, leaf.seq) == (mission, 0)
    assert (leaf.ids["user"], leaf.ids["by"]) == ("cleo", "cleo")
    assert leaf.body == {"what": "start", "template": "office", "trusted": True}
    index = len(desk.leaves()) - 1
    assert desk.opened_leaf(index) == {"prompt": "pay the baker"}


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (calls.StartMission(template="holiday", user="ana"), "not_found"),
        (calls.StartMission(template="office", user="mallory"), "unknown_user"),
        (calls.StartMission(template="office", user=""), "who_are_you"),
        (calls.OpenSession(mission="mis_0", agent="clerk"), "not_found"),
        (calls.AddPrompt(mission="mis_0", user="ana", prompt=""), "not_found"),
        (calls.MissionVerb(mission="mis_0", verb="close"), "not_found"),
        (calls.Missions(mission="mis_0"), "not_found"),
    ],
)
def test_what_does_not_exist_is_said_to_be_missing(desk: Desk, call, code):
    assert desk.refused(call) == code


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"agent": "stranger"}, "out_of_mission"),
        ({"agent": "clerk", "executor": "nobody"}, "unknown_workload"),
        ({"agent": "clerk", "as_user": "cleo"}, "not_an_operator"),
        ({"agent": "clerk", "as_user": "mallory"}, "unknown_user"),
    ],
)
def test_a_session_is_opened_by_owner_or_operator_for_an_agent_of_the_mission(desk, given, code):
    assert desk.refused(calls.OpenSession(mission=desk.mission, **given)) == code


def test_an_operator_may_open_a_session_in_anothers_mission(desk: Desk):
    mission = desk.start_mission(user="cleo")
    desk.done(calls.OpenSession(mission=mission, agent="clerk"))
    assert desk.leaves("mission")[-1].ids["by"] == "cleo"
    desk.done(calls.OpenSession(mission=mission, agent="clerk", as_user="ben"))
    assert desk.leaves("mission")[-1].ids["by"] == "ben"


def test_an_agent_connection_does_nothing_an_operator_does(desk: Desk):
    from governor.desk import AGENT

    for call in (
        calls.StartMission(template="office", user="ana"),
        calls.OpenSession(mission=desk.mission, agent="clerk"),
        calls.Missions(),
        calls.Status(),
        calls.Kill(scope="all", as_user="ana"),
        calls.Activate(digest="0"),
        calls.CloseSession(session=desk.session()),
    ):
        assert desk.refused(call, AGENT) == "operator_only"


def test_an_expired_mission_acts_no_more(desk: Desk):
    session = desk.session()
    running = desk.act("note.write", "a", text="x")
    desk.later(8 * HOUR, tick=False)
    assert codes(desk.act("note.read", "b", id=7)) == ["expired"]
    assert (
        desk.refused(calls.OpenSession(mission=desk.mission, agent="clerk")) == "mission_not_active"
    )
    late = calls.AddPrompt(mission=desk.mission, user="ana", prompt="on!")
    assert desk.refused(late) == "mission_not_active"
    desk.governor.tick()
    assert desk.leaves("mission")[-1].body["what"] == "expire"
    assert codes(desk.act("note.read", "c", id=7)) == ["expired"]
    # What ran is settled all the same.
    assert desk.observe(running.attempt, "ok", session).effect == "allow"
    assert desk.refused(calls.MissionVerb(mission=desk.mission, verb="resume")) == "mission_state"


def test_a_suspended_mission_expires_too(desk: Desk):
    desk.done(calls.MissionVerb(mission=desk.mission, verb="suspend"))
    desk.later(8 * HOUR)
    assert desk.rows(calls.Missions())[0]["status"] == "expired"


def test_suspend_resume_and_close(desk: Desk):
    verb = lambda name: calls.MissionVerb(mission=desk.mission, verb=name)  # noqa: E731
    assert desk.act("note.read", "a", id=1).attempt
    desk.done(verb("suspend"))
    assert codes(desk.act("note.read", "b", id=1)) == ["mission_not_active"]
    assert desk.refused(verb("suspend")) == "mission_state"
    desk.done(verb("resume"))
    assert desk.act("note.read", "b", id=1).attempt
    assert desk.refused(verb("resume")) == "mission_state"
    desk.done(verb("close"))
    assert codes(desk.act("note.read", "c", id=1)) == ["mission_not_active"]
    for name in ("close", "resume", "suspend", "explode"):
        assert desk.refused(verb(name)) == "mission_state"
    changes = [leaf.body["what"] for leaf in desk.leaves("mission")]
    assert changes == ["start", "open_session", "suspend", "resume", "close"]


def test_only_the_owner_or_an_operator_changes_a_mission(desk: Desk):
    mission = desk.start_mission(user="cleo")
    stranger = calls.MissionVerb(mission=mission, verb="suspend", as_user="dora")
    assert desk.refused(stranger) == "not_an_operator"
    desk.done(calls.MissionVerb(mission=mission, verb="suspend", as_user="ben"))
    desk.done(calls.MissionVerb(mission=mission, verb="resume", as_user="cleo"))
    assert [leaf.ids["by"] for leaf in desk.leaves("mission")][-2:] == ["ben", "cleo"]


def test_a_template_that_is_gone_leaves_nothing_in_scope(desk: Desk):
    desk.session()
    files = {**FILES, "missions.toml": FILES["missions.toml"].replace("office", "bureau")}
    files["bridle.toml"] = files["bridle.toml"].replace('"office"', '"bureau"')
    desk.activate(files)
    assert codes(desk.act("note.read", "a", id=1)) == ["out_of_mission"]
    assert desk.refused(calls.OpenSession(mission=desk.mission, agent="scout")) == "not_found"


def test_one_mission_is_shown_with_what_is_open_in_it(desk: Desk):
    started = desk.act("note.read", "a", id=1)
    desk.decide("bank.pay", "b", amount=60)
    [row] = desk.rows(calls.Missions(mission=desk.mission))
    assert [a["id"] for a in row["started_attempts"]] == [started.attempt]
    assert row["pending_holds"] == 1
    assert [(s["agent"], s["executor"]) for s in row["sessions"]] == [("clerk", "worker")]


def test_the_tools_of_a_session_are_those_its_mission_can_use(desk: Desk):
    reading = desk.session("scout", "worker", desk.start_mission("reading", "ben"))
    rows = desk.rows(calls.ToolsOf(session=reading))
    assert [(r["name"], r["release_rules"]) for r in rows] == [("note.read", True)]
    assert len(desk.rows(calls.ToolsOf(session=desk.session()))) == len(desk.bundle.tools)
    assert desk.refused(calls.ToolsOf(session="ses_0")) == "no_session"


def test_a_lone_operator_need_not_say_who_they_are():
    desk = Desk(changed(("bridle.toml", '["ana", "ben"]', '["ana"]')))
    desk.done(calls.Kill(scope="all"), ANYONE)
    assert desk.leaves("kill")[-1].ids["by"] == "ana"
    desk.done(calls.Unkill(scope="all"))
    desk.verified()
