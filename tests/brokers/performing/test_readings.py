"""A secret is found in whatever spelling a program that only echoes gives it."""

import base64
import json
import quopri
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.brokers import readings
from bridle.brokers.scrubbing import MARK, Scrubber

SECRET = "ghp-9f27c1d0/of+the=system"


def each(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(c, ord(c)) for c in text)


def wrapped(text: str) -> str:
    return base64.encodebytes(b"x" * 50 + text.encode() + b"y" * 50).decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "JSON, JavaScript": each("\\u{1:04x}"),
    "ES6": each("\\u{{{1:x}}}"),
    "Python": each("\\U{1:08X}"),
    "C": each("\\x{1:02x}"),
    "octal": each("\\{1:03o}"),
    "XML": each("&#{1};"),
    "XML, hex": each("&#x{1:X};"),
    "Go's templates": lambda text: text.replace("+", "&#43;").replace("=", "&#61;"),
    "Java's encoder": lambda text: text.replace("/", "&#x2F;"),
    "HTML names": lambda text: text.replace("+", "&plus;").replace("/", "&sol;"),
    "percent": each("%{1:02x}"),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON in JSON": lambda text: json.dumps(json.dumps(each("\\u{1:04x}")(text))),
    "slashes": lambda text: text.replace("/", "\\/").replace("-", "\\-"),
    "UTF-16": lambda text: text.encode("utf-16-le").decode("latin-1"),
    "UTF-32, as JSON has it": lambda text: json.dumps(text.encode("utf-32-be").decode("latin-1")),
    "quoted-printable": lambda text: quopri.encodestring(b"x" * 66 + text.encode()).decode(),
    "folded": lambda text: f"{text[:9]}\r\n {text[9:]}",
    "base64, wrapped": wrapped,
    "base64, wrapped, in JSON": lambda text: json.dumps(wrapped(text)),
    "base64, in a URL": lambda text: quote(base64.b64encode(f"?{text}".encode()), safe=""),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_an_echo_is_taken_out_however_it_is_spelled(spell: Callable[[str], str]) -> None:
    told = Scrubber([SECRET]).text(f"before {spell(SECRET)} after")
    assert MARK in told
    assert told.startswith("before ")
    assert told.endswith(" after")
    assert not any(SECRET[4:-4] in text for text in (told, *(r.text for r in readings.of(told))))


@pytest.mark.parametrize("kind", ["utf-16-le", "utf-16-be", "utf-16", "utf-32"])
def test_an_echo_in_wide_characters_is_taken_out_of_bytes(kind: str) -> None:
    told = Scrubber([SECRET]).raw(b"\xff\xfe" + SECRET.encode(kind) + b"\xff")
    assert MARK.encode() in told
    assert SECRET[4:-4] not in told.replace(b"\0", b"").decode("latin-1")


@pytest.mark.parametrize("secret", ["48151623421", "90.5125", "-7001"])
def test_a_secret_of_digits_is_not_told_as_a_number(secret: str) -> None:
    text = f'{{"pin": {secret}, "pins": [1, {secret}], "on": true, "few": 12}}'
    scrubber = Scrubber([secret])
    clean = {"pin": MARK, "pins": [1, MARK], "on": True, "few": 12}
    assert scrubber.value(json.loads(text)) == clean
    assert json.loads(scrubber.document(text)) == clean


@given(st.recursive(st.text() | st.integers() | st.none(), lambda i: st.lists(i, max_size=4)))
def test_what_is_no_secret_stays_as_it_is(value: object) -> None:
    scrubber, text = Scrubber([SECRET]), json.dumps(value)
    assert scrubber.value(value) == value
    assert scrubber.document(text) == text


@given(st.text(alphabet="\\%&=ux0167;#g\n\0a{}hp", max_size=40))
def test_each_character_of_a_reading_stands_in_its_source(text: str) -> None:
    for reading in readings.of(text):
        assert len(reading.places) == len(reading.text) + 1
        assert list(reading.places) == sorted(reading.places)
        assert reading.places[-1] == len(text)


@given(st.lists(st.sampled_from([SECRET, *(s(SECRET) for s in SPELLINGS.values()), " ", "x\n"])))
def test_any_number_of_echoes_in_any_order_leaves_none(parts: list[str]) -> None:
    told = Scrubber([SECRET]).text("|".join(parts))
    assert SECRET not in told
    assert not any(SECRET in reading.text for reading in readings.of(told))
