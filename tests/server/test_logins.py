"""Logins on the wire: a proof opens one connection, once, at its start, and nothing else does."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

import bridle
from bridle.client.opening import connect
from bridle.client.transport.peer import folder_of
from bridle.client.transport.unix import UnixChannel
from bridle.model import calls
from bridle.model.errors import BridleError, ProtocolError, RefusedError, UsageError
from bridle.trust import credential, keyfile
from bridle.trust.credential import Credential
from bridle.trust.proof import Challenge
from client.raw import Peer, connected, frame, listening, read_frame
from client.scripted import MISSION, Scripted, Sink, served
from governor.desk import START, Desk
from governor.proving import ANA, BEN, CLEO, PORTAL, keyed

ROLES = {"operator.sock": "operator", "agents.sock": "agent"}


class Wire:
    """One connection, spoken by hand."""

    def __init__(self, folder: Path, name: str = "operator.sock") -> None:
        self.socket = connected(folder, name)
        self.role = ROLES[name]
        self.folder = folder_of(folder / name)
        self.socket.sendall(frame(msgspec.json.encode({"bridle": 4, "role": self.role})))
        self.welcome = msgspec.json.decode(read_frame(self.socket))

    @property
    def challenge(self) -> Challenge:
        return Challenge(self.welcome["store"], self.welcome["nonce"], self.role, self.folder)

    def say(self, message: Any) -> dict[str, Any]:
        body = message if isinstance(message, bytes) else msgspec.json.encode(message)
        self.socket.sendall(frame(body))
        return msgspec.json.decode(read_frame(self.socket))

    def log_in(self, who: Credential) -> dict[str, Any]:
        return self.say(who.login(self.challenge))

    def is_over(self) -> bool:
        """Whether the other side has hung up."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@pytest.fixture
def folder(governor: Scripted, tmp_path: Path) -> Iterator[Path]:
    with served(governor, tmp_path):
        yield tmp_path


@contextmanager
def desk_at(folder: Path, *, start: int = START, **keys: Credential) -> Iterator[Desk]:
    """A real governor on real sockets, of a bundle in which these users have keys."""
    desk = Desk(keyed(**keys), start=start)
    with served(desk.governor, folder):
        yield desk


def test_each_connection_has_a_nonce_of_its_own(folder: Path) -> None:
    nonces = set()
    for name in [*ROLES] * 3:
        with Wire(folder, name) as wire:
            nonces.add(wire.welcome["nonce"])
    assert len(nonces) == 6
    assert {len(bytes.fromhex(nonce)) for nonce in nonces} == {32}


def test_whoever_proves_it_is_known_for_the_rest_of_the_connection(
    folder: Path, governor: Scripted
) -> None:
    with Wire(folder) as wire:
        assert wire.log_in(BEN)["re"] == "done"
        wire.say(calls.Status())
        wire.say(calls.Status())
    with Wire(folder) as wire:
        wire.say(calls.Status())
    assert [caller.user for caller in governor.callers] == ["ben", "ben", ""]
    assert [caller.key for caller in governor.callers] == [BEN.fingerprint] * 2 + [""]


def test_a_proof_replayed_on_another_connection_opens_nothing(
    folder: Path, governor: Scripted
) -> None:
    with Wire(folder) as first, Wire(folder) as second:
        captured = first.challenge
        login = BEN.login(captured)
        assert first.say(login)["re"] == "done"
        assert second.say(login)["code"] == "not_proven"
        assert second.is_over()
    assert governor.calls == []


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "00" * 32},
        {"nonce": ""},
        {"store": "store2"},
        {"role": "agent"},
        {"folder": "1:2"},
        {"folder": ""},
    ],
    ids=["another nonce", "no nonce", "another store", "another socket", "another folder", "none"],
)
def test_a_proof_made_for_anything_else_opens_nothing(folder: Path, change: dict[str, str]) -> None:
    with Wire(folder) as wire:
        challenge = structs.replace(wire.challenge, **change)
        if change.get("nonce") == "":
            login = structs.replace(BEN.login(wire.challenge), signature="")
        else:
            login = BEN.login(challenge)
        assert wire.say(login)["code"] == "not_proven"
        assert wire.is_over()


