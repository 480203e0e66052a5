"""Chunks: what a text says can be found in it, and what it does not say cannot be made of it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridle.engine.flow.reading import chunks


def told(text):
    return [t for run in chunks.runs(text) for t in chunks.tokens(run)]


def says(text, value):
    """Whether the tokens of a value stand in a text one after the other."""
    whole, part = told(text), told(value)
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Send it to bob@x.com.", "bob@x.com"),
        ("Send it to bob@x.com, please!", "bob@x.com"),
        ("Is it (bob@x.com)?", "bob@x.com"),
        ("Bob <bob@x.com>; Eve <eve@y.com>", "bob@x.com"),
        ("Bob<bob@x.com>", "bob@x.com"),
        ("to:bob@x.com cc:eve@y.com", "bob@x.com"),
        ("recipient: GB29NWBK60161331926819", "GB29NWBK60161331926819"),
        ("- id: 7\n  recipient: GB29NWBK60161331926819\n", "GB29NWBK60161331926819"),
        ("recipient='GB29NWBK60161331926819'", "GB29NWBK60161331926819"),
        ("{'to':'bob@x.com','id':7}", "7"),
        ('{"to":"bob@x.com","id":7}', "bob@x.com"),
        ('{"note":"see Eve","id":7}', "see Eve"),
        ("7,bob@x.com,Berlin", "bob@x.com"),
        ("7;bob@x.com;Berlin", "Berlin"),
        ("| 7 | bob@x.com |", "bob@x.com"),
        ("|7|bob@x.com|", "bob@x.com"),
        ("[the page](https://x.com/a_(b)), then", "https://x.com/a_(b)"),
        ("see [this](https://x.com/a)", "https://x.com/a"),
        ("see <https://x.com/a>.", "https://x.com/a"),
        ("url=https://x.com/a?b=c&d=e", "https://x.com/a?b=c&d=e"),
        ("https://x.com,https://y.com", "https://y.com"),
        ("<a href='https://x.com/a'>here</a>", "https://x.com/a"),
        ("https://x.com/o'neill", "https://x.com/o'neill"),
        ("(id:26)", "26"),
        ("**bob@x.com**", "bob@x.com"),
        ("`rm -rf /tmp/a`", "rm -rf /tmp/a"),
        ("Alice's report", "Alice"),
        ("Alice\u2019s report", "Alice"),
        ("\u201cCatch up over lunch.\u201d", "Catch up over lunch."),
        ("Create 'Lunch with Bob' at 12:00", "Lunch with Bob"),
        ("the GENERAL channel", "general"),
        ("it costs $1,234.50.", "$1,234.50"),
        ("to\u00a0bob@x.com", "bob@x.com"),
        ("line one\r\nline two", "line one\nline two"),
        ("two  spaces\tand a tab", "spaces and a"),
    ],
)
def test_what_a_text_says_is_found_in_it(text, value):
    assert says(text, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("bob@x.com", "x.com"),
        ("bob@x.com", "bob"),
        ("https://x.com/a", "x.com"),
        ("https://x.com/a?b=c", "https://x.com/a"),
        ("https://good.com@evil.com/", "https://good.com"),
        ("x.com.evil.com", "x.com"),
        ("use ssh", ".ssh"),
        ("Done. ssh to it", ".ssh"),
        ("read /etc/x", "../etc/x"),
        ("read ../etc/x", "/etc/x"),
        ("delete /tmp/a", "/tmp/a*"),
        ("pay 100", "-100"),
        ("pay 1,000", "1"),
        ("reboot", "$(reboot)"),
        ("the id is abc", "abc;"),
        ("a b", "a,b"),
        ("a, b", "a,b"),
        ("a,b", "a b"),
        ("a ;b", "a;b"),
        ("a (b", "a(b"),
        ("a = b", "a=b"),
        ("bob@x.com bcc: eve@y.com", "bob@x.com\nbcc: eve@y.com"),
        ("one\ntwo", "one two"),
        ("b o b", "bob"),
        ("bob", "b o b"),
        ("iPhone-9", "iphone-9"),
        ("Bob9", "bob9"),
        ("to bob@x.com", "to\u00a0bob@x.com"),
        ("bob@x.com", "bob@x\u200b.com"),
        ("bob@x.com", "b\u043eb@x.com"),
        ("kelvin", "\u212aelvin"),
        ("sun", "\u017fun"),
        ("caf\u00e9", "cafe\u0301"),
        ("abc", "\uff41\uff42\uff43"),
        ("abc", "abc\u202e"),
        ("a b", "a\x1fb"),
        ("a b", "a\x0bb"),
    ],
)
def test_what_a_text_does_not_say_cannot_be_cut_or_glued_from_it(text, value):
    assert not says(text, value)


def test_a_url_keeps_the_brackets_that_it_opens():
    assert chunks.tokens("(https://x.com/a_(b)).") == ["l(", "chttps://x.com/a_(b)", "t)", "t."]


def rebuilt(found):
    """Return the text that tokens tell, one space between runs."""
    text, last = "", ""
    for token in found:
        kind = token[0]
        glued = {"c": "lj", "l": "lj"}.get(kind, "ctljn")
        text += "" if not text or last in glued else " "
        text += "\n" if kind == "n" else token[1:]
        last = kind
    return text


ODD = "aB9 .,;:'\"()[]{}<>|`*=@/-_%#\t\n\r\u00a0\u200b\u2019\u201c\u0130\u017f\u00df/:w"
odd_texts = st.one_of(
    st.text(st.sampled_from(ODD), max_size=60),
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            [
                "https://x.com/a",
                "www.y.com",
                "(",
                ")",
                "](",
                "to:",
                "=",
                "'s",
                ",",
                " ",
                "1,000",
                "b@x",
            ]
        ),
        max_size=10,
    ).map("".join),
)


@example("0 )A://")
@example("0 ;(")
@given(odd_texts)
def test_tokens_tell_the_text_but_for_its_spaces_and_the_case_of_words(text):
    # Only then is a run of tokens something that the text says.
    found = told(text)
    plain = " ".join(text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").split(" "))
    lines = "\n".join(" ".join(line.split(" ")) for line in plain.strip(" \n").split("\n"))
    wanted = "\n".join(" ".join(filter(None, line.split(" "))) for line in lines.split("\n"))
    made = rebuilt(found).replace(" \n", "\n").replace("\n ", "\n")
    assert made.lower() == wanted.lower() or made == wanted
    assert rebuilt(told(made)) == rebuilt(found)


@given(odd_texts, odd_texts)
def test_texts_with_the_same_tokens_are_the_same_text(one, other):
    if told(one) == told(other):
        assert rebuilt(told(one)).split() == rebuilt(told(other)).split()


@given(st.text(max_size=200))
def test_folding_makes_one_only_of_upper_and_lower_case(word):
    folded = chunks.folded(word)
    assert folded == word or (word.isalpha() and len(folded) == len(word))
    for before, after in zip(word, folded, strict=True):
        assert after == before or after.upper() == before
    assert chunks.folded(folded) == folded


@pytest.mark.parametrize(
    "text",
    [
        "a" * 2**20,
        "(" * 2**20,
        "a=" * 2**19,
        "a," * 2**19,
        "http" * 2**18,
        "a://" * 2**18,
        "www." * 2**18,
        "https://x.com/" + "(" * 2**19 + ")" * 2**19,
        "1,000" * 2**17,
        "'s" * 2**19,
        "to:" * 2**18,
        "\ud800" * 2**18,
        "\u202e\u0300" * 2**18,
    ],
    ids=lambda t: repr(t[:8]),
)
def test_a_hostile_run_takes_time_in_proportion_to_its_length(text):
    assert sum(len(t) for t in told(text)) >= len(text)
