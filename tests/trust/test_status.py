"""Status lists: signed, fresh, of this governor; never an older one, whoever asks and when."""

import json
import multiprocessing
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bridle.trust import status
from bridle.trust.grants import jws
from bridle.trust.grants.chain import Link
from bridle.trust.grants.claims import DETAIL_TYPE, Claims, Confirmation, Detail, Jwk, ToolGrant
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.grants.roots import RootKey, Roots
from bridle.trust.holder import Holder
from bridle.trust.status import NOTHING_REVOKED, Keeper, StatusList

NOW = 1_700_000_000
ISSUER = "bridle:store"
GOVERNOR = Holder.from_seed_text("A" * 43)
ROOTS = Roots([GOVERNOR.public])
KEY = bytes(range(32))
FINGERPRINT = "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd"


def link(iat: int = NOW, aud: str = ISSUER) -> Link:
    claims = Claims(
        jti="0" * 32,
        iss=ISSUER,
        sub="ana",
        agent="researcher",
        aud=aud,
        iat=iat,
        exp=iat + 60,
        cnf=Confirmation(Jwk("OKP", "Ed25519", "x")),
        del_depth=0,
        del_max_depth=8,
        mis="mis_1",
        authorization_details=(Detail(DETAIL_TYPE, {"*": ToolGrant()}),),
    )
    return Link("", "d" * 64, claims, KEY)


def listed(version: int = 1, iat: int = NOW, iss: str = ISSUER, **revoked: int) -> StatusList:
    named = {key.replace("_", ":", 1): value for key, value in revoked.items()}
    return StatusList(version, iat, iat + 300, iss, named)


def refused(text: str, now: int = NOW, roots: Roots = ROOTS) -> str:
    with pytest.raises(GrantError) as error:
        status.read(text, roots, now)
    return error.value.code


def test_a_list_is_signed_and_read() -> None:
    mine = listed(3, grant_x=5, agent_y=6)
    assert status.read(status.sign(mine, GOVERNOR.private), ROOTS, NOW) == mine


@pytest.mark.parametrize(
    "revoked",
    [
        {"grant:" + "d" * 64: 1},
        {"key:" + FINGERPRINT: 1},
        {"mission:mis_1": 1},
        {"agent:researcher": NOW * 1_000},
        {"user:ana": NOW * 1_000 + 999},
    ],
)
def test_each_subject_ends_the_link(revoked: dict[str, int]) -> None:
    assert StatusList(1, NOW, NOW + 1, ISSUER, revoked).revoked(link())


@pytest.mark.parametrize(
    "revoked",
    [
        {},
        {"grant:" + "e" * 64: 1, "key:researcher": 1, "agent:mis_1": NOW * 1_000, "user:x": 1},
        {"agent:researcher": NOW * 1_000 - 1},
        {"user:ana": NOW * 1_000 - 1},
        {"agent:ana": NOW * 2_000, "mission:ana": 1, "grant:researcher": 1},
    ],
)
def test_what_is_not_revoked_and_what_was_granted_later_is_alive(revoked: dict[str, int]) -> None:
    assert not StatusList(1, NOW, NOW + 1, ISSUER, revoked).revoked(link())
    assert not NOTHING_REVOKED.revoked(link())


def test_the_list_of_another_governor_says_nothing() -> None:
    with pytest.raises(GrantError) as error:
        listed(iss="bridle:other").revoked(link())
    assert error.value.code == GrantCode.STATUS_INVALID


def test_a_list_is_stale_from_its_end_on_also_where_it_was_read_before() -> None:
    mine = listed()
    text = status.sign(mine, GOVERNOR.private)
    assert status.read(text, ROOTS, mine.exp - 1).at(mine.exp - 1) is not None
    assert refused(text, mine.exp) == GrantCode.STATUS_STALE
    with pytest.raises(GrantError) as error:
        mine.at(mine.exp)
    assert error.value.code == GrantCode.STATUS_STALE


def test_a_list_of_later_than_now_or_by_another_key_is_refused() -> None:
    text = status.sign(listed(), GOVERNOR.private)
    assert refused(text, NOW - 61) == GrantCode.STATUS_INVALID
    other = Roots([Holder.generate().public])
    assert refused(text, roots=other) == GrantCode.STATUS_INVALID
    ended = Roots([RootKey(GOVERNOR.public, 0, NOW)])
    assert refused(text, roots=ended) == GrantCode.STATUS_INVALID


def signed(payload: bytes) -> str:
    return jws.sign(payload, GOVERNOR.private, jws.STATUS_HEADER)


def test_a_grant_is_no_list_and_a_list_is_in_one_form_only() -> None:
    good = json.loads(msgspec.json.encode(listed(grant_x=1)))
    assert refused(jws.sign(msgspec.json.encode(good), GOVERNOR.private)) == "status_invalid"
    assert status.read(signed(msgspec.json.encode(good)), ROOTS, NOW)
    wrong: list[dict[str, Any]] = [
        {**good, "version": -1}, {**good, "version": "1"}, {**good, "version": 1.5},
        {**good, "version": True}, {**good, "exp": NOW}, {**good, "iat": -1},
        {**good, "exp": 10**18}, {**good, "more": 1}, {**good, "revoked": []},
        {**good, "revoked": {"x": 1}}, {**good, "revoked": {"grant:x": "1"}},
        {name: value for name, value in good.items() if name != "revoked"},
    ]  # fmt: skip
    for each in wrong:
        assert refused(signed(msgspec.json.encode(each))) == GrantCode.STATUS_INVALID, each
    whole = msgspec.json.encode(good)
    for payload in (whole + b" ", whole.replace(b":", b": ", 1), b"", b"[]", b"\xff",
                    whole.replace(b'"grant:x":1', b'"grant:x":1,"grant:x":1'),
                    b"[" * 100_000):  # fmt: skip
        assert refused(signed(payload)) == GrantCode.STATUS_INVALID


