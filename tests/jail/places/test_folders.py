"""A folder that would be a way out of the jail is refused, whatever it is called by."""

import os
import socket
import sys
from pathlib import Path

import msgspec
import pytest

import bridle
from bridle.jail.errors import JailError
from bridle.jail.places import folders
from bridle.jail.profile import Kept, Profile
from jail.yard import descriptors


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = tmp_path / "project" / "work"
    path.mkdir(parents=True)
    return path


def opened(work: Path, **more: object) -> tuple[Path, list[Path]]:
    """Return what is opened, and close it again."""
    profile = msgspec.structs.replace(Profile(command=("x",), work=work), **more)
    found, read = folders.opened(profile)
    for each in (found, *read):
        os.close(each.descriptor)
    return found.path, [each.path for each in read]


def refused(work: Path, **more: object) -> str:
    before = descriptors()
    with pytest.raises(JailError) as caught:
        opened(work, **more)
    assert caught.value.code == "jail_refused"
    assert descriptors() == before
    return caught.value.message


def test_a_folder_of_its_own_is_taken(work: Path) -> None:
    (work / "file").write_text("x")
    (work / "link").symlink_to("/etc/passwd")
    (work / "deep" / "er").mkdir(parents=True)
    assert opened(work) == (work, [])


def test_links_are_followed_once_before_anything_is_judged(work: Path) -> None:
    link = work.parent / "link"
    link.symlink_to(work)
    assert opened(link)[0] == work
    link.unlink()
    link.symlink_to("/usr/lib")
    assert "of the system" in refused(link)


@pytest.mark.parametrize(
    "path",
    ["/", "/etc", "/etc/ssl", "/usr", "/usr/lib", "/dev", "/proc/self", "/run", "/tmp", "/home",
     "/var", "/bin", "/sys", "/var/run", "/boot", "/lib"],
)  # fmt: skip
def test_no_place_of_the_system_is_a_work_folder(path: str) -> None:
    if not Path(path).exists():
        pytest.skip(f"not run: there is no {path}")
    refused(Path(path))


def test_no_home_is_a_work_folder(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(work))
    assert "more than one task" in refused(work)
    refused(Path.home())


def test_what_is_not_a_folder_is_none(work: Path) -> None:
    (work / "file").write_text("x")
    assert "is no folder" in refused(work / "file")
    assert "cannot be had" in refused(work / "missing")
    loop = work / "loop"
    loop.symlink_to(loop)
    assert "cannot be had" in refused(loop)


def test_no_work_folder_holds_or_lies_in_what_is_kept(work: Path) -> None:
    state = work / "deep" / "state"
    state.mkdir(parents=True)
    kept = (Kept("the governor's state", state),)
    assert "holds or lies in the governor's state" in refused(work, kept=kept)
    assert "holds or lies in" in refused(work / "deep", kept=kept)
    assert "holds or lies in" in refused(state, kept=kept)
    (state / "below").mkdir()
    assert "holds or lies in" in refused(state / "below", kept=kept)
    (work / "beside").mkdir()
    assert opened(work / "beside", kept=kept)[0] == work / "beside"


def test_a_kept_place_that_is_not_made_yet_is_kept(work: Path) -> None:
    later = (Kept("the state", work / "later" / "state"),)
    assert "the state" in refused(work, kept=later)
    (work / "beside").mkdir()
    opened(work / "beside", kept=later)


def test_a_kept_place_is_known_through_links(work: Path) -> None:
    real = work.parent / "real"
    (real / "state").mkdir(parents=True)
    (work.parent / "alias").symlink_to(real)
    assert "the state" in refused(real, kept=(Kept("the state", work.parent / "alias" / "state"),))


def test_what_may_be_read_may_still_not_be_changed(work: Path) -> None:
    bundle = work.parent / "bundle"
    bundle.mkdir()
    kept = (Kept("the bundle", bundle, readable=True),)
    assert opened(work, read=(bundle,), kept=kept)[1] == [bundle]
    assert "the bundle" in refused(work.parent, kept=kept)
    assert "the bundle" in refused(bundle, kept=kept)


