"""What policies are asked, and what they answer. Plain data."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

Uid = dict[str, str]


class Request(Struct, frozen=True):
    """One question. The first three are entity ids.

    `context` is the plain value whose JSON Cedar reads, or that JSON as text, which Cedar alone
    is given.
    """

    principal: Uid
    action: Uid
    resource: Uid
    context: dict[str, Any] | str


class PolicyFault(Struct, frozen=True):
    """A policy that could not be evaluated, and why. `why` never repeats a value."""

    policy: str
    why: str


class Answer(Struct, frozen=True):
    """What Cedar said. `matched` are permits when `allowed`, otherwise the forbids that apply.

    `allowed` is Cedar's own decision and by itself not enough: `faults` must be empty as well,
    since Cedar skips a policy that fails.
    """

    allowed: bool
    matched: tuple[str, ...] = ()
    faults: tuple[PolicyFault, ...] = ()


NOTHING = Answer(allowed=False)
