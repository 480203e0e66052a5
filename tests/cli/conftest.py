"""The command line from the outside: `python -m bridle …` in a home of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle

ROOT = Path(__file__).resolve().parents[2]
STARTER = ROOT / "src" / "bridle" / "cli" / "starter"
BACK_OFFICE = ROOT / "src" / "bridle" / "cli" / "demo" / "bundle"


class Ran:
    """What a command printed and how it ended."""

    def __init__(self, ran: subprocess.CompletedProcess[bytes]) -> None:
        self.code = ran.returncode
        self.out = ran.stdout.decode()
        self.err = ran.stderr.decode()
        self.raw = ran.stdout
        assert "Traceback" not in self.err + self.out, self.err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """Runs `bridle` with a state directory of its own and nothing of the developer's."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "TMPDIR": str(home),
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONWARNINGS": "error",
            "LC_ALL": "C.UTF-8",
        }

    def __call__(
        self, *args: str | Path, stdin: str | bytes = b"", cwd: Path | None = None, **environ: str
    ) -> Ran:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        return Ran(
            subprocess.run(
                [sys.executable, "-m", "bridle", *map(str, args)],
                input=data,
                capture_output=True,
                env={**self.environ, **environ},
                cwd=cwd or self.home,
                timeout=50,
                check=False,
            )
        )


@pytest.fixture(scope="session")
def shell_at() -> type[Shell]:
    """Make a shell with a home of one's own, for what several tests look at."""
    return Shell


@pytest.fixture
def bridle_(tmp_path: Path) -> Shell:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return Shell(home)


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    return copied(STARTER, tmp_path / "starter")


@pytest.fixture
def office(tmp_path: Path) -> Path:
    return copied(BACK_OFFICE, tmp_path / "office")


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


@pytest.fixture
def serving(bridle_: Shell) -> Iterator[Callable[[Path], None]]:
    """Start `bridle serve` for a bundle and return once it is ready; stopped at the end."""
    running: list[subprocess.Popen[bytes]] = []

    def start(bundle: Path) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridle", "serve", str(bundle), "--json"],
            stdout=subprocess.PIPE,
            env=bridle_.environ,
        )
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the governor ended before it was ready"
        assert json.loads(line)["ready"]

    yield start
    for process in running:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture
def gov(bridle_, desk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[bridle.Bridle]:
    """The governor of a module's `desk`, as an agent's program has it."""
    monkeypatch.setenv("XDG_STATE_HOME", bridle_.environ["XDG_STATE_HOME"])
    monkeypatch.setenv("TMPDIR", bridle_.environ["TMPDIR"])
    with bridle.connect(desk) as connected:
        yield connected


@pytest.fixture
def assistant(gov: bridle.Bridle) -> bridle.Agent:
    return gov.start_mission("desk", user="me", prompt="…").agent("assistant")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, shell_at) -> Path:
    """The home of a demo that was kept."""
    home = tmp_path_factory.mktemp("kept")
    ran = shell_at(home)("demo", "--keep", home / "demo")
    assert ran.code == 0, ran.err
    return home
