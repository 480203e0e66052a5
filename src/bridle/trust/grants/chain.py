"""Chains of grants as data: links and what can be told from them, read under caps, in one way only.

A chain that was only read is no authority: `bridle.trust.grants.verify` says whether it holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import msgspec
from msgspec import Struct

from bridle.trust.grants import bounds, jws, predicates
from bridle.trust.grants.claims import Claims
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.grants.jws import Signed
from bridle.trust.grants.predicates import Granted

MAX_DEPTH = 8
MAX_LINK_BYTES = 16 * 1_024
MAX_CHAIN_BYTES = 64 * 1_024
MAX_PATTERNS = 16
"""Patterns of a whole chain: each may be matched for every action."""

_DECODER = msgspec.json.Decoder(Claims)
_ENCODER = msgspec.json.Encoder()


class Link(Struct, frozen=True, dict=True):
    """One grant. `digest` (SHA-256 of its signing input, hex) names it, whatever its signature.

    `key` is the raw public key it is bound to, `patterns` how many patterns it has.
    """

    text: str
    digest: str
    claims: Claims
    key: bytes
    patterns: int = 0

    @cached_property
    def granted(self) -> Granted:
        """What it allows. Kept with the link, and gone with it."""
        return Granted(self.claims)

    def __repr__(self) -> str:
        """Name it: what it says, and its signature, are for no log."""
        return f"<Link {self.digest[:16]}>"

    @property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of the key it is bound to."""
        return hashlib.sha256(self.key).hexdigest()


class Chain(Struct, frozen=True, dict=True):
    """Grants from the root to the leaf; at least one.

    `root` is the pinned key that the root was verified with; empty while nothing is verified.
    """

    links: tuple[Link, ...]
    root: str = ""

    @property
    def leaf(self) -> Link:
        """The grant that its holder acts under."""
        return self.links[-1]

    @property
    def digest(self) -> str:
        """The leaf's digest."""
        return self.links[-1].digest

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """Every link's, root first."""
        return tuple(link.digest for link in self.links)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Every link's, root first."""
        return tuple(link.text for link in self.links)

    @cached_property
    def agents(self) -> tuple[str, ...]:
        """Whom the task came through, the leaf's agent last."""
        return tuple(link.claims.agent for link in self.links)

    @property
    def line(self) -> str:
        """The agents as one text, `a>b`; empty where nothing was handed on."""
        return ">".join(self.agents) if len(self.links) > 1 else ""

    @cached_property
    def trail(self) -> str:
        """The first 16 hex digits of every digest, root first, joined by `>`."""
        return ">".join(digest[:16] for digest in self.digests)


def capped(texts: Sequence[str], max_depth: int = MAX_DEPTH) -> tuple[str, ...]:
    """Return `texts` where they are few and short enough to be looked at.

    Raises `GrantError` (`chain_empty`, `chain_too_deep`, `chain_too_large`, `link_malformed` for
    what is no text).
    """
    if not texts:
        raise GrantError(GrantCode.EMPTY, "a chain has one link at least")
    if len(texts) > max_depth + 1:
        raise GrantError(GrantCode.TOO_DEEP, f"a chain has {max_depth + 1} links at most")
    total = 0
    for index, text in enumerate(texts):
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise GrantError(GrantCode.MALFORMED, "a link is a text", link=index)
        if len(text) > MAX_LINK_BYTES:
            raise GrantError(
                GrantCode.TOO_LARGE, f"a link has {MAX_LINK_BYTES} bytes at most", link=index
            )
        total += len(text)
    if total > MAX_CHAIN_BYTES:
        raise GrantError(GrantCode.TOO_LARGE, f"a chain has {MAX_CHAIN_BYTES} bytes at most")
    return tuple(texts)


def read(texts: Sequence[str], max_depth: int = MAX_DEPTH) -> Chain:
    """Return what a chain says, unverified: to look at it, or to hand on what one holds.

    Raises `GrantError`, as `Verifier.chain` for its form.
    """
    given = capped(texts, max_depth)
    return Chain(tuple(link_of(text, split(text, at), at) for at, text in enumerate(given)))


def split(text: str, index: int) -> Signed:
    """Take link `index` apart. Raises `GrantError`."""
    try:
        return jws.split(text)
    except GrantError as error:
        raise located(error, index) from None


def link_of(text: str, signed: Signed, index: int) -> Link:
    """Return link `index` from its payload. Raises `GrantError` (`link_malformed`)."""
    try:
        claims = claims_of(signed.payload)
        key, patterns = bounds.check(claims)
        granted = predicates.check(claims)
    except GrantError as error:
        raise located(error, index) from None
    digest = hashlib.sha256(signed.signing_input).hexdigest()
    link = Link(text, digest, claims, key, patterns)
    # What was checked is what will be asked: nothing is compiled a second time.
    vars(link)["granted"] = granted
    return link


def claims_of(payload: bytes) -> Claims:
    """Return the claims that `payload` is the one text of. Raises `GrantError`.

    Claims named twice or unknown, spaces, escapes, other orders and numbers in other forms are
    all refused: the text must be what the claims encode to.
    """
    try:
        claims = _DECODER.decode(payload)
        same = _ENCODER.encode(claims) == payload
    except (ValueError, RecursionError, OverflowError):
        same, claims = False, None
    if claims is None or not same:
        raise GrantError(GrantCode.MALFORMED, "the payload is not the one text of its claims")
    return claims


def located(error: GrantError, index: int) -> GrantError:
    """Return `error` with the index of the link at fault."""
    return GrantError(GrantCode(error.code), error.message, link=index, hint=error.hint)
