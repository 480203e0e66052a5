"""Governor, operator and agent, each under a user of their own, and what it takes to be one."""

import grp
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import bridle as package
from client.desk import DESK

GOVERNOR, OPERATOR, AGENT = "bridle-governor", "bridle-operator", "bridle-agent"
GROUP = "bridle-agents"

SOURCE = Path(package.__file__).resolve().parents[1]
TESTS = Path(__file__).resolve().parents[1]


def missing() -> str:
    """Why nobody can be played here; empty when all can."""
    if os.geteuid() != 0:
        return "only root can become other users"
    for name in (GOVERNOR, OPERATOR, AGENT):
        try:
            pwd.getpwnam(name)
        except KeyError:
            return f"there is no user {name}: .ci/setup makes it"
    try:
        grp.getgrnam(GROUP)
    except KeyError:
        return f"there is no group {GROUP}: .ci/setup makes it"
    return ""


class Python:
    """An interpreter that every user can run, with what this one can import."""

    def __init__(self, folder: Path) -> None:
        self.path = Path(sys.executable)
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join((str(SOURCE), str(TESTS), sysconfig.get_path("purelib"))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
        }
        if not self._known_to(AGENT):
            self._copy(folder)
            assert self._known_to(AGENT), "no interpreter here that another user can run"

    def _known_to(self, name: str) -> bool:
        code = "import sys, encodings.ascii; print(encodings.__file__)"
        try:
            ran = self.run(name, code)
        except PermissionError:
            return False
        # Not another one's library, that lay nearer.
        base = sys.base_prefix if self.path == Path(sys.executable) else self.path.parent.parent
        return ran.returncode == 0 and ran.stdout.decode().startswith(str(base))

    def _copy(self, folder: Path) -> None:
        """The one that runs this lies in somebody's home: take what is needed of it."""
        base = Path(sys.base_prefix)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        skipped = shutil.ignore_patterns(
            "site-packages", "test", "__pycache__", "idlelib", "tkinter", "ensurepip", "config-*"
        )
        shutil.copytree(base / "lib" / version, folder / "lib" / version, ignore=skipped)
        for library in (base / "lib").glob("libpython*.so*"):
            shutil.copy(library, folder / "lib")
        (folder / "bin").mkdir()
        shutil.copy(os.path.realpath(sys.executable), folder / "bin" / version)
        self.path = folder / "bin" / version
        self.environ["LD_LIBRARY_PATH"] = str(folder / "lib")

    def run(self, name: str, code: str, *args: str, **more: str) -> subprocess.CompletedProcess:
        """Run code as a user."""
        return subprocess.run(
            [str(self.path), "-c", code, *args],
            capture_output=True,
            check=False,
            timeout=50,
            cwd="/",
            env={**self.environ, **more},
            **self.become(name),
        )

    def bridle(self, name: str, *args: str | Path, **more: str) -> subprocess.CompletedProcess:
        """Run the command line as a user."""
        return subprocess.run(
            [str(self.path), "-P", "-m", "bridle", *map(str, args)],
            capture_output=True,
            check=False,
            timeout=50,
            cwd="/",
            env={**self.environ, **more},
            **self.become(name),
        )

    def shell(self, name: str, script: str, **more: str) -> subprocess.CompletedProcess:
        """Run a shell script as a user."""
        return subprocess.run(
            ["/bin/sh", "-c", script],
            capture_output=True,
            check=False,
            timeout=50,
            cwd="/",
            env={**self.environ, "PYTHON": str(self.path), **more},
            **self.become(name),
        )

    @staticmethod
    def become(name: str) -> dict[str, Any]:
        if name == "root":
            return {}
        user = pwd.getpwnam(name)
        groups = [group for group in os.getgrouplist(name, user.pw_gid) if group != user.pw_gid]
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups}


class Installation:
    """A governor that `bridle serve --user` started as root, in folders of its own."""

    def __init__(self, python: Python, folder: Path, *options: str) -> None:
        self.python = python
        self.folder = folder
        self.bundle = folder / "bundle"
        self.state, self.runtime = folder / "state", folder / "run"
        if not self.bundle.exists():
            shutil.copytree(DESK, self.bundle)
        for path in (self.bundle, *self.bundle.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        self.options = options or ("--operator", OPERATOR)
        self.before: tuple[str, ...] = ()
        self.environ = python.environ
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *self.before,
                str(self.python.path), "-P", "-m", "bridle", "serve", str(self.bundle), "--json",
                "--user", GOVERNOR, "--agents-group", GROUP,
                "--state", str(self.state), "--runtime", str(self.runtime), *self.options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environ,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.ready = json.loads(line) if line else {}

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code (0: just wait for it)."""
        if number and self.process.poll() is None:
            self.process.send_signal(number)
        _, self.errors = self.process.communicate(timeout=30)
        return self.process.returncode

    def operator(self, *args: str | Path) -> Any:
        """Run a command as the operator and return what it says as JSON."""
        ran = self.python.bridle(OPERATOR, *args, "--json", BRIDLE_SOCKETS=str(self.runtime))
        assert ran.returncode == 0, (ran.stdout, ran.stderr)
        return json.loads(ran.stdout)

    def mission(self) -> str:
        return str(self.operator("missions", "start", "ticket-desk", "--user", "ana")["id"])

    def handle(self, mission: str, agent: str = "triage") -> str:
        told = self.operator("missions", "session", mission, "--agent", agent, "--as", "ana")
        return str(told["handle"])

    def leaves(self) -> list[dict[str, Any]]:
        """The records, as the governor's own user reads them."""
        code = (
            "import sys, json; from pathlib import Path\n"
            "from bridle.store.sqlite.reading import snapshot\n"
            "with snapshot(Path(sys.argv[1]) / 'store.db') as tx:\n"
            "    print(json.dumps([json.loads(leaf.data) for leaf in tx.leaves()]))"
        )
        ran = self.python.run(GOVERNOR, code, str(self.state))
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def audit(self) -> subprocess.CompletedProcess:
        return self.python.bridle(GOVERNOR, "audit", "verify", "--store", self.state, "--json")


def folder_for_all(prefix: str) -> Path:
    """A folder of root's that everybody can enter."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    return folder