@given(st.one_of(st.text(st.characters(codec=None)), st.binary().map(signed)))
def test_whatever_is_presented_as_a_list_is_refused_with_a_code(text: str) -> None:
    assert refused(text) == GrantCode.STATUS_INVALID


# --- the newest ----------------------------------------------------------------------------------


def rolled_back(path: Path, mine: StatusList) -> str:
    with pytest.raises(GrantError) as error:
        Keeper(path).admit(mine)
    return error.value.code


def test_no_list_older_than_one_seen_is_admitted_after_a_restart_either(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    keeper = Keeper(path)
    keeper.admit(listed(5))
    assert keeper.admit(listed(5)) == listed(5)
    assert rolled_back(path, listed(4)) == GrantCode.STATUS_ROLLED_BACK
    assert rolled_back(path, listed(4, iat=NOW + 999)) == GrantCode.STATUS_ROLLED_BACK
    assert rolled_back(path, listed(5, iat=NOW - 1)) == GrantCode.STATUS_ROLLED_BACK
    Keeper(path).admit(listed(6, iat=NOW - 1))
    assert rolled_back(path, listed(5)) == GrantCode.STATUS_ROLLED_BACK
    # Another governor counts for itself.
    Keeper(path).admit(listed(1, iss="bridle:other"))
    assert rolled_back(path, listed(0, iss="bridle:other")) == GrantCode.STATUS_ROLLED_BACK
    assert rolled_back(path, listed(5)) == GrantCode.STATUS_ROLLED_BACK


@given(st.lists(st.integers(0, 20), max_size=20))
def test_what_was_admitted_last_is_the_newest_of_all_that_were_seen(versions: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        newest = -1
        for version in versions:
            try:
                Keeper(Path(folder) / "seen").admit(listed(version))
            except GrantError as error:
                assert error.code == GrantCode.STATUS_ROLLED_BACK  # noqa: PT017
                assert version < newest
            else:
                assert version >= newest
                newest = version


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a":1}', b"{}" * 9, b"\xff"])
def test_a_file_that_cannot_be_read_admits_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "seen"
    path.write_bytes(content)
    path.chmod(0o600)
    assert rolled_back(path, listed(5)) == GrantCode.STATUS_INVALID
    assert path.read_bytes() == content


def test_the_file_is_this_users_alone_and_no_link_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    before = os.umask(0)
    try:
        Keeper(path).admit(listed(1))
    finally:
        os.umask(before)
    assert [stat.S_IMODE(each.stat().st_mode) for each in sorted(tmp_path.iterdir())] == [
        0o600, 0o600,
    ]  # fmt: skip
    path.chmod(0o644)
    assert rolled_back(path, listed(2)) == GrantCode.STATUS_INVALID
    path.unlink()
    target = tmp_path / "target"
    target.write_bytes(b"{}")
    path.symlink_to(target)
    assert rolled_back(path, listed(2)) == GrantCode.STATUS_INVALID
    assert target.read_bytes() == b"{}"
    assert rolled_back(tmp_path / "none" / "seen", listed(1)) == GrantCode.STATUS_INVALID


def _admit(path: Path, versions: list[int], found: Any) -> None:
    keeper = Keeper(path)
    for version in versions:
        try:
            keeper.admit(listed(version))
            found.put((version, ""))
        except GrantError as error:
            found.put((version, error.code))


def test_processes_that_share_a_file_never_go_back_behind_one_another(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    upward, downward = list(range(0, 60, 2)), list(range(59, 0, -2))
    processes = [
        context.Process(target=_admit, args=(path, versions, found))
        for versions in (upward, downward)
    ]
    for each in processes:
        each.start()
    results = [found.get(timeout=60) for _ in range(60)]
    for each in processes:
        each.join()
    assert {code for _, code in results} <= {"", GrantCode.STATUS_ROLLED_BACK}
    assert (59, "") in results
    assert rolled_back(path, listed(58)) == GrantCode.STATUS_ROLLED_BACK
    assert sorted(each.name for each in tmp_path.iterdir()) == ["seen", "seen.lock"]


# --- a million -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_million_revoked_ids_cost_a_link_no_more_than_one() -> None:
    def looked_up(number: int) -> tuple[float, int]:
        revoked = {f"grant:{each:064x}": 1 for each in range(number)}
        mine = StatusList(number, NOW, NOW + 300, ISSUER, revoked)
        some, lines = link(), 0

        def count(*_: Any) -> Any:
            nonlocal lines
            lines += 1
            return count

        mine.revoked(some)
        sys.settrace(count)
        try:
            mine.revoked(some)
        finally:
            sys.settrace(None)
        begin = time.process_time()
        text = status.sign(mine, GOVERNOR.private)
        assert len(status.read(text, ROOTS, NOW).revoked_at) == number
        return time.process_time() - begin, lines

    few, steps = looked_up(50_000)
    many, same = looked_up(1_000_000)
    assert steps == same
    # Twenty times the ids: a quadratic build would take 400 times as long.
    assert many < 100 * few


def test_any_signer_signs_a_list() -> None:
    class Elsewhere:
        def sign(self, data: bytes, /) -> bytes:
            return Ed25519PrivateKey.from_private_bytes(bytes(32)).sign(data)

    assert status.read(status.sign(listed(), Elsewhere()), ROOTS, NOW) == listed()
