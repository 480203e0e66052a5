"""A system that echoes its credential, wherever and however, has told the agent nothing."""

import base64
import json
import traceback
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.brokers import readings
from bridle.governor.ground.turn import Turn
from bridle.store.rows import ActionRow
from brokers import searching
from brokers.performing.servers import Sink, answer
from server.carrying import SECRET, SYSTEMS, Site, serving
from server.watched import watched

# Any result may be told: no rule reads it, so what a server says is what the agent is told.
LOOSE = (
    SYSTEMS.replace(SYSTEMS[SYSTEMS.index('[tools."issue.create".output]') :], "")
    + (SYSTEMS[SYSTEMS.index('[tools."page.get"]') :])
)
TITLE = {"repo": "main", "title": "fine"}
JSON = "Content-Type: application/json"
BASIC = base64.b64encode(f"robot:{SECRET}".encode()).decode()


def chunked(body: bytes, size: int, *trailers: str) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    wrapped = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n"
    ends = "".join(f"{line}\r\n" for line in trailers).encode()
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + wrapped + ends + b"\r\n"


def escaped(form: str) -> str:
    return "".join(form.format(ord(c)) for c in SECRET)


def quoted(text: str) -> bytes:
    return f'{{"said": "{text}"}}'.encode()


INTERIM = f"HTTP/1.1 103 Early Hints\r\nLink: <{SECRET}>\r\n\r\n".encode()

ECHOES: dict[str, bytes] = {
    "status line": answer(b"ok", status=f"200 {SECRET}"),
    "status line of a failure": answer(b"ok", status=f"401 no {SECRET}"),
    "header": answer(b"ok", f"X-Token: Bearer {SECRET}"),
    "header's name": answer(b"ok", f"{SECRET}: x", f"X-{SECRET.upper()}: y"),
    "header, twice": answer(b"ok", f"X: {SECRET}", f"X: {SECRET}"),
    "header, folded": answer(b"ok", f"X-Long: {SECRET[:9]}\r\n {SECRET[9:]}"),
    "header, in base64": answer(b"ok", f"X: {base64.b64encode(SECRET.encode()).decode()}"),
    "challenge": answer(b"", f'WWW-Authenticate: Bearer error="{SECRET}"', status="401 No"),
    "cookie": answer(b"ok", f"Set-Cookie: a={SECRET}"),
    "redirect": answer(b"", f"Location: https://x.example/?t={SECRET}", status="302 Found"),
    "redirect, encoded": answer(
        b"", f"Location: /?t={escaped('%{:02X}')}#{BASIC}", status="307 Go"
    ),
    "interim answer": INTERIM + answer(b"ok"),
    "text": answer(f"you sent Bearer {SECRET}".encode()),
    "text that says it is JSON": answer(quoted(SECRET)[:-1], JSON),
    "text that says it is JSON, escaped": answer(quoted(escaped("\\u{:04x}"))[:-1], JSON),
    "JSON": answer(quoted(SECRET), JSON),
    "JSON, a key": answer(json.dumps({SECRET: {"a": [SECRET]}}).encode(), JSON),
    "JSON, escaped": answer(quoted(escaped("\\u{:04x}")), JSON),
    "JSON in JSON": answer(json.dumps({"x": quoted(escaped("\\u{:04X}")).decode()}).encode(), JSON),
    "JSON, a mark first": answer(b"\xef\xbb\xbf" + quoted(escaped("\\u{:04x}")), JSON),
    "XML": answer(f"<t>{escaped('&#x{:x};')}</t>".encode(), "Content-Type: text/xml"),
    "base64 of Basic": answer(f"Authorization: Basic {BASIC}".encode()),
    "base64, wrapped": answer(base64.encodebytes(b"-" * 50 + SECRET.encode() + b"-" * 30)),
    "hex": answer(SECRET.encode().hex().upper().encode()),
    "bytes": answer(b"\xff\xfe\0" + SECRET.encode() + b"\xff"),
    "wide characters": answer(SECRET.encode("utf-16")),
    "wide characters that are text": answer(SECRET.encode("utf-16-be")),
    "chunks of one byte": chunked(SECRET.encode(), 1),
    "chunks that cut it": chunked(quoted(SECRET), 19),
    "trailer": chunked(b"ok", 2, f"X-Token: {SECRET}"),
    "compressed": answer(zlib.compress(SECRET.encode()), "Content-Encoding: deflate"),
    "cut off": answer(SECRET.encode() * 2).removesuffix(SECRET.encode()),
    "no HTTP": f"{SECRET}\r\n\r\n".encode(),
    "a broken status line": f"HTTP/1.1 {SECRET}\r\n\r\n".encode(),
    "a broken length": answer(b"ok", f"Content-Length: {SECRET}"),
    "a broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + SECRET.encode(),
    "another protocol": f"HTTP/1.1 101 {SECRET}\r\nUpgrade: {SECRET}\r\n\r\n".encode(),
}


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    made = Sink(b"")
    yield made
    made.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, sink: Sink) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("echoes")
    with serving(folder, sink.url, systems=LOOSE) as found:
        yield found


