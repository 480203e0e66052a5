"""`bridle run --as-workload`: the key proves outside who carries calls out, and stays there."""

from collections.abc import Iterator

import pytest

from jail.booth import PASSPHRASE, Booth
from jail.yard import Yard

CALL = """
import os, bridle
agent = bridle.attach()
print(*sorted(os.environ.values()), open("/proc/self/cmdline").read())
try:
    print(agent.call("note.write", {"text": "hi"}, effect=lambda text: "done"))
except bridle.Denied as denied:
    print(denied.code)
"""


@pytest.fixture(scope="module")
def booth(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booth]:
    made = Booth(yard, tmp_path_factory.mktemp("booth"))
    yield made
    made.close()


def opened(booth: Booth) -> tuple[str, ...]:
    return "--as-workload", "keyed", "--passphrase-file", str(booth.folder / "passphrase")


def test_calls_are_carried_out_by_the_workload_whose_key_is_proved(booth: Booth):
    ran = booth.code(CALL, options=opened(booth))
    assert ran.stdout.endswith("done\n"), ran.stderr
    assert PASSPHRASE not in ran.stdout + ran.stderr


def test_without_the_key_nothing_is_carried_out_in_that_workloads_name(booth: Booth):
    ran = booth.code(CALL, options=("--executor", "keyed"))
    assert ran.stdout.splitlines()[-1] == "executor_not_proven", ran.stderr


def test_a_wrong_passphrase_starts_nothing(booth: Booth):
    wrong = booth.folder / "wrong"
    wrong.write_text("short grass")
    wrong.chmod(0o600)
    before = len(booth.governor.missions())
    ran = booth.code(CALL, options=("--as-workload", "keyed", "--passphrase-file", str(wrong)))
    assert (ran.returncode, ran.stdout) == (3, "")
    assert "passphrase_wrong" in ran.stderr
    assert len(booth.governor.missions()) == before


def test_the_passphrases_file_is_not_to_be_read_inside(booth: Booth):
    file = booth.folder / "passphrase"
    ran = booth.code(CALL, options=(*opened(booth), "--read", str(file)))
    assert (ran.returncode, ran.stdout) == (3, "")
    assert "jail_refused" in ran.stderr


def test_servers_need_a_passphrase_that_can_be_had_twice(booth: Booth):
    ran = booth.code(CALL, options=("--as-workload", "keyed", "--mcp", "files=server"))
    assert ran.returncode == 2
    assert "--passphrase-file" in ran.stderr
