"""Leaves read back as written, commit without telling, and refuse every odd envelope."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger.errors import LedgerError
from bridle.ledger.leaf import (
    MAX_BYTES,
    commitment,
    opens,
    parse,
    parse_together,
    sealed_digest,
)
from bridle.ledger.tree import leaf_hash
from bridle.model.record import LeafKind
from ledger.written import build

PREV = leaf_hash(b"before")


def written(
    fields: dict[str, bytes] | None = None, **changes: Any
) -> tuple[bytes, bytes, dict[str, tuple[bytes, bytes]]]:
    fields = {"args": b'{"id":7}'} if fields is None else fields
    given = {
        "kind": LeafKind.DECISION,
        "chain": "m1",
        "seq": 3,
        "prev": PREV,
        "time": 1_700_000_000_000,
        "ids": {"action": "a1", "agent": "triage"},
        "body": {"verdict": "allow"},
        "salts": os.urandom(32 * len(fields)),
    }
    return build(fields=fields, **{**given, **changes})


STEADY = written(salts=bytes(32))[0]


def envelope(**changes: Any) -> bytes:
    plain = json.loads(STEADY)
    return json.dumps({**plain, **changes}, separators=(",", ":")).encode()


def test_a_leaf_reads_back_as_written_and_hashes_as_rfc_6962_says() -> None:
    data, digest, _ = written()
    leaf = parse(data)
    assert digest == leaf_hash(data)
    assert (leaf.v, leaf.kind, leaf.chain, leaf.seq) == (1, LeafKind.DECISION, "m1", 3)
    assert (leaf.prev, leaf.time) == (PREV.hex(), 1_700_000_000_000)
    assert (leaf.ids, leaf.body) == ({"action": "a1", "agent": "triage"}, {"verdict": "allow"})
    assert list(json.loads(data)) == [
        "v", "kind", "chain", "seq", "prev", "time", "ids", "commit", "body",
    ]  # fmt: skip


def test_the_same_record_is_written_as_the_same_bytes() -> None:
    salts = os.urandom(32)
    assert written(salts=salts)[:2] == written(salts=salts)[:2]


def test_a_value_is_nowhere_in_the_leaf_and_its_commitment_opens() -> None:
    secret = b"4111 1111 1111 1111"
    data, _, openings = written({"args": secret, "reason": b""})
    assert secret not in data
    leaf = parse(data)
    assert openings["args"][1] == secret
    assert all(opens(leaf, name, opening) for name, opening in openings.items())


def test_equal_values_have_unequal_commitments() -> None:
    leaf = parse(written({"a": b"yes", "b": b"yes"})[0])
    again = parse(written({"a": b"yes", "b": b"yes"})[0])
    assert len({*leaf.commit.values(), *again.commit.values()}) == 4


@given(
    name=st.text("abc", min_size=1, max_size=3),
    other=st.text("abc", min_size=1, max_size=3),
    value=st.binary(max_size=20),
    changed=st.binary(max_size=20),
    salt=st.binary(min_size=32, max_size=32),
    wrong=st.binary(max_size=40),
)
def test_a_commitment_opens_only_with_its_own_name_value_and_salt(
    *, name: str, other: str, value: bytes, changed: bytes, salt: bytes, wrong: bytes
) -> None:
    leaf = parse(written({name: value}, salts=salt)[0])
    assert opens(leaf, name, (salt, value))
    assert opens(leaf, name, (salt, changed)) == (changed == value)
    assert opens(leaf, other, (salt, value)) == (other == name)
    assert opens(leaf, name, (wrong, value)) == (wrong == salt)


def test_a_name_cannot_borrow_bytes_from_its_value() -> None:
    salt = os.urandom(32)
    assert commitment("ab", salt, b"c") != commitment("a", salt, b"bc")
    with pytest.raises(LedgerError):
        written({"a\x00b": b"c"})


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 0},  # the first of a chain follows nothing
        {"prev": bytes(32)},
        {"prev": b"short"},
        {"seq": -1, "prev": bytes(32)},
        {"seq": 2**53},
        {"time": -1},
        {"chain": ""},
        {"chain": "a\nb"},
        {"chain": "x" * 257},
        {"ids": {"": "x"}},
        {"ids": {"x": "\ud800"}},
        {"body": {"x": object()}},
        {"salts": b"too short"},
        {"fields": {"": b"x"}},
        {"fields": {"\udfff": b"x"}},
    ],
)
def test_what_could_not_be_read_back_is_not_written(changes: dict[str, Any]) -> None:
    fields = changes.pop("fields", None)
    with pytest.raises(LedgerError) as raised:
        written(fields, **changes)
    assert raised.value.code == "leaf_invalid"


def test_a_leaf_may_have_65535_bytes_and_not_one_more() -> None:
    spare = MAX_BYTES - len(written(body={"x": ""})[0])
    assert len(written(body={"x": "y" * spare})[0]) == MAX_BYTES
    with pytest.raises(LedgerError) as raised:
        written(body={"x": "y" * (spare + 1)})
    assert raised.value.code == "leaf_too_large"
    with pytest.raises(LedgerError):
        parse(b" " * (MAX_BYTES + 1))


def test_body_keys_of_a_later_version_are_kept() -> None:
    assert parse(envelope(body={"later": [1, {"deep": 2}]})).body == {"later": [1, {"deep": 2}]}


NO_LEAVES = [
    b"",
    b"null",
    b"[]",
    b"\xff",
    b"{" * 100_000,
    envelope(v=2),
    envelope(v=True),
    envelope(v=1.0),
    envelope(kind="decisions"),
    envelope(seq="3"),
    envelope(seq=-1),
    envelope(seq=2**60),
    envelope(seq=0),
    envelope(prev="0" * 64),
    envelope(prev=PREV.hex().upper()),
    envelope(prev=PREV.hex() + "\n"),
    envelope(time=1.5),
    envelope(ids={"x": 1}),
    envelope(ids=None),
    envelope(commit={"args": "00"}),
    envelope(commit={"": "0" * 64}),
    envelope(extra=1),
    envelope(chain=""),
    envelope(chain="a\x00"),
    STEADY.replace(b'"seq":3', b'"seq":1,"seq":3'),
    STEADY.replace(b'"verdict":"allow"', b'"verdict":"deny","verdict":"allow"'),
    STEADY.replace(b'"body":{', b'"body":{"deep":' + b"[" * 20_000),
    STEADY.replace(b'{"verdict":"allow"}', b'{"x":1e999}'),
    STEADY.replace(b'{"verdict":"allow"}', b'{"x":' + b"9" * 5_000 + b"}"),
    b"\xef\xbb\xbf" + STEADY,
    STEADY + b"{}",
]


@pytest.mark.parametrize("data", NO_LEAVES, ids=[str(n) for n in range(len(NO_LEAVES))])
def test_what_is_no_leaf_is_refused_with_a_typed_error(data: bytes) -> None:
    with pytest.raises(LedgerError):
        parse(data)


SPACED = STEADY.replace(b'"seq":3', b'"seq":\n3')
LEAVES = [
    STEADY,
    SPACED,
    envelope(seq=0, prev="0" * 64),
    envelope(commit={}, body={}),
    envelope(ids={"user": "ana\nben"}),
    envelope(commit={"args": "0" * 64, "output": "f" * 64}),
]


def test_leaves_as_our_writer_writes_them_are_read_together() -> None:
    texts = [STEADY, *LEAVES[2:]]
    assert parse_together(texts) == [parse(text) for text in texts]
    assert parse_together([STEADY]) == [parse(STEADY)]


@pytest.mark.parametrize("data", NO_LEAVES, ids=[str(n) for n in range(len(NO_LEAVES))])
def test_one_that_is_no_leaf_is_never_read_together_with_others(data: bytes) -> None:
    for texts in ([data], [data, STEADY], [STEADY, data], [STEADY, data, STEADY]):
        assert parse_together(texts) is None


@pytest.mark.parametrize(
    "texts",
    [
        [SPACED],
        [STEADY + b"\n" + STEADY],
        [STEADY + b"\n" + STEADY, b""],
        [b"", STEADY + b"\n" + STEADY],
        [STEADY[:90], STEADY[90:]],
        [STEADY + b"\n", STEADY],
        [STEADY, b"\n" + STEADY],
        [STEADY + b" "],
        [STEADY, b""],
        [b"\n"],
        [envelope(commit={"a": "0" * 63, "b": "0" * 65})],
        [envelope(body={"x": "y" * MAX_BYTES})],
    ],
)
def test_where_one_leaf_ends_is_not_up_to_whoever_wrote_it(texts: list[bytes]) -> None:
    assert parse_together(texts) is None


@given(st.lists(st.sampled_from([*LEAVES, *NO_LEAVES[5:]]), min_size=1, max_size=4), st.data())
def test_leaves_read_together_are_those_read_one_by_one(
    texts: list[bytes], data: st.DataObject
) -> None:
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(texts) - 1))
        changed = bytearray(texts[at])
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        texts = [*texts[:at], bytes(changed), *texts[at + 1 :]]
    found = parse_together(texts)
    assert found is None or found == [parse(text) for text in texts]


@given(st.data())
def test_a_changed_byte_is_refused_or_read_never_worse(data: st.DataObject) -> None:
    leaf = bytearray(written()[0])
    for _ in range(data.draw(st.integers(1, 3))):
        leaf[data.draw(st.integers(0, len(leaf) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parse(bytes(leaf))
    except LedgerError:
        return
    assert msgspec.json.decode(bytes(leaf))["seq"] == found.seq


def test_a_leaf_names_what_lies_sealed_beside_it_by_the_first_half_of_its_digest() -> None:
    assert sealed_digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223"


def test_leaves_that_many_threads_read_at_once_are_each_read_as_their_own_bytes() -> None:
    good = [envelope(ids={"session": "s" * (1 + number)}) for number in range(8)]
    twice = [data.replace(b'"session":', b'"session":"x","session":', 1) for data in good]

    def reading(number: int) -> set[str]:
        found: set[str] = set()
        for _ in range(200):
            found.add(parse(good[number]).ids["session"])
            with pytest.raises(LedgerError):
                parse(twice[number])
        return found

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(reading, range(8))) == [{"s" * (1 + n)} for n in range(8)]
