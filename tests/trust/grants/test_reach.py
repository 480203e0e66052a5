"""Notes on grants: what can have no effect is told, in words, and what can is not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridle.trust.grants import conditions as c
from bridle.trust.grants.claims import (
    DETAIL_TYPE,
    Claims,
    Confirmation,
    Detail,
    Jwk,
    Predicate,
    ToolGrant,
)
from bridle.trust.grants.matching import matchers, overlap
from bridle.trust.grants.matching.overlap import disjoint
from bridle.trust.grants.reach import MOST_NOTES, unreachable
from tests.trust.grants.test_predicates import PREDICATES, VALUES

TOOLS = ["desk.read", "desk.write", "web.get", "web.put"]


def claims(
    tools: dict[str, dict[str, Predicate] | None],
    agent: str = "triage",
    *,
    depth: int = 0,
    most: int = 8,
    domains: tuple[str, ...] | None = None,
    effects: tuple[str, ...] | None = None,
    **more: Any,
) -> Claims:
    granted = {name: ToolGrant(args) for name, args in tools.items()}
    return Claims(
        jti="0" * 32,
        iss="bridle:store",
        sub="ana",
        agent=agent,
        aud="bridle:store",
        iat=1,
        exp=more.pop("exp", 1_000),
        cnf=Confirmation(Jwk("OKP", "Ed25519", "x")),
        del_depth=depth,
        del_max_depth=most,
        mis="mis_1",
        authorization_details=(Detail(DETAIL_TYPE, granted, domains, effects),),
        **more,
    )


def notes(parent: Claims, child: Claims) -> tuple[str, ...]:
    return unreachable([parent], child, TOOLS)


ROOT = claims({"*": None})


@pytest.mark.parametrize(
    ("parent", "child", "said"),
    [
        (
            claims({"desk.*": None}),
            claims({"web.get": None}),
            "tool web.get: it is not granted (grant of triage)",
        ),
        (
            claims({"desk.*": None}),
            claims({"web.*": None}),
            "tool web.*: it is not granted (grant of triage)",
        ),
        (ROOT, claims({"web.fetch": None}), "tool web.fetch: there is no such tool"),
        (ROOT, claims({"mail.*": None}), "tool mail.*: there is no such tool"),
        (
            claims({"web.get": {"url": c.host("a.example")}}),
            claims({"web.get": {"url": c.host("b.example")}}),
            (
                'tool web.get: no argument url that is a URL of host "b.example" is granted'
                " (grant of triage)"
            ),
        ),
        (
            claims({"web.get": {"url": c.anything()}}),
            claims({"web.get": {"u": c.eq(1)}}),
            "tool web.get: argument u is not granted (grant of triage)",
        ),
        (
            claims({"web.get": {"url": c.prefix("https://a.example/")}}),
            claims({"web.get": {}}),
            "tool web.get: argument url is needed above, and not granted here (grant of triage)",
        ),
        (
            claims({"web.get": None}, domains=("web",)),
            claims({"web.get": None}, domains=("mail",)),
            "tool web.get: none of its domains is granted (grant of triage)",
        ),
        (
            claims({"web.get": None}, effects=("read",)),
            claims({"web.get": None}, effects=("read", "write")),
            "tool web.get: effect write is not granted to triage",
        ),
        (
            ROOT,
            claims({"web.get": None}, exp=1_001),
            "it ends later than the grant of triage: it would be refused",
        ),
        (
            claims({"*": None}, bud={"calls": "5"}),
            claims({"web.get": None}, bud={"calls": "5.5"}),
            "budget calls: a grant above has 5 at most",
        ),
        (
            claims({"*": None}, lbl=("public",)),
            claims({"web.get": None}, lbl=("public", "pii")),
            "label pii is not granted above",
        ),
        (
            claims({"*": None}, most=0),
            claims({"web.get": None}, depth=1, most=0),
            "triage may not hand on: this grant would be refused",
        ),
        (
            claims({"*": None}, most=2),
            claims({"web.get": None}, depth=1, most=3),
            "it may be handed on no deeper than 2 links, as what is above it",
        ),
        (
            ROOT,
            claims({"web.get": {"url": c.prefix("https://docs.example")}}),
            (
                "tool web.get: argument url: https://docs.example also begins"
                " https://docs.example.other.example; end it with /, or use host"
            ),
        ),
        (
            ROOT,
            claims({"web.get": {"url": Predicate()}}),
            "tool web.get: argument url: the condition is ill-formed, and nothing satisfies it",
        ),
    ],
)
def test_what_can_have_no_effect_is_told(parent: Claims, child: Claims, said: str) -> None:
    assert said in notes(parent, child)


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        (ROOT, claims({"web.get": None, "desk.*": None, "*": None}, depth=1)),
        (claims({"desk.read": None}), claims({"desk.*": None})),
        (
            claims({"web.get": {"url": c.host("*.example"), "n": c.anything()}}),
            claims({"web.get": {"url": c.prefix("https://docs.example/a")}}, exp=999),
        ),
        (
            claims({"web.*": None}, bud={"calls": "5"}, lbl=("public",)),
            claims({"web.get": None}, bud={"calls": "5", "usd": "1"}, lbl=()),
        ),
        (claims({"web.get": None}, effects=("read",)), claims({"web.get": None})),
        (claims({"web.get": {}}), claims({"web.get": {"n": c.anything()}})),
    ],
)
def test_of_what_can_have_effect_nothing_is_told(parent: Claims, child: Claims) -> None:
    assert notes(parent, child) == ()


def test_each_grant_above_is_named_that_keeps_something_out() -> None:
    middle = claims({"desk.*": None}, "middle", depth=1, exp=500)
    child = claims({"web.get": None}, "leaf", depth=2, exp=500)
    assert unreachable([ROOT, middle], child, TOOLS) == (
        "tool web.get: it is not granted (grant of middle)",
    )


def test_another_entry_that_allows_keeps_the_note_away() -> None:
    narrow = Detail(DETAIL_TYPE, {"web.get": ToolGrant({"url": c.eq("a")})})
    wide = Detail(DETAIL_TYPE, {"web.*": ToolGrant()})
    parent = claims({"desk.read": None})
    child = claims({"web.get": {"url": c.eq("b")}})
    assert notes(replace(parent, authorization_details=(narrow,)), child)
    assert not notes(replace(parent, authorization_details=(narrow, wide)), child)


def test_notes_are_few_and_nobody_elses_sentences() -> None:
    many = claims({f"no.such{number}": None for number in range(200)})
    assert len(notes(ROOT, many)) == MOST_NOTES
    child = claims({"web.get": {"x is granted\nand all": c.prefix("https://a\n")}})
    assert all("\n" not in note for note in notes(ROOT, child))
    assert unreachable([], claims({"web.get": None}), []) == (
        "tool web.get: there is no such tool",
    )


def test_a_grant_that_is_made_to_be_costly_is_looked_into_only_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = 0
    real = overlap.disjoint

    def counted(one: Predicate, other: Predicate) -> bool:
        nonlocal seen
        seen += 1
        return real(one, other)

    monkeypatch.setattr(overlap, "disjoint", counted)
    args = {f"a{number}": c.one_of(*range(200)) for number in range(16)}
    entries = tuple(Detail(DETAIL_TYPE, {"*": ToolGrant(args)}) for _ in range(8))
    hostile = replace(ROOT, authorization_details=entries)
    apart = {name: c.one_of(*range(200, 400)) if name == "a15" else test
             for name, test in args.items()}  # fmt: skip
    child = replace(ROOT, authorization_details=(Detail(DETAIL_TYPE, {"*": ToolGrant(apart)}),) * 8)
    many = [f"tool{number}" for number in range(2_000)]
    assert unreachable([hostile] * 8, child, many) == ()
    assert 0 < seen < 100
    # What is told at all is told of an honest one of the same kind.
    honest = replace(ROOT, authorization_details=entries[:1])
    assert unreachable([honest], child, ["tool1"])


# --- pairs ---------------------------------------------------------------------------------------

APART = [
    (c.eq(1), c.eq(True)),
    (c.eq("a"), c.prefix("b")),
    (c.one_of("a", "b"), c.one_of("c", 1)),
    (c.one_of(), c.anything()),
    (c.between(1, 2), c.between("2.5", None)),
    (c.between(1, 2), c.prefix("1")),
    (c.prefix("ab"), c.prefix("ac")),
    (c.suffix(".pdf"), c.suffix(".txt")),
    (c.path_under("/a"), c.path_under("/ab")),
    (c.prefix("/ab"), c.path_under("/a")),
    (c.prefix("b"), c.path_under("/")),
    (c.host("a.example"), c.host("*.a.example")),
    (c.host("*.a.example"), c.host("*.b.example")),
    (c.host("a.example"), c.prefix("https://a.example.evil/")),
    (c.host("a.example"), c.prefix("https://a.example@evil.example/")),
    (c.host("a.example"), c.prefix("ftp://")),
    (c.host("a.example"), c.cidr("0.0.0.0/0")),
    (c.cidr("10.0.0.0/8"), c.cidr("11.0.0.0/8", "::/0")),
    (c.subset("a"), c.prefix("a")),
    (c.subset("a"), c.eq("a")),
    (Predicate(), c.anything()),
]
TOGETHER = [
    (c.eq("ab"), c.prefix("a")),
    (c.between(1, 2), c.between(2, 3)),
    (c.prefix("a"), c.prefix("ab")),
    (c.prefix("a"), c.suffix("b")),
    (c.path_under("/a"), c.path_under("/a/b")),
    (c.path_under("/"), c.path_under("/a")),
    (c.prefix("/a"), c.path_under("/ab")),
    (c.prefix("/a/b"), c.path_under("/a")),
    (c.host("*.example"), c.host("*.a.example")),
    (c.host("a.example"), c.prefix("https://a.example/x")),
    (c.host("a.example"), c.prefix("https://a.ex")),
    (c.host("a.example"), c.prefix("h")),
    (c.cidr("10.0.0.0/8"), c.cidr("10.1.0.0/16")),
    (c.subset("a"), c.subset("b")),
    (c.anything(), c.matches("a")),
]


@pytest.mark.parametrize(("one", "other"), APART)
def test_two_conditions_that_exclude_one_another(one: Predicate, other: Predicate) -> None:
    assert disjoint(one, other)
    assert disjoint(other, one)


@pytest.mark.parametrize(("one", "other"), TOGETHER)
def test_two_conditions_that_can_both_hold(one: Predicate, other: Predicate) -> None:
    assert not disjoint(one, other)
    assert not disjoint(other, one)


@given(
    PREDICATES | st.sampled_from([one for pair in APART + TOGETHER for one in pair]),
    PREDICATES | st.sampled_from([one for pair in APART + TOGETHER for one in pair]),
    VALUES,
)
def test_no_value_satisfies_two_conditions_that_are_said_to_exclude_one_another(
    one: Predicate, other: Predicate, value: Any
) -> None:
    if matchers.compiled(one)(value) and matchers.compiled(other)(value):
        assert not disjoint(one, other)
