"""Reading: a value is recognised in a source whatever hides it, and no text is left behind."""

import base64
import urllib.parse
from array import array
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bridle.engine.flow.reading import MOST_CHUNKS, Reader, leaves, number_text

READER = Reader(b"a key that nobody knows")
OTHER = Reader(b"another key that nobody knows")


def marks(octets):
    return array("Q", octets)


def yields(imprint, reading):
    """Whether a source says a value by itself: as a run of its chunks or as an identifier."""
    needle = reading.exact.tobytes()
    place = imprint.chunks.find(needle)
    while place >= 0 and place % 8:
        place = imprint.chunks.find(needle, place + 1)
    return place >= 0 or not set(reading.whole).isdisjoint(marks(imprint.whole))


def shares(imprint, reading):
    return not set(reading.parts).isdisjoint(marks(imprint.parts))


def carries(imprint, label, reading):
    found = set(reading.parts) | set(reading.exact)
    return not found.isdisjoint(marks(imprint.labelled.get(label, b"")))


# --- what a source says ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Please pay $1,234.50 to GB29 NWBK 6016 1331 9268 19.", "1234.5"),
        ("Please pay $1,234.50 to GB29 NWBK 6016 1331 9268 19.", "GB29NWBK60161331926819"),
        ("Lunch with Bob on May 15th, 2024 at 12:30", "2024-05-15T12:30"),
        ("Lunch with Bob on May 15th, 2024 at 12:30", "2024-05-15 12:30"),
        ("Read www.x.com/a and tell me", "https://www.x.com/a"),
        ("Ask in #general", "general"),
        ("Write to Bob <BOB@x.com>", "bob@x.com"),
        ("call +49 30 1234567", "+49301234567"),
        ("- name: Le Baratin\n  rating: 4.5\n", "Le Baratin"),
    ],
)
def test_a_source_says_a_value_in_whatever_form(text, value):
    assert yields(READER.imprint([text]), READER.read(value))


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        (["pay Bob", "Miller 5"], "Bob Miller"),
        (["bob", "@x.com"], "bob@x.com"),
        (["pay $100"], "100 EUR"),
        (["mail bob@x.com"], "x.com"),
        (["mail bob@x.com"], "bob"),
        (["read https://x.com/a"], "x.com"),
        (["May 15th"], "2024-05-15"),
        ([base64.b64encode(b"write to bob@x.com").decode()], "bob@x.com"),
        (["b o b @ x . c o m"], "bob@x.com"),
        (["bob%40x.com"], "bob@x.com"),
        (["\uff42ob@x.com"], "bob@x.com"),
        (["b\u043eb@x.com"], "bob@x.com"),
        (["bob@x.com"], "b\u043eb@x.com"),
        (["bob@x.com"], "bob@x.com\u200b"),
    ],
)
def test_a_source_does_not_say_what_has_to_be_made_of_it(texts, value):
    assert not yields(READER.imprint(texts), READER.read(value))


WRAPPED = (
    "Please book a table at the restaurant on the corner, which is called The Golden\n"
    "Lion, for the evening of 15 May 2024, and tell my colleagues when we meet on May\n"
    "16th, 2024.\n\n"
    "Then pay."
)


def test_a_value_is_found_over_the_end_of_a_line_that_was_broken_for_its_width():
    imprint = READER.imprint([WRAPPED])
    for value in ("The Golden Lion", "2024-05-16", "May 16th, 2024", "Golden\nLion"):
        assert yields(imprint, READER.read(value))
    assert not yields(imprint, READER.read("16th, 2024. Then pay"))
    assert not yields(imprint, READER.read("of 15\nMay 2024"))


def test_lines_of_their_own_are_not_joined():
    imprint = READER.imprint(["to: bob@x.com\ncc: eve@y.com\n"])
    assert not yields(imprint, READER.read("bob@x.com cc: eve@y.com"))


words = st.text(st.characters(codec="utf-8"), max_size=30)


@given(
    st.lists(st.sampled_from(["to", "bob@x.com", "(Eve)", "5 km", "x=1,", "\n", "Bob's"])),
    st.data(),
)
def test_every_part_of_a_text_between_two_spaces_is_found_in_it(pieces, data):
    start = data.draw(st.integers(0, len(pieces)))
    stop = data.draw(st.integers(start, len(pieces)))
    text, value = " ".join(pieces), " ".join(pieces[start:stop])
    assert yields(READER.imprint(["before", text, "after"]), READER.read(value))


@given(words, words)
def test_a_value_with_another_letter_is_not_found(text, value):
    if yields(READER.imprint([text]), READER.read(value)) and not READER.read(value).whole:
        assert "".join(value.lower().split()) in "".join(text.lower().split())


# --- what hides a value ---------------------------------------------------------------------------


