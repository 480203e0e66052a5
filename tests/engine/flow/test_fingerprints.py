"""Fingerprints: equal for equal tokens under one key, and for nothing else."""

from array import array
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.flow.reading.fingerprints import BREAK, WIDTH, Fingerprints

KEY = Fingerprints(b"one key")
tokens = st.binary(min_size=1, max_size=40).map(lambda b: bytes((b[0] & 0x7F,)) + b[1:])


def of(token, marks=KEY):
    return marks.of([token])


@given(st.lists(tokens, max_size=20))
def test_a_token_has_the_same_fingerprint_wherever_it_stands(found):
    assert KEY.of(found) == b"".join(map(of, found))


@given(tokens, tokens)
def test_two_tokens_share_no_fingerprint(one, other):
    assert (of(one) == of(other)) is (one == other)


def test_neither_padding_nor_hashing_makes_two_tokens_one():
    near = [b"c", b"c\0", b"c\0\0", b"c" * 15, b"c" * 15 + b"\0", b"c" * 16, b"c" * 17, b"C"]
    assert len(set(map(of, near))) == len(near)


def test_no_short_token_can_be_made_to_look_like_a_long_one():
    long = b"c" * 40
    hashed = KEY._hashed(long)
    assert of(bytes((hashed[0] & 0x7F,)) + hashed[1:]) != of(long)
    assert hashed[1:] != Fingerprints(b"another key")._hashed(long)[1:]


@given(tokens)
def test_another_key_gives_other_fingerprints(token):
    assert of(token) != of(token, Fingerprints(b"another key"))
    assert of(token) == of(token, Fingerprints(b"one key"))


def test_no_token_has_the_fingerprint_of_a_break():
    marks = KEY.of([b"c%d" % n for n in range(50_000)])
    assert 0 not in array("Q", marks)
    assert bytes(WIDTH) == BREAK


def test_threads_do_not_mix_their_tokens():
    rows = [[b"c%d %d" % (row, n) for n in range(400)] for row in range(32)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(KEY.of, rows)) == [KEY.of(row) for row in rows]
