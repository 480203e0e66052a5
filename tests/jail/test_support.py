"""Where anything is missing there is no jail: each lack is named, with the way out."""

import os
import platform
import subprocess
from pathlib import Path

import pytest

from bridle.jail import running, support
from bridle.jail.errors import JailError
from bridle.jail.launch import launch
from bridle.jail.profile import Identity
from jail.yard import Yard, descriptors, identity


def lack(*args: object, of: object = support.require) -> JailError:
    with pytest.raises(JailError) as caught:
        of(*args)
    assert caught.value.hint
    return caught.value


@pytest.mark.skipif(os.geteuid() != 0, reason="not run: only root is refused as root")
def test_root_is_never_jailed() -> None:
    assert lack(None).code == "jail_refused"
    assert "--as" in lack(None).hint
    assert lack(Identity("root", 0, 0)).code == "jail_refused"


def test_only_root_starts_a_jail_as_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert "only root" in lack(Identity("other", 4321, 4321)).message


@pytest.mark.parametrize("name", ["ppc64le", "i686", "", "armv7l", "riscv64"])
def test_a_machine_without_a_filter_has_no_jail(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: name)
    assert "no filter" in lack(identity()).message


@pytest.mark.parametrize("release", ["5.13.19", "4.19.0-amd64", "", "odd", "5"])
def test_an_old_kernel_has_no_jail(release: str) -> None:
    lack(release, of=support._kernel)


@pytest.mark.parametrize("release", ["5.14.0", "6.18.44-fc-v657", "10.0-rc1", "6.1.0-18-amd64"])
def test_a_newer_kernel_has(release: str) -> None:
    support._kernel(release)


@pytest.mark.parametrize(
    "name", ["user/max_user_namespaces", "kernel/unprivileged_userns_clone"]
)  # fmt: skip
def test_a_switch_that_forbids_namespaces_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text("0\n")
    assert name.replace("/", ".") in lack(tmp_path, of=support._namespaces).message
    (tmp_path / name).write_text("1\n")
    support._namespaces(tmp_path)


@pytest.mark.parametrize("actions", ["", "allow errno", "kill_thread trap errno trace allow"])
def test_a_kernel_without_filters_has_no_jail(tmp_path: Path, actions: str) -> None:
    (tmp_path / "kernel" / "seccomp").mkdir(parents=True)
    (tmp_path / "kernel" / "seccomp" / "actions_avail").write_text(actions)
    assert "seccomp" in lack(tmp_path, of=support._seccomp).message


def test_without_bubblewrap_there_is_no_jail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_FOLDERS", "/nonexistent")
    assert "not installed" in lack(of=support._bubblewrap).message


def test_a_bubblewrap_on_the_callers_path_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planted = tmp_path / "bwrap"
    planted.write_text('#!/bin/sh\nexec "$@"\n')
    planted.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert not running.program().startswith(str(tmp_path))


def fake(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str, mode: int = 0o755) -> None:
    program = folder / "bwrap"
    program.write_text(script)
    program.chmod(mode)
    monkeypatch.setattr(running, "_FOLDERS", str(folder))


def test_an_old_bubblewrap_is_refused_by_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake(monkeypatch, tmp_path, "#!/bin/sh\necho '--unshare-user --bind-fd --size'\n")
    message = lack(of=support._bubblewrap).message
    assert "--disable-userns" in message
    assert "--bind-fd" not in message


def test_a_setuid_bubblewrap_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake(monkeypatch, tmp_path, "#!/bin/sh\n", 0o4755)
    assert "setuid" in lack(of=support._bubblewrap).message


def test_a_bubblewrap_that_makes_no_jail_is_found_out(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, open_folder: Path
) -> None:
    told = subprocess.run(["bwrap", "--help"], capture_output=True, check=True).stdout.decode()
    # Says that it knows everything, and starts the command as it is.
    fake(monkeypatch, open_folder, f"""#!/bin/sh
case "$1" in --help) cat <<'END'
{told}
END
;; *) while [ "$1" != -- ]; do shift; done; shift; exec "$@";; esac
""")  # fmt: skip
    with pytest.raises(JailError) as caught:
        launch(yard.profile("/bin/sh", "-c", f"touch {yard.work}/ran"))
    assert caught.value.code == "jail_unavailable"
    assert not (yard.work / "ran").exists()


def test_where_bubblewrap_may_not_its_own_words_are_told(yard: Yard, tmp_path: Path) -> None:
    if yard.user is None:
        pytest.skip("not run: only root can name a folder that the jail's user cannot reach")
    work = tmp_path / "mine"
    work.mkdir(mode=0o700)
    with pytest.raises(JailError) as caught:
        launch(yard.profile("/bin/true", work=work))
    assert caught.value.code == "jail_unavailable"
    assert "bubblewrap cannot make the jail" in caught.value.message
    assert "reach each folder" in caught.value.hint


WEAK = {
    "no filter": {"filter": b""},
    "capabilities": {"without": ("--cap-drop", "ALL"), "with": ("--cap-add", "CAP_SYS_ADMIN")},
    "the host's network": {"without": ("--unshare-net",)},
    "another user": {"without": ("--uid", "1000"), "with": ("--uid", "1001")},
}


@pytest.mark.parametrize("name", WEAK)
def test_the_trial_finds_a_jail_that_lacks_a_wall(yard: Yard, name: str) -> None:
    import msgspec

    weak = WEAK[name]
    with yard.plan("/bin/true") as plan:
        support.tried(plan)
        words = list(plan.arguments)
        if gone := weak.get("without"):
            at = words.index(gone[0])
            assert tuple(words[at : at + len(gone)]) == gone
            del words[at : at + len(gone)]
        words += weak.get("with", ())
        other = msgspec.structs.replace(
            plan, arguments=tuple(words), filter=weak.get("filter", plan.filter)
        )
        with pytest.raises(JailError, match="lacks a wall"):
            support.tried(other)


def test_what_the_kernel_does_not_say_is_a_lack() -> None:
    assert support.lacking("")
    assert support.lacking("Seccomp:\t2\n")
    assert support.lacking("Seccomp:\t0\nNoNewPrivs:\t1\n")


def test_a_jail_whose_limits_cannot_be_set_runs_nothing(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no limits today")

    monkeypatch.setattr(running.kernel, "set_on", fail)
    before = descriptors()
    with pytest.raises(JailError, match="no limits today"), yard.plan(
        "/bin/sh", "-c", "touch ran"
    ) as plan:  # fmt: skip
        running.start(plan)
    assert descriptors() == before
    assert not (yard.work / "ran").exists()


def test_a_bubblewrap_that_does_not_answer_in_time_is_ended_with_its_children(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, open_folder: Path
) -> None:
    fake(monkeypatch, open_folder, f"#!/bin/sh\n(sleep 60; touch {yard.work}/ran) & wait\n")
    monkeypatch.setattr(running, "PATIENCE", 0.2)
    before = set(Path("/proc").iterdir())
    with pytest.raises(JailError), yard.plan("/bin/true") as plan:
        running.start(plan)
    left = {path for path in set(Path("/proc").iterdir()) - before if path.name.isdigit()}
    commands = {path / "cmdline" for path in left}
    assert not [path for path in commands if path.exists() and b"touch" in path.read_bytes()]