def test_nothing_that_is_kept_can_be_read(work: Path) -> None:
    keys = work.parent / "safe" / "keys"
    keys.mkdir(parents=True)
    (keys / "root.key").write_text("s3cret")
    kept = (Kept("the keys", keys),)
    for path in (keys, keys / "root.key", keys.parent):
        assert "the keys" in refused(work, read=(path,), kept=kept)


@pytest.mark.parametrize("name", [".ssh", ".aws", ".gnupg", ".kube", ".netrc", ".config/gcloud"])
def test_secrets_of_users_cannot_be_read(
    work: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    home = work.parent / "home"
    secret = home / name
    secret.parent.mkdir(parents=True)
    secret.write_text("s3cret")
    monkeypatch.setenv("HOME", str(home))
    for path in (secret, home):
        assert "secrets of a user" in refused(work, read=(path,))


def test_the_folder_of_an_agents_socket_cannot_be_read(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = work.parent / "agent"
    folder.mkdir()
    monkeypatch.setenv("SSH_AUTH_SOCK", str(folder / "socket"))
    assert "SSH_AUTH_SOCK" in refused(work, read=(folder,))
    monkeypatch.delenv("SSH_AUTH_SOCK")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/docker.sock")
    assert "DOCKER_HOST" in refused(work, read=(folder,))


@pytest.mark.parametrize("path", ["/run", "/proc/self", "/dev/shm", "/sys/kernel", "/", "/etc"])
def test_no_place_of_the_machine_can_be_read(work: Path, path: str) -> None:
    refused(work, read=(Path(path),))


def test_what_lies_in_the_work_folder_cannot_be_asked_for_as_unchangeable(work: Path) -> None:
    (work / "part").mkdir()
    assert "can be written" in refused(work, read=(work / "part",))


def test_the_program_that_judges_cannot_be_changed() -> None:
    package = Path(bridle.__file__).parent
    for path in (package, package / "jail", package.parent, Path(sys.prefix)):
        if not path.is_relative_to("/usr"):
            assert "the program that runs this" in refused(path)


def test_an_interpreter_that_lies_beside_secrets_is_not_shown(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = work.parent / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    opened(work)
    # As after `python -m venv ~`.
    monkeypatch.setattr(sys, "prefix", str(home))
    assert "interpreter's folder" in refused(work)
    opened(work, python=False)


@pytest.mark.parametrize("depth", [0, 3])
def test_a_folder_with_a_socket_pipe_or_device_is_refused(work: Path, depth: int) -> None:
    folder = work.joinpath(*"abc"[:depth])
    folder.mkdir(parents=True, exist_ok=True)
    # A socket on a read-only mount can be connected to all the same.
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        assert f"a socket, pipe or device: {folder / 's'}" in refused(work)
    (folder / "s").unlink()
    os.mkfifo(folder / "pipe")
    assert "a socket, pipe or device" in refused(work)
    other = work.parent / "other"
    other.mkdir()
    assert "a socket, pipe or device" in refused(other, read=(work,))
    assert "neither file nor folder" in refused(other, read=(folder / "pipe",))


def test_too_many_files_to_look_through_are_refused(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        (work / str(number)).touch()
    monkeypatch.setattr(folders, "MOST", 10)
    assert "more than 10 files" in refused(work)


MOUNTS = b"""22 1 254:0 / / rw - ext4 /dev/vda rw
40 22 0:30 / /a/work rw - tmpfs tmpfs rw
41 22 0:31 / /a/work/with\\040space rw - tmpfs tmpfs rw
42 22 0:32 / /a/work/\xc3\xa9t\xc3\xa9 rw - tmpfs tmpfs rw
43 22 0:33 / /a/workshop rw - tmpfs tmpfs rw
odd
"""


def test_mounts_below_a_folder_are_found_by_their_names() -> None:
    found = folders.mounts_below(Path("/a/work"), MOUNTS)
    assert found == [Path("/a/work/with space"), Path("/a/work/été")]
    assert folders.mounts_below(Path("/b"), MOUNTS) == []


def test_a_folder_with_a_mount_below_is_refused() -> None:
    # The one folder that has some everywhere; a work folder's are read the same way.
    with pytest.raises(JailError, match="has something mounted at"):
        folders._unmounted(Path("/"), "path to read")