def test_a_proof_that_another_governor_passes_on_opens_nothing(tmp_path: Path) -> None:
    """It shows its clients the greeting of the governor whom it wants to reach in their name."""
    away, home = tmp_path / "away", tmp_path / "home"
    away.mkdir()
    home.mkdir()
    answers: list[dict[str, Any]] = []

    def relay(_: Peer, connection: socket.socket) -> None:
        read_frame(connection)
        with Wire(home, "agents.sock") as wire:
            connection.sendall(frame(msgspec.json.encode(wire.welcome)))
            passed_on = read_frame(connection)
            answers.append(wire.say(passed_on))
            connection.sendall(frame(msgspec.json.encode(answers[-1])))

    with desk_at(home), listening(away, relay):
        for place in (home, away, home):
            channel = UnixChannel(place / "agents.sock", role="agent", credential=PORTAL)
            if place is home:
                channel.connect()
            else:
                with pytest.raises(RefusedError, match="not_proven"):
                    channel.connect()
            channel.close()
    assert [answer["code"] for answer in answers] == ["not_proven"]


def test_a_folder_of_sockets_is_the_same_through_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    channel = UnixChannel(tmp_path / "link" / "operator.sock", role="operator", credential=BEN)
    channel.connect()
    channel.close()


def test_a_connection_logs_in_once(folder: Path, governor: Scripted) -> None:
    with Wire(folder) as wire:
        assert wire.log_in(BEN)["re"] == "done"
        assert wire.log_in(ANA)["code"] == "protocol_login"
        assert wire.is_over()
    assert [login.name for login, _ in governor.logins] == ["ben"]


def test_a_connection_logs_in_before_it_says_anything_else(
    folder: Path, governor: Scripted
) -> None:
    with Wire(folder) as wire:
        assert wire.say(calls.Status())["re"] == "listing"
        assert wire.log_in(BEN)["code"] == "protocol_login"
        assert wire.is_over()
    assert governor.logins == []


def test_a_login_in_place_of_the_greeting_is_no_greeting(folder: Path) -> None:
    with connected(folder, "operator.sock") as raw:
        login = BEN.login(Challenge("store1", "00" * 32, "operator"))
        raw.sendall(frame(msgspec.json.encode(login)))
        assert msgspec.json.decode(read_frame(raw))["code"] == "protocol_error"


GOOD = msgspec.to_builtins(BEN.login(Challenge("store1", "00" * 32, "operator")))
_odd = st.none() | st.integers() | st.text(max_size=50) | st.lists(st.text(max_size=3), max_size=3)


@given(
    field=st.sampled_from([*GOOD, "more"]),
    value=_odd,
    cut=st.none() | st.integers(0, 200),
    name=st.sampled_from([*ROLES]),
)
def test_any_login_that_is_none_is_refused_and_the_server_stays(
    shared: tuple[Path, Scripted], field: str, value: Any, cut: int | None, name: str
) -> None:
    folder, governor = shared
    before = len(governor.calls)
    with Wire(folder, name) as wire:
        body = msgspec.json.encode({**GOOD, field: value})[:cut]
        if not body:
            return
        assert wire.say(body)["re"] == "failed"
        assert wire.is_over()
    assert len(governor.calls) == before
    with Wire(folder) as wire:
        assert wire.log_in(BEN)["re"] == "done"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Scripted]]:
    folder, governor = tmp_path_factory.mktemp("logins"), Scripted()
    with served(governor, folder):
        yield folder, governor


# --- what a login opens, and what not -------------------------------------------------------------

SPEAKING = [
    calls.StartMission(template="t", user="ana"),
    calls.AddPrompt(mission=MISSION, user="ana", prompt="x"),
    calls.OpenSession(mission=MISSION, agent="triage"),
]
OPERATING = [
    calls.Kill(scope="all", as_user="ana"),
    calls.Unkill(scope="all", as_user="ana"),
    calls.Answer(approval="hold_1", approve=True, as_user="ana"),
    calls.Activate(digest="d", as_user="ana"),
    calls.MissionVerb(mission=MISSION, verb="resume", as_user="ana"),
    calls.IdentityVerb(kind="agent", id="triage", verb="resume", as_user="ana"),
    calls.CloseSession(session="ses_triage"),
    calls.EndException(exception="x", as_user="ana"),
    calls.Missions(),
    calls.Status(),
]