def b64(text):
    return base64.b64encode(text.encode()).decode()


ENCODINGS = {
    "none": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "base64": b64,
    "base64 without padding": lambda t: b64(t).rstrip("="),
    "base64 for URLs": lambda t: base64.urlsafe_b64encode(t.encode()).decode(),
    "base64 out of step": lambda t: "A" + b64(t),
    "base64 of utf-16": lambda t: base64.b64encode(t.encode("utf-16-le")).decode(),
    "base64 over lines": lambda t: base64.encodebytes((t + " " * 60 + t).encode()).decode(),
    "base64 in a sentence": lambda t: f"look at {b64(t)}, please",
    "base64 twice": lambda t: b64(b64(t)),
    "hex": lambda t: t.encode().hex(),
    "hex upper": lambda t: t.encode().hex().upper(),
    "hex with spaces": lambda t: t.encode().hex(" "),
    "hex with colons": lambda t: t.encode().hex(":"),
    "hex of base64": lambda t: b64(t).encode().hex(),
    "percent": lambda t: urllib.parse.quote(t, safe=""),
    "percent throughout": lambda t: "".join(f"%{b:02x}" for b in t.encode()),
    "percent of base64": lambda t: urllib.parse.quote(b64(t), safe=""),
    "html": lambda t: "".join(f"&#{ord(c)};" for c in t),
    "backslash u": lambda t: "".join(f"\\u{ord(c):04x}" for c in t),
    "zero-width": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "marks": lambda t: "\u0336".join(t) + "\u0336",
    "full-width": lambda t: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in t),
    "spaced": " ".join,
    "two spaces": "  ".join,
    "tabs": "\t".join,
    "line breaks": "\n".join,
    "wide spaces": lambda t: t.replace(" ", "   "),
    "one word a line": lambda t: t.replace(" ", "\n"),
    "no spaces": lambda t: t.replace(" ", ""),
    "stars": "*".join,
}
KEPT = [
    "pay Ms Smith now",
    "bob.miller@example.com",
    "https://evil.example/collect?id=7",
    "GB29NWBK60161331926819",
    "the code is 4711-0815, keep it",
    "Meet me behind the old mill at ten, and bring nobody with you this time.",
]


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
@pytest.mark.parametrize("text", KEPT)
def test_an_encoding_does_not_hide_where_a_value_came_from(encoding, text):
    hidden = ENCODINGS[encoding](text)
    assert shares(READER.imprint([text]), READER.read(hidden))
    assert shares(READER.imprint([hidden]), READER.read(text))


sentences = st.lists(
    st.text("abcdefghijklmnopqrstuvwxyz0123456789@.-", min_size=1, max_size=12),
    min_size=1,
    max_size=12,
).map(" ".join)


@given(
    sentences.filter(lambda t: sum(map(str.isalnum, t)) >= 6),
    st.sampled_from(["base64", "hex", "hex with spaces", "percent throughout", "upper case"]),
)
def test_the_encoding_of_any_text_leads_back_to_it(text, encoding):
    hidden = ENCODINGS[encoding](text)
    # Base64 is looked for by its capitals and digits, which prose has not inside words.
    assume(encoding != "base64" or not hidden[1:].rstrip("=").islower())
    assert shares(READER.imprint([text]), READER.read(hidden))


@given(st.text(max_size=60), st.sampled_from(sorted(ENCODINGS)))
def test_no_encoding_of_an_address_makes_it_one_that_a_source_says(text, encoding):
    hidden = ENCODINGS[encoding](text)
    imprint = READER.imprint([hidden])
    reading = READER.read("mallory@evil.example")
    if "mallory" not in hidden.lower():
        assert not yields(imprint, reading)


def test_an_address_tells_of_others_at_its_host_and_of_its_user():
    imprint = READER.imprint(["mail bob.miller@x.com"])
    assert shares(imprint, READER.read("see https://x.com/a"))
    assert shares(imprint, READER.read("x.com"))
    assert shares(imprint, READER.read("bob.miller@y.com"))
    assert not shares(imprint, READER.read("see https://y.com/a"))


@pytest.mark.parametrize("encoding", ["base64", "base64 over lines", "full-width", "marks"])
def test_a_sentence_hidden_among_others_tells_its_source(encoding):
    said = (
        "the committee met again in the small room above the bakery, argued about the price of "
        "paint until the candles were short, and went home without a decision or a quarrel"
    )
    plain = f"Minutes of Monday, as far as I can tell: {said}. Next meeting: soon."
    hidden = ENCODINGS[encoding](f"Look what they write of themselves: {said}. Is that not odd?")
    # Words of a hidden text are looked for, but these are not the words that tell in a plain one.
    assert shares(READER.imprint([plain]), READER.read(hidden))
    assert shares(READER.imprint([hidden]), READER.read(plain))


