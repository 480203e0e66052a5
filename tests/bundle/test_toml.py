"""Places of TOML keys: whatever the layout, the place is the key's, and the data is tomllib's."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.bundle.parse.toml import parse
from bridle.language.errors import LanguageError
from bridle.model.finding import Location

TEXT = '''# [not.a.header]
top = """
[also.no]
x = 1 """   # x = 2
[a."b.c".d]        # dotted and quoted
plain = 1
'single quoted' = { inner = [1, { deep = 2 }, """]}"""], "other key"=3 }
dotted . key = "#"
[[list]]
k = 1
[[list]]
  k = [ # comment ]
    "a]", 'b"',
  ]
[list.sub]
v = 2026-01-01
[ spaced . header ]
"\\u0041" = true
'''


def test_every_key_has_its_own_place() -> None:
    document = parse("f.toml", TEXT)
    places = {".".join(map(str, p)): (at.line, at.column) for p, at in document.places.items()}
    wanted = {
        "top": (2, 1),
        "a.b.c.d": (5, 1),
        "a.b.c.d.plain": (6, 1),
        "a.b.c.d.single quoted": (7, 1),
        "a.b.c.d.single quoted.inner": (7, 21),
        "a.b.c.d.single quoted.inner.1.deep": (7, 35),
        "a.b.c.d.single quoted.other key": (7, 58),
        "a.b.c.d.dotted": (8, 1),
        "a.b.c.d.dotted.key": (8, 10),
        "list.0": (9, 1),
        "list.0.k": (10, 1),
        "list.1.k": (12, 3),
        "list.1.k.1": (13, 11),
        "list.1.sub": (15, 1),
        "list.1.sub.v": (16, 1),
        "spaced.header.A": (18, 1),
    }
    assert wanted.items() <= places.items()
    assert "not" not in document.data
    assert "also" not in document.data


def test_what_has_no_place_of_its_own_has_that_of_what_surrounds_it() -> None:
    document = parse("f.toml", TEXT)
    assert document.at(("a", "b.c", "nothing")) == Location("f.toml", 5, 1)
    assert document.at(("nothing",)) == Location("f.toml")


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a" + ".a" * 400_000 + " = 1",
        '"a"' + '."a"' * 100_000 + " = 1",
        "a = " + "9" * 100_000,
        "a = \x00",
        "\ufeffa = 1",
        "a = 1\rb = 2",
        "[a]\n[a]",
        "a = 1\na = 2",
        'a = "' + "\\" * 100_001,
        "a = { b = 1, b = 2 }",
    ],
)
def test_hostile_text_is_refused_with_a_finding(text: str) -> None:
    with pytest.raises(LanguageError) as caught:
        parse("f.toml", text)
    assert caught.value.finding.code == "toml_syntax"


def test_prose_with_many_dots_is_no_key() -> None:
    text = "a = '" + "e. g. this. " * 100 + "'"
    assert parse("f.toml", text).data["a"].startswith("e. g.")


KEYS = st.sampled_from(["a", "b", '"q r"', "'l'", "a.b", "c . d"])
VALUES = st.recursive(
    st.sampled_from(
        ["1", '"x # ]"', "'}'", '"""\n]"""', "true", "1.5", "2026-01-01", "'''\n[x]'''"]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda v: "[" + " ,\n# c ]\n".join(v) + "]"),
        st.dictionaries(KEYS, inner, max_size=3).map(
            lambda d: "{" + ", ".join(f"{k} = {v}" for k, v in d.items()) + "}"
        ),
    ),
    max_leaves=8,
)
LINES = st.one_of(
    st.tuples(KEYS, VALUES).map(lambda p: f"{p[0]} = {p[1]}"),
    KEYS.map(lambda k: f"[{k}]"),
    KEYS.map(lambda k: f"[[{k}]]"),
    st.just("# [x] y = 1"),
)


@given(st.lists(LINES, max_size=8).map("\n".join))
def test_places_agree_with_tomllib_on_every_text_it_accepts(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    document = parse("f.toml", text)
    lines = text.split("\n")

    def walk(value: object, path: tuple) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                place = document.places[*path, key]
                rest = lines[place.line - 1][place.column - 1 :]
                assert rest.startswith("[") or rest.lstrip("\"'").startswith(key)
                walk(inner, (*path, key))
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                walk(inner, (*path, index))

    walk(data, ())
