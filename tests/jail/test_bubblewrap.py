"""What bubblewrap is told keeps each wall: seen in the words, and inside."""

import os
import sys
from pathlib import Path

import pytest

from bridle.jail import bubblewrap
from bridle.jail.bubblewrap import NAMESPACES
from bridle.jail.places.folders import Seen
from bridle.jail.profile import HOME, SOCKET, Limits, Profile
from jail.yard import Yard


def words(**more: object) -> list[str | bytes | int]:
    profile = Profile(command=("x",), work=Path("/a/work"), **more)
    return list(bubblewrap.arguments(profile, Seen(Path("/a/work"), 90), (Seen(Path("/b"), 91),)))


def test_each_namespace_is_asked_for_and_must_be_given() -> None:
    told = words()
    assert {f"--unshare-{name}" for name in NAMESPACES} <= set(told)
    # Those with "try", and all at once, are left out in silence where they cannot be had.
    options = [word for word in told if isinstance(word, str) and word.startswith("--")]
    assert not [word for word in options if "-try" in word or "all" in word]
    for word in ("--disable-userns", "--assert-userns-disabled", "--new-session",
                 "--die-with-parent", "--as-pid-1", "--clearenv"):  # fmt: skip
        assert word in told
    assert told[told.index("--cap-drop") + 1] == "ALL"


def test_only_the_work_folder_is_bound_for_writing() -> None:
    told = words(socket=Path("/outside/socket"))
    assert "--bind" not in told
    assert "--dev-bind" not in told
    assert told.count("--bind-fd") == 1
    at = told.index("--bind-fd")
    assert told[at + 1 : at + 3] == [90, "/a/work"]
    at = told.index("--ro-bind-fd")
    assert told[at + 1 : at + 3] == [91, "/b"]


def test_nothing_is_added_after_the_root_is_closed() -> None:
    told = words(socket=Path("/outside/socket"))
    last = max(at for at, word in enumerate(told) if word == "--remount-ro")
    assert told[last + 1] == "/"
    after = {word for word in told[last + 2 :] if isinstance(word, str) and word.startswith("--")}
    assert after == {"--chdir", "--clearenv", "--setenv"}


def test_every_folder_in_memory_has_a_size() -> None:
    told = words(limits=Limits(scratch=1 << 20))
    for at in [at for at, word in enumerate(told) if word == "--tmpfs"]:
        assert told[at - 2 : at] == ["--size", str(1 << 20)]


def test_python_is_seen_only_when_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/opt/elsewhere")
    package = str(Path(bubblewrap.__file__).parents[1])
    assert package in words()
    assert package not in words(python=False)


def test_the_environment_is_the_profiles() -> None:
    found = bubblewrap.environment(Profile(command=("x",), work=Path("/w"), environ={"A": "b"}))
    assert found["A"] == "b"
    assert found["HOME"] == str(HOME)
    assert "BRIDLE_SOCKET" not in found
    given = Profile(command=("x",), work=Path("/w"), socket=Path("/s"))
    assert bubblewrap.environment(given)["BRIDLE_SOCKET"] == str(SOCKET)


WRITES = """
import os
found = ["/proc", "/proc/self", "/usr", "/usr/lib", "/usr/bin", "/sys", "/var", "/run", "/root"]
for folder, folders, files in os.walk("/"):
    folders[:] = [each for each in folders if os.path.join(folder, each) not in ("/proc", "/usr")]
    found.append(folder)
for folder in found:
    try:
        path = os.path.join(folder, "written")
        open(path, "w").close()
        os.unlink(path)
        print(folder)
    except OSError:
        pass
"""


def test_inside_nothing_else_can_be_written(yard: Yard) -> None:
    (yard.work / "deep").mkdir(exist_ok=True)
    ended, out, err = yard.code(WRITES)
    assert ended.status == 0, err
    # What the jail made on the way to its work folder lies in its own /tmp.
    found = {folder for folder in out.split() if not folder.startswith("/tmp")}
    assert found == {"/dev/shm", str(HOME)}
    assert str(yard.work) in out.split()
    for folder in ("/usr", "/usr/lib", "/etc", "/", "/dev", "/run", "/proc"):
        assert folder not in out.split()


def test_inside_there_is_no_file_of_others(yard: Yard) -> None:
    # Without Python: wherever a checkout lies, its folders would be seen.
    _, out, _ = yard.run("/bin/ls", "-A", "/", "/etc", "/tmp", python=False)
    seen = out.split()
    assert "root" not in seen
    assert "var" not in seen
    assert "sys" not in seen
    assert "shadow" not in seen
    assert {"passwd", "hosts", "resolv.conf"} <= set(seen)
    _, out, _ = yard.run("/bin/cat", "/etc/passwd")
    assert [line.split(":")[0] for line in out.splitlines()] == ["root", "agent", "nobody"]


def test_inside_only_its_own_processes_are_seen(yard: Yard) -> None:
    _, out, _ = yard.code("import os; print([p for p in os.listdir('/proc') if p.isdigit()])")
    assert out == "['1']\n"


def test_inside_there_is_a_loopback_and_nothing_else(yard: Yard) -> None:
    code = """
import socket
print([line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line])
here = socket.create_server(("127.0.0.1", 0))
socket.create_connection(here.getsockname()).close()
try: socket.create_connection(("192.0.2.1", 80), 2)
except OSError as problem: print(problem.errno)
"""
    ended, out, err = yard.code(code)
    assert (ended.status, out) == (0, "['lo']\n101\n"), err


def test_a_file_made_inside_is_the_users_outside(yard: Yard) -> None:
    yard.run("/bin/sh", "-c", "id -u > made; chmod 4755 made")
    status = (yard.work / "made").stat()
    assert status.st_uid == (yard.user.uid if yard.user else os.getuid())
    assert (yard.work / "made").read_text() == "1000\n"


def test_a_folder_to_read_is_seen_and_cannot_be_changed(yard: Yard, open_folder: Path) -> None:
    (open_folder / "file").write_text("to read\n")
    (open_folder / "file").chmod(0o666)
    open_folder.chmod(0o777)
    script = f"cat {open_folder}/file; echo x > {open_folder}/file; touch {open_folder}/new"
    _, out, err = yard.run("/bin/sh", "-c", script, read=(*yard.read, open_folder))
    assert out == "to read\n"
    assert err.count("Read-only file system") == 2
    assert list(open_folder.iterdir()) == [open_folder / "file"]
