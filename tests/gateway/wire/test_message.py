"""One reading of a line, strict, and lines put together from the bytes of others."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.gateway.wire import message
from bridle.gateway.wire.message import Kind, MessageError, read

LONGEST = 100_000
TEXT = st.text(st.characters(codec="utf-8"))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text("abc\u017f_ ", max_size=5), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


def refused(line: bytes) -> MessageError:
    with pytest.raises(MessageError) as caught:
        read(line, longest=LONGEST)
    return caught.value


def test_a_request_a_notification_and_an_answer_are_told_apart():
    request = read(b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1}}', longest=LONGEST)
    assert (request.kind, request.method, request.id) == (Kind.REQUEST, "m", 1)
    notification = read(b'{"jsonrpc":"2.0","method":"m"}', longest=LONGEST)
    assert (notification.kind, notification.params) == (Kind.NOTIFICATION, {})
    for part in (b'"result":{}', b'"error":{"code":1,"message":""}'):
        answer = read(b'{"jsonrpc":"2.0","id":"x",' + part + b"}", longest=LONGEST)
        assert answer.kind is Kind.RESPONSE


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_typed_refusal(line: bytes):
    try:
        found = read(line, longest=LONGEST)
    except MessageError:
        return
    assert json.loads(found.line) == json.loads(line)


@given(PLAIN, PLAIN)
def test_what_is_read_is_what_every_other_reader_reads(params: Any, more: Any):
    value = {"jsonrpc": "2.0", "id": 1, "method": "m", "params": {"a": params, "b": more}}
    line = json.dumps(value, ensure_ascii=False).encode()
    found = read(line, longest=LONGEST)
    assert json.loads(found.line) == value
    assert not {"\u2028", "\u2029", "\x85"} & set(found.line.decode())


@given(PLAIN, PLAIN, st.booleans())
def test_replacing_one_member_leaves_the_bytes_of_all_others(old: Any, other: Any, spaced: bool):
    dump = (lambda v: json.dumps(v, indent=1)) if spaced else json.dumps
    kept = dump(other).replace("\n", " ").encode()
    line = b'{"id":7, "params" : {"_meta":%s ,"arguments":%s}, "jsonrpc":"2.0","method":"m" }' % (
        kept,
        json.dumps(old).encode(),
    )
    changed = read(line, longest=LONGEST).replaced(b'{"new": 1.50}', "params", "arguments")
    assert b'"arguments":{"new": 1.50}' in changed
    assert b'"_meta":' + kept.strip() in changed
    after, before = json.loads(changed), json.loads(line)
    assert list(after) == list(before)
    before["params"]["arguments"] = {"new": 1.5}
    assert after == before


def test_a_member_that_was_absent_is_added():
    assert message.replaced(b'{"a":1}', b"2", "b") == b'{"a":1,"b":2}'
    assert message.replaced(b"{}", b"2", "b", "c") == b'{"b":{"c":2}}'


@pytest.mark.parametrize("depth", [255, 256, 257, 5_000, 200_000])
def test_depth_is_bounded(depth: int):
    inner = b"[" * (depth - 2) + b"]" * (depth - 2)
    line = b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":' + inner + b"}}"
    if depth <= 256:
        assert read(line, longest=10**6).id == 1
    else:
        assert refused(line).code in ("limit_exceeded", "malformed")


def test_length_is_bounded():
    line = b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":"' + b"x" * LONGEST + b'"}}'
    assert refused(line).code == "limit_exceeded"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'{"jsonrpc":"2.0","id":5,"method":"m","method":"m"}', 5),
        (b'{"jsonrpc":"2.0","id":5,"method":"m","x":1}', 5),
        (b'{"jsonrpc":"2.0","id":5,"result":{},"x":1}', None),
        (b'{"jsonrpc":"2.0","id":5,"result":{},"result":{}}', None),
        (b'{"jsonrpc":"2.0","id":true,"method":"m"}', None),
        (b"{", None),
    ],
)
def test_a_refusal_names_the_request_it_answers_and_never_an_answer(line: bytes, found: Any):
    assert refused(line).id == found


def test_numbers_and_texts_that_look_alike_are_one_id():
    one, other = (
        read(b'{"jsonrpc":"2.0","id":%s,"method":"m"}' % raw, longest=LONGEST)
        for raw in (b"1", b'"1"')
    )
    assert one.key == other.key


@given(st.lists(PLAIN, max_size=6))
def test_the_elements_of_an_array_keep_their_bytes(values: list[Any]):
    texts = [json.dumps(value, indent=None).encode() for value in values]
    whole = b"[ " + b" , ".join(texts) + b" ]"
    assert message.items(whole) == texts
    assert json.loads(message.array_of(texts)) == values
