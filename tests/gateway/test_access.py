"""Who may run a proxy, as whom, and what its server gets to know of it."""

import json
import os
import sys
from pathlib import Path

import pytest

from bridle.model.calls import Attempts, Missions
from gateway.office import HERE, TOOLS, Office, said, systems, tool

SPY = """
import json, os, sys
open(sys.argv[2], "w").write(json.dumps(dict(os.environ)))
sys.argv = sys.argv[1:]
exec(open(sys.argv[0]).read())
"""


def handed_over(office: Office) -> tuple[str, str]:
    """A session that an operator has opened for somebody else."""
    mission = office.governor.start_mission("desk", user="ana")
    return mission.id, mission.session("clerk", executor="proxy")


@pytest.fixture
def place(office: Office) -> str:
    return str(Path(office.governor.reference))


def test_a_session_that_was_handed_over_needs_no_operators_right(office: Office, place: str):
    mission, handle = handed_over(office)
    options = ("--mission-id", mission, "--agent", "clerk")
    with office.front(*options, place=place, environment={"BRIDLE_SESSION": handle}) as front:
        assert front.call("echo", text="x")["content"][0]["text"] == "x"
        assert "(no_permit)" in said(front.call("wipe"))
    (row,) = office.governor.rows(Missions(mission=mission))
    assert [bool(s["closed"]) for s in row["sessions"]] == [False], "it is not the proxy's to close"


def test_mission_and_agent_can_come_from_the_environment_as_well(office: Office, place: str):
    mission, handle = handed_over(office)
    given = {"BRIDLE_SESSION": handle, "BRIDLE_MISSION": mission, "BRIDLE_AGENT": "clerk"}
    with office.front(place=place, environment=given) as front:
        assert "isError" not in front.call("echo", text="x")


@pytest.mark.parametrize("handle", ["ses_0000", "\u2028", "x" * 5000])
def test_a_session_that_nobody_has_opened_is_worth_nothing(office: Office, place: str, handle: str):
    mission, _ = handed_over(office)
    options = ("--mission-id", mission, "--agent", "clerk")
    given = {"BRIDLE_SESSION": handle}
    with office.front(*options, place=place, environment=given, greet=False) as front:
        assert json.loads(front.line())["error"]["code"] == "no_session"
        assert front.end() == 3


def test_an_agent_cannot_borrow_anothers_session_by_name(office: Office, place: str):
    """The names only check answers: the handle decides who acts, and a wrong name is denied."""
    mission, handle = handed_over(office)
    options = ("--mission-id", mission, "--agent", "somebody")
    given = {"BRIDLE_SESSION": handle}
    (office.sink / "lines").write_bytes(b"")
    with office.front(*options, place=place, environment=given) as front:
        assert "Nothing has run" in said(front.call("echo", text="x"))
    assert office.calls() == []


def test_the_server_learns_nothing_of_the_session(office: Office, place: str, tmp_path: Path):
    mission, handle = handed_over(office)
    given = {"BRIDLE_SESSION": handle, "BRIDLE_MISSION": mission, "BRIDLE_AGENT": "clerk",
             "BRIDLE_USER": "ana", "OTHER": "kept"}  # fmt: skip
    script = [sys.executable, "-c", SPY, str(HERE / "sink.py"), str(tmp_path / "seen")]
    with office.front(place=place, environment=given, greet=False, server=script) as front:
        front.end()
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen["OTHER"] == "kept"
    assert [name for name in seen if name.startswith("BRIDLE_")] == []
    assert handle not in json.dumps(seen)


PEEK = """
import os, sys
try:
    seen = open(f"/proc/{os.getppid()}/environ").read()
except PermissionError:
    seen = "nothing"
open(sys.argv[1], "w").write(seen)
"""


