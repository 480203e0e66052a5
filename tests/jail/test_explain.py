"""What is said of a jail beforehand is what it is."""

from pathlib import Path

from bridle.jail import explain
from bridle.jail.profile import MEBI, SOCKET, Limits, Profile
from jail.yard import Yard

PROFILE = Profile(
    command=("x",),
    work=Path("/a/work"),
    read=(Path("/b/data"),),
    environ={"TOKEN": "s3cret"},
    socket=Path("/outside/socket"),
    limits=Limits(memory=64 * MEBI, time=90),
)


def rows(profile: Profile) -> dict[str, explain.Row]:
    found = explain.rows(profile)
    named = {row.what: row for row in found}
    assert len(named) == len(found)
    return named


def test_each_thing_has_one_row() -> None:
    found = rows(PROFILE)
    assert (found["/a/work"].reach, "write" in found["/a/work"].how) == ("yes", True)
    assert (found["/b/data"].reach, found["/b/data"].how) == ("yes", "read only")
    assert found["any host, the internet"].reach == "no"
    assert found["memory: 64 MiB"].reach == "yes"
    assert found["time: 90 s"].reach == "yes"


def test_the_one_way_out_is_the_governor() -> None:
    assert [row.what for row in explain.rows(PROFILE) if row.reach == "governor"] == [
        "the governor"
    ]
    assert str(SOCKET) in rows(PROFILE)["the governor"].how
    alone = Profile(command=("x",), work=Path("/a/work"))
    assert rows(alone)["the governor"].reach == "no"


def test_variables_are_named_and_their_values_are_not() -> None:
    text = explain.text(explain.rows(PROFILE))
    assert "TOKEN" in text
    assert "s3cret" not in text
    assert "only through the governor" in text


def test_what_is_said_to_be_seen_is_seen_and_nothing_else(yard: Yard) -> None:
    said = [row.what for row in explain.rows(yard.profile("x")) if row.what.startswith("/")]
    said = [path for each in said for path in each.split(", ")]
    _, out, _ = yard.run("/bin/cat", "/proc/self/mountinfo")
    mounted = {line.split(" ")[4] for line in out.splitlines()}
    written = {path for path in mounted if path.startswith("/etc/")} - set(said)
    assert {Path(path).name for path in written} <= {
        "passwd", "group", "hosts", "hostname", "nsswitch.conf", "resolv.conf",
    }  # fmt: skip
    own = {path for path in mounted if path == "/" or path.startswith(("/proc", "/dev"))}
    assert mounted - written - own <= {*said, *map(str, map(Path.resolve, map(Path, said)))}
