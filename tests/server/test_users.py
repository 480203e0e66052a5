"""Who may connect where: the kernel's word on the peer counts, whatever the file's mode says.

These need to become another user, which only root can.
"""

import contextlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridle.client.transport.unix import UnixChannel
from bridle.model import calls
from bridle.model.errors import ProtocolError
from client.raw import WELCOME, connected, frame, hello, read_frame
from client.scripted import MISSION, Scripted, Sink, served

NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="bridle-users-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def as_nobody(act: Callable[[], bool]) -> bool:
    """Return what `act` returns in a child that has become another user."""
    child = os.fork()
    if child == 0:
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os._exit(0 if act() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def code_at(folder: Path, name: str, role: str) -> bytes:
    with connected(folder, name) as connection:
        # Turned away, the server hangs up at once; what it said can still be read.
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(hello(role))
        return read_frame(connection)


def test_another_user_cannot_even_open_the_operators_socket(
    governor: Scripted, folder: Path
) -> None:
    def act() -> bool:
        try:
            connected(folder, "operator.sock")
        except PermissionError:
            return True
        return False

    with served(governor, folder):
        assert as_nobody(act)


def test_another_user_is_refused_at_the_operators_socket_even_where_its_mode_lets_them(
    governor: Scripted, folder: Path
) -> None:
    with served(governor, folder):
        (folder / "operator.sock").chmod(0o666)
        assert as_nobody(lambda: b"operator_only" in code_at(folder, "operator.sock", "operator"))
        assert b"welcome" in code_at(folder, "operator.sock", "operator")
    assert governor.calls == []


def test_another_user_may_act_as_an_agent_and_is_recorded_as_another_user(
    governor: Scripted, folder: Path
) -> None:
    def act() -> bool:
        from bridle.client.opening import connect

        with connect(folder / "agents.sock", role="agent") as bridle:
            agent = bridle.attach("ses_triage", mission=MISSION, agent="triage")
            return agent.call("t", effect=Sink()) == "done"

    with served(governor, folder):
        (folder / "agents.sock").chmod(0o666)
        assert as_nobody(act)
    assert governor.callers[0] == calls.Caller(
        operator=False, method=f"peer:{NOBODY}", uid=NOBODY, acted=True
    )


def test_a_stranger_who_took_the_sockets_name_is_not_taken_for_the_governor(folder: Path) -> None:
    """A folder of ours in which somebody else could make a socket, and did."""
    folder.chmod(0o777)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(NOBODY)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(folder / "agents.sock"))
            listener.listen()
            os.write(write, b"x")
            connection, _ = listener.accept()
            read_frame(connection)
            connection.sendall(frame(WELCOME))
            connection.recv(1)
        finally:
            os._exit(0)
    os.read(read, 1)
    channel = UnixChannel(folder / "agents.sock", role="agent")
    with pytest.raises(ProtocolError) as caught:
        channel.send(calls.ToolsOf(session="SECRET"))
    assert caught.value.code == "not_the_governor"
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)
    assert threading.active_count() >= 1
