"""Verifies a chain with what one has in hand: pinned keys, a status list, a declared tool."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bridle.bundle.load import load
from bridle.cli.texts import Texts
from bridle.engine.case import Refusal
from bridle.engine.strict_json import parse_arguments
from bridle.model.errors import NotFoundError, UsageError
from bridle.trust import context, status
from bridle.trust.context import Reference
from bridle.trust.grants.chain import Chain
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.grants.roots import Roots
from bridle.trust.grants.verify import Request, verify
from bridle.trust.status import NOTHING_REVOKED, Keeper, StatusList

_LONGEST_ARGUMENTS = 4 << 20
_DEEPEST = 64


class _Kept(Struct):
    status: str


class Asked(Struct, frozen=True, kw_only=True):
    """What `bridle grant verify` is asked: as the options have it."""

    roots: tuple[str, ...]
    status: Path | None
    keep: Path | None
    context: str
    mission: str
    task: str
    audience: str
    bundle: Path | None
    tool: str
    domain: str
    effect: str
    labels: tuple[str, ...]
    args: dict[str, Any]


class Held(Struct, frozen=True):
    """A chain that allows what was asked, and the list it was looked up in (None: in none)."""

    chain: Chain
    status: StatusList | None


def held(links: list[str], asked: Asked, texts: Texts) -> Held:
    """Return the chain where every link of it allows what is asked, now.

    Raises `GrantError` where it does not, `UsageError` and others for what cannot be asked so.
    """
    now = int(time.time())
    roots = Roots(asked.roots)
    reference = context.parse(asked.context) if asked.context else None
    known = _status(asked, roots, now, texts)
    request = _request(asked, reference, known)
    chain = verify(links, request, roots=roots, status=known or NOTHING_REVOKED, now=now)
    named = (chain.leaf.claims.mis, chain.digest)
    if reference is not None and (reference.mission, reference.leaf) != named:
        raise GrantError(GrantCode.CONTEXT, "the reference names another grant")
    return Held(chain, known)


def _status(asked: Asked, roots: Roots, now: int, texts: Texts) -> StatusList | None:
    if asked.status is None:
        return None
    _, text = texts.read(asked.status, status.MAX_BYTES)
    found = status.read(_jws(text.strip()), roots, now)
    return Keeper(asked.keep).admit(found) if asked.keep else found


def _jws(text: str) -> str:
    """A list as it is, or within what `bridle grant status --json` prints."""
    if not text.startswith("{"):
        return text
    try:
        return msgspec.json.decode(text, type=_Kept).status
    except (ValueError, RecursionError):
        raise GrantError(GrantCode.STATUS_INVALID, "this is no status list") from None


def _request(asked: Asked, reference: Reference | None, known: StatusList | None) -> Request:
    mission = asked.mission or (reference.mission if reference else "")
    domain, effect, labels = _declared(asked)
    return Request(
        tool=asked.tool,
        domain=domain,
        effect=effect,
        labels=labels,
        args=asked.args,
        # The governor that says what is revoked is the one the chain must be for.
        audience=asked.audience or (known.iss if known else ""),
        mission=mission,
        task=asked.task or (reference.task if reference else ""),
    )


def _declared(asked: Asked) -> tuple[str, str, frozenset[str]]:
    if asked.bundle is None:
        return asked.domain, asked.effect, frozenset(asked.labels)
    bundle = load(asked.bundle)
    tool = bundle.tools.get(asked.tool)
    if tool is None:
        raise NotFoundError(f"the bundle declares no tool {asked.tool}")
    system = bundle.systems[tool.system]
    return system.domain, tool.effect.value, frozenset((*tool.labels, *system.labels))


def arguments(text: str) -> dict[str, Any]:
    """Return the arguments of an action as a governor reads them. Raises `UsageError`."""
    found = parse_arguments(text, size=_LONGEST_ARGUMENTS, depth=_DEEPEST)
    if isinstance(found, Refusal):
        raise UsageError(found.text)
    return found
