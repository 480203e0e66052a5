"""Makes links: the governor a root, the holder of a grant one below it. Signs, never verifies.

Whatever is signed here, `bridle.trust.grants.verify` decides what it is worth: every link of a
chain must allow an action, so a child that says more than its parent gains nothing by it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

import msgspec

from bridle.trust.grants import bounds, jws, predicates
from bridle.trust.grants.chain import MAX_DEPTH, MAX_LINK_BYTES, Chain
from bridle.trust.grants.claims import Claims, Confirmation, Detail
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.grants.jws import Signs


def issue_root(  # noqa: PLR0913 - claims by name
    private: Signs,
    *,
    issuer: str,
    audience: str,
    user: str,
    agent: str,
    holder: str,
    mission: str,
    details: Iterable[Detail],
    issued: int,
    expires: int,
    max_depth: int = MAX_DEPTH,
    task: str = "",
    budgets: Mapping[str, str] | None = None,
    labels: Iterable[str] | None = None,
    jti: str = "",
) -> str:
    """Return the root of a chain, signed with the governor's key: what `agent` may do for `user`.

    `holder` is the agent's public key (`ed25519:…`), times are seconds since the epoch, `jti` is
    random where none is given. Raises `GrantError` (`link_malformed`, `chain_too_large`) for
    claims that no verifier would take, `UsageError` (`key_invalid`).
    """
    return _signed(
        private,
        Claims(
            jti=jti or secrets.token_hex(16),
            iss=issuer,
            sub=user,
            agent=agent,
            aud=audience,
            iat=issued,
            exp=expires,
            cnf=Confirmation(jwk=bounds.jwk_of(holder)),
            del_depth=0,
            del_max_depth=max_depth,
            mis=mission,
            authorization_details=tuple(details),
            task=task,
            bud=dict(budgets or {}),
            lbl=None if labels is None else tuple(labels),
        ),
    )


def attenuate(  # noqa: PLR0913 - claims by name
    parent: Chain,
    private: Signs,
    *,
    agent: str,
    holder: str,
    details: Iterable[Detail],
    issued: int,
    expires: int,
    task: str = "",
    budgets: Mapping[str, str] | None = None,
    labels: Iterable[str] | None = None,
    max_depth: int | None = None,
    jti: str = "",
) -> str:
    """Return a link below `parent`'s leaf for `agent`, signed with the leaf's own key, `private`.

    It begins no earlier and ends no later than its parent, and keeps its task where there is one.
    `max_depth` (default: the parent's) is the greatest depth below it, counted from the root.
    Raises as `issue_root`, and `GrantError` (`depth_exceeded`) where no handover is left.
    """
    above = parent.leaf.claims
    if above.del_depth >= above.del_max_depth:
        raise GrantError(
            GrantCode.DEPTH,
            "this grant may not be handed on",
            link=len(parent.links),
            hint="whoever granted it sets how far it goes (max_depth)",
        )
    deepest = above.del_max_depth if max_depth is None else min(max_depth, above.del_max_depth)
    return _signed(
        private,
        Claims(
            jti=jti or secrets.token_hex(16),
            iss=parent.leaf.fingerprint,
            sub=above.sub,
            agent=agent,
            aud=above.aud,
            iat=max(issued, above.iat),
            exp=min(expires, above.exp),
            cnf=Confirmation(jwk=bounds.jwk_of(holder)),
            del_depth=above.del_depth + 1,
            del_max_depth=deepest,
            mis=above.mis,
            authorization_details=tuple(details),
            par_hash=parent.digest,
            task=task or above.task,
            bud=dict(budgets or {}),
            lbl=None if labels is None else tuple(labels),
        ),
    )


def encoded(claims: Claims) -> bytes:
    """Return the one text of `claims`: the payload that is signed."""
    return msgspec.json.encode(claims)


def _signed(private: Signs, claims: Claims) -> str:
    bounds.check(claims)
    predicates.check(claims)
    text = jws.sign(encoded(claims), private)
    if len(text) > MAX_LINK_BYTES:
        raise GrantError(
            GrantCode.TOO_LARGE,
            f"the link has {len(text)} bytes, {MAX_LINK_BYTES} at most",
            hint="name fewer tools and arguments, or hand on several grants",
        )
    return text
