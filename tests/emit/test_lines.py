"""Events go to the file that was named, and to no other."""

import json
import os
from pathlib import Path

import pytest

from bridle.emit import cloudevents
from bridle.emit.errors import EmitError
from bridle.emit.lines import File
from bridle.emit.record import Record
from bridle.emit.targets import Emission, Target, target
from bridle.model.record import LeafKind
from emit.odd import record


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def tell(emitter: File, records: list[Record]) -> None:
    for each in records:
        emitter.emit(each)
    emitter.flush()


def told(file: Path) -> list[int]:
    return [int(json.loads(line)["id"]) for line in file.read_text("ascii").splitlines()]


def test_one_line_a_record_for_its_owner_alone(file: Path, records: list[Record]) -> None:
    os.umask(0)
    try:
        emitter = File(file, cloudevents.event)
    finally:
        os.umask(0o022)
    tell(emitter, records)
    emitter.close()
    assert told(file) == [each.index for each in records]
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_text_makes_a_line_or_a_command_of_a_terminal(file: Path) -> None:
    text = "b\u2028{}\u2029c\u0085d\x9b2Je\x1b[2Jf\r\n\x7f\u202e"
    odd = record(LeafKind.IDENTITY, {"what": "suspend", "kind": "agent", "id": text})
    emitter = File(file, cloudevents.event)
    tell(emitter, [odd])
    emitter.close()
    data = file.read_bytes()
    assert data.isascii()
    assert data[:-1].decode().isprintable()
    (line,) = data.decode().splitlines()
    assert json.loads(line)["data"]["record"]["id"] == text


def test_it_goes_on_below_what_is_there(file: Path, records: list[Record]) -> None:
    for part in (records[:3], records[3:5]):
        emitter = File(file, cloudevents.event)
        tell(emitter, part)
        emitter.close()
    assert told(file) == [0, 1, 2, 3, 4]


def test_a_line_that_a_crash_tore_is_ended_before_the_next(
    file: Path, records: list[Record]
) -> None:
    file.write_bytes(b'{"id":"0"}\n{"id":')
    file.chmod(0o600)
    emitter = File(file, cloudevents.event)
    tell(emitter, records[1:2])
    emitter.close()
    first, torn, whole = file.read_text("ascii").splitlines()
    assert (json.loads(first)["id"], torn, json.loads(whole)["id"]) == ("0", '{"id":', "1")


def test_a_file_that_was_moved_away_is_made_anew(file: Path, records: list[Record]) -> None:
    emitter = File(file, cloudevents.event)
    tell(emitter, records[:2])
    old = file.rename(file.with_suffix(".1"))
    tell(emitter, records[2:4])
    file.unlink()
    tell(emitter, records[4:5])
    emitter.close()
    assert told(old) == [0, 1]
    assert told(file) == [4]


def test_a_link_in_its_place_is_not_followed(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other"
    other.write_text("precious")
    file.symlink_to(other)
    with pytest.raises(EmitError) as caught:
        File(file, cloudevents.event)
    assert caught.value.code == "emit_target"
    file.unlink()
    file.hardlink_to(other)
    with pytest.raises(EmitError):
        File(file, cloudevents.event)
    assert other.read_text() == "precious"


def test_a_link_that_comes_later_is_not_followed_either(
    tmp_path: Path, file: Path, records: list[Record]
) -> None:
    other = tmp_path / "other"
    other.write_text("precious")
    emitter = File(file, cloudevents.event)
    file.unlink()
    file.symlink_to(other)
    with pytest.raises(EmitError):
        tell(emitter, records[:1])
    file.unlink()
    tell(emitter, records[:1])
    emitter.close()
    assert other.read_text() == "precious"
    assert told(file) == [0]


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, tmp_path / "none" / "events", Path("/dev/null")):
        with pytest.raises(EmitError) as caught:
            File(path, cloudevents.event)
        assert caught.value.code == "emit_target"


def test_a_full_disk_is_a_failure_and_nothing_is_lost(records: list[Record], tmp_path) -> None:
    file = tmp_path / "events"
    emitter = File(file, cloudevents.event)
    real = emitter._descriptor
    emitter._descriptor = os.open("/dev/full", os.O_WRONLY)
    os.close(real)
    with pytest.raises(EmitError) as caught:
        tell(emitter, records[:2])
    assert "No space left" in caught.value.message
    tell(emitter, records[:2])
    emitter.close()
    assert told(file) == [0, 1]


def test_targets_are_read_as_they_are_meant(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert target("ocsf:events") == Target("ocsf", str(tmp_path / "events"))
    assert target("cloudevents:/a/b:c") == Target("cloudevents", "/a/b:c")
    assert target("otel") == Target("otel")
    assert target("otel:http://c:4318").where == "http://c:4318/v1/traces"
    odd = ("", "ocsf", "ocsf:", "otel:", "otel:nowhere", "syslog:x", "OCSF:x", "ocsf:a\0b")
    for text in odd:
        with pytest.raises(EmitError) as caught:
            target(text)
        assert caught.value.code == "emit_target"


def test_what_a_url_carries_stands_in_no_log_and_no_name() -> None:
    found = target("otel:https://ana:secret@c.example/v1/traces?token=secret")
    assert found.shown == "otel:https://c.example/v1/traces"
    assert "secret" not in found.name


def test_no_receiver_lies_in_the_store_or_is_named_twice(store: Path, file: Path) -> None:
    for targets in (
        [target(f"ocsf:{store / 'store.db'}")],
        [target(f"ocsf:{store / 'emit' / 'x'}")],
        [target(f"ocsf:{file}")] * 2,
        [target(f"ocsf:{file}"), target(f"cloudevents:{file}")],
        # One that can be opened, before one that cannot.
        [target(f"ocsf:{file}"), target("ocsf:/dev/full")],
    ):
        emission = Emission()
        with pytest.raises(EmitError) as caught:
            emission.start(store, targets)
        assert caught.value.code == "emit_target"
        emission.close()
