"""The file of sealed secrets: it opens for its key, as a whole, and for nobody else."""

import os
import pickle
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridle.brokers import sealed_file
from bridle.brokers.broker import BrokerError
from bridle.brokers.sealed_file import LONGEST, MOST, SealedFile, kept_in
from bridle.model.errors import StoreError, UsageError

KEY = bytes(range(32))
VALUE = "s3cret-of-the-house-4711"


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def secrets(folder):
    return SealedFile(folder / "secrets.sealed", KEY)


def unreadable(secrets, name="house"):
    with pytest.raises(BrokerError) as caught:
        secrets.get(name)
    assert caught.value.code == "secrets_unreadable"
    shown = "".join(traceback.format_exception(caught.value))
    assert VALUE not in shown
    with pytest.raises(BrokerError):
        secrets.names()
    # Nothing is sealed on top of what cannot be read: it could be mended yet.
    before = secrets.path.read_bytes()
    with pytest.raises(BrokerError):
        secrets.set("other", "x")
    assert secrets.path.read_bytes() == before


def test_what_was_set_is_there_for_the_next_process(secrets, folder):
    assert secrets.set("house", VALUE) is False
    assert secrets.set("b.c-d_9", "z\n") is False
    assert secrets.set("house", VALUE + "!") is True
    after = SealedFile(folder / "secrets.sealed", KEY)
    assert after.names() == ("b.c-d_9", "house")
    assert after.get("house") == VALUE + "!"
    assert after.remove("house") is True
    assert after.remove("house") is False
    with pytest.raises(BrokerError) as caught:
        secrets.get("house")
    assert caught.value.code == "secret_missing"


def test_only_its_owner_can_read_the_file_and_nobody_the_values(secrets):
    secrets.set("house", VALUE)
    assert secrets.path.stat().st_mode & 0o777 == 0o600
    data = secrets.path.read_bytes()
    assert VALUE.encode() not in data
    assert sorted(each.name for each in secrets.path.parent.iterdir()) == ["secrets.sealed"]


def test_the_same_value_sealed_twice_looks_different(secrets):
    secrets.set("house", VALUE)
    first = secrets.path.read_bytes()
    secrets.set("house", VALUE)
    assert secrets.path.read_bytes() != first


def test_another_key_does_not_open_it(secrets):
    secrets.set("house", VALUE)
    unreadable(SealedFile(secrets.path, bytes(32)))


def test_every_changed_byte_is_noticed(secrets):
    secrets.set("house", VALUE)
    data = secrets.path.read_bytes()
    for place in range(len(data)):
        secrets.path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(BrokerError):
            secrets.get("house")


@pytest.mark.parametrize("keep", [0, 1, 16, 17, 40, 48, 49, -1])
def test_a_file_that_was_cut_is_noticed(secrets, keep):
    secrets.set("house", VALUE)
    secrets.path.write_bytes(secrets.path.read_bytes()[:keep])
    unreadable(secrets)


def test_a_file_that_was_added_to_is_noticed(secrets):
    secrets.set("house", VALUE)
    secrets.path.write_bytes(secrets.path.read_bytes() + b"\0")
    unreadable(secrets)


def test_entries_cannot_be_swapped_nor_put_back_even_by_who_has_the_mac_key(secrets):
    secrets.set("house", VALUE)
    secrets.set("shed", "of no worth")
    with secrets._lock:
        entries = secrets._read()
        secrets._write({"house": entries["shed"], "shed": entries["house"]})
    with pytest.raises(BrokerError):
        secrets.get("shed")
    with pytest.raises(BrokerError):
        secrets.get("house")


def test_an_entry_of_an_older_file_cannot_be_put_into_a_newer_one(secrets):
    secrets.set("house", "old, and known to others")
    with secrets._lock:
        old = secrets._read()["house"]
    secrets.set("house", VALUE)
    data = secrets.path.read_bytes()
    with secrets._lock:
        new = secrets._read()["house"]
    # They differ in length by what the values do: the entry's length prefix is mended as well.
    assert data.count(new) == 1
    head = bytes([0xC4, len(new)])
    secrets.path.write_bytes(data.replace(head + new, bytes([0xC4, len(old)]) + old))
    unreadable(secrets)


@given(data=st.binary(max_size=300))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_lies_there_is_refused_and_nothing_else_happens(secrets, data):
    for each in (data, b"bridle-secrets-1\n" + data):
        secrets.path.write_bytes(each)
        with pytest.raises(BrokerError) as caught:
            secrets.names()
        assert caught.value.code == "secrets_unreadable"


def test_a_link_a_pipe_and_a_folder_are_no_file_of_secrets(secrets, folder):
    other = SealedFile(folder / "other", KEY)
    other.set("house", VALUE)
    secrets.path.symlink_to(other.path)
    unreadable_kind(secrets)
    secrets.path.unlink()
    os.mkfifo(secrets.path)
    unreadable_kind(secrets)
    secrets.path.unlink()
    secrets.path.mkdir()
    unreadable_kind(secrets)


