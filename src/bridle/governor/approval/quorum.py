"""Whether enough distinct humans of the right groups have said yes. It counts; it records nothing.

One human serves one seat: whoever belongs to two groups stands for only one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from bridle.bundle.bundle import Bundle
from bridle.governor.ground.turn import Turn
from bridle.model.identity import Status
from bridle.store.rows import HoldRow

# The group that every bundle has without declaring it: those who may operate.
OPERATORS = "operators"


def member(turn: Turn, bundle: Bundle, group: str, user: str) -> bool:
    """Whether a user belongs to an approver group and is active."""
    person = bundle.users.get(user)
    if person is None or turn.status("user", user) is not Status.ACTIVE:
        return False
    if group == OPERATORS and group not in bundle.approvers:
        named = bundle.manifest.operators
        return user in named if named else True
    found = bundle.approvers.get(group)
    return found is not None and found.includes(person)


def reached(turn: Turn, row: HoldRow) -> bool:
    """Whether the votes for what a hold is about now are enough, by who may vote now.

    A vote counts only for what its human was shown: the digest it was cast for.
    """
    # INVARIANT: what humans of other arguments or terms approved is approved by nobody; neither
    # does the vote of a human count who is suspended, or has left the group, by now.
    yes = {v["user"] for v in row.votes if v["approve"] and counts(row, v)}
    return seated(turn, turn.bundle, row.groups, yes)


def counts(row: HoldRow, vote: Mapping[str, Any]) -> bool:
    """Whether a vote is for what a hold is about now.

    One that names nothing is from a release without edits and terms: for what was asked.
    """
    asked = not row.edited and row.terms is None
    return bool(vote["digest"] == row.digest) if "digest" in vote else asked


def seated(turn: Turn, bundle: Bundle, needs: Mapping[str, int], users: Iterable[str]) -> bool:
    """Whether these users, those of them who are active members, can take all seats."""
    able = {
        user: frozenset(group for group in needs if member(turn, bundle, group, user))
        for user in users
    }
    return satisfied(needs, able)


def satisfied(needs: Mapping[str, int], able: Mapping[str, Collection[str]]) -> bool:
    """Whether distinct humans can be assigned to all needs. `able` maps a human to their groups.

    A maximum bipartite matching by augmenting paths (Kuhn 1955): humans against seats.
    """
    if sum(needs.values()) > len(able):
        return False
    seats = [group for group, need in sorted(needs.items()) for _ in range(need)]
    taken: dict[str, int] = {}

    def seat(number: int, tried: set[str]) -> bool:
        for user, groups in able.items():
            if user in tried or seats[number] not in groups:
                continue
            tried.add(user)
            if user not in taken or seat(taken[user], tried):
                taken[user] = number
                return True
        return False

    return all(seat(number, set()) for number in range(len(seats)))
