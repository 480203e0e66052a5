"""Distinct humans for all seats: the matching against one that tries every assignment."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.governor.approval.quorum import satisfied
from bridle.model import calls
from bridle.model.errors import RefusedError
from governor.desk import HOUR, Desk, changed, codes

GROUPS = ("leads", "board", "law")


def by_trying(needs: dict[str, int], able: dict[str, frozenset[str]]) -> bool:
    """Whether some order of humans fits the seats."""
    seats = [group for group, need in needs.items() for _ in range(need)]
    return any(
        all(seat in able[user] for seat, user in zip(seats, order, strict=True))
        for order in permutations(able, len(seats))
    )


@given(
    needs=st.dictionaries(st.sampled_from(GROUPS), st.integers(1, 3)),
    able=st.dictionaries(st.sampled_from("abcde"), st.frozensets(st.sampled_from(GROUPS))),
)
def test_humans_suffice_exactly_where_some_assignment_fits(needs, able):
    assert satisfied(needs, able) == by_trying(needs, able)


@pytest.mark.parametrize(
    ("needs", "able", "enough"),
    [
        ({}, {}, True),
        ({"leads": 1, "board": 1}, {"ben": {"leads", "board"}}, False),
        ({"leads": 1, "board": 1}, {"ben": {"leads", "board"}, "dora": {"board"}}, True),
        # Whoever came first gives up the seat that only they could have left for another.
        ({"board": 1, "leads": 1}, {"ben": {"leads", "board"}, "dora": {"board"}}, True),
        ({"board": 2, "leads": 1}, {"ben": {"leads", "board"}, "dora": {"board"}}, False),
        ({"leads": 1}, {"ana": set()}, False),
    ],
)
def test_one_human_takes_one_seat(needs, able, enough):
    assert satisfied(needs, able) is enough


BOTH = """@id("both") @hold("leads, board:1")
forbid (principal, action == Action::"bell.ring", resource);"""


def test_one_human_in_two_groups_does_not_release_what_both_must(desk: Desk):
    desk.activate(changed(("policies/limits.dw", "", BOTH)))
    held = desk.decide("bell.ring", "a", times=1)
    assert desk.hold(held.approval).groups == {"leads": 1, "board": 1}
    assert desk.answer(held.approval, "ben") == "pending"
    assert desk.answer(held.approval, "dora") == "approved"
    assert desk.redeem(held.approval).attempt


def test_a_bundle_that_asks_for_more_humans_than_there_are_is_not_activated(desk: Desk):
    more = BOTH.replace("board:1", "board:3")
    with pytest.raises(RefusedError) as refused:
        desk.activate(changed(("policies/limits.dw", "", more)))
    assert refused.value.code == "locks_out"
    assert "3 of board, 1 of leads" in refused.value.message


def test_a_voter_who_was_suspended_before_the_release_does_not_count(desk: Desk):
    held = desk.decide("safe.open", "a", id=1)
    desk.answer(held.approval, "ben")
    assert desk.answer(held.approval, "cleo") == "approved"
    desk.done(calls.IdentityVerb(kind="user", id="cleo", verb="suspend", as_user="ana"))
    [row] = desk.rows(calls.Approvals(approval=held.approval))
    assert row["status"] == "void"
    assert codes(desk.redeem(held.approval)) == ["approval_void"]
    assert desk.leaves("started") == []
    # It is used up: lifting the suspension does not bring it back.
    desk.done(calls.IdentityVerb(kind="user", id="cleo", verb="resume", as_user="ana"))
    assert codes(desk.redeem(held.approval)) == ["approval_void"]
    assert desk.act("safe.open", "a", id=1).effect == "hold"


def test_a_voter_who_is_no_member_any_more_does_not_count(desk: Desk):
    held = desk.decide("bank.pay", "a", amount=60)
    desk.answer(held.approval, "cleo")
    desk.activate(changed(("agents.toml", 'users = ["ben", "cleo"]', 'users = ["ben"]')))
    assert codes(desk.act("bank.pay", "a", amount=60)) == ["approval_void"]


def test_a_result_that_a_suspended_human_released_stays_withheld(desk: Desk):
    attempt = desk.act("note.read", "a", id=1).attempt
    release = desk.observe(attempt, '{"body":"sealed"}')
    desk.answer(release.approval, "cleo")
    desk.done(calls.IdentityVerb(kind="user", id="cleo", verb="suspend", as_user="ana"))
    again = desk.redeem_result(release.approval)
    assert (again.effect, again.output) == ("hold", "")
    assert again.approval != release.approval


def test_more_humans_than_needed_leave_room_for_one_to_go(desk: Desk):
    late = Desk(changed(("agents.toml", "need = 2", "need = 1")))
    held = late.decide("bank.pay", "a", amount=60)
    late.later(HOUR)
    late.answer(held.approval, "ben")
    again = late.redeem(held.approval)
    for user in ("ben", "dora"):
        late.answer(again.approval, user)
    assert late.redeem(again.approval).attempt
    late.verified()