@pytest.mark.parametrize("call", [*SPEAKING, *OPERATING], ids=lambda call: type(call).__name__)
def test_at_the_agents_socket_nobody_operates_who_has_not_logged_in(
    folder: Path, governor: Scripted, call: calls.Call
) -> None:
    with Wire(folder, "agents.sock") as wire:
        assert wire.say(call)["code"] == "protocol_error"
        assert wire.is_over()
    assert governor.calls == []


@pytest.mark.parametrize("call", OPERATING, ids=lambda call: type(call).__name__)
def test_a_workloads_login_makes_no_operator_of_it(
    folder: Path, governor: Scripted, call: calls.Call
) -> None:
    with Wire(folder, "agents.sock") as wire:
        assert wire.log_in(PORTAL)["re"] == "done"
        assert wire.say(call)["code"] == "protocol_error"
        assert wire.is_over()
    assert governor.calls == []


def test_a_workloads_login_lets_it_ask_for_exactly_what_speaks_for_users(
    folder: Path, governor: Scripted
) -> None:
    with Wire(folder, "agents.sock") as wire:
        wire.log_in(PORTAL)
        assert [wire.say(call)["re"] for call in SPEAKING] == ["opened", "done", "opened"]
    assert {caller.workload for caller in governor.callers} == {"portal"}
    assert not any(caller.operator for caller in governor.callers)


def test_a_users_proof_at_the_agents_socket_makes_no_operator(tmp_path: Path) -> None:
    """The real governor: a user's key proves nothing there, so it opens nothing there."""
    with desk_at(tmp_path) as desk, Wire(tmp_path, "agents.sock") as wire:
        assert wire.log_in(BEN)["code"] == "login_role"
        assert wire.is_over()
        with Wire(tmp_path, "operator.sock") as other:
            assert other.log_in(PORTAL)["code"] == "login_role"
        assert desk.leaves("mission") == []


# --- connections that also act -------------------------------------------------------------


def act(wire: Wire) -> str:
    call = calls.ToolsOf(session="ses_triage")
    return str(wire.say(call)["re"])


def test_a_connection_that_acted_stays_one_that_acted(folder: Path, governor: Scripted) -> None:
    with Wire(folder, "agents.sock") as wire:
        wire.log_in(PORTAL)
        act(wire)
        for call in SPEAKING:
            wire.say(call)
    assert [caller.acted for caller in governor.callers] == [True] * 4
    with Wire(folder, "agents.sock") as wire:
        wire.log_in(PORTAL)
        wire.say(SPEAKING[0])
    assert governor.callers[-1].acted is False


def test_the_first_agents_call_spoils_what_was_said_before_it_is_answered(
    folder: Path, governor: Scripted
) -> None:
    order: list[str] = []
    distrust, handle = governor.distrust, governor.handle
    governor.distrust = lambda *given: (order.append("distrust"), distrust(*given))[1]
    governor.handle = lambda *given: (order.append(type(given[1]).__name__), handle(*given))[1]
    with Wire(folder, "agents.sock") as wire:
        wire.log_in(PORTAL)
        wire.say(SPEAKING[0])
        wire.say(calls.AddPrompt(mission="mis_9", user="ana", prompt="x"))
        act(wire)
        act(wire)
    assert order == ["StartMission", "AddPrompt", "distrust", "ToolsOf", "ToolsOf"]
    assert governor.distrusted == (MISSION, "mis_9")


def test_an_agent_does_not_act_on_words_that_could_not_be_marked(
    folder: Path, governor: Scripted
) -> None:
    def fail(*_: object) -> None:
        raise BridleError("no")

    governor.distrust = fail
    with Wire(folder, "agents.sock") as wire:
        wire.log_in(PORTAL)
        wire.say(SPEAKING[0])
        wire.socket.sendall(frame(msgspec.json.encode(calls.ToolsOf(session="ses_triage"))))
        assert wire.is_over()
    assert [type(call).__name__ for call in governor.calls] == ["StartMission"]