def unreadable_kind(secrets):
    with pytest.raises(BrokerError) as caught:
        secrets.get("house")
    assert caught.value.code == "secrets_unreadable"


def test_a_file_of_any_size_is_not_read_into_memory(secrets):
    with secrets.path.open("wb") as file:
        file.truncate(8 << 30)
    unreadable_kind(secrets)


@pytest.mark.parametrize(
    "name", ["", "A", "a b", "a/b", "../x", ".a", "-a", "a\n", "ü", "a" * 65, "a\0"]
)
def test_what_is_no_name_is_refused_without_repeating_it(secrets, name):
    with pytest.raises(UsageError) as caught:
        secrets.set(name, VALUE)
    assert VALUE not in str(caught.value)
    assert not secrets.path.exists()


@pytest.mark.parametrize("value", ["", "a\0b", "x" * (LONGEST + 1), "ü" * LONGEST, "\ud800"])
def test_what_is_no_value_is_refused_and_not_repeated(secrets, value):
    with pytest.raises(UsageError) as caught:
        secrets.set("house", value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert len(str(caught.value)) < 200
    assert not secrets.path.exists()


def test_the_longest_value_and_as_many_as_there_may_be(secrets):
    secrets.set("longest", "x" * LONGEST)
    assert secrets.get("longest") == "x" * LONGEST
    entries = {f"n{index}": b"x" for index in range(MOST)}
    with secrets._lock:
        secrets._write(entries)
    with pytest.raises(UsageError):
        secrets.set("one-more", "x")
    assert secrets.set("n0", "x") is True


def test_many_threads_lose_nothing(secrets):
    def work(number):
        for index in range(5):
            secrets.set(f"t{number}-{index}", VALUE)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(secrets.names()) == 30


def test_a_writer_that_is_killed_leaves_the_old_file_or_the_new_one(secrets):
    secrets.set("house", "0")
    code = (
        "import sys; from pathlib import Path;"
        "from bridle.brokers.sealed_file import SealedFile\n"
        f"f = SealedFile(Path({str(secrets.path)!r}), bytes(range(32)))\n"
        "n = 0\n"
        "print('ready', flush=True)\n"
        "while True:\n    n += 1; f.set('house', str(n)); print(n, flush=True)\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(sealed_file.__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environ, text=True
    ) as writer:
        said = [writer.stdout.readline() for _ in range(20)]
        writer.kill()
        said += writer.stdout.readlines()
    last = int(said[-1])
    # What was acknowledged is there; at most one more was under way.
    assert int(secrets.get("house")) in (last, last + 1)


def test_the_key_is_made_with_the_first_secret_and_lies_beside_it(folder):
    secrets = kept_in(folder, {})
    assert secrets.names() == ()
    assert list(folder.iterdir()) == []
    secrets.set("house", VALUE)
    assert {each.name for each in folder.iterdir()} == {"secrets.key", "secrets.sealed"}
    assert (folder / "secrets.key").stat().st_mode & 0o777 == 0o600
    assert kept_in(folder, {}).get("house") == VALUE


def test_the_service_manager_s_key_is_used_and_none_is_made(folder):
    given_in = folder / "credentials"
    given_in.mkdir()
    (given_in / "bridle-secrets").write_bytes(KEY)
    environ = {"CREDENTIALS_DIRECTORY": str(given_in)}
    kept_in(folder, environ).set("house", VALUE)
    assert not (folder / "secrets.key").exists()
    assert SealedFile(folder / "secrets.sealed", KEY).get("house") == VALUE
    # Without it the secrets stay shut: no other key is made in its place that would open nothing.
    unreadable(kept_in(folder, {}))
    assert not (folder / "secrets.key").exists()


@pytest.mark.parametrize("data", [b"", b"short", bytes(33), bytes(4096)])
def test_a_key_of_another_size_is_refused(folder, data):
    given_in = folder / "credentials"
    given_in.mkdir()
    (given_in / "bridle-secrets").write_bytes(data)
    with pytest.raises(StoreError) as caught:
        kept_in(folder, {"CREDENTIALS_DIRECTORY": str(given_in)}).set("house", VALUE)
    assert caught.value.code == "key_invalid"
    assert not (folder / "secrets.sealed").exists()


def test_a_key_that_others_may_read_opens_nothing(folder):
    kept_in(folder, {}).set("house", VALUE)
    (folder / "secrets.key").chmod(0o644)
    unreadable_kind(kept_in(folder, {}))


def test_nothing_of_a_file_s_object_shows_a_value_or_the_key(secrets):
    secrets.set("house", VALUE)
    secrets.get("house")
    assert VALUE not in repr(vars(secrets))
    assert KEY.hex() not in repr(secrets)
    with pytest.raises(TypeError):
        pickle.dumps(secrets)
