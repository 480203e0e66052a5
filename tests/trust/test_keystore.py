"""Key stores of files: one user's alone whatever the umask, and no answer holds a private key."""

import base64
import copy
import json
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from bridle.model import public_key
from bridle.model.errors import BridleError, UsageError
from bridle.trust.errors import KeyFileError
from bridle.trust.grants import jws
from bridle.trust.keystore import FileKeyStore, KeyInfo, KeyStore


@pytest.fixture
def keys(tmp_path: Path) -> FileKeyStore:
    return FileKeyStore(tmp_path / "keys")


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(KeyFileError) as error:
        action()
    return error.value.code


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_a_key_is_made_signs_is_listed_and_forgotten(keys: FileKeyStore, tmp_path: Path) -> None:
    store: KeyStore = keys
    assert store.list() == ()
    public = store.generate("agent", "triage")
    other = store.generate("agent", "mail")
    signer = FileKeyStore(tmp_path / "keys").signer(public)
    Ed25519PublicKey.from_public_bytes(public_key.parse(public)).verify(signer.sign(b"x"), b"x")
    assert signer.public == public
    assert store.list() == (KeyInfo("agent", "mail", other), KeyInfo("agent", "triage", public))
    assert store.list()[1].fingerprint == public_key.fingerprint(public)
    store.delete(public)
    assert [each.name for each in store.list()] == ["mail"]
    assert refused(lambda: store.signer(public)) == "key_missing"
    assert refused(lambda: store.delete(public)) == "key_missing"


def test_a_signer_signs_links(keys: FileKeyStore) -> None:
    signer = keys.signer(keys.generate("governor", "store"))
    assert jws.split(jws.sign(b"{}", signer)).payload == b"{}"


@pytest.mark.parametrize("mask", [0, 0o077, 0o777])
def test_files_are_this_users_alone_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    before = os.umask(mask & 0o077)
    try:
        FileKeyStore(folder).generate("agent", "triage")
        FileKeyStore(tmp_path / "made").generate("agent", "triage")
    finally:
        os.umask(before)
    for each in (folder, tmp_path / "made"):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700
        assert stat.S_IMODE(only(each).stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622])
def test_a_key_that_others_may_read_or_write_is_refused(
    keys: FileKeyStore, tmp_path: Path, mode: int
) -> None:
    public = keys.generate("agent", "triage")
    only(tmp_path / "keys").chmod(mode)
    assert refused(lambda: keys.signer(public)) == "key_exposed"
    assert refused(keys.list) == "key_exposed"


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_folder_that_others_may_enter_is_refused(
    keys: FileKeyStore, tmp_path: Path, mode: int
) -> None:
    public = keys.generate("agent", "triage")
    (tmp_path / "keys").chmod(mode)
    for action in (
        lambda: keys.signer(public),
        keys.list,
        lambda: keys.generate("agent", "mail"),
        lambda: keys.delete(public),
    ):
        assert refused(action) == "key_exposed"


def test_no_symbolic_link_is_followed(keys: FileKeyStore, tmp_path: Path) -> None:
    public = keys.generate("agent", "triage")
    path = only(tmp_path / "keys")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert refused(lambda: keys.signer(public)) == "key_missing"
    linked = tmp_path / "linked"
    linked.symlink_to(tmp_path / "keys")
    assert refused(lambda: FileKeyStore(linked).signer(public)) == "key_exposed"
    assert refused(lambda: FileKeyStore(linked).generate("agent", "x")) == "key_exposed"


def test_a_key_of_another_name_in_its_file_is_refused(keys: FileKeyStore, tmp_path: Path) -> None:
    public = keys.generate("agent", "triage")
    path = only(tmp_path / "keys")
    good = json.loads(path.read_bytes())
    other = keys.generate("agent", "mail")
    wrong: list[dict[str, Any]] = [
        {**good, "public": other},
        {**good, "seed": base64.b64encode(bytes(32)).decode()},
        {**good, "seed": "AAAA"},
        {**good, "seed": "\u00e9"},
        {**good, "format": 2},
        {**good, "more": 1},
        {**good, "kind": "root"},
        {**good, "public": "ed25519:" + base64.b64encode(bytes(32)).decode()},
    ]
    for each in wrong:
        path.write_text(json.dumps(each))
        assert refused(lambda: keys.signer(public)) == "key_invalid"


@given(st.binary(max_size=6_000))
def test_any_bytes_as_a_key_file_are_refused_with_a_code(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        keys = FileKeyStore(Path(folder) / "keys")
        public = keys.generate("agent", "triage")
        only(Path(folder) / "keys").write_bytes(data)
        assert refused(lambda: keys.signer(public)) == "key_invalid"
        assert refused(keys.list) == "key_invalid"


@pytest.mark.parametrize(
    ("kind", "name"), [("root", "a"), ("agent", ""), ("agent", "a" * 129), ("agent", "\ud800")]
)
def test_a_key_of_nobody_is_not_made(
    keys: FileKeyStore, tmp_path: Path, kind: str, name: str
) -> None:
    with pytest.raises(UsageError):
        keys.generate(kind, name)
    assert not (tmp_path / "keys").exists()


def test_a_name_leads_to_no_other_folder(keys: FileKeyStore, tmp_path: Path) -> None:
    keys.generate("agent", "../../triage")
    assert only(tmp_path / "keys").name.endswith(".key")
    for wrong in ("", "../x", "ed25519:", "\ud800"):
        with pytest.raises(BridleError):
            keys.signer(wrong)


def test_no_private_key_is_in_what_a_store_answers_or_says(
    keys: FileKeyStore, tmp_path: Path
) -> None:
    public = keys.generate("agent", "triage")
    path = only(tmp_path / "keys")
    seed = json.loads(path.read_bytes())["seed"]
    signer = keys.signer(public)
    said = f"{keys!r} {signer!r} {signer} {keys.list()}"
    path.write_text(path.read_text().replace('"format":1', '"format":9'))
    with pytest.raises(KeyFileError) as error:
        keys.signer(public)
    assert seed not in said + str(error.value) + repr(error.value.__cause__)
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(UsageError):
            way(signer)


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    code = refused(lambda: FileKeyStore(tmp_path / "keys").generate("agent", "triage"))
    assert code in {"key_unwritable", "key_exposed"}
    assert FileKeyStore(tmp_path / "none").list() == ()
