"""Servers that are given a credential for each call, and a client that never sees one."""

import base64
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bridle.model.calls import Attempts, Leases, MissionVerb
from brokers import searching
from gateway.keyed import META, OTHERS, PASSPHRASE, SECRET, prepared, seal
from gateway.office import HERE, Front, Office, said


def options(office: Office) -> tuple[str, ...]:
    return "--as-workload", "proxy", "--passphrase-file", str(office.folder / "passphrase")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    office = prepared(tmp_path_factory.mktemp("credentials"))
    with office.serving():
        seal(office)
        yield office


@pytest.fixture(scope="module")
def shared(office: Office) -> Iterator[Front]:
    with office.front(*options(office)) as front:
        yield front


@pytest.fixture
def front(shared: Front) -> Front:
    (shared.office.sink / "lines").write_bytes(b"")
    return shared


def sent(office: Office) -> list[dict[str, Any]]:
    messages = [json.loads(line) for line in office.received()]
    return [m["params"] for m in messages if m.get("method") == "tools/call"]


def answered(front: Front, *lines: dict[str, Any] | bytes) -> tuple[bytes, dict[str, Any]]:
    """Have the server say lines during a call; return all that the client gets, and its answer."""
    texts = [
        line
        if isinstance(line, bytes)
        else json.dumps({"jsonrpc": "2.0", **line}).replace('"@ID@"', "@ID@").encode()
        for line in lines
    ]
    (front.office.sink / "say").write_bytes(b"\n".join(texts))
    number = front.request("tools/call", {"name": "say"})
    got = b""
    while True:
        line = front.line()
        got += line + b"\n"
        if json.loads(line).get("id") == number:
            return got, json.loads(line)


def text(value: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}]}


# --- what the server gets -------------------------------------------------------------------------


def test_the_server_gets_the_credential_and_every_other_byte_as_it_was(front: Front) -> None:
    line = b'{"jsonrpc":"2.0","id":"x1", "method":"tools/call","params":{"name":"echo", '
    line += b'"arguments":{"text" : "a\\u00e9"},"_meta":{"progressToken" : 1}}}'
    front.send(line)
    assert json.loads(front.line())["id"] == "x1"
    (got,) = front.office.received()
    assert b'{"text" : "a\\u00e9"}' in got
    (params,) = sent(front.office)
    assert params["_meta"] == {"progressToken": 1, META: SECRET}


def test_a_call_without_meta_gets_one_for_it(front: Front) -> None:
    assert front.call("echo", text="hello")["content"] == [{"type": "text", "text": "hello"}]
    assert sent(front.office) == [
        {"name": "echo", "arguments": {"text": "hello"}, "_meta": {META: SECRET}}
    ]


def test_rewritten_arguments_and_the_credential_arrive_together(front: Front) -> None:
    front.call("put", text="x", amount=500)
    (params,) = sent(front.office)
    assert (params["arguments"]["amount"], params["_meta"]) == (10, {META: SECRET})


def test_what_is_denied_or_held_gets_none(front: Front) -> None:
    assert "denied" in said(front.call("wipe"))
    assert "holds" in said(front.call("pay", amount=5))
    assert sent(front.office) == []


@pytest.mark.parametrize("key", [META, META.upper(), "Sink.example/Token"])
def test_a_client_cannot_choose_what_the_server_takes_for_the_credential(
    front: Front, key: str
) -> None:
    params = {"name": "echo", "arguments": {"text": "x"}, "_meta": {key: "another's"}}
    assert "reserved_input" in said(front.ask("tools/call", params)["result"])
    params["_meta"] = "another's"
    assert "reserved_input" in said(front.ask("tools/call", params)["result"])
    assert sent(front.office) == []


# --- what the client gets -------------------------------------------------------------------------