def test_the_server_cannot_read_the_session_out_of_its_proxys_process(
    office: Office, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Under one uid a process may look into another, unless that has hidden itself."""
    mission, handle = handed_over(office)
    given = {"BRIDLE_SESSION": handle, "BRIDLE_MISSION": mission, "BRIDLE_AGENT": "clerk"}
    script = [sys.executable, "-c", PEEK, str(tmp_path / "seen")]
    if os.getuid() == 0:
        # What makes root see everything is a capability: proxy and server are left without.
        bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
        monkeypatch.setattr(
            office, "command", lambda *args: [*bare, *Office.command(office, *args)]
        )
    with office.front(place=place, environment=given, greet=False, server=script) as front:
        front.end()
    assert (tmp_path / "seen").read_text() == "nothing"


def test_without_a_governor_one_is_started_and_stops_when_nobody_needs_it(alone: Office):
    with alone.front() as front:
        assert "isError" not in front.call("echo", text="x")


def test_another_mission_user_and_agent_can_be_named(office: Office):
    options = ("--mission", "narrow", "--user", "ben", "--agent", "clerk", "--executor", "proxy")
    with office.front(*options, "--prompt", "look after the sink") as front:
        (row,) = office.governor.rows(Missions(mission=front.mission))
        assert (row["template"], row["user"]) == ("narrow", "ben")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--mission", "nonesuch"], "not_found"),
        (["--agent", "nobody"], "out_of_mission"),
        (["--mission-id", "mis_0"], "not_found"),
        (["--system", "nonesuch"], "no_tools"),
    ],
)
def test_what_cannot_work_is_said_before_the_server_starts(
    office: Office, options: list[str], code: str
):
    (office.sink / "lines").write_bytes(b"")
    with office.front(*options, greet=False) as front:
        assert json.loads(front.line())["error"]["code"] == code
        assert front.end() == 3


@pytest.mark.parametrize("options", [["--pass", "everything"], ["--wait", "-1"], ["--nonsense"]])
def test_wrong_usage_is_said(office: Office, options: list[str]):
    with office.front(*options, greet=False) as front:
        assert front.end() == 2


@pytest.mark.parametrize("option", ["--mission", "--user", "--executor", "--prompt"])
def test_a_session_that_was_handed_over_is_not_given_what_only_operators_settle(
    office: Office, place: str, option: str
):
    """Otherwise it would be passed over in silence, and the operator believe that it counts."""
    mission, handle = handed_over(office)
    options = ("--mission-id", mission, "--agent", "clerk", option, "x")
    given = {"BRIDLE_SESSION": handle}
    with office.front(*options, place=place, environment=given, greet=False) as front:
        assert front.end() == 2


def test_a_server_has_to_be_named(office: Office):
    done = office.run("mcp", str(office.bundle))
    assert done.returncode == 2
    assert "after --" in done.stderr


TWO = (
    systems(TOOLS)
    + """
[systems.other]
domain = "house"
protocol = "mcp"
[tools."sink.twin"]
system = "other"
effect = "read"
wire = "echo"
from = "tools/sink.json"
"""
)


def test_a_name_that_two_systems_know_is_refused_until_the_system_is_named(alone: Office):
    (alone.bundle / "systems.toml").write_text(TWO)
    with alone.serving():
        with alone.front(greet=False) as front:
            assert json.loads(front.line())["error"]["code"] == "ambiguous_tool"
        with alone.front("--system", "sink") as front:
            assert "isError" not in front.call("echo", text="x")


OTHER = """
[systems.other]
domain = "house"
[tools.knife]
system = "other"
effect = "read"
[tools.knife.input]
type = "object"
properties = { text = { type = "string" } }
"""


def test_a_tool_of_another_system_is_out_of_reach_though_the_server_has_one_of_its_name(
    alone: Office,
):
    """What a policy permits for one system's tool says nothing of a server that took its name."""
    (alone.bundle / "systems.toml").write_text(systems(TOOLS) + OTHER)
    missions = alone.bundle / "missions.toml"
    missions.write_text(missions.read_text().replace('["sink.*"]', '["*"]'))
    alone.offer([*TOOLS, tool("knife")])
    with alone.serving(), alone.front() as front:
        assert "knife" not in [t["name"] for t in front.ask("tools/list")["result"]["tools"]]
        assert "(tool_changed)" in said(front.call("knife", text="x"))
    assert alone.calls("knife") == []


def test_tools_that_a_mission_gains_meanwhile_are_for_sessions_opened_after(alone: Office):
    missions = alone.bundle / "missions.toml"
    whole = missions.read_text()
    missions.write_text(whole.replace('["sink.*"]', '["sink.echo"]'))
    with alone.serving(), alone.front() as front:
        assert said(front.call("put", amount=1))
        missions.write_text(whole)
        alone.governor.activate(as_user="ben")
        # Its grant says what it may use, and no grant widens.
        assert said(front.call("put", amount=1))
        with alone.front() as after:
            assert "isError" not in after.call("put", amount=1)
            assert "put" in [t["name"] for t in after.ask("tools/list")["result"]["tools"]]
            missions.write_text(whole.replace('["sink.*"]', '["sink.echo"]'))
            alone.governor.activate(as_user="ben")
            assert said(after.call("put", amount=1))


def test_input_that_a_server_asks_for_is_one_call_in_two_rounds(office: Office):
    (office.sink / "lines").write_bytes(b"")
    with office.front("--pass", "elicitation") as front:
        first = front.call("ask", text="t")
        assert first["resultType"] == "input_required"
        params = {"name": "ask", "arguments": {"text": "t"}, "requestState": first["requestState"]}
        answers = {"inputResponses": {"q": {"action": "accept", "content": {"n": 1}}}}
        stolen = {**params, **answers, "arguments": {"text": "other"}}
        assert "(not_decided)" in said(front.ask("tools/call", stolen)["result"])
        done = front.ask("tools/call", {**params, **answers})["result"]
        assert done["content"][0]["text"] == "t"
        assert "(not_decided)" in said(front.ask("tools/call", {**params, **answers})["result"])
    assert office.calls("ask") == [{"text": "t"}] * 2


def test_a_governor_hears_of_a_call_whose_input_never_came(office: Office):
    with office.front("--pass", "elicitation") as front:
        assert front.call("ask", text="u")["resultType"] == "input_required"
        mission = front.mission
    rows = office.governor.rows(Attempts(state="unknown", limit=1000))
    assert [row["error"] for row in rows if row["mission"] == mission] == ["abandoned"]
