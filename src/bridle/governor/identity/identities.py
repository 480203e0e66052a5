"""Which public keys speak for an identity at this moment: declared, added, ended, revoked.

agents.toml declares a key; the registry adds others, and ends any of them. How keys are changed is
`key_changes`' job; nothing is written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from bridle.bundle.bundle import Bundle
from bridle.model import public_key
from bridle.model.errors import RefusedError
from bridle.model.identity import Agent, Status, User, Workload
from bridle.store.rows import IdentityKeyRow, RevokedRow

if TYPE_CHECKING:
    from bridle.governor.ground.turn import Turn

USER, AGENT, WORKLOAD, GOVERNOR = "user", "agent", "workload", "governor"
KINDS = (USER, AGENT, WORKLOAD)

# Each turn of a proved connection asks for that of the bundle's key.
_fingerprint = lru_cache(maxsize=1_024)(public_key.fingerprint)

# The rows of one identity that are looked at. Far more than anybody adds: see `key_changes`.
EVERY = 4_096


COUNTING = ("active", "ending")


class Key(Struct, frozen=True):
    """A public key of an identity, and how it stands.

    `source` is `bundle` (declared in agents.toml) or `registry`, `state` `active`, `ending` (until
    a time that is still to come), `ended` or `revoked`. `until` is 0 where no end is set, `since`
    where the bundle declares it.
    """

    kind: str
    name: str
    fingerprint: str
    key: str
    source: str
    state: str
    since: int = 0
    until: int = 0
    by: str = ""

    @property
    def counts(self) -> bool:
        """Whether it proves its identity now."""
        return self.state in COUNTING


def keys_of(turn: Turn, kind: str, name: str) -> tuple[Key, ...]:
    """Return every key an identity has or had, newest first; that of the bundle comes last."""
    rows = turn.tx.find(IdentityKeyRow, owner=f"{kind}:{name}", limit=EVERY)
    found = [_of_row(turn, row) for row in rows]
    found.sort(key=lambda each: (-each.since, each.fingerprint))
    written = declared(turn.bundle, kind, name)
    if written and _fingerprint(written) not in {each.fingerprint for each in found}:
        mine = _declared(turn, kind, name, written)
        found += [mine] if mine is not None else []
    return tuple(found)


def in_force(turn: Turn, kind: str, name: str) -> tuple[Key, ...]:
    """Return the keys that prove an identity now."""
    return tuple(each for each in keys_of(turn, kind, name) if each.counts)


def counts(turn: Turn, kind: str, name: str, fingerprint: str) -> bool:
    """Whether the key with this fingerprint proves this identity now. A few look-ups, no search."""
    # INVARIANT: I9 — the key that counts is one of the store or of the bundle in force, never the
    # caller's; and it is one identity's, whatever a bundle says of it later.
    row = turn.tx.get(IdentityKeyRow, fingerprint)
    if row is not None:
        mine = row.kind == kind and row.name == name and name in known(turn.bundle, kind)
        return mine and _of_row(turn, row).counts
    written = declared(turn.bundle, kind, name)
    if not written or _fingerprint(written) != fingerprint:
        return False
    return not revoked(turn, fingerprint)


def keyed(turn: Turn, kind: str, name: str) -> bool:
    """Whether an identity has, or ever had, a key: then nobody is taken for it without proof."""
    # INVARIANT: I9 — ending or revoking the last key of an identity never opens it to whoever says
    # its name: from then on nobody can prove to be it.
    if declared(turn.bundle, kind, name):
        return True
    return turn.tx.count(IdentityKeyRow, owner=f"{kind}:{name}") > 0


def owner_of(turn: Turn, fingerprint: str) -> tuple[str, str] | None:
    """Return kind and name of whose key this is or was, as far as store and bundle know."""
    row = turn.tx.get(IdentityKeyRow, fingerprint)
    if row is not None:
        return row.kind, row.name
    for kind in KINDS:
        for name, identity in known(turn.bundle, kind).items():
            if identity.key and _fingerprint(identity.key) == fingerprint:
                return kind, name
    return None


def declared(bundle: Bundle, kind: str, name: str) -> str:
    """Return the key that agents.toml gives an identity (empty: none, or it knows no such one)."""
    found = known(bundle, kind).get(name)
    return found.key if found is not None else ""


def known(bundle: Bundle, kind: str) -> Mapping[str, User | Agent | Workload]:
    """Return the identities of a kind that agents.toml declares; of another kind there are none."""
    if kind == USER:
        return bundle.users
    if kind == AGENT:
        return bundle.agents
    return bundle.workloads if kind == WORKLOAD else {}


def leaves_an_operator(turn: Turn, fingerprint: str) -> bool:
    """Whether, without this key, some operator could still prove to be one, or needs no key."""
    operators = turn.bundle.manifest.operators or tuple(turn.bundle.users)
    for name in operators:
        if turn.status(USER, name) is not Status.ACTIVE:
            continue
        if can_prove(turn, turn.bundle, name, without=fingerprint):
            return True
    return False


def can_prove(turn: Turn, bundle: Bundle, user: str, *, without: str = "") -> bool:
    """Whether, under this bundle, a user could act: by a key (but for `without`), or needs none."""
    rows = turn.tx.find(IdentityKeyRow, owner=f"{USER}:{user}", limit=EVERY)
    written = declared(bundle, USER, user)
    if not rows and not written:
        return True
    found = {row.id for row in rows if _state(turn, row) in COUNTING}
    fingerprint = _fingerprint(written) if written else ""
    if written and turn.tx.get(IdentityKeyRow, fingerprint) is None:
        found |= {fingerprint} if not revoked(turn, fingerprint) else set()
    return bool(found - {without})


def revoked(turn: Turn, fingerprint: str) -> bool:
    """Whether a key was revoked."""
    # The count moves in the very commit of a revocation: where it is 0, there is nothing to find.
    if not turn.globals.revoked:
        return False
    return turn.tx.get(RevokedRow, f"key:{fingerprint}") is not None


def certified(turn: Turn, agent: str, holder: str, certificate: str) -> str:
    """Return the fingerprint of the agent's key that certifies a run's key, empty for none needed.

    Raises `RefusedError`: `not_certified` where the agent has keys and none of those in force
    signed `certificate` over `holder`, `key_known` where `holder` is an identity's own key,
    `revoked` where it is a revoked one.
    """
    from bridle.trust import certificate as certificates

    # INVARIANT: I9 — the key of a run says that this run decided, and nothing else of anybody.
    if holder and owner_of(turn, _fingerprint(holder)) is not None:
        raise RefusedError(
            "this is a key of an identity, and no run's",
            code="key_known",
            hint="each run makes a key of its own; the Python client does",
        )
    if holder and revoked(turn, _fingerprint(holder)):
        raise RefusedError(
            "this run's key is revoked", code="revoked", hint="make a new key for a new run"
        )
    if not keyed(turn, AGENT, agent):
        return ""
    for key in in_force(turn, AGENT, agent) if holder and certificate else ():
        raw = public_key.parse(key.key)
        if certificates.holds(raw, turn.core.store_id, agent, holder, certificate):
            return key.fingerprint
    raise RefusedError(
        f"this run of {agent!r} is not certified by a key of that agent",
        code="not_certified",
        hint="open it with the agent's credential: bridle.unlock(…)",
    )


def _of_row(turn: Turn, row: IdentityKeyRow) -> Key:
    source = "bundle" if declared(turn.bundle, row.kind, row.name) == row.key else "registry"
    return Key(
        row.kind,
        row.name,
        row.id,
        row.key,
        source,
        _state(turn, row),
        since=row.since,
        until=row.until,
        by=row.by,
    )


def _state(turn: Turn, row: IdentityKeyRow) -> str:
    if revoked(turn, row.id):
        return "revoked"
    if row.until and row.until <= turn.now:
        return "ended"
    return "ending" if row.until else "active"


def _declared(turn: Turn, kind: str, name: str, written: str) -> Key | None:
    """The key of agents.toml, unless the registry knows it as somebody else's."""
    fingerprint = _fingerprint(written)
    if turn.tx.get(IdentityKeyRow, fingerprint) is not None:
        return None
    state = "revoked" if revoked(turn, fingerprint) else "active"
    return Key(kind, name, fingerprint, written, "bundle", state)
