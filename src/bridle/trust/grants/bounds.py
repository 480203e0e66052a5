"""How large each claim of a link may be, and of which form. Says nothing of what claims mean."""

from __future__ import annotations

import re
from collections.abc import Collection

from bridle.model import public_key
from bridle.trust.grants import jws
from bridle.trust.grants.claims import DETAIL_TYPE, Claims, Detail, Jwk, ToolGrant
from bridle.trust.grants.codes import GrantCode, GrantError

MOST_DETAILS = 8
MOST_TOOLS = 256
MOST_ARGS = 64
MOST_PREDICATES = 128
MOST_HOSTS = 32
MOST_NETWORKS = 16
"""In one link, of all its tools: what is slowest to read is fewest, so that none is slow."""
MOST_BUDGETS = 16
MOST_LABELS = 64
MOST_DOMAINS = 64
MOST_DEPTH = 64
LONGEST_NAME = 256
LATEST = 253_402_300_799
"""The last second of the year 9999: times after it have no date."""

EFFECTS = frozenset({"read", "write", "irreversible"})

_HEX_32 = re.compile(r"[0-9a-f]{32}")
_HEX_64 = re.compile(r"[0-9a-f]{64}")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,9})?")
_TOOL = re.compile(r"\*|[A-Za-z0-9_.:@+-]{1,256}(?<!\.)(?:\.\*)?")


def check(claims: Claims) -> tuple[bytes, int]:
    """Return the raw key a link is bound to, and how many patterns (`re2`) it has.

    Raises `GrantError` (`link_malformed`) unless every claim is within its bounds.
    """
    _identity(claims)
    _numbers(claims)
    _count("authorization_details", claims.authorization_details, MOST_DETAILS)
    if sum(len(each.tools) for each in claims.authorization_details) > MOST_TOOLS:
        raise _bad(f"a link has {MOST_TOOLS} tools at most")
    for detail in claims.authorization_details:
        _detail(detail)
    patterns = _predicates(claims)
    _count("bud", claims.bud, MOST_BUDGETS)
    for name, limit in claims.bud.items():
        _name("bud", name)
        if not _DECIMAL.fullmatch(limit):
            raise _bad("a budget's limit is a decimal without sign, as text")
    if claims.lbl is not None:
        _names("lbl", claims.lbl, MOST_LABELS)
    return _holder(claims), patterns


def _holder(claims: Claims) -> bytes:
    jwk = claims.cnf.jwk
    raw = jws.decode(jwk.x) if len(jwk.x) <= LONGEST_NAME else None
    if jwk.kty != "OKP" or jwk.crv != "Ed25519" or raw is None or len(raw) != public_key.KEY_BYTES:
        raise _bad("cnf.jwk is not an Ed25519 public key")
    if public_key.is_weak(raw):
        raise _bad("anybody could sign under the key in cnf.jwk")
    return raw


def jwk_of(key: str) -> Jwk:
    """Return a public key (`ed25519:…`) as a JWK. Raises `UsageError` (`key_invalid`)."""
    return Jwk(kty="OKP", crv="Ed25519", x=jws.encode(public_key.parse(key)))


def _identity(claims: Claims) -> None:
    if not _HEX_32.fullmatch(claims.jti):
        raise _bad("jti is not 32 hex digits")
    if claims.par_hash and not _HEX_64.fullmatch(claims.par_hash):
        raise _bad("par_hash is not 64 hex digits")
    names = (claims.iss, claims.sub, claims.agent, claims.aud, claims.mis, claims.task or "-")
    if not (
        all(names) and len(max(names, key=len)) <= LONGEST_NAME and "".join(names).isprintable()
    ):
        raise _bad(
            f"iss, sub, agent, aud, mis and task are 1 to {LONGEST_NAME} printable characters"
        )


def _numbers(claims: Claims) -> None:
    if not 0 <= claims.iat < claims.exp <= LATEST:
        raise _bad("iat and exp are seconds since 1970, iat before exp")
    if not (0 <= claims.del_depth <= MOST_DEPTH and 0 <= claims.del_max_depth <= MOST_DEPTH):
        raise _bad(f"del_depth and del_max_depth are 0 to {MOST_DEPTH}")


def _detail(detail: Detail) -> None:
    if detail.type != DETAIL_TYPE:
        raise _bad(f"the type of authorization_details is {DETAIL_TYPE}")
    for name, tool in detail.tools.items():
        if not _TOOL.fullmatch(name):
            raise _bad("a tool is an exact name, `prefix.*` or `*`")
        _arguments(tool)
    if detail.domains is not None:
        _names("domains", detail.domains, MOST_DOMAINS)
    if detail.effects is not None:
        _names("effects", detail.effects, len(EFFECTS))
        if not EFFECTS.issuperset(detail.effects):
            raise _bad("effects are read, write and irreversible")


def _arguments(tool: ToolGrant) -> None:
    if tool.args is None:
        return
    _count("args", tool.args, MOST_ARGS)
    if tool.args and len(max(tool.args, key=len)) > LONGEST_NAME:
        raise _bad(f"an argument's name has {LONGEST_NAME} characters at most")


def _predicates(claims: Claims) -> int:
    counted = hosts = networks = patterns = 0
    for detail in claims.authorization_details:
        for tool in detail.tools.values():
            for predicate in (tool.args or {}).values():
                counted += 1
                hosts += len(predicate.host) if predicate.host else 0
                networks += len(predicate.cidr) if predicate.cidr else 0
                patterns += predicate.re2 is not None
    if counted > MOST_PREDICATES:
        raise _bad(f"a link has {MOST_PREDICATES} predicates at most")
    if hosts > MOST_HOSTS or networks > MOST_NETWORKS:
        raise _bad(f"a link names {MOST_HOSTS} hosts and {MOST_NETWORKS} networks at most")
    return patterns


def _names(claim: str, names: Collection[str], most: int) -> None:
    _count(claim, names, most)
    if len(set(names)) != len(names):
        raise _bad(f"{claim} names one thing twice")
    for name in names:
        _name(claim, name)


def _name(claim: str, name: str) -> None:
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise _bad(f"{claim} is 1 to {LONGEST_NAME} printable characters")


def _count(claim: str, given: Collection[object], most: int) -> None:
    if len(given) > most:
        raise _bad(f"{claim} has {most} entries at most")


def _bad(message: str) -> GrantError:
    return GrantError(GrantCode.MALFORMED, message)
