"""`bridle http` as its users start it: a process of its own, asked with what its docs show."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridle.trust import folder
from gateway.http.asking import CONFIG, Gateway
from server.carrying import Site
from server.test_dispatching import WORKER

PHRASE = "correct horse battery staple"


@pytest.fixture
def command(site: Site, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    keys = tmp_path / "keys"
    folder.write(WORKER, PHRASE, folder=keys)
    phrase = tmp_path / "phrase"
    phrase.write_text(PHRASE)
    phrase.chmod(0o600)
    (tmp_path / "http.toml").write_text(CONFIG)
    running: list[subprocess.Popen[str]] = []

    def start(*options: str, workload: str = "worker") -> subprocess.Popen[str]:
        words = [sys.executable, "-P", "-m", "bridle", "http", "serve", str(tmp_path), "--json"]
        words += ["--config", str(tmp_path / "http.toml"), "--as-workload", workload, *options]
        environ = {**os.environ, "BRIDLE_KEYS": str(keys), "BRIDLE_PASSPHRASE_FILE": str(phrase)}
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        made = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
        )
        running.append(made)
        return made

    yield start
    for each in running:
        with each:
            each.kill()


class _Address:
    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.address = (host, int(port))


def test_it_serves_until_it_is_told_to_stop(
    command: Callable[..., subprocess.Popen[str]], tmp_path: Path, reference: str
) -> None:
    process = command("--listen", "127.0.0.1:0", "--host", "bridle.example")
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert ready["ready"] is True
    found: Any = _Address(ready["url"])
    gateway = Gateway(found, tmp_path / "http.toml")
    body = {"reference": reference, "tool": "page.get", "args": {"id": 7}, "key": "1"}
    for host in (None, "bridle.example", "localhost", f"localhost:{found.address[1]}"):
        said = gateway.ask("/v1/decide", body, headers={"Host": host} if host else {})
        assert (said.status, said.body["verdict"]["effect"]) == (200, "allow")
    assert gateway.ask("/v1/decide", body, headers={"Host": "evil.example"}).status == 421
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--listen", "0.0.0.0:0"), "beyond_loopback"),
        (("--listen", "192.0.2.1:0", "--beyond-loopback"), "no_address"),
        (("--config", "/nowhere/http.toml"), "http_invalid"),
    ],
)
def test_it_says_why_it_does_not_start(
    options: tuple[str, ...], code: str, command: Callable[..., subprocess.Popen[str]]
) -> None:
    process = command(*options)
    said = process.communicate(timeout=60)
    assert process.returncode in (1, 3)
    assert code in "".join(said)


def test_a_key_that_is_no_workloads_is_refused(
    command: Callable[..., subprocess.Popen[str]],
) -> None:
    process = command("--listen", "127.0.0.1:0", workload="nobody")
    process.communicate(timeout=60)
    assert process.returncode not in (0, None)


def test_a_token_is_shown_once_with_what_the_file_has_to_say(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-P", "-m", "bridle", "http", "token", "flows"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ).stdout
    head, _, block = made.partition("[points.flows]")
    assert "brt_" in head
    path = tmp_path / "http.toml"
    path.write_text("format = 1\n[points.flows]" + block)
    from bridle.gateway.http import config, points

    token = next(word for word in head.split() if word.startswith("brt_"))
    assert config.read(path).points[0].digest == points.digest_of(token)
