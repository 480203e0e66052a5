"""A mission with something still open does not end, unless a human says so; others never wait."""

from bridle.model import calls
from bridle.model.record import LeafKind
from governor.desk import HOUR, Desk
from governor.history.past import LongDesk, edited

OPEN = """
@id("told-after-reading") @reason("what was read has to be written down")
forbid (principal, action == Action::"end_mission", resource)
when temporal {
  formerly within 8h Action::"note.read"::response{}
  && !(formerly within 8h Action::"note.write"::response{})
};
"""
FILES = edited(("policies/limits.dw", "", OPEN))
SHADOW = edited(("policies/limits.dw", "", OPEN.replace("@reason", '@enforce("shadow") @reason')))


def close(desk: Desk, *, anyway: bool = False) -> str:
    call = calls.MissionVerb(mission=desk.mission, verb="close", as_user="ana", anyway=anyway)
    reply = desk.ask(call)
    return reply.code if isinstance(reply, calls.Failed) else ""


def read(desk: Desk) -> None:
    desk.observe(desk.act("note.read", "r", id=1).attempt, '{"body":"x"}')


def ended(desk: Desk) -> dict[str, object]:
    return [
        leaf for leaf in desk.leaves(LeafKind.MISSION) if leaf.body["what"] in ("close", "expire")
    ][-1].body


def test_what_is_open_keeps_a_mission_from_ending() -> None:
    desk = LongDesk(FILES)
    read(desk)
    reply = desk.ask(calls.MissionVerb(mission=desk.mission, verb="close", as_user="ana"))
    assert isinstance(reply, calls.Failed)
    assert reply.code == "obligations_open"
    assert "told-after-reading: what was read has to be written down" in reply.message
    # Nothing of it happened: the mission goes on.
    desk.observe(desk.act("note.write", "w", text="x").attempt)
    assert close(desk) == ""
    assert ended(desk) == {"what": "close"}
    desk.verified()


def test_a_human_can_end_it_anyway_on_record() -> None:
    desk = LongDesk(FILES)
    read(desk)
    assert close(desk, anyway=True) == ""
    assert ended(desk) == {"what": "close", "open": ["told-after-reading"]}
    assert desk.events() == []


def test_a_shadow_policy_only_says_what_was_open() -> None:
    desk = LongDesk(SHADOW)
    read(desk)
    assert close(desk) == ""
    shadow = [{"policy": "told-after-reading", "error": False}]
    assert ended(desk) == {"what": "close", "shadow": shadow}


def test_time_waits_for_nobody_and_says_what_was_open() -> None:
    desk = LongDesk(FILES)
    desk.mission  # noqa: B018 - starts it
    desk.later(7 * HOUR)
    read(desk)
    desk.later(2 * HOUR)
    assert ended(desk) == {"what": "expire", "open": ["told-after-reading"]}
    desk.verified()


def test_a_kill_never_waits() -> None:
    desk = LongDesk(FILES)
    read(desk)
    desk.done(calls.Kill(scope="mission", subject=desk.mission, as_user="ana"))
    assert close(desk) == "obligations_open"


def test_suspending_never_waits() -> None:
    desk = LongDesk(FILES)
    read(desk)
    desk.done(calls.MissionVerb(mission=desk.mission, verb="suspend", as_user="ana"))
    assert close(desk) == "obligations_open"
    assert close(desk, anyway=True) == ""


def test_a_mission_in_which_nothing_is_open_ends_as_ever() -> None:
    desk = LongDesk(FILES)
    desk.observe(desk.act("note.write", "w", text="x").attempt)
    assert close(desk) == ""
