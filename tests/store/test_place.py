"""Stores, keys and sockets lie where nobody else reaches them, and always in the same place."""

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridle.model.errors import StoreError
from bridle.store.keys import load_or_create
from bridle.store.place import (
    SOCKET_BYTES,
    Place,
    assert_apart,
    installed_name,
    installed_runtime,
    installed_state,
    overlaps,
    place_at,
    place_of,
)


@pytest.fixture
def environ(tmp_path: Path, brief: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_RUNTIME_DIR": str(brief)}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "policies").mkdir(parents=True)
    (folder / "bridle.toml").write_text("format = 1\n")
    return folder


@pytest.fixture
def brief() -> Iterator[Path]:
    """A temporary folder with a short name."""
    folder = Path(tempfile.mkdtemp(prefix="b", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_bundle_has_one_place_whatever_path_leads_to_it(
    bundle: Path, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_of(bundle, environ)
    (tmp_path / "link").symlink_to(bundle)
    monkeypatch.chdir(tmp_path)
    for path in (bundle, tmp_path / "link", Path("bundle"), bundle / ".." / "bundle"):
        assert place_of(path, environ) == place
    assert place.folder == tmp_path / "state" / "bridle" / place.id
    assert place.database.parent == place.folder


def test_sockets_lie_beside_the_store_where_the_path_is_short(brief: Path) -> None:
    place = place_at(brief / "s")
    assert place.runtime == place.agents_socket.parent == place.operator_socket.parent
    assert place.runtime == place.folder == brief / "s"


def test_two_bundles_have_two_places_and_ids_tell_nothing(
    bundle: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    place, other = place_of(bundle, environ), place_of(tmp_path / "other", environ)
    elsewhere = place_of(bundle, environ | {"XDG_STATE_HOME": str(tmp_path / "elsewhere")})
    assert len({place.id, other.id, elsewhere.id}) == 3
    assert all(len(each.id) == 16 and each.id.isalnum() for each in (place, other, elsewhere))


def test_everything_is_private_whatever_the_mode_of_the_process(
    bundle: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        place = place_of(bundle, environ)
        load_or_create(place.payload_key)
    finally:
        os.umask(before)
    assert mode(tmp_path / "state" / "bridle") == mode(place.folder) == 0o700
    assert mode(place.payload_key.parent) == 0o700
    assert mode(place.payload_key) == 0o600
    assert mode(tmp_path / "state" / "bridle" / "index.json") == 0o600


def test_without_a_state_directory_the_home_has_it(
    bundle: Path, brief: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(brief))
    for environ in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}):
        assert place_of(bundle, environ).folder.parent == brief / ".local" / "state" / "bridle"


def test_callers_that_come_first_at_once_get_one_place(
    bundle: Path, environ: dict[str, str]
) -> None:
    found: set[Place] = set()
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        found.add(place_of(bundle, environ))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 1


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"/x": 7}', b'{"/x": "../../etc/passwd"}', b'{"/x": ""}', b"\xff"]
)
def test_an_index_that_cannot_be_read_is_refused(
    bundle: Path, environ: dict[str, str], tmp_path: Path, content: bytes
) -> None:
    place_of(bundle, environ)
    index = tmp_path / "state" / "bridle" / "index.json"
    index.write_bytes(content)
    with pytest.raises(StoreError) as raised:
        place_of(bundle, environ)
    assert raised.value.code == "place_invalid"
    assert index.read_bytes() == content


@pytest.mark.parametrize("part", ["", "folder"])
@pytest.mark.parametrize("wide", [0o755, 0o720, 0o701])
def test_a_state_folder_that_others_can_enter_is_refused(
    bundle: Path, environ: dict[str, str], tmp_path: Path, part: str, wide: int
) -> None:
    place = place_of(bundle, environ)
    (place.folder if part else tmp_path / "state" / "bridle").chmod(wide)
    with pytest.raises(StoreError) as raised:
        place_of(bundle, environ)
    assert raised.value.code == "place_exposed"


# Sockets


def long_state(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / ("deep" * 20) / ("er" * 20))}


@pytest.mark.parametrize("runtime", [True, False])
def test_a_long_path_has_its_sockets_in_a_short_private_folder(
    bundle: Path, tmp_path: Path, brief: Path, runtime: bool
) -> None:
    environ = long_state(tmp_path) | ({"XDG_RUNTIME_DIR": str(brief)} if runtime else {})
    place = place_of(bundle, environ)
    assert place == place_of(bundle, environ)
    above = brief / "bridle" if runtime else Path("/tmp") / f"bridle-{os.geteuid()}"
    assert place.runtime == above / place.id
    assert mode(place.runtime) == mode(place.runtime.parent) == 0o700
    for path in (place.agents_socket, place.operator_socket):
        assert len(os.fsencode(path)) <= SOCKET_BYTES
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            path.unlink()
    place.runtime.rmdir()


def test_a_folder_for_sockets_that_somebody_made_before_is_refused(
    bundle: Path, tmp_path: Path, brief: Path
) -> None:
    environ = long_state(tmp_path) | {"XDG_RUNTIME_DIR": str(brief)}
    runtime = place_of(bundle, environ).runtime
    for each in (runtime, runtime.parent):
        each.chmod(0o777)
        with pytest.raises(StoreError) as raised:
            place_of(bundle, environ)
        assert raised.value.code == "place_exposed"
        each.chmod(0o700)
    runtime.rmdir()
    runtime.symlink_to(tmp_path)
    with pytest.raises(StoreError) as raised:
        place_of(bundle, environ)
    assert raised.value.code == "place_exposed"


def test_a_named_folder_is_a_place_too(tmp_path: Path, environ: dict[str, str]) -> None:
    place = place_at(tmp_path / "kept" / "store", environ)
    assert place == place_at(tmp_path / "kept" / ".." / "kept" / "store", environ)
    assert place.folder == tmp_path / "kept" / "store"
    assert mode(place.folder) == 0o700


# Who else writes there


def test_paths_in_around_or_at_a_written_folder_overlap(tmp_path: Path) -> None:
    paths = [tmp_path / "store", tmp_path / "bundle", tmp_path / "storeroom"]
    for written, expected in {
        "store": [0],
        "store/deeper/still": [0],
        "": [0, 1, 2],
        "bundle/../store": [0],
        "stor": [],
        "out": [],
    }.items():
        where = str(tmp_path / written)
        assert [path for path, _ in overlaps(paths, [where])] == [paths[n] for n in expected]
    assert overlaps(paths, []) == []


def test_a_link_hides_no_overlap(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "innocent").symlink_to(tmp_path)
    (tmp_path / "alias").symlink_to(tmp_path / "store")
    assert overlaps([tmp_path / "store"], [str(tmp_path / "innocent")])
    assert overlaps([tmp_path / "alias" / "new"], [str(tmp_path / "store")])


def apart(place: Place, bundle: Path, writes: list[str]) -> str:
    try:
        assert_apart(place, bundle, writes)
    except StoreError as problem:
        return problem.code
    return ""


def test_a_bundle_or_store_where_tools_write_is_refused(
    bundle: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    place = place_of(bundle, environ)
    assert apart(place, bundle, [str(tmp_path / "out")]) == ""
    for written in (bundle, bundle / "policies", place.folder, tmp_path, Path("/")):
        assert apart(place, bundle, ["/srv/out", str(written)]) == "place_exposed"


@pytest.mark.parametrize("wide", [0o777, 0o702])
def test_a_bundle_that_others_can_write_is_refused(
    bundle: Path, environ: dict[str, str], tmp_path: Path, wide: int
) -> None:
    place = place_of(bundle, environ)
    for each in (bundle, bundle / "policies", bundle / "bridle.toml", tmp_path):
        before = mode(each)
        each.chmod(wide)
        assert apart(place, bundle, []) == "place_exposed", each
        each.chmod(before)
    assert apart(place, bundle, []) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_a_bundle_of_another_user_or_group_is_refused(
    bundle: Path, environ: dict[str, str]
) -> None:
    place = place_of(bundle, environ)
    os.chown(bundle / "bridle.toml", 65534, 0)
    assert apart(place, bundle, []) == "place_exposed"
    os.chown(bundle / "bridle.toml", 0, 65534)
    assert apart(place, bundle, []) == ""
    (bundle / "bridle.toml").chmod(0o664)
    assert apart(place, bundle, []) == "place_exposed"


def test_a_sticky_folder_above_and_sockets_inside_are_no_exposure(
    bundle: Path, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_of(bundle, environ)
    tmp_path.chmod(0o1777)
    monkeypatch.chdir(place.folder)  # the path itself is too long for a socket
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("agents.sock")
        Path("agents.sock").chmod(0o666)
        assert apart(place, bundle, []) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_a_bundle_may_be_an_operators_but_store_and_sockets_may_not(
    bundle: Path, environ: dict[str, str]
) -> None:
    place = place_of(bundle, environ)
    os.chown(bundle, 65534, 0)
    assert_apart(place, bundle, [], operators=frozenset({65534}))
    assert apart(place, bundle, []) == "place_exposed"
    os.chown(place.folder, 65534, 0)
    with pytest.raises(StoreError):
        assert_apart(place, bundle, [], operators=frozenset({65534}))


def test_sockets_in_a_folder_of_their_own_can_be_reached_and_the_store_cannot(
    brief: Path,
) -> None:
    before = os.umask(0o077)
    try:
        place = place_at(brief / "state", runtime=brief / "run")
    finally:
        os.umask(before)
    assert (mode(place.folder), mode(place.runtime)) == (0o700, 0o755)
    assert place.agents_socket == brief / "run" / "agents.sock"
    assert place.database == brief / "state" / "store.db"
    with pytest.raises(StoreError) as caught:
        place_at(brief / "other", runtime=brief / ("long" * 30))
    assert caught.value.code == "place_invalid"


def test_an_installed_governors_name_follows_from_the_bundles_path_alone(
    bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "alias").symlink_to(bundle)
    name = installed_name(bundle)
    assert installed_name(tmp_path / "alias") == name
    assert name.startswith("bundle-")
    assert installed_name(tmp_path / "other" / "bundle") != name
    assert installed_state(bundle) == Path("/var/lib/bridle") / name
    assert installed_runtime(bundle) == Path("/run/bridle") / name
    for odd in ("", "..", "a b/../c", "é" * 200, "-rf"):
        assert "/" not in installed_name(tmp_path / odd)
        assert len(installed_name(tmp_path / odd)) <= 41