RAW = SECRET.encode()
FORMS = {
    "as it is": SECRET,
    "in a sentence": f"I was sent {SECRET}, thanks",
    "base64": base64.b64encode(RAW).decode(),
    "base64 of more": base64.b64encode(b"k=" + RAW + b";").decode(),
    "percent": quote(SECRET, safe=""),
    "hex": RAW.hex(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("how", ["result", "structured", "tool error", "error", "data"])
def test_a_server_that_echoes_it_tells_the_client_nothing(front: Front, form: str, how: str):
    answers = {
        "result": {"id": "@ID@", "result": text(form)},
        "structured": {"id": "@ID@", "result": {**text(""), "structuredContent": {form: [form]}}},
        "tool error": {"id": "@ID@", "result": {**text(form), "isError": True}},
        "error": {"id": "@ID@", "error": {"code": -32000, "message": form}},
        "data": {"id": "@ID@", "error": {"code": -32000, "message": "", "data": {"x": form}}},
    }
    got, _ = answered(front, answers[how])
    assert form.encode() not in got
    assert RAW not in got
    assert b"[credential]" in got


def test_notifications_and_requests_of_the_server_are_searched_as_well(front: Front) -> None:
    log = {"level": "info", "data": f"token {SECRET}"}
    got, _ = answered(
        front,
        {"method": "notifications/message", "params": log},
        {"id": "@ID@", "result": text("done")},
    )
    assert RAW not in got


@pytest.mark.parametrize("letter", ["\\u004f", "\\u004F"])
def test_a_spelling_that_only_json_reads_is_no_way_out(front: Front, letter: str) -> None:
    upper = SECRET.replace("o", letter.replace("4f", "6f").replace("4F", "6F"), 1)
    line = b'{"jsonrpc":"2.0","id":@ID@,"result":{"content":[{"type":"text","text":"'
    got, answer = answered(front, line + upper.encode() + b'"}]}}')
    assert SECRET not in json.dumps(answer)
    assert upper.encode() not in got
    assert "[credential]" in answer["result"]["content"][0]["text"]


def test_what_a_server_writes_to_standard_error_is_not_the_clients(office: Office) -> None:
    script = (
        "import sys,runpy; sys.stderr.write('STDERR ' + '" + SECRET + "'); sys.stderr.flush();"
        f"sys.argv=['sink.py',{str(office.sink)!r}];"
        f"runpy.run_path({str(HERE / 'sink.py')!r}, run_name='__main__')"
    )
    with office.front(*options(office), server=[sys.executable, "-u", "-c", script]) as front:
        front.call("echo", text="x")
        front.process.stdin.close()
        front.process.wait(30)
        assert b"STDERR" not in front.process.stderr.read()


def test_the_governors_files_hold_it_nowhere_in_the_clear(front: Front) -> None:
    answered(front, {"id": "@ID@", "result": text(SECRET)})
    state = front.office.folder / "state"
    forms = [RAW, base64.b64encode(RAW), RAW.hex().encode(), quote(SECRET, safe="").encode()]
    files = [path for path in state.rglob("*") if path.is_file()]
    assert any(path.name == "secrets.sealed" for path in files)
    for path in files:
        data = path.read_bytes()
        assert not any(form in data for form in forms), path


# --- when there is none ---------------------------------------------------------------------------


def test_a_proxy_that_has_not_proved_its_key_sends_nothing(office: Office) -> None:
    (office.sink / "lines").write_bytes(b"")
    with office.front() as front:
        assert "Nothing has run" in said(front.call("echo", text="x"))
    assert sent(office) == []


def test_a_workload_that_nobody_declared_separate_sends_nothing(tmp_path: Path) -> None:
    office = prepared(tmp_path, separate=False)
    with office.serving():
        seal(office)
        with office.front(*options(office)) as front:
            assert "not_separated" in said(front.call("echo", text="x"))
        assert sent(office) == []


def test_without_a_permit_of_governance_nothing_is_sent(tmp_path: Path) -> None:
    office = prepared(tmp_path, governance=OTHERS)
    with office.serving():
        seal(office)
        with office.front(*options(office)) as front:
            assert "credential_denied" in said(front.call("echo", text="x"))
        assert sent(office) == []


def test_a_secret_that_nobody_sealed_sends_nothing_and_the_attempt_never_began(
    tmp_path: Path,
) -> None:
    office = prepared(tmp_path)
    with office.serving():
        with office.front(*options(office)) as front:
            assert "credential_unavailable" in said(front.call("echo", text="x"))
            rows = office.governor.rows(Attempts(state="started", limit=10))
            assert rows == []
        assert sent(office) == []


def test_a_wrong_passphrase_starts_nothing(office: Office) -> None:
    wrong = office.folder / "wrong"
    wrong.write_text("short grass")
    wrong.chmod(0o600)
    with office.front(
        "--as-workload", "proxy", "--passphrase-file", str(wrong), greet=False
    ) as front:
        assert front.mission == ""
        assert b"passphrase_wrong" in front.errors


# --- the client's own process ---------------------------------------------------------------------


@contextmanager
def stranger(office: Office) -> Iterator[tuple[int, dict[str, Any]]]:
    """A client of its own process, after its calls; yields its id and what it says."""
    server = [sys.executable, "-u", str(HERE / "sink.py"), str(office.sink)]
    front = office.command("mcp", str(office.bundle), *options(office), "--", *server)
    with subprocess.Popen(
        [sys.executable, str(HERE / "stranger.py"), *front],
        env=office.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as client:
        try:
            yield client.pid, json.loads(client.stdout.readline())
        finally:
            client.stdin.close()
            client.wait(30)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in text.split()]


def test_a_client_process_holds_it_nowhere_though_the_server_echoes_it(office: Office) -> None:
    line = {"jsonrpc": "2.0", "id": "@ID@", "result": text(SECRET)}
    (office.sink / "say").write_text(json.dumps(line).replace('"@ID@"', "@ID@"))
    with stranger(office) as (client, said_):
        assert "[credential]" in said_["answer"]
        assert searching.places_in(client, SECRET) == []
        for name in ("cmdline", "environ"):
            data = Path(f"/proc/{said_['ready']}/{name}").read_bytes()
            assert not searching.found_in(data, SECRET)
            assert not searching.found_in(data, PASSPHRASE)
        # The server was given it, so a search that finds it nowhere would find nothing at all.
        (server,) = _children(said_["ready"])
        assert any(where.startswith("memory") for where in searching.places_in(server, SECRET))


def test_a_proxy_that_is_killed_leaves_no_lease_in_force(office: Office) -> None:
    with office.front(*options(office)) as front:
        front.request("tools/call", {"name": "slow"})
        _until(lambda: office.calls("slow"))
        front.kill(signal.SIGKILL)
        front.process.wait(30)
    mission = front.mission
    office.governor.done(MissionVerb(mission=mission, verb="close", anyway=True))
    _until(lambda: not office.governor.rows(Leases(mission=mission)))


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        threading.Event().wait(0.02)
