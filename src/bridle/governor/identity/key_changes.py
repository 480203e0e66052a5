"""Changing the keys of identities: add, rotate with overlap, retire. Each on record, at once.

Which keys count is `identities`' job. What ends with a key that others may have is revoked instead
(`bridle revoke key`): a retired one is merely no longer used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, structs

from bridle.bundle.bundle import Bundle
from bridle.governor.delegation import roots
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.identity import identities
from bridle.governor.identity.identities import AGENT, GOVERNOR, KINDS, USER, Key
from bridle.governor.oversight import humans
from bridle.model import public_key
from bridle.model.calls import Caller, Keys, KeyVerb
from bridle.model.errors import NotFoundError, RefusedError, UsageError
from bridle.model.record import SYSTEM_CHAIN, LeafKind
from bridle.store.rows import IdentityKeyRow

VERBS = ("add", "rotate", "retire")
MOST_KEYS = 8
LONGEST_OVERLAP_MS = 90 * 24 * 3_600_000

_EVERY = 1_000_000
_FINGERPRINT = re.compile(r"[0-9a-f]{16,64}")


class Change(Struct, frozen=True):
    """What was changed about whose keys, for its record. Keys are named by their fingerprints."""

    what: str
    kind: str
    name: str
    key: str
    by: str
    method: str
    ends: tuple[str, ...] = ()
    overlap_ms: int = 0


def listed(turn: Turn, call: Keys) -> list[dict[str, Any]]:
    """Return the keys of identities, by kind and name, newest first; the governor's come first."""
    if call.kind not in ("", GOVERNOR, *KINDS):
        raise _no_kind(call.kind)
    if call.name and call.kind in KINDS:
        _require_declared(turn.bundle, call.kind, call.name)
    mine = not call.name and call.kind in ("", GOVERNOR)
    return [row_of(key) for key in _governors(turn) if mine] + [
        row_of(key)
        for kind in KINDS
        if call.kind in ("", kind)
        for name in sorted(identities.known(turn.bundle, kind))
        if call.name in ("", name)
        for key in identities.keys_of(turn, kind, name)
    ]


def row_of(key: Key) -> dict[str, Any]:
    """Return what is shown of a key."""
    return structs.asdict(key)


def change(turn: Turn, caller: Caller, call: KeyVerb) -> list[dict[str, Any]]:
    """Change the keys of an identity; return all of them. Raises `RefusedError`."""
    if call.verb not in VERBS:
        raise UsageError(f"unknown verb {call.verb!r}", hint="add, rotate or retire")
    if call.kind not in (GOVERNOR, *KINDS):
        raise _no_kind(call.kind)
    longest = LONGEST_OVERLAP_MS if call.verb == "rotate" else 0
    if not 0 <= call.overlap_ms <= longest:
        raise UsageError("only a rotation overlaps, and for at most 90 days")
    if call.kind == GOVERNOR:
        return _of_governor(turn, caller, call)
    _require_declared(turn.bundle, call.kind, call.name)
    who = _who(turn, caller, call)
    if call.verb == "retire":
        _retire(turn, call, who, caller.method)
    else:
        _add(turn, call, who, caller.method)
    return [row_of(key) for key in identities.keys_of(turn, call.kind, call.name)]


def _governors(turn: Turn) -> tuple[Key, ...]:
    return identities.keys_of(turn, GOVERNOR, "")


def _of_governor(turn: Turn, caller: Caller, call: KeyVerb) -> list[dict[str, Any]]:
    """Change the key that grants begin with: it is made here, and nobody brings one."""
    named_one = bool(call.key) == (call.verb == "retire")
    if call.name or call.verb == "add" or not named_one:
        raise UsageError("the governor's key is rotated, with no key given, or retired by its own")
    who = humans.operator(turn, caller, call.as_user)
    if call.verb == "retire":
        key = named(identities.in_force(turn, GOVERNOR, ""), call.key)
        roots.retire(turn, key.fingerprint, by=who, method=caller.method)
    else:
        roots.rotate(turn, overlap_ms=call.overlap_ms, by=who, method=caller.method)
    return [row_of(key) for key in _governors(turn)]


def _who(turn: Turn, caller: Caller, call: KeyVerb) -> str:
    """Return who does this, if they may."""
    if call.kind == USER:
        mine = caller.user == call.name and bool(caller.key)
        # INVARIANT: I9 — nobody but a user who has proved a key makes another one theirs; the first
        # one stands in the bundle, which humans activate.
        if mine or call.verb != "retire":
            return _themselves(turn, caller, call, proved=mine)
    if call.kind == AGENT:
        owner = turn.bundle.agents[call.name].owner
        if owner == (call.as_user or caller.user):
            return humans.name(turn, caller, owner)
    return humans.operator(turn, caller, call.as_user)


def _themselves(turn: Turn, caller: Caller, call: KeyVerb, *, proved: bool) -> str:
    if proved:
        return humans.name(turn, caller, call.as_user or call.name)
    raise RefusedError(
        f"only {call.name!r} adds to the keys of {call.name!r}, and proves one of them first",
        code="key_needed",
        hint="a first key, or one in place of a lost one, stands in agents.toml",
        about=humans.needed(turn, call.name),
    )


