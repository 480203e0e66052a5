"""What `bridle run` leaves open leads to the governor, and nowhere else."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridle.client.access import Wanted, opened
from bridle.jail.warden import Warden
from jail.booth import Booth, Site
from jail.escapes.grounds import _BOOT, PROBES
from jail.yard import Yard
from uids.cast import folder_for_all


@pytest.fixture(scope="module")
def booth(yard: Yard) -> Iterator[Booth]:
    folder = folder_for_all("bridle-gate-")
    shutil.copytree(PROBES, folder / "programs" / "probes")
    made = Booth(yard, folder)
    yield made
    made.close()
    shutil.rmtree(folder)


@pytest.fixture
def forbidden() -> Iterator[Site]:
    """A site of the host that no system declares."""
    site = Site("127.0.0.1")
    yield site
    site.close()


def probe(
    booth: Booth, name: str, *given: object, options: tuple[str, ...] = (), **more: str
) -> list[str]:
    """Run a probe by `bridle run`, and return what it reached."""
    programs = str(booth.folder / "programs")
    ran = booth.run(
        booth.python, "-I", "-S", "-B", "-c", _BOOT, programs, name, *map(json.dumps, given),
        options=("--read", programs, *options), **more,
    )  # fmt: skip
    said = [json.loads(line) for line in ran.stdout.splitlines()]
    assert {"done": True} in said, (ran.stdout, ran.stderr)
    assert ran.returncode == 0
    return [line["reached"] for line in said if "reached" in line]


def handed_over(booth: Booth) -> tuple[str, str]:
    """Return a session as an operator hands it over, and its mission."""
    wanted = Wanted(mission="desk", user="ana", agent="clerk", executor="local", jailed=True)
    access = opened(booth.bundle, wanted)
    return access.handed_over(), access.mission


def test_no_process_of_the_jail_holds_handle_or_key(booth: Booth) -> None:
    text, mission = handed_over(booth)
    parts = [part for part in text.split(".") if part]
    assert len(parts) >= 2, "a handle and a key"
    halves = [(part[:7], part[7:]) for part in parts[:2]]
    options = ("--agent", "clerk", "--mission-id", mission)
    assert probe(booth, "gate.secrets_held", *halves, options=options, BRIDLE_SESSION=text) == []


def test_a_jail_that_is_handed_the_key_is_found_out(booth: Booth) -> None:
    text, mission = handed_over(booth)
    halves = [(part[:7], part[7:]) for part in text.split(".")[:2]]
    options = ("--agent", "clerk", "--mission-id", mission, "--env", f"LEAKED={text}")
    found = probe(booth, "gate.secrets_held", *halves, options=options, BRIDLE_SESSION=text)
    assert any("environ" in each for each in found)
    assert any("mem" in each for each in found)


def test_the_relay_is_neither_traced_nor_ended_from_within(booth: Booth) -> None:
    assert probe(booth, "gate.relay_traced") == []
    assert probe(booth, "gate.relay_ended") == []


def test_the_callers_environment_is_nowhere_in_the_jail(booth: Booth) -> None:
    secret = booth.environ["A_SECRET_OF_THE_CALLER"]
    assert probe(booth, "gate.secrets_held", (secret[:7], secret[7:])) == []


def _get(url: str, *headers: str, host: str = "a.example", method: str = "GET") -> str:
    lines = [f"{method} {url} HTTP/1.1", f"Host: {host}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""])


def _tricks(booth: Booth, port: int) -> list[str]:
    web = f"127.0.0.3:{booth.web.port}"
    here = f"127.0.0.1:{port}"
    urls = [
        f"http://{name}:{port}/"
        for name in (
            "127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "0",
            "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "127.0.0.1.", "localhost.", "LOCALHOST",
            "%6cocalhost", "127.0.0.3@127.0.0.1", "127.0.0.3%40127.0.0.1", "127.0.0.3#@127.0.0.1",
            "127.0.0.3\\@127.0.0.1", "①②⑦.0.0.1".encode().decode("latin-1"),
        )
    ]  # fmt: skip
    urls += [f"http://{web}@{here}/", f"http://{here}#{web}", f"http://{here}?{web}"]
    urls += [
        f"http://{web}:{port}/",
        f"file:///etc/passwd#{web}",
        f"gopher://{here}/",
        f"//{here}/",
    ]
    other = [
        _get("/", host=here),
        _get("/", host=web),
        _get(f"https://{here}/"),
        _get(here, method="CONNECT"),
        _get(web, method="CONNECT"),
        _get("127.0.0.3:22", method="CONNECT"),
        # A second request hidden in the first one's body, by two ways to say how long that is.
        _get(f"http://{here}/", "Content-Length: 5", "Transfer-Encoding: chunked", host=web),
        f"GET http://{here}/\r\n\r\n",
        f"GET  http://{here}/ HTTP/1.1\r\nHost: {web}\r\n\r\n",
        f"GET http://{here}/ HTTP/1.0\n\n",
        f"GET http://{here}/ HTTP/1.1\r\n Host: {web}\r\n\r\n",
        f"TRACE http://{web}/ HTTP/1.1\r\nHost: {web}\r\n\r\n",
    ]
    return [_get(url) for url in urls] + other


def test_no_way_to_write_a_url_leads_to_a_host_that_is_not_declared(
    booth: Booth, forbidden: Site
) -> None:
    reached = probe(booth, "gate.proxied", *_tricks(booth, forbidden.port))
    assert reached == []
    assert forbidden.seen == []


def test_what_follows_a_request_is_judged_by_itself(booth: Booth, forbidden: Site) -> None:
    web, here = f"127.0.0.3:{booth.web.port}", f"127.0.0.1:{forbidden.port}"
    first = f"GET http://{web}/first HTTP/1.1\r\nHost: {web}\r\n\r\n"
    probe(booth, "gate.proxied", first + _get(f"http://{here}/"))
    assert forbidden.seen == []


def test_a_host_header_does_not_lead_elsewhere(booth: Booth, forbidden: Site) -> None:
    booth.web.seen.clear()
    url = f"http://127.0.0.3:{booth.web.port}/plain"
    (let,) = probe(booth, "gate.proxied", _get(url, host=f"127.0.0.1:{forbidden.port}"))
    assert " 200" in let
    assert forbidden.seen == []
    ((_, path, headers, _),) = booth.web.seen
    assert path == "/plain"
    assert headers["Host"] == f"127.0.0.3:{booth.web.port}"


def test_a_page_that_is_forbidden_is_so_however_its_path_is_written(booth: Booth) -> None:
    booth.web.seen.clear()
    web = f"http://127.0.0.3:{booth.web.port}"
    paths = ("/secret", "/%73ecret", "/x/../secret", "/./secret", "/%2e/secret", "/x/%2e%2e/secret")
    reached = probe(booth, "gate.proxied", *(_get(web + path) for path in paths))
    assert reached == []
    assert booth.web.seen == []


def test_the_socket_has_the_services_that_are_named_and_no_other(booth: Booth) -> None:
    names = ("", "operator", "GOVERNOR", "governor ", " governor", "governor\0", "mcp", "mcp files",
             "../governor", "ready\r", "http\0x", "x" * 200)  # fmt: skip
    assert probe(booth, "gate.services", *names) == []


def test_descriptors_that_are_passed_to_the_socket_arrive_nowhere(yard: Yard) -> None:
    """Not even for a moment: whoever keeps the socket reads none of them."""
    programs = yard.folder / "gate"
    shutil.copytree(PROBES, programs / "probes")
    taken: list[int] = []

    def governor(connection) -> None:  # type: ignore[no-untyped-def]
        taken.append(len(list(Path("/proc/self/fd").iterdir())))
        connection.sendall(b"here")

    uid = yard.user.uid if yard.user else os.getuid()
    with Warden({"governor": governor}, uid=uid) as warden:
        python = yard.python
        _, out, errors = yard.run(
            python, "-I", "-S", "-B", "-c", _BOOT, str(programs), "gate.descriptors_given", "12",
            read=(*yard.read, programs), socket=warden.path,
        )  # fmt: skip
    said = [json.loads(line) for line in out.splitlines()]
    assert said[1:] == [{"done": True}], (out, errors)
    assert len(taken) == 6
    # Eight came with each connection: had they been taken, the last would have seen dozens more.
    assert max(taken) - min(taken) < 8
