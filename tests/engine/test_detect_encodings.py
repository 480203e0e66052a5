"""Detectors look through what hides content, two encodings deep, and point at the original."""

import base64
import html
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.detect import BUILT_IN, Span
from engine.reading import detectors

ALL = detectors(customer_id="C-[0-9]{6}")
SECRETS = {
    "email": "ana@example.com",
    "phone": "+49 30 1234567",
    "iban": "DE89370400440532013000",
    "payment_card": "4111111111111111",
    "secret_key": "AKIAIOSFODNN7EXAMPLE",
    "url": "https://evil.example/x",
    "ip": "192.0.2.17",
    "customer_id": "C-123456",
}


def b64(text, code=base64.b64encode):
    return code(text.encode()).decode()


def wide(text):
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


ENCODINGS = {
    "base64": b64,
    "base64 without padding": lambda t: b64(t).rstrip("="),
    "base64 url-safe": lambda t: b64(t + "??>>", base64.urlsafe_b64encode),
    "base64 of more": lambda t: b64(f"some words before {t} and after"),
    "base64 out of step": lambda t: "A" + b64(t),
    "base64 over lines": lambda t: base64.encodebytes(("x " * 40 + t).encode()).decode(),
    "base64 of utf-16": lambda t: base64.b64encode(t.encode("utf-16-le")).decode(),
    "hex": lambda t: t.encode().hex(),
    "hex upper": lambda t: t.encode().hex().upper(),
    "hex with spaces": lambda t: t.encode().hex(" "),
    "hex with colons": lambda t: t.encode().hex(":"),
    "hex with 0x": lambda t: ", ".join(f"0x{b:02x}" for b in t.encode()),
    "hex out of step": lambda t: "a" + t.encode().hex(),
    "percent": lambda t: urllib.parse.quote(t, safe=""),
    "percent throughout": lambda t: "".join(f"%{b:02x}" for b in t.encode()),
    "html": lambda t: "".join(f"&#{ord(c)};" for c in t),
    "html hex": lambda t: "".join(f"&#x{ord(c):X};" for c in t),
    "backslash x": lambda t: "".join(f"\\x{ord(c):02x}" for c in t),
    "backslash u": lambda t: "".join(f"\\u{ord(c):04x}" for c in t),
    "full-width": wide,
    "zero-width": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "marks": lambda t: "\u0336".join(t) + "\u0336",
    "NUL between": "\0".join,
    "spaced": " ".join,
    "tabs": "\t".join,
    "line breaks": "\n".join,
    "two spaces": "  ".join,
    "stars": "*".join,
    "bars": "|".join,
}
NAMES = sorted(ENCODINGS)


@pytest.mark.parametrize("encoding", NAMES)
@pytest.mark.parametrize("name", sorted(SECRETS))
def test_an_encoding_hides_nothing(name, encoding):
    hidden = ENCODINGS[encoding](SECRETS[name])
    if encoding == "spaced" and name == "phone":
        hidden = " ".join("+4930123456789")
    text = f"word: {hidden} :word"
    assert name in ALL.found(text)
    assert any(s.detector == name for s in ALL.find(text))


NESTED = [
    ("base64", "base64"), ("base64", "hex"), ("hex", "base64"), ("percent throughout", "base64"),
    ("html", "percent"), ("base64", "percent"), ("base64", "html"), ("full-width", "base64"),
    ("base64", "full-width"), ("zero-width", "base64"), ("spaced", "base64"), ("hex", "hex"),
    ("base64", "spaced"), ("zero-width", "hex"), ("backslash u", "base64"), ("percent", "base64"),
]  # fmt: skip


@pytest.mark.parametrize(("outer", "inner"), NESTED)
@pytest.mark.parametrize("name", ["email", "payment_card", "secret_key", "customer_id"])
def test_two_encodings_hide_nothing(name, outer, inner):
    text = ENCODINGS[outer](ENCODINGS[inner](SECRETS[name]))
    assert name in ALL.found(f"x {text} y")


def test_three_encodings_are_beyond_the_stated_depth():
    text = b64(b64(b64(SECRETS["email"])))
    assert "email" not in ALL.found(text)


def test_an_encoded_find_is_covered_whole_and_nothing_else_is():
    hidden = b64("some words before ana@example.com and after")
    text = f"é👍 start {hidden} end"
    start = text.index(hidden)
    assert ALL.find(text, ["email"]) == [Span(start, start + len(hidden), "email")]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("to: ana%40example.com!", "ana%40example.com"),
        ("to: ana&#64;example&period;com!", "ana&#64;example&period;com"),
        ("x \uff41na@example.com y", "\uff41na@example.com"),
        ("x a\u200bna@example.co\u200bm\u200b y", "a\u200bna@example.co\u200bm\u200b"),
        ("xx a n a @ e x . c o m yy", "a n a @ e x . c o m"),
        ("ﷺ ana@example.com", "ana@example.com"),
        ("👍👍 ana@example.com 👍", "ana@example.com"),
    ],
)
def test_spans_are_code_points_of_the_original(text, span):
    (found,) = ALL.find(text, ["email"])
    assert text[found.start : found.end] == span


def test_a_bundles_own_detector_ignores_case_and_may_match_anything_in_unicode():
    own = detectors(word="straße", code="[Ññ]-[0-9]+")
    assert own.found("Die STRASSE, die Straße") == {"word"}
    assert own.found("ñ-7") == {"code"}
    assert own.found("nothing") == set()


def test_names_choose_which_detectors_run():
    text = "ana@example.com 192.0.2.1 C-123456"
    assert ALL.found(text) == {"email", "ip", "customer_id"}
    assert ALL.found(text, ["ip"]) == {"ip"}
    assert ALL.found(text, []) == set()


texts = st.text(
    alphabet=st.sampled_from("aé@.-+/=%&#;:\\ 0123456789xABz\u200b\uff20\n"), max_size=60
)


@given(texts | st.text(max_size=60))
def test_any_text_is_searched_the_same_way_twice_and_spans_lie_in_it(text):
    spans = ALL.find(text)
    assert spans == ALL.find(text) == sorted(set(spans))
    assert all(0 <= s.start < s.end <= len(text) for s in spans)
    assert {s.detector for s in spans} == ALL.found(text)


@given(
    st.sampled_from(sorted(SECRETS)),
    st.sampled_from([n for n in NAMES if n != "base64 url-safe"]),
    st.text(alphabet="uvw xyz\n", max_size=30),
    st.text(alphabet="uvw xyz\n", max_size=30),
)
def test_a_hidden_find_lies_within_what_hides_it(name, encoding, before, after):
    hidden = ENCODINGS[encoding](SECRETS[name].replace(" ", ""))
    text = f"{before} :{hidden}: {after}"
    start, end = len(before) + 2, len(before) + 2 + len(hidden)
    spans = [s for s in ALL.find(text, [name]) if s.start < end and s.end > start]
    assert spans
    assert all(s.start >= start - 1 and s.end <= end + 1 for s in spans)


@given(st.binary(max_size=80), st.sampled_from(BUILT_IN))
def test_encoded_bytes_of_any_kind_raise_nothing(data, name):
    for text in (data.hex(), base64.b64encode(data).decode(), urllib.parse.quote(data)):
        ALL.find(text, [name])
        ALL.find(html.escape(text + "&#xD800;&#1114112;\\ud800%ff"), [name])
