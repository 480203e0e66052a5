"""What a link allows, in words: all of it, and nothing its author can pass off as our words."""

from typing import Any

import pytest

from bridle.trust.grants.claims import (
    DETAIL_TYPE,
    Claims,
    Confirmation,
    Detail,
    Jwk,
    Predicate,
    Range,
    ToolGrant,
)
from bridle.trust.grants.wording import caveats, condition


def claims(tools: dict[str, ToolGrant], *, last: int = 0, **more: Any) -> Claims:
    where = {name: more.pop(name) for name in ("domains", "effects") if name in more}
    return Claims(
        jti="0" * 32,
        iss="bridle:store",
        sub="ana",
        agent="researcher",
        aud="bridle:store",
        iat=1,
        exp=2,
        cnf=Confirmation(Jwk("OKP", "Ed25519", "x")),
        del_depth=0,
        del_max_depth=last,
        mis="mis_1",
        authorization_details=(Detail(DETAIL_TYPE, tools, **where),),
        **more,
    )


@pytest.mark.parametrize(
    ("predicate", "said"),
    [
        (Predicate(eq="a"), 'is "a"'),
        (Predicate(eq=True), "is true"),
        (Predicate(eq=1), "is 1"),
        (Predicate(in_=("a", 2)), 'is one of "a", 2'),
        (Predicate(in_=()), "is one of nothing"),
        (Predicate(range=Range(1, "2.5")), "is from 1 to 2.5"),
        (Predicate(range=Range(min=1)), "is at least 1"),
        (Predicate(range=Range(max=9)), "is at most 9"),
        (Predicate(prefix="http://"), 'begins with "http://"'),
        (Predicate(suffix=".md"), 'ends with ".md"'),
        (Predicate(path_under="/srv"), 'is the path "/srv" or below'),
        (Predicate(host=("*.example",)), 'is a URL of host "*.example"'),
        (Predicate(cidr=("10.0.0.0/8",)), 'is an address in "10.0.0.0/8"'),
        (Predicate(subset=("a",)), 'holds only "a"'),
        (Predicate(re2="[a-z]+"), 'matches all of "[a-z]+"'),
        (Predicate(any=True), "is anything or absent"),
    ],
)
def test_each_predicate_has_words(predicate: Predicate, said: str) -> None:
    assert condition(predicate) == said


@pytest.mark.parametrize("predicate", [Predicate(), Predicate(eq=1, prefix="a")])
def test_what_says_nothing_or_two_things_is_told_to_hold_for_nothing(predicate: Predicate) -> None:
    assert condition(predicate) == "satisfies nothing (ill-formed)"


def test_everything_that_narrows_a_link_is_said() -> None:
    link = claims(
        {
            "web.get": ToolGrant({"url": Predicate(prefix="http://help.example/")}),
            "desk.read": ToolGrant(),
            "desk.list": ToolGrant(),
            "desk.ping": ToolGrant({}),
        },
        last=2,
        domains=("internet",),
        effects=("read",),
        bud={"calls": "5"},
        lbl=("personal",),
        task="ticket 41",
    )
    inside = '; in domains "internet"; effects "read"'
    assert caveats(link) == (
        f"desk.read, desk.list{inside}",
        f'web.get where url begins with "http://help.example/"{inside}',
        f"desk.ping without arguments{inside}",
        'only tools without labels but "personal"',
        "at most 5 of budget calls",
        'for the task "ticket 41"',
        "may be handed on 2 times more",
    )


def test_a_link_that_allows_nothing_is_not_told_to_allow_something() -> None:
    said = caveats(claims({"desk.read": ToolGrant()}, domains=(), effects=(), lbl=()))
    assert said[0] == "desk.read; in domains none; effects none"
    assert said[1:] == ("only tools without labels", "not to be handed on")


def test_names_cannot_pass_for_sentences_of_ours() -> None:
    forged = claims(
        {'x, and everything else "': ToolGrant({"a is anything and b": Predicate(eq=1)})},
        bud={"calls (not enforced)": "5 of 9"},
    )
    assert caveats(forged)[:2] == (
        '"x, and everything else \\"" where "a is anything and b" is 1',
        'at most "5 of 9" of budget "calls (not enforced)"',
    )
