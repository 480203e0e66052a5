"""DAGs are read in a jail: what breaks the parser, or the reader, reaches nothing."""

import json
import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from bridle.engine.plans.imports import dag
from bridle.jail import reading
from bridle.jail.errors import JailError
from jail.booth import run_in
from jail.yard import Yard

READER = Path(dag.__file__).read_text()
DAG = """from airflow import DAG
from airflow.operators.bash import BashOperator
with DAG("d"):
    BashOperator(task_id="a", bash_command="ls") >> BashOperator(task_id="b", bash_command="pwd")
"""
MAP = """
[kinds."airflow.operators.bash.BashOperator"]
tool = "shell.run"
args = { bash_command = "command" }
"""
LONG = 1 << 20


def answered(yard: Yard, source: str, data: bytes = b"", most: int = LONG) -> bytes:
    own = yard.user is None
    python = reading.Python(yard.python, own=own, read=yard.read, environ=yard.environ)
    return reading.answer(source, data, most=most, user=yard.user, python=python)


def test_a_dag_is_read_in_a_jail(yard: Yard) -> None:
    found = json.loads(answered(yard, READER, DAG.encode()))
    assert [(each["id"], each["after"]) for each in found["tasks"]] == [("a", []), ("b", ["a"])]


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b"\x00", b"(" * 200_000, b"-" * 1_000_000 + b"1", b"x=" * 100_000]
)
def test_what_is_hostile_to_a_parser_is_refused_or_ends_the_reader_alone(
    yard: Yard, data: bytes
) -> None:
    try:
        said = answered(yard, READER, data)
    except JailError:
        return
    assert json.loads(said)["refused"]


def test_whoever_takes_the_reader_over_sees_no_file_and_no_network(
    yard: Yard, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the governor")
    probe = f"""
import os, socket
found = []
try:
    found.append(open({str(secret)!r}).read())
except OSError:
    pass
try:
    socket.create_connection(("127.0.0.1", 1), 1)
except OSError as problem:
    found.append(type(problem).__name__)
found.append(sorted(name for name in os.environ if "BRIDLE" in name or "SOCKET" in name))
print(found)
"""
    said = answered(yard, probe).decode()
    assert "of the governor" not in said
    assert said.rstrip().endswith("[]]")


@pytest.mark.parametrize(
    "source",
    ["raise SystemExit(3)", "1 / 0", "x = 'x' * (1 << 32)",
     "import os\nfor _ in range(100): os.fork()", "print('x' * (1 << 22))"],
)  # fmt: skip
def test_a_reader_that_fails_or_wants_too_much_gives_no_answer(yard: Yard, source: str) -> None:
    with pytest.raises(JailError) as problem:
        answered(yard, source)
    assert problem.value.code == "jail_failed"


def test_a_reader_that_never_ends_is_ended(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = msgspec.structs.replace(reading.LIMITS, time=2)
    monkeypatch.setattr(reading, "LIMITS", quick)
    with pytest.raises(JailError, match="time"):
        answered(yard, "while True: pass")


def test_the_command_reads_a_dag_in_a_jail(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "dag.py").write_text(DAG)
    (tmp_path / "map.toml").write_text(MAP)
    words = [yard.python, "-P", "-m", "bridle", "plan", "import", str(tmp_path / "dag.py")]
    words += ["--from", "airflow", "--map", str(tmp_path / "map.toml")]
    if yard.user is not None:
        words += ["--as", yard.user.name]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **run_in(yard)}
    ran = subprocess.run(words, capture_output=True, check=False, env=environ, timeout=50)
    assert ran.returncode == 0, ran.stderr
    steps = json.loads(ran.stdout)["steps"]
    assert [(each["id"], each["args"]) for each in steps] == [
        ("a", {"command": "ls"}),
        ("b", {"command": "pwd"}),
    ]