@pytest.fixture(scope="module")
def clerk(site: Site) -> bridle.Agent:
    return site.ana.start_mission("office", user="ana").agent("clerk", executor="worker")


def spelled(text: str) -> list[str]:
    return [text, *(reading.text for reading in readings.of(text))]


def holds(said: str, secret: str = SECRET) -> bool:
    forms = [form.decode("latin-1") for form in searching.forms(secret)]
    return any(form.lower() in text.lower() for text in spelled(said) for form in forms)


def everything_said(job: Callable[[], Any]) -> str:
    """What an agent could learn: the result, decoded where it is bytes, or all of an exception."""
    try:
        result = job()
    except bridle.BridleError as failed:
        lines = traceback.format_exception(failed)
        return "\n".join([*lines, repr(failed), repr(vars(failed)), failed.hint])
    if isinstance(result, dict) and result.get("encoding") == "base64":
        result["body"] = base64.b64decode(result["body"]).decode("latin-1")
    return json.dumps(result, ensure_ascii=False)


@pytest.mark.parametrize("name", ECHOES)
def test_an_echo_tells_nothing(sink: Sink, clerk: bridle.Agent, name: str) -> None:
    sink.script = ECHOES[name]
    said = everything_said(lambda: clerk.call("issue.create", TITLE))
    assert f"Bearer {SECRET}\r\n".encode() in sink.requests[-1]
    assert not holds(said), said


@pytest.mark.parametrize("name", ["text", "JSON, escaped", "bytes", "redirect, encoded"])
def test_this_search_finds_what_is_told(sink: Sink, clerk: bridle.Agent, name: str) -> None:
    # Without a credential there is nothing to take out: the same answers say it all.
    sink.script = ECHOES[name]
    assert holds(everything_said(lambda: clerk.call("page.get", {"id": 1})))


def test_nothing_that_is_kept_under_seal_holds_an_echo(
    sink: Sink, site: Site, clerk: bridle.Agent
) -> None:
    for said in ECHOES.values():
        sink.script = said
        everything_said(lambda: clerk.call("issue.create", TITLE))
    kept = site.governor.core.write(opened)
    assert any("[credential]" in text for text in kept)
    assert not [text for text in kept if holds(text)]


def opened(turn: Turn) -> list[str]:
    """What the store keeps of each action with a credential, out of its seals."""
    rows = [row for row in turn.tx.find(ActionRow, limit=10_000) if row.tool == "issue.create"]
    return [str(turn.unseal(row.mission, row.id, row.sealed)) for row in rows]


@pytest.mark.parametrize("secret", ["4815162342108", "90125.5125"])
def test_a_secret_of_digits_is_not_told_as_a_number(
    tmp_path: Path, sink: Sink, secret: str
) -> None:
    with serving(tmp_path, sink.url, systems=LOOSE, sealed={"forge-token": secret}) as site:
        clerk = site.ana.start_mission("office", user="ana").agent("clerk", executor="worker")
        sink.script = answer(f'{{"pin": {secret}, "pins": [{secret}, 1]}}'.encode(), JSON)
        result = clerk.call("issue.create", TITLE, key="k")
        assert result["body"] == {"pin": "[credential]", "pins": ["[credential]", 1]}
        # What was kept is JSON, too, and the same.
        assert clerk.call("issue.create", TITLE, key="k") == result


AGENT = """
import sys, bridle
with bridle.connect(sys.argv[1], role="agent") as governor:
    agent = governor.attach(sys.stdin.readline().strip(), mission=sys.argv[2], agent="clerk")
    for number in range(int(sys.argv[3])):
        try:
            told = repr(agent.call("issue.create", {"repo": "main", "title": "fine"}))
        except bridle.BridleError as refused:
            told = repr(refused)
    print("done", flush=True)
    sys.stdin.readline()
"""


def test_an_agents_process_and_traffic_hold_no_echo(tmp_path: Path, sink: Sink) -> None:
    left = list(ECHOES.values())
    sink.script = lambda peer, request: peer.sendall(left.pop())
    with serving(tmp_path, sink.url, systems=LOOSE) as site:
        mission = site.ana.start_mission("office", user="ana")
        with watched(tmp_path, mission, AGENT, str(len(left))) as agent:
            assert agent.told == "done\n"
            assert not left
            assert searching.places_in(agent.pid, mission.id)
            assert not searching.places_in(agent.pid, SECRET)
        traffic = agent.tap.bytes.decode("utf-8", "replace")
    assert "[credential]" in traffic
    assert not holds(traffic)
    assert not searching.files_with(tmp_path / "state", SECRET)
