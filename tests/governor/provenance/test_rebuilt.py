"""Rebuilding what a mission has read equals never having crashed, at any point, beyond caps too;
and nothing that is read makes a later verdict weaker."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridle.engine.flow import index
from bridle.governor.provenance import recording, tracing
from bridle.governor.provenance.shelf import Indexes
from bridle.model import calls
from bridle.model.outcome import Outcome, OutcomeKind
from governor.desk import MINUTE, said
from governor.provenance.reading import CARD, FILES, PLAIN, ReadingDesk

NAMES = ("ann", "bob", "cy", "dee", "eve")
LABELS = """
@id("no-cards-outside") @reason("cards stay in the house")
forbid (principal, action == Action::"mail.send", resource)
when { context.flow has body && context.flow.body.labels.contains("pci") };

@id("no-pii-in-copy") @reason("no personal data in copies")
forbid (principal, action == Action::"mail.send", resource)
when { context.flow has cc && context.flow.cc.labels.contains("pii") };
"""
ASKING = {**FILES, "policies/labels.dw": LABELS}
BUNDLES = {"asking": ASKING, "not asking": PLAIN}

names = st.sampled_from(NAMES)
ACTS = st.one_of(
    st.tuples(st.just("prompt"), names),
    st.tuples(st.just("other prompt"), names),
    st.tuples(st.just("crm"), names),
    st.tuples(st.just("web"), names),
    st.tuples(st.just("long"), names),
    st.tuples(st.just("card"), names),
    st.tuples(st.just("error"), names),
    st.tuples(st.just("lost"), names),
    st.tuples(st.just("approve"), names),
    st.tuples(st.just("send"), names),
    st.tuples(st.just("send"), names),
    st.tuples(st.just("forget"), names),
    st.tuples(st.just("undo"), names),
    st.tuples(st.just("distrust"), names),
    st.tuples(st.just("activate"), st.sampled_from(sorted(BUNDLES))),
)


class UndoneError(Exception):
    """Rolls a turn back."""


def address(name: str) -> str:
    return f"{name}@x.example"


def sent(desk: ReadingDesk, name: str, key: str) -> Any:
    """A verdict, and all that is said of where its arguments came from."""
    verdict = desk.decide("mail.send", key, to=address(name), cc=address(name), body=f"hi {name}")
    (row,) = desk.rows(calls.Explain(action=verdict.action))
    for argument in row["flow"]:
        for source in argument["read"]:
            del source["action"], source["record"]
    return said(verdict), row["flow"]


def undone(desk: ReadingDesk, name: str) -> None:
    mission = desk.mission

    def job(turn: Any) -> None:
        recording.prompted(turn, mission, address(name), trusted=True)
        raise UndoneError

    with pytest.raises(UndoneError):
        desk.core.write(job)


def returns(desk: ReadingDesk, tool: str, key: str, text: str) -> None:
    given = {"id": 1} if tool == "crm.find" else {"url": "u"}
    desk.result(tool, key, f'"{text}"', **given)


def filler(number: int) -> str:
    return " ".join(f"w{number}x{each}" for each in range(60))


TEXTS = {
    "crm": ("crm.find", "{mail} is one of {filler}"),
    "web": ("web.get", "say hi {name}, {mail}"),
    "long": ("web.get", "{filler} {mail}"),
    "card": ("web.get", "{mail} {card}"),
}


def step(desk: ReadingDesk, number: int, what: str, which: str) -> Any:
    key, mail = f"a{number}", address(which)
    if what in TEXTS:
        tool, text = TEXTS[what]
        said_ = text.format(mail=mail, filler=filler(number), name=which, card=CARD)
        returns(desk, tool, key, said_)
    elif what == "error":
        outcome = Outcome(OutcomeKind.ERROR, error="x", message=f"ask {mail}")
        desk.observe(desk.act("crm.find", key, id=1).attempt, outcome)
    elif what == "lost":
        desk.act("crm.find", key, id=1)
        desk.later(MINUTE)
    elif what == "send":
        return sent(desk, which, key)
    else:
        by_humans(desk, key, what, which)
    return None


def by_humans(desk: ReadingDesk, key: str, what: str, which: str) -> None:
    mail = address(which)
    if what == "prompt":
        desk.say(f"write to {mail}")
    elif what == "other prompt":
        desk.say(f"write to {mail}", user="ben")
    elif what == "distrust":
        caller = calls.Caller(operator=False, method="peer:7", workload="worker")
        desk.governor.distrust(caller, (desk.mission,))
    elif what == "activate":
        desk.activate(BUNDLES[which])
    elif what == "approve":
        held = desk.decide("mail.send", key, to=mail)
        if held.approval:
            desk.answer(held.approval)
            desk.redeem(held.approval)


def play(desk: ReadingDesk, acts: list[tuple[str, str]], *, forgets: bool) -> list[Any]:
    seen: list[Any] = []
    for number, (what, which) in enumerate(acts):
        if forgets and what == "forget":
            desk.forget()
        elif forgets and what == "undo":
            undone(desk, which)
        seen.append(step(desk, number, what, which))
    return seen


def followed(acts: list[tuple[str, str]]) -> None:
    acts = [*acts, ("forget", "ann"), *(("send", name) for name in NAMES)]
    one, other = ReadingDesk(ASKING), ReadingDesk(ASKING)
    assert play(one, acts, forgets=False) == play(other, acts, forgets=True)
    assert one.kinds() == other.kinds()
    other.verified()


def small(patch: pytest.MonkeyPatch) -> None:
    """Caps that a few results reach."""
    patch.setattr(index, "TRUSTED_MOST", 6_000)
    patch.setattr(index, "OTHERS_MOST", 5_000)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(ACTS, max_size=14))
def test_who_forgets_all_of_it_answers_as_who_never_did(acts: list[tuple[str, str]]) -> None:
    followed(acts)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(ACTS, min_size=8, max_size=24))
def test_so_it_is_where_the_oldest_was_let_go_of(acts: list[tuple[str, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        followed(acts)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(acts=st.lists(ACTS, min_size=10, max_size=60), brought=st.booleans())
def test_at_any_length_within_turns_and_outside_of_them(
    acts: list[tuple[str, str]], brought: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        if brought:
            patch.setattr(tracing, "AT_HAND", 0)
        followed(acts)


UNTRUSTED = ("other prompt", "web", "long", "card", "error", "lost")
WEAKER = ("deny", "hold", "modify", "allow")


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(ACTS.filter(lambda act: act[0] != "approve"), max_size=10),
    st.integers(0, 10),
    st.sampled_from(UNTRUSTED),
    names,
)
def test_what_nobody_vouches_for_makes_no_later_verdict_weaker(
    acts: list[tuple[str, str]], place: int, what: str, which: str
) -> None:
    acts = [*acts, *(("send", name) for name in NAMES)]
    one, other = ReadingDesk(ASKING), ReadingDesk(ASKING)
    before = [seen for seen in play(one, acts, forgets=False) if seen]
    more = [*acts[:place], (what, which), *acts[place:]]
    after = [seen for seen in play(other, more, forgets=False) if seen]
    for (verdict, flow), (stricter, wider) in zip(before, after, strict=True):
        assert WEAKER.index(stricter[0]) <= WEAKER.index(verdict[0])
        for was, now in zip(flow, wider, strict=True):
            assert set(was["labels"]) <= set(now["labels"])
            assert set(was["sources"]) <= set(now["sources"])
            assert (was["trusted"], was["prompted"]) == (now["trusted"], now["prompted"])


def test_labels_of_a_mission_never_grow_fewer() -> None:
    desk, seen = ReadingDesk(ASKING), set[str]()
    acts = [("crm", "ann"), ("activate", "not asking"), ("card", "bob"), ("activate", "asking")]
    acts += [("distrust", "ann"), ("approve", "cy"), ("lost", "dee"), ("forget", "ann")]
    for number, (what, which) in enumerate(acts):
        step(desk, number, what, which)
        assert seen <= set(desk.labels())
        seen = set(desk.labels())
    assert seen == {"customer", "pci", "pii"}


def test_indexes_that_were_not_used_for_longest_are_let_go_of() -> None:
    desk = ReadingDesk(ASKING)
    desk.core.indexes = Indexes(octets=1, least=2)
    for number in range(5):
        desk._mission = desk.start_mission(prompt="write to ann@x.example")
        assert sent(desk, "ann", f"m{number}")[0][0] == "allow"
        assert len(desk.core.indexes) <= 2