def _add(turn: Turn, call: KeyVerb, who: str, method: str) -> None:
    fingerprint = public_key.fingerprint(call.key)
    _require_new(turn, call.key, fingerprint)
    before = identities.in_force(turn, call.kind, call.name)
    if len(before) >= MOST_KEYS:
        raise RefusedError(
            f"{call.name!r} has {len(before)} keys in force",
            code="too_many_keys",
            hint="retire one first: `bridle keys retire`",
        )
    row = IdentityKeyRow(
        id=fingerprint,
        owner=f"{call.kind}:{call.name}",
        kind=call.kind,
        name=call.name,
        key=call.key,
        since=turn.now,
        by=who,
    )
    turn.tx.put(row)
    ends = before if call.verb == "rotate" else ()
    for each in ends:
        _end(turn, each, turn.now + call.overlap_ms, who)
    _record(
        turn,
        Change(
            call.verb,
            call.kind,
            call.name,
            fingerprint,
            who,
            method,
            ends=tuple(each.fingerprint for each in ends),
            overlap_ms=call.overlap_ms,
        ),
    )


def _retire(turn: Turn, call: KeyVerb, who: str, method: str) -> None:
    keys = identities.in_force(turn, call.kind, call.name)
    key = named(keys, call.key)
    if call.kind == USER and len(keys) == 1:
        raise RefusedError(
            f"this is the only key of {call.name!r}: nobody could ever prove to be them again",
            code="last_key",
            hint="rotate it, or revoke it if others may have it: `bridle revoke key`",
        )
    _end(turn, key, turn.now, who)
    # INVARIANT: I4 — what takes authority away moves the epoch on, in its own transaction.
    state = turn.globals
    turn.tx.put(structs.replace(state, epoch=state.epoch + 1))
    _record(turn, Change("retire", call.kind, call.name, key.fingerprint, who, method))


def settle(turn: Turn, before: Bundle | None, bundle: Bundle, by: str, method: str) -> None:
    """End added keys that another bundle takes the ground from, as it comes into force.

    Those of identities that it no longer declares: whoever bears the name next is somebody else.
    And those of a user whom it gives another key, as is done when the old one is in other hands:
    whoever had that could have added more.
    """
    for row in turn.tx.find(IdentityKeyRow, limit=_EVERY):
        if row.kind in KINDS and _lasts(turn, row) and _groundless(row, before, bundle):
            turn.tx.put(structs.replace(row, until=turn.now))
            _record(turn, Change("end", row.kind, row.name, row.id, by, method))


def _lasts(turn: Turn, row: IdentityKeyRow) -> bool:
    return not row.until or row.until > turn.now


def _groundless(row: IdentityKeyRow, before: Bundle | None, bundle: Bundle) -> bool:
    if row.name not in identities.known(bundle, row.kind):
        return True
    new = identities.declared(bundle, row.kind, row.name)
    old = identities.declared(before, row.kind, row.name) if before is not None else ""
    return row.kind == USER and new not in ("", old, row.key)


def named(keys: Iterable[Key], text: str) -> Key:
    """Return the key that a text names: as written, or by 16 or more digits of its fingerprint."""
    if text.startswith(public_key.PREFIX):
        found = [key for key in keys if key.key == text]
    elif _FINGERPRINT.fullmatch(text):
        found = [key for key in keys if key.fingerprint.startswith(text)]
    else:
        raise UsageError("a key is named as it is written, or by its fingerprint (hex)")
    if len(found) != 1:
        raise NotFoundError(
            "this is no key in force of that identity", hint="`bridle keys list` shows them"
        )
    return found[0]


def _end(turn: Turn, key: Key, until: int, who: str) -> None:
    """Let a key end, no later than it would have."""
    row = turn.tx.get(IdentityKeyRow, key.fingerprint) or IdentityKeyRow(
        # The registry takes over what the bundle declares: whatever that says later, it ends.
        id=key.fingerprint,
        owner=f"{key.kind}:{key.name}",
        kind=key.kind,
        name=key.name,
        key=key.key,
        since=0,
        by=who,
    )
    turn.tx.put(structs.replace(row, until=min(row.until or until, until)))


def _require_new(turn: Turn, key: str, fingerprint: str) -> None:
    # INVARIANT: I9 — a key proves one identity, once and for all: never two, and never again after
    # it has ended.
    taken = turn.tx.get(IdentityKeyRow, fingerprint) is not None
    taken = taken or identities.revoked(turn, fingerprint)
    taken = taken or any(
        each.key == key for kind in KINDS for each in identities.known(turn.bundle, kind).values()
    )
    if taken:
        raise RefusedError(
            "this key is, or was, somebody's already",
            code="key_known",
            hint="make a new one: `bridle keys new`",
        )


def _require_declared(bundle: Bundle, kind: str, name: str) -> None:
    if name not in identities.known(bundle, kind):
        raise NotFoundError(
            f"no {kind} {name[:128]!r}", hint=f"`bridle agents list --kind {kind}` shows them"
        )


def _no_kind(kind: str) -> UsageError:
    return UsageError(f"unknown kind {kind!r}", hint="governor, user, agent or workload")


def _record(turn: Turn, said: Change) -> None:
    body: dict[str, Any] = {
        "what": f"key_{said.what}",
        "kind": said.kind,
        "id": said.name,
        "key": said.key,
    }
    if said.ends:
        body |= {"ends": list(said.ends), "overlap_ms": said.overlap_ms}
    turn.record(
        Entry(
            kind=LeafKind.IDENTITY,
            chain=SYSTEM_CHAIN,
            ids={"by": said.by, "method": said.method, "level": turn.level},
            body=body,
        )
    )