def test_who_spoke_for_very_many_missions_acts_elsewhere(folder: Path, governor: Scripted) -> None:
    with Wire(folder, "agents.sock") as wire:
        wire.log_in(PORTAL)
        for number in range(1_001):
            wire.say(calls.AddPrompt(mission=f"mis_{number}", user="ana", prompt=""))
        assert wire.say(calls.ToolsOf(session="ses_triage"))["code"] == "protocol_acting"
        assert wire.is_over()
    assert governor.distrusted == ()


def test_a_mission_that_a_workload_started_and_acted_in_is_on_record_as_such(
    tmp_path: Path,
) -> None:
    with desk_at(tmp_path) as desk, Wire(tmp_path, "agents.sock") as wire:
        wire.log_in(PORTAL)
        mission = wire.say(calls.StartMission(template="office", user="ana", prompt="p"))["id"]
        session = wire.say(calls.OpenSession(mission=mission, agent="clerk"))["id"]
        assert desk.rows(calls.Missions(mission=mission))[0]["prompt_trusted"] is True
        assert wire.say(calls.ToolsOf(session=session))["re"] == "listing"
        assert desk.rows(calls.Missions(mission=mission))[0]["prompt_trusted"] is False


# --- after the login -------------------------------------------------------------


def test_a_key_that_the_bundle_drops_ends_what_its_connections_may(tmp_path: Path) -> None:
    with desk_at(tmp_path) as desk, Wire(tmp_path) as wire:
        wire.log_in(BEN)
        assert wire.say(calls.Status())["re"] == "listing"
        desk.activate(keyed(ana=ANA, ben=CLEO))
        for call in (calls.Status(), calls.Kill(scope="all")):
            assert wire.say(call)["code"] == "key_changed"
        desk.activate(keyed())
        assert wire.say(calls.Status())["re"] == "listing"


def test_a_user_suspended_after_the_login_does_nothing_more(tmp_path: Path) -> None:
    with desk_at(tmp_path) as desk, Wire(tmp_path) as wire:
        wire.log_in(BEN)
        desk.done(calls.IdentityVerb(kind="user", id="ben", verb="suspend", as_user="ana"))
        assert wire.say(calls.Status())["code"] == "suspended"


# --- the client's side -------------------------------------------------------------


