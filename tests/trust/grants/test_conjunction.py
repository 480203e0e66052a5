"""Attenuation is conjunction: no child allows what an ancestor does not, whatever holders sign.

Holders here sign arbitrary children, each rightly with its own key. What they say is drawn, not
narrowed; requests are drawn independently of them.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from hashlib import sha256
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridle.trust.grants import jws
from bridle.trust.grants.claims import DETAIL_TYPE, Detail, Predicate, Range, ToolGrant
from bridle.trust.grants.verify import Request
from trust.forging import ANY, GOVERNOR, HOUR, MISSION, NOW, Line, judged, resigned

DEPTH = 4
LINE = Line(*[ANY] * (DEPTH + 1))

SCALARS = st.sampled_from(
    ["", "a", "b", "ab", "/srv", "/srv/a", "/srv/../a", "https://a.example/x",
     "https://b.a.example/", "10.0.0.1", "192.0.2.1", "1", "true", 0, 1, 2, 7, -1, True, False]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS | st.sampled_from([None, 1.5, Decimal("1.0"), Decimal("0.5"), Decimal("6.99")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)
BOUNDS = st.sampled_from([None, 0, 1, 5, "0.5", "6.99"])
SETS = st.lists(SCALARS, min_size=1, max_size=4, unique_by=lambda each: (type(each), each)).map(
    tuple
)
PREDICATES = st.one_of(
    st.just(Predicate(any=True)),
    SCALARS.map(lambda value: Predicate(eq=value)),
    SETS.map(lambda values: Predicate(in_=values)),
    SETS.map(lambda values: Predicate(subset=values)),
    st.builds(lambda low, high: Predicate(range=Range(low, high)), BOUNDS, BOUNDS).filter(
        lambda each: each.range not in {Range(), None} and _ordered(each.range)
    ),
    st.sampled_from(
        [
            Predicate(prefix="a"), Predicate(prefix="/"), Predicate(prefix="https://"),
            Predicate(suffix="b"), Predicate(suffix="/"), Predicate(path_under="/srv"),
            Predicate(path_under="/"), Predicate(host=("a.example",)),
            Predicate(host=("*.a.example", "a.example")), Predicate(cidr=("10.0.0.0/8",)),
            Predicate(cidr=("0.0.0.0/0",)), Predicate(re2="[ab]+"), Predicate(re2=".*"),
        ]
    ),
)  # fmt: skip


def _ordered(between: Range) -> bool:
    ends = [Decimal(each) for each in (between.min, between.max) if each is not None]
    return ends == sorted(ends)


NAMES = st.sampled_from(["x", "y"])
GRANTS = st.builds(
    ToolGrant, st.none() | st.dictionaries(NAMES, PREDICATES | st.just(Predicate(any=True)))
)
TOOLS = st.dictionaries(
    st.sampled_from(["*", "web.*", "web.get", "web.deep.*", "mail.send"]), GRANTS, max_size=3
)
SOME = st.lists(st.sampled_from(["in", "out"]), unique=True).map(tuple)
DETAILS = st.lists(
    st.builds(
        Detail,
        st.just(DETAIL_TYPE),
        TOOLS,
        st.none() | SOME,
        st.none() | st.lists(st.sampled_from(["read", "write"]), unique=True).map(tuple),
    ),
    max_size=2,
).map(tuple)
OPEN = st.just((Detail(DETAIL_TYPE, {"*": ToolGrant()}),))
SAID = st.fixed_dictionaries(
    {"authorization_details": OPEN | DETAILS | DETAILS},
    optional={"lbl": st.none() | SOME, "task": st.sampled_from(["", "t"])},
)
STRANGE = st.fixed_dictionaries(
    {},
    optional={
        "sub": st.sampled_from(["ana", "ben"]),
        "aud": st.sampled_from([GOVERNOR, "bridle:other"]),
        "mis": st.sampled_from([MISSION, "mis_other"]),
        "iat": st.integers(NOW - 2, NOW + 2),
        "exp": st.integers(NOW - 2, NOW + HOUR + 2),
        "del_depth": st.integers(0, 9),
        "del_max_depth": st.integers(0, 9),
        "bud": st.just({"calls": "1000"}),
        "agent": st.sampled_from(["root", "a0"]),
    },
)
REQUESTS = st.builds(
    Request,
    tool=st.sampled_from(["web.get", "web.deep.get", "mail.send", "web", "*", ""]),
    domain=st.sampled_from(["in", "out", ""]),
    effect=st.sampled_from(["read", "write", "irreversible"]),
    labels=st.frozensets(st.sampled_from(["in", "out"])),
    args=st.dictionaries(NAMES, VALUES),
    audience=st.just(GOVERNOR),
    mission=st.just(MISSION),
    task=st.sampled_from(["", "t"]),
)


def digest(text: str) -> str:
    """What a link is named, whether a reader would take it or not."""
    return sha256(jws.split(text).signing_input).hexdigest()


def signed(said: list[dict[str, Any]]) -> list[str]:
    """A chain of links with these claims, each signed with the key of the one above."""
    texts: list[str] = []
    signers = [LINE.grant_key, *LINE.keys]
    for at, claims in enumerate(said):
        above = {"par_hash": digest(texts[-1])} if texts else {}
        texts.append(resigned(LINE.texts[at], signers[at], **(above | claims)))
    return texts


def outcomes(said: list[dict[str, Any]], asked: Request) -> list[str]:
    """What each prefix of the chain says, the root first."""
    verifier, texts = LINE.verifier(), signed(said)
    return [judged(verifier, texts[:length], asked)[0] for length in range(1, len(texts) + 1)]


@given(st.lists(st.tuples(SAID, STRANGE | st.just({})), min_size=1, max_size=DEPTH), REQUESTS)
def test_what_a_child_allows_every_ancestor_allows(
    said: list[tuple[dict[str, Any], dict[str, Any]]], asked: Request
) -> None:
    found = outcomes([claims | strange for claims, strange in said], asked)
    # Once a prefix refuses, everything below it does.
    assert [code == "" for code in found] == sorted([code == "" for code in found], reverse=True)


@given(st.lists(SAID, min_size=1, max_size=DEPTH), REQUESTS)
def test_a_chain_allows_what_each_link_would_allow_as_a_root(
    said: list[dict[str, Any]], asked: Request
) -> None:
    """Exactly the conjunction: no link is stricter in a chain than alone, and none is left out."""
    said = [claims | {"task": ""} for claims in said]
    alone = [outcomes([claims], asked) == [""] for claims in said]
    assert (outcomes(said, asked)[-1] == "") is all(alone)


def test_the_drawn_chains_allow_and_refuse_both() -> None:
    """The two promises above are not kept by refusing everything."""
    seen: Counter[str] = Counter()

    @settings(max_examples=300, database=None, derandomize=True)
    @given(st.lists(SAID, min_size=2, max_size=2), REQUESTS)
    def draw(said: list[dict[str, Any]], asked: Request) -> None:
        root, child = (code == "" for code in outcomes(said, asked))
        alone = outcomes(said[1:], asked) == [""]
        seen[f"root {root}, child {child}, alone {alone}"] += 1

    draw()
    assert seen["root True, child True, alone True"] >= 10
    assert seen["root True, child False, alone False"] >= 10
    # These would be widened, were the last link asked alone.
    assert seen["root False, child False, alone True"] >= 10
    assert not seen["root False, child True, alone True"]