def test_a_sentence_that_is_copied_into_another_text_tells_its_source():
    said = (
        "The committee met again in the small room above the bakery, argued about the price of "
        "paint until the candles were short, and went home without a decision or a quarrel."
    )
    imprint = READER.imprint([f"Minutes.\n\n{said}\n\nNext meeting: soon."])
    assert shares(imprint, READER.read(f"As I heard it: {said} That was all there was."))
    assert not shares(imprint, READER.read("Dear Ana, thank you for your letter, see you soon."))


def test_everyday_words_and_numbers_are_no_trace():
    imprint = READER.imprint(["We will meet at 10:00 in room 5 and talk about the budget for 2024"])
    assert not shares(imprint, READER.read("Our budget was 5 in 2024, at 10:00 they will talk"))


# --- labelled values ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("4111111111111111", "card 4111 1111 1111 1111 it is"),
        ("4111 1111 1111 1111", "card 4111-1111-1111-1111"),
        ("4111-1111-1111-1111", b64("card 4111111111111111")),
        ("DE89 3704 0044 0532 0130 00", "to DE89370400440532013000."),
        ("DE89370400440532013000", "to DE89 3704 0044 0532 0130 00."),
        ("bob@x.com", "write to Bob@X.com!"),
        ("bob@x.com", "bob%40x.com"),
        ("+49 30 1234567", "+49-30-1234567"),
        ("Project Nightingale", "the nightingale sings"),
        ("O'Neill", "ask O'Neill about it"),
        ("C-123456", "customer c-123456"),
    ],
)
def test_a_label_goes_wherever_its_value_goes(value, text):
    imprint = READER.imprint(["some text"], [("secret", value), ("other", "unlike")])
    assert carries(imprint, "secret", READER.read(text))
    assert not carries(imprint, "other", READER.read(text))


def test_a_label_does_not_go_to_the_neighbours_of_its_value():
    imprint = READER.imprint([], [("secret", "bob@x.com")])
    assert not carries(imprint, "secret", READER.read("eve@x.com, https://x.com/ and bob@y.com"))


# --- what is kept ---------------------------------------------------------------------------------


@given(st.lists(st.text("abcdefghijklmnop@.:/ ", min_size=6, max_size=80), max_size=5))
def test_an_imprint_holds_no_text(texts):
    imprint = READER.imprint(texts, [("label", t) for t in texts])
    # Of all that there is of it, the octets as they are: base64 would spell words by chance.
    assert {type(value) for value in msgspec.structs.asdict(imprint).values()} == {
        bytes,
        dict,
        bool,
    }
    octets = imprint.chunks + imprint.whole + imprint.parts + b"".join(imprint.labelled.values())
    for text in texts:
        for word in text.split():
            assert len(word) < 5 or word.encode() not in octets


@given(st.lists(words, max_size=4))
def test_another_key_leaves_nothing_to_compare(texts):
    one, other = READER.imprint(texts), OTHER.imprint(texts)
    for mine, theirs in (
        (one.chunks, other.chunks),
        (one.whole, other.whole),
        (one.parts, other.parts),
    ):
        assert set(marks(mine)) & set(marks(theirs)) <= {0}


def as_read(reading):
    return reading.exact, reading.whole, reading.parts


@given(st.lists(words, max_size=4))
def test_what_was_read_before_changes_nothing(texts):
    fresh = Reader(b"a key that nobody knows")
    assert fresh.imprint(texts) == READER.imprint(texts)
    for text in texts:
        alone = Reader(b"a key that nobody knows").read(text)
        assert as_read(fresh.read(text)) == as_read(alone)


def test_what_is_remembered_stays_within_bounds():
    reader = Reader(b"k")
    for turn in range(20):
        reader.imprint([" ".join(f"{turn}{n}x" for n in range(1_000))])
        reader.read(f"value {turn}")
    assert len(reader._known.chunks) < 20_000
    # What is read again is recalled, and says the same.
    fresh = Reader(b"k")
    for text in ("3700x lunch, Bob!", "19999x", "value 3"):
        assert as_read(reader.read(text)) == as_read(fresh.read(text))
    for letter in "uvwxyz":
        reader.imprint([letter * 2**20])
    reader.read("a new one")
    assert sum(map(len, reader._known.chunks)) < 2**21 + 2**20


@given(st.one_of(words, st.sampled_from(KEPT)))
@example(KEPT[1])
def test_what_is_only_looked_for_is_never_what_a_source_says(text):
    reading, imprint = READER.read(text), READER.imprint([text])
    said = {*reading.exact, *reading.whole, *marks(imprint.chunks), *marks(imprint.whole)}
    assert said.isdisjoint(reading.parts)
    assert said.isdisjoint(marks(imprint.parts))


