"""Key files: only their passphrase opens them, others cannot read them, hostile ones do no harm."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.model.errors import BridleError, UsageError
from bridle.trust import credential, folder, keyfile
from bridle.trust.errors import KeyFileError

WORDS = "correct horse"
ANA = credential.generate("user", "ana")
# The least work that is read, so that tests are quick.
SEALED = keyfile.seal(ANA, WORDS, cost=15)


def changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(SEALED), **fields}).encode()


def code(data: bytes, passphrase: str = WORDS) -> str:
    with pytest.raises(KeyFileError) as refused:
        keyfile.unseal(keyfile.parse(data), passphrase)
    return refused.value.code


def test_what_was_sealed_opens_with_its_passphrase_and_no_other() -> None:
    opened = keyfile.unseal(keyfile.parse(SEALED), WORDS)
    assert (opened.kind, opened.name, opened.public) == ("user", "ana", ANA.public)
    assert opened._private.private_bytes_raw() == ANA._private.private_bytes_raw()
    for wrong in ("", WORDS + " ", WORDS.title()):
        assert code(SEALED, wrong) == "passphrase_wrong"


def test_the_private_half_is_not_in_the_file() -> None:
    raw = ANA._private.private_bytes_raw()
    import base64

    assert raw not in SEALED
    assert raw.hex().encode() not in SEALED
    assert base64.b64encode(raw) not in SEALED


def test_the_same_letters_in_other_code_points_are_the_same_passphrase() -> None:
    sealed = keyfile.seal(ANA, "caf\u00e9 caf\u00e9", cost=15)
    assert keyfile.unseal(keyfile.parse(sealed), "cafe\u0301 cafe\u0301").public == ANA.public


def test_each_file_has_a_salt_and_a_nonce_of_its_own() -> None:
    other = json.loads(keyfile.seal(ANA, WORDS, cost=15))
    mine = json.loads(SEALED)
    assert all(mine[each] != other[each] for each in ("salt", "nonce", "sealed"))


@pytest.mark.parametrize("short", ["", "1234567"])
def test_a_short_passphrase_is_refused(short: str) -> None:
    with pytest.raises(UsageError) as refused:
        keyfile.seal(ANA, short)
    assert refused.value.code == "passphrase_short"


def test_a_key_file_says_no_other_name_kind_or_key_than_it_was_made_with() -> None:
    other = credential.generate("user", "ben").public
    for fields in ({"name": "ben"}, {"kind": "workload"}, {"public": other}, {"cost": 16}):
        assert code(changed(**fields)) == "passphrase_wrong"


@pytest.mark.parametrize(
    "fields",
    [
        {"format": 2},
        {"format": True},
        {"kind": "robot"},
        {"name": ""},
        {"name": "x" * 129},
        {"public": "ed25519:AAAA"},
        {"cost": 14},
        {"cost": 19},
        {"cost": 62},
        {"cost": 2**70},
        {"cost": -1},
        {"cost": 16.5},
        {"salt": ""},
        {"salt": "*"},
        {"nonce": "AAAA"},
        {"sealed": "AAAA"},
        {"sealed": "A" * 3_000},
        {"more": 1},
    ],
)
def test_a_file_that_asks_for_anything_else_is_no_key_file(fields: dict[str, Any]) -> None:
    assert code(changed(**fields)) == "key_invalid"


def test_a_hostile_file_costs_no_more_memory_than_the_most_work_that_is_read() -> None:
    """2^18 · 8 · 128 bytes are 256 MiB; a file that asks for more is refused before any work."""
    script = (
        "import sys, json, resource\n"
        "from bridle.trust import keyfile\n"
        "from bridle.trust.errors import KeyFileError\n"
        "told = json.load(sys.stdin)\n"
        "for cost in (19, 24, 30, 40):\n"
        "    try: keyfile.unseal(keyfile.parse(json.dumps({**told, 'cost': cost}).encode()), 'x')\n"
        "    except KeyFileError as refused: assert refused.code == 'key_invalid'\n"
        "    else: raise SystemExit('taken')\n"
    )
    limit = 512 * 1024 * 1024
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=SEALED,
        capture_output=True,
        env={"PYTHONPATH": str(Path(keyfile.__file__).parents[2])},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        check=False,
    )
    assert done.returncode == 0, done.stderr


@given(st.binary(max_size=5_000))
def test_any_bytes_are_a_typed_refusal(data: bytes) -> None:
    assert code(data) == "key_invalid"


@given(at=st.integers(0, len(SEALED) - 1), byte=st.integers(0, 255))
def test_a_file_with_any_byte_changed_is_no_other_key(at: int, byte: int) -> None:
    data = bytearray(SEALED)
    data[at] = byte
    try:
        # Parsing alone: opening costs 32 MiB and a tenth of a second each.
        found = keyfile.parse(bytes(data))
    except KeyFileError:
        return
    if keyfile._bound(found) == keyfile._bound(keyfile.parse(SEALED)):
        return
    with pytest.raises(KeyFileError):
        keyfile.unseal(found, WORDS)


# --- where files lie ---------------------------------------------------------------------------


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def kept(keys: Path, who: credential.Credential = ANA) -> Path:
    return folder.write(who, WORDS, folder=keys)


def test_a_key_is_written_for_its_owner_alone_and_found_again(keys: Path) -> None:
    path = kept(keys)
    assert path.name == f"ana-{ANA.fingerprint[:8]}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys.stat().st_mode & 0o777 == 0o700
    assert list(keys.iterdir()) == [path]
    assert folder.by_fingerprint(ANA.fingerprint, folder=keys).path == path
    assert folder.by_name("ana", folder=keys).path == path
    assert [each.path for each in folder.every(keys)] == [path]


def test_a_key_never_replaces_another_file(keys: Path) -> None:
    path = kept(keys)
    before = path.read_bytes()
    with pytest.raises(KeyFileError) as refused:
        kept(keys)
    assert refused.value.code == "key_unwritable"
    assert path.read_bytes() == before
    assert list(keys.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o777])
def test_a_key_that_others_can_reach_is_refused(keys: Path, mode: int) -> None:
    path = kept(keys)
    path.chmod(mode)
    with pytest.raises(KeyFileError) as refused:
        folder.read(path)
    assert refused.value.code == "key_exposed"
    assert list(folder.every(keys)) == []


def test_a_folder_that_others_can_write_takes_no_key(keys: Path) -> None:
    keys.mkdir(mode=0o700)
    keys.chmod(0o770)
    with pytest.raises(KeyFileError) as refused:
        kept(keys)
    assert refused.value.code == "key_exposed"


def test_a_link_a_pipe_and_a_folder_are_no_key_files(keys: Path, tmp_path: Path) -> None:
    path = kept(keys)
    link, pipe, directory = (tmp_path / each for each in ("link", "pipe", "directory"))
    link.symlink_to(path)
    os.mkfifo(pipe, 0o600)
    directory.mkdir(mode=0o700)
    for each in (link, pipe, directory, tmp_path / "nothing"):
        with pytest.raises(KeyFileError) as refused:
            folder.read(each)
        assert refused.value.code in ("key_missing", "key_exposed")


def test_two_keys_of_one_name_have_to_be_told_apart(keys: Path) -> None:
    kept(keys)
    kept(keys, credential.generate("user", "ana"))
    with pytest.raises(KeyFileError) as refused:
        folder.by_name("ana", folder=keys)
    assert refused.value.code == "key_ambiguous"
    assert folder.by_fingerprint(ANA.fingerprint, folder=keys).file.public == ANA.public


def test_a_key_that_is_not_there_is_said_to_be_missing(keys: Path) -> None:
    for look in (
        lambda: folder.by_name("ana", folder=keys),
        lambda: folder.by_fingerprint("00" * 32, folder=keys),
    ):
        with pytest.raises(BridleError) as refused:
            look()
        assert refused.value.code == "key_missing"
        assert refused.value.hint


def test_the_folder_follows_the_environment(tmp_path: Path) -> None:
    assert folder.place({"BRIDLE_KEYS": str(tmp_path)}) == tmp_path
    assert folder.place({"XDG_CONFIG_HOME": str(tmp_path)}) == tmp_path / "bridle" / "keys"
    standard = Path.home() / ".config" / "bridle" / "keys"
    assert folder.place({}) == standard
    assert folder.place({"XDG_CONFIG_HOME": "relative"}) == standard
