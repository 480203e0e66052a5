"""Signed notes: read strictly, written only if they read back, believed only if known keys sign."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger import note
from bridle.ledger.note import Key, Note, Signature, Signer
from ledger.worked import (
    LOG,
    LOG_KEY,
    LOG_LINE,
    SIGNED,
    TEXT,
    WITNESS,
    WITNESS_KEY,
    code_of,
    keys,
    mutations,
    outcome,
)

# The example of the specification, c2sp.org/signed-note.
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONn"
    "cAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
POEM = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU"
    "0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
).encode()
LINE = LOG_LINE.encode()


def test_the_example_of_the_specification_verifies() -> None:
    key = note.key(EXAMPLE_KEY)
    assert str(key) == EXAMPLE_KEY
    found = note.parse(EXAMPLE)
    assert note.verify(found, [key]) == (key,)
    assert found.text == "This is an example message.\n"


def test_the_text_ends_at_the_last_empty_line() -> None:
    found = note.parse(POEM)
    assert found.text.endswith("sole:\n\ned è subito sera.\n")
    assert [each.name for each in found.signatures] == ["quasimodo.example/salvatore"]
    assert note.render(found.text, found.signatures) == POEM


def test_keys_and_signature_of_the_worked_example_are_made_byte_for_byte() -> None:
    assert (str(LOG.key), str(WITNESS.key)) == (LOG_KEY, WITNESS_KEY)
    assert (
        LOG.key.public.hex() == "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    )
    assert note.render(TEXT, [LOG.sign(TEXT)]) == f"{TEXT}\n{LOG_LINE}".encode()
    assert keys() == (LOG.key, WITNESS.key)


def test_a_line_of_an_unknown_key_says_nothing() -> None:
    strange = b"\xe2\x80\x94 " + b"n" * 300 + b" " + base64.b64encode(bytes(5_000)) + b"\n"
    found = note.parse(SIGNED + strange)
    assert note.verify(found, [LOG.key]) == (LOG.key,)
    assert code_of(lambda: note.verify(found, [])) == "note_unverified"


def test_sixteen_signatures_of_5_kilobytes_are_read() -> None:
    strange = b"\xe2\x80\x94 w.example " + base64.b64encode(bytes(4_900)) + b"\n"
    assert len(note.parse(SIGNED + strange * 16).signatures) == 18


def test_old_and_new_key_of_a_rotation_are_both_seen() -> None:
    new = Signer(LOG.key.name, bytes(32))
    found = note.parse(note.render(TEXT, [LOG.sign(TEXT), new.sign(TEXT)]))
    assert note.verify(found, [new.key, LOG.key]) == (LOG.key, new.key)
    assert note.verify(found, [new.key]) == (new.key,)
    assert note.verify(found, [LOG.key]) == (LOG.key,)


@pytest.mark.parametrize("known", [["old"], ["new"], ["old", "new"]])
def test_one_wrong_line_of_a_known_key_refuses_the_note_and_of_an_unknown_one_does_not(
    known: list[str],
) -> None:
    old, new = LOG, Signer(LOG.key.name, bytes(32))
    wrong = new.line(new.raw(b"another text"))
    found = note.parse(note.render(TEXT, [old.sign(TEXT), wrong]))
    trusted = [{"old": old.key, "new": new.key}[each] for each in known]
    expected = "note_unverified" if "new" in known else ""
    assert code_of(lambda: note.verify(found, trusted)) == expected


def test_a_doubled_line_of_a_known_key_is_refused() -> None:
    found = note.parse(SIGNED + LINE)
    assert code_of(lambda: note.verify(found, [LOG.key])) == "note_unverified"


def test_a_witness_key_does_not_sign_the_text() -> None:
    signature = WITNESS.line(WITNESS.raw(TEXT.encode()))
    found = note.parse(note.render(TEXT, [signature]))
    assert code_of(lambda: note.verify(found, [WITNESS.key])) == "note_unverified"


MALFORMED = {
    "nothing": b"",
    "no signature": TEXT.encode() + b"\n",
    "no empty line": TEXT.encode() + LINE,
    "no text": b"\n" + LINE,
    "last newline missing": SIGNED[:-1],
    "text after the signatures": SIGNED + b"x\n",
    "an empty line at the end": SIGNED + b"\n",
    "CRLF": SIGNED.replace(b"\n", b"\r\n"),
    "one carriage return": SIGNED.replace(b"1\n5", b"1\r\n5"),
    "NUL": b"\x00" + SIGNED,
    "tab": b"\t" + SIGNED,
    "escape": b"\x1b[2J" + SIGNED,
    "a lone surrogate": b"\xed\xa0\x80" + SIGNED,
    "an overlong slash": b"\xc0\xaf" + SIGNED,
    "half a character": b"\xe2\x80" + SIGNED,
    "an en dash": SIGNED.replace("—".encode(), "\u2013".encode()),
    "a hyphen": SIGNED.replace("—".encode(), b"-"),
    "two hyphens": SIGNED.replace("—".encode(), b"--"),
    "no space behind the dash": SIGNED.replace("— ".encode(), "—".encode()),
    "two spaces behind the dash": SIGNED.replace("— ".encode(), "—  ".encode()),
    "a space that cannot be seen": SIGNED.replace("— ".encode(), "—\u00a0".encode()),
    "two spaces before the signature": SIGNED.replace(b"/1 5h", b"/1  5h"),
    "a space at the end of a line": SIGNED.replace(b"4AM=", b"4AM= "),
    "no name": SIGNED.replace("— log.example/bridle/1 ".encode(), "—  ".encode()),
    "a plus in a name": SIGNED.replace("— log.".encode(), "— log+".encode()),
    "U+2028 in a name": SIGNED.replace("— log".encode(), "— lo\u2028g".encode()),
    "U+3000 in a name": SIGNED.replace("— log".encode(), "— lo\u3000g".encode()),
    "U+0085 in a name": SIGNED.replace("— log".encode(), "— lo\u0085g".encode()),
    "base64 without padding": SIGNED.replace(b"4AM=", b"4AM"),
    "base64 with stray bits": SIGNED.replace(b"4AM=", b"4AN="),
    "base64 for addresses": SIGNED.replace(b"5hJKs9o37ODji80nDBeq/0", b"5hJKs9o37ODji80nDBeq_0"),
    "base64 with a newline": SIGNED.replace(b"5hJK", b"5hJK\n"),
    "base64 of full-width digits": SIGNED.replace(b"5hJK", "\uff15hJK".encode()),
    "base64 doubled": SIGNED.replace(b"4AM=", b"4AM=4AM="),
    "a key ID and no signature": SIGNED.replace(LINE, "— log.example/bridle/1 5hJKsw==\n".encode()),
    "no key ID": SIGNED.replace(LINE, "— log.example/bridle/1 5hJK\n".encode()),
    "nothing signed with": SIGNED.replace(LINE, "— log.example/bridle/1 \n".encode()),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_note_is_refused(name: str) -> None:
    assert MALFORMED[name] != SIGNED
    assert code_of(lambda: note.parse(MALFORMED[name])) == "note_invalid"


@pytest.mark.parametrize("mark", ["\ufeff", "\u2028", "\u0085", "\x7f", "e\u0301"])
def test_what_the_specification_allows_in_a_text_is_read_as_it_stands(mark: str) -> None:
    data = note.render(mark + TEXT, [LOG.sign(mark + TEXT)])
    found = note.parse(data)
    assert found.text == mark + TEXT
    assert note.verify(found, [LOG.key]) == (LOG.key,)


HUGE = {
    "one line": b"x" * (1 << 20) + b"\n\n" + LINE,
    "text of newlines": b"\n" * ((1 << 20) - len(LINE)) + LINE,
    "only newlines": b"\n" * (1 << 20),
    "10,000 signatures": TEXT.encode() + b"\n" + LINE * 10_000,
    "8,000 signatures": TEXT.encode() + b"\n" + LINE * 8_000,
    "65 signatures": TEXT.encode() + b"\n" + LINE * 65,
    "a hundred thousand short lines": TEXT.encode() + b"\n" + b"\xe2\x80\x94 a b\n" * 100_000,
    "a signature of a megabyte": TEXT.encode() + b"\n\xe2\x80\x94 a " + b"A" * (1 << 20) + b"\n",
    "bytes without end": b"\xe2\x80\x94" * (1 << 22),
}


@pytest.mark.parametrize("name", [name for name in HUGE if name != "text of newlines"])
def test_a_huge_note_is_refused(name: str) -> None:
    assert code_of(lambda: note.parse(HUGE[name])) == "note_invalid"


def test_the_longest_note_is_read_and_one_byte_more_is_not() -> None:
    longest = HUGE["text of newlines"]
    assert len(longest) == 1 << 20
    found = note.parse(longest)
    assert note.render(found.text, found.signatures) == longest
    assert code_of(lambda: note.parse(b"\n" + longest)) == "note_invalid"
    assert len(note.parse(TEXT.encode() + b"\n" + LINE * 64).signatures) == 64


@given(data=st.one_of(mutations(SIGNED), mutations(POEM), st.binary(max_size=300)))
def test_any_bytes_are_refused_or_render_back(data: bytes) -> None:
    code, found = outcome(lambda: note.parse(data))
    assert code in {"", "note_invalid"}
    assert code or note.render(found.text, found.signatures) == data


@given(data=mutations(SIGNED))
def test_no_changed_note_passes_for_what_the_log_signed(data: bytes) -> None:
    code, found = outcome(lambda: note.parse(data))
    assert code or code_of(lambda: note.verify(found, [LOG.key])) or found.text == TEXT


@given(text=st.text(max_size=60), name=st.text(min_size=1, max_size=20))
def test_whatever_text_and_name_are_asked_for_is_written_readably_or_refused(
    text: str, name: str
) -> None:
    code, signer = outcome(lambda: Signer(name, bytes(32)))
    if not code:
        code, data = outcome(lambda: note.render(text, [signer.sign(text)]))
    if not code:
        found = note.parse(data)
        assert (found.text, note.verify(found, [signer.key])) == (text, (signer.key,))
    assert code in {"", "note_invalid"}


@pytest.mark.parametrize(
    ("text", "signatures"),
    [
        (TEXT, []),
        ("", [LOG.sign(TEXT)]),
        ("no newline", [LOG.sign(TEXT)]),
        ("a\rb\n", [LOG.sign(TEXT)]),
        ("\ud800\n", [LOG.sign(TEXT)]),
        (TEXT, [LOG.sign(TEXT)] * 65),
        (TEXT, [Signature("two words", b"1234", b"x")]),
        (TEXT, [Signature("\ud800", b"1234", b"x")]),
        (TEXT, [Signature("a+b", b"1234", b"x")]),
        (TEXT, [Signature("a", b"123", b"45")]),
        (TEXT, [Signature("a", b"1234", b"")]),
        (TEXT, [Signature("a b\n— c", b"1234", b"x")]),
    ],
)
def test_a_note_that_could_not_be_read_back_is_not_written(
    text: str, signatures: list[Signature]
) -> None:
    assert code_of(lambda: note.render(text, signatures)) == "note_invalid"


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a+b", "a\n", "a\u2028", "a\u00a0", "a\ud800", "a\x7f", "a\x9b", "a" * 256,
     "é" * 128],
)  # fmt: skip
def test_no_log_can_be_called_this(name: str) -> None:
    assert not note.is_name(name)
    assert code_of(lambda: Signer(name, bytes(32))) == "note_invalid"


def test_a_name_may_have_255_bytes_of_any_script() -> None:
    for name in ("a" * 255, "журнал.example/1", "localhost/back-office/0011223344556677"):
        assert note.is_name(name)
        assert Signer(name, bytes(32)).key.name == name


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_a_seed_of_another_length_makes_no_key(seed: bytes) -> None:
    assert code_of(lambda: Signer("a", seed)) == "note_invalid"


NO_KEYS = {
    "nothing": "",
    "only a name": "log.example",
    "no base64": LOG_KEY.rpartition("+")[0] + "+",
    "another name": LOG_KEY.replace("bridle", "bridge"),
    "another key ID": LOG_KEY.replace("+e6", "+e7"),
    "a key ID in capitals": LOG_KEY.replace("e6124ab3", "E6124AB3"),
    "a longer key ID": LOG_KEY.replace("+e6", "+0e6"),
    "base64 not canonical": LOG_KEY[:-1] + "5",
    "a space behind": LOG_KEY + " ",
    "a newline behind": LOG_KEY + "\n",
    "a space in the name": str(Key("a b", LOG.key.public)),
    "no name": str(Key("", LOG.key.public)),
    "U+2028 in the name": str(Key("a\u2028b", LOG.key.public)),
    "a lone surrogate": "\ud800" + LOG_KEY,
    "31 bytes": str(Key("a", LOG.key.public[:-1])),
    "33 bytes": str(Key("a", LOG.key.public + b"x")),
    "ECDSA": str(Key("a", LOG.key.public, 2)),
    "ML-DSA-44": str(Key("a", bytes(1_312), 6)),
    "type 00": str(Key("a", LOG.key.public, 0)),
    "a private type": str(Key("a", LOG.key.public, 255)),
    "a key under which all signatures hold": str(Key("a", bytes(32))),
    "the same with the sign bit": str(Key("a", bytes(31) + b"\x80")),
    "the neutral element": str(Key("a", b"\x01" + bytes(31))),
    "a megabyte": "a+00000000+" + "A" * (1 << 20),
    "a megabyte of plus": "+" * (1 << 20),
}


@pytest.mark.parametrize("name", NO_KEYS)
def test_what_is_no_verifier_key_is_refused(name: str) -> None:
    assert code_of(lambda: note.key(NO_KEYS[name])) == "key_invalid"


@given(data=st.one_of(mutations(LOG_KEY.encode()), mutations(WITNESS_KEY.encode())))
def test_any_text_is_no_key_or_the_text_of_that_key(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    code, found = outcome(lambda: note.key(text))
    assert code in {"", "key_invalid"}
    assert code or str(found) == text


def test_the_base64_of_a_key_may_hold_a_plus() -> None:
    assert LOG_KEY.count("+") == 3
    assert note.key(LOG_KEY) == LOG.key


@given(text=st.one_of(st.text(max_size=8), st.from_regex(r"[A-Za-z0-9+/]{0,8}={0,3}")))
def test_base64_has_one_form(text: str) -> None:
    if not code_of(lambda: note.decoded(text)):
        assert note.encoded(note.decoded(text)) == text


def test_a_note_is_a_value() -> None:
    assert note.parse(EXAMPLE) == note.parse(EXAMPLE)
    assert isinstance(note.parse(EXAMPLE), Note)
    assert len({note.key(LOG_KEY), note.key(LOG_KEY), note.key(WITNESS_KEY)}) == 2