def test_what_was_joined_is_not_joined_to_the_next_text():
    imprint = READER.imprint(["x" * 70 + "\nin Berlin", "by boat"])
    assert yields(imprint, READER.read("x" * 70 + " in Berlin"))
    assert not yields(imprint, READER.read("in Berlin by boat"))


def test_two_texts_are_not_one():
    imprint = READER.imprint(["one two", "three", ""])
    assert list(marks(imprint.chunks)).count(0) == 2
    assert not yields(imprint, READER.read("two three"))


def test_a_source_that_is_too_long_says_that_its_end_is_missing():
    texts = ["one two three four", "five six"]
    assert not READER.imprint(texts).cut
    assert READER.imprint(texts[:1], most=3).cut
    short = READER.imprint(texts, most=3)
    assert short.cut
    assert yields(short, READER.read("one two three"))
    assert not yields(short, READER.read("four"))
    assert not yields(short, READER.read("six"))
    assert len(short.whole) + len(short.parts) <= 2 * 3 * 8


def test_an_imprint_has_at_most_the_chunks_it_may_have():
    imprint = READER.imprint(["a " * MOST_CHUNKS, "b"])
    assert imprint.cut
    assert len(imprint.chunks) == MOST_CHUNKS * 8
    imprint = READER.imprint((f"{n:05} word" for n in range(2_000)), most=1_000)
    assert imprint.cut
    assert len(imprint.chunks) <= 8_000
    assert len(imprint.parts) <= 8_000


def test_an_empty_value_is_nothing():
    for text in ("", " ", "\n\t "):
        assert len(READER.read(text).exact) == 0
        assert len(READER.read(text).whole) == len(READER.read(text).parts) == 0
    assert READER.imprint([]).chunks == b""


@given(st.one_of(words, st.text(" \t\r\n\u00a0\u200b.,", max_size=8)))
def test_whatever_is_not_white_space_is_looked_for(text):
    assert (len(READER.read(text).exact) == 0) is (not text.strip(" \t\r\n"))
    assert 0 not in READER.read(text).exact


def test_threads_read_the_same():
    reader = Reader(b"a key that nobody knows")
    texts = [" ".join(f"word{n * m}" for n in range(50)) for m in range(64)]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda text: as_read(reader.read(text)), texts)
        assert list(found) == [as_read(READER.read(text)) for text in texts]
        imprints = pool.map(lambda text: reader.imprint([text]), texts)
        assert list(imprints) == [READER.imprint([text]) for text in texts]


# --- hostile input --------------------------------------------------------------------------------


@given(st.text(st.characters(), max_size=80))
def test_no_text_is_too_odd_to_be_read(text):
    READER.read(text)
    READER.imprint([text], [("label", text)])


@pytest.mark.parametrize(
    "unit",
    [
        *("a", "a ", "\n", "a=", "%41", "QUJD", "41", "41 ", "a b ", "&#65;", "\\u0041", "\ud800"),
        *(
            "\u0300",
            "\u200b",
            "\ufdfa",
            "\u202e",
            "1,",
            "1 ",
            "10:00 ",
            "a@",
            "https://",
            "(",
            "x.y.",
        ),
        *("DE89 3704 ", "May 1 ", "+1 ", "A-", "QUJD\n", "'s", "#a", "\0"),
    ],
    ids=ascii,
)
def test_a_hostile_text_is_read_in_bounded_time(unit):
    text = unit * (2**16 // len(unit))
    reading = READER.read(text)
    imprint = READER.imprint([text], [("label", text[:2_000])])
    assert len(reading.parts) <= 4 * len(text)
    assert len(imprint.parts) <= MOST_CHUNKS * 8


# --- leaves ---------------------------------------------------------------------------------------


def test_the_leaves_of_a_value_are_its_texts_its_numbers_and_its_keys():
    value = {"to": ["bob", 7, {"to": None, "id": Decimal("1.50")}], "on": True, "at": 2.0}
    assert list(leaves(value)) == ["to", "bob", "7", "id", "1.50", "on", "at", "2"]
    assert list(leaves("x")) == ["x"]
    assert list(leaves(None)) == []


def test_leaves_are_found_at_any_depth():
    value = "deep"
    for _ in range(100_000):
        value = [value]
    assert list(leaves(value)) == ["deep"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (5.0, "5"),
        (0.1, "0.1"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E+999999"), "1E+999999"),
        (Decimal("NaN"), "NaN"),
        (True, ""),
        (None, ""),
        ("5", ""),
    ],
)
def test_a_number_is_written_out_within_bounds(value, text):
    assert number_text(value) == text


def test_a_number_that_python_does_not_print_is_written_in_hexadecimal():
    assert number_text(16**5_000) == "0x1" + "0" * 5_000