def test_a_channel_proves_it_on_every_connection_it_makes(folder: Path, governor: Scripted) -> None:
    channel = UnixChannel(folder / "operator.sock", role="operator", credential=BEN)
    threads = [threading.Thread(target=channel.send, args=(calls.Status(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {caller.user for caller in governor.callers} == {"ben"}
    nonces = [challenge.nonce for _, challenge in governor.logins]
    assert len(set(nonces)) == len(nonces)
    channel.close()


def test_a_channel_proves_it_to_the_governor_that_takes_over(
    governor: Scripted, tmp_path: Path
) -> None:
    channel = UnixChannel(tmp_path / "operator.sock", role="operator", credential=BEN)
    for _ in range(2):
        with served(governor, tmp_path):
            channel.send(calls.Status())
    assert [caller.user for caller in governor.callers] == ["ben", "ben"]
    channel.close()


def test_a_channel_that_logs_in_later_uses_nothing_that_was_open_before(
    folder: Path, governor: Scripted
) -> None:
    channel = UnixChannel(folder / "operator.sock", role="operator")
    channel.send(calls.Status())
    channel.log_in(BEN)
    channel.send(calls.Status())
    channel.log_in(ANA)
    channel.send(calls.Status())
    assert [caller.user for caller in governor.callers] == ["", "ben", "ana"]
    channel.close()


def test_a_connection_in_use_while_the_channel_logs_in_is_not_used_again(
    folder: Path, governor: Scripted
) -> None:
    channel = UnixChannel(folder / "operator.sock", role="operator")
    handle, asked, told = governor.handle, threading.Event(), threading.Event()

    def slow(caller: calls.Caller, call: calls.Call) -> calls.Reply:
        asked.set()
        assert told.wait(30)
        return handle(caller, call)

    governor.handle = slow
    thread = threading.Thread(target=channel.send, args=(calls.Status(),))
    thread.start()
    assert asked.wait(30)
    channel.log_in(BEN)
    told.set()
    thread.join(30)
    channel.send(calls.Status())
    assert [caller.user for caller in governor.callers] == ["", "ben"]
    channel.close()


def test_a_credential_that_proves_nothing_is_told_at_once(tmp_path: Path) -> None:
    with desk_at(tmp_path):
        for who in (credential.generate("user", "ben"), CLEO):
            with pytest.raises(RefusedError) as refused:
                connect(tmp_path, credential=who)
            assert refused.value.code == "not_proven"


@pytest.mark.parametrize("nonce", ["", "00", "zz" * 32, "00" * 33])
def test_a_governor_without_a_proper_nonce_gets_no_signature(tmp_path: Path, nonce: str) -> None:
    def behave(peer: Peer, connection: socket.socket) -> None:
        read_frame(connection)
        greeting = {"re": "welcome", "bridle": 4, "store": "s", "governor": "0", "nonce": nonce}
        connection.sendall(frame(msgspec.json.encode(greeting)))
        peer.asked(connection)

    with listening(tmp_path, behave) as peer:
        channel = UnixChannel(tmp_path / "agents.sock", role="agent", credential=PORTAL)
        with pytest.raises(ProtocolError):
            channel.send(calls.ToolsOf(session="x"))
        channel.close()
    assert peer.requests == []


def test_one_who_connects_as_ben_approves_as_ben(tmp_path: Path) -> None:
    with desk_at(tmp_path) as desk:
        hold = desk.decide("bank.pay", "p", amount=60).approval
        with connect(tmp_path) as stranger, pytest.raises(RefusedError) as refused:
            stranger.approve(hold, as_user="ben")
        assert refused.value.code == "key_needed"
        assert refused.value.about["user"] == "ben"
        with connect(tmp_path, credential=BEN) as gov:
            with pytest.raises(RefusedError) as refused:
                gov.approve(hold, as_user="cleo")
            assert refused.value.code == "not_you"
            assert gov.approve(hold) == "approved"


def test_a_service_speaks_for_its_users_and_its_agents_act_elsewhere(tmp_path: Path) -> None:
    with (
        desk_at(tmp_path, start=time.time_ns() // 1_000_000) as desk,
        connect(tmp_path, role="agent", credential=PORTAL) as portal,
    ):
        mission = portal.start_mission("office", user="cleo", prompt="hello")
        clerk = mission.agent("clerk", executor="worker")
        assert clerk.call("note.read", {"id": 1}, effect=Sink({"body": "x"})) == {"body": "x"}
        mission.add_prompt("and this", user="cleo")
        row = desk.rows(calls.Missions(mission=mission.id))[0]
        assert (row["user"], row["prompt_trusted"]) == ("cleo", True)
        for act in (portal.status, mission.close, lambda: portal.approve("x")):
            with pytest.raises(RefusedError) as refused:
                act()
            assert refused.value.code == "operator_only"


def test_a_credential_goes_with_the_role_it_is_for(folder: Path) -> None:
    with pytest.raises(UsageError):
        connect(folder, role="operator", credential=PORTAL)
    with pytest.raises(UsageError):
        connect(folder, role="agent", credential=BEN)


def test_a_forked_child_proves_it_on_connections_of_its_own(
    folder: Path, governor: Scripted
) -> None:
    channel = UnixChannel(folder / "operator.sock", role="operator", credential=BEN)
    channel.send(calls.Status())
    child = os.fork()
    if child == 0:
        code = 1
        try:
            channel.send(calls.Status())
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [caller.user for caller in governor.callers] == ["ben", "ben"]
    assert len({challenge.nonce for _, challenge in governor.logins}) == 2
    channel.close()


def test_unlock_opens_a_key_by_its_file_and_by_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDLE_KEYS", str(tmp_path / "keys"))
    from bridle.trust import folder

    path = folder.write(BEN, "correct horse")
    for key in ("ben", path, str(path)):
        assert bridle.unlock(key, "correct horse").public == BEN.public
    with pytest.raises(keyfile.KeyFileError) as refused:
        bridle.unlock("ben", "wrong horse")
    assert refused.value.code == "passphrase_wrong"
    with pytest.raises(BridleError) as refused:
        bridle.unlock("ana", "correct horse")
    assert refused.value.code == "key_missing"
