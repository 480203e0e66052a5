"""A governor's key, holders who sign whatever they like, and what a verifier says to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from bridle.model.public_key import written
from bridle.trust.grants import chain, issue, jws
from bridle.trust.grants.chain import Chain
from bridle.trust.grants.claims import DETAIL_TYPE, Claims, Detail, Predicate, ToolGrant
from bridle.trust.grants.codes import GrantError
from bridle.trust.grants.roots import RootKey, Roots
from bridle.trust.grants.verify import Request, Status, Verifier
from bridle.trust.status import NOTHING_REVOKED

NOW = 1_767_225_600
HOUR = 3_600
GOVERNOR = "bridle:" + "ab" * 16
MISSION = "mis_" + "0" * 26

Args = Mapping[str, Predicate]


def key() -> Ed25519PrivateKey:
    """A new key."""
    return Ed25519PrivateKey.generate()


def public(private: Ed25519PrivateKey) -> str:
    """Its public half, as written."""
    return written(private.public_key().public_bytes_raw())


def details(**tools: Args | None) -> tuple[Detail, ...]:
    """One detail: tools (`web_get` for `web.get`), each with its predicates or none."""
    named = {
        name.replace("_", "."): ToolGrant(None if args is None else dict(args))
        for name, args in tools.items()
    }
    return (Detail(DETAIL_TYPE, named),)


ANY = (Detail(DETAIL_TYPE, {"*": ToolGrant()}),)


def request(tool: str = "web.get", **given: Any) -> Request:
    """A request for a tool; members of `Request` by name, all else arguments."""
    fields = {name: given.pop(name) for name in Request.__dataclass_fields__ if name in given}
    asked: dict[str, Any] = {
        "domain": "internet",
        "effect": "read",
        "labels": frozenset[str](),
        "audience": GOVERNOR,
        "mission": MISSION,
        "args": given,
    }
    return Request(tool, **(asked | fields))


class Line:
    """A governor's grant key, and the chain of whom it granted to, each with a key of its own."""

    def __init__(self, *each: tuple[Detail, ...], **claims: Any) -> None:
        self.grant_key = key()
        self.roots = Roots((RootKey(public(self.grant_key), NOW - HOUR, 0),))
        self.keys = [key() for _ in each]
        self.texts = [self.root(each[0], **claims)]
        for said, (signer, to) in zip(each[1:], pairwise(self.keys), strict=True):
            self.texts.append(self.child(said, signer, to))

    def root(self, said: tuple[Detail, ...], **claims: Any) -> str:
        """A root as the governor signs it, with claims changed."""
        given = {"issued": NOW, "expires": NOW + HOUR, "mission": MISSION, "user": "ana"} | claims
        return issue.issue_root(
            self.grant_key, issuer=GOVERNOR, audience=GOVERNOR, agent="a0",
            holder=public(self.keys[0]), details=said, **given,
        )  # fmt: skip

    def child(
        self, said: tuple[Detail, ...], signer: Ed25519PrivateKey, to: Ed25519PrivateKey,
        **changed: Any,
    ) -> str:  # fmt: skip
        """A link below the last one, signed by whom you like, with claims changed as you like."""
        parent = self.read()
        text = issue.attenuate(
            parent, signer, agent=f"a{len(parent.links)}", holder=public(to), details=said,
            issued=NOW, expires=NOW + HOUR,
        )  # fmt: skip
        return resigned(text, signer, **changed) if changed else text

    def read(self, texts: Sequence[str] | None = None) -> Chain:
        """What the chain says, unverified."""
        return chain.read(texts or self.texts, 64)

    def verifier(self) -> Verifier:
        """One that has seen nothing."""
        return Verifier(self.roots)


def claims_of(text: str) -> Claims:
    """The claims of a link."""
    return msgspec.json.decode(jws.split(text).payload, type=Claims)


def resigned(text: str, signer: Ed25519PrivateKey, **changed: Any) -> str:
    """The link with claims changed, signed again."""
    return jws.sign(msgspec.json.encode(structs.replace(claims_of(text), **changed)), signer)


def judged(
    verifier: Verifier,
    texts: Sequence[str],
    asked: Request | None = None,
    status: Status = NOTHING_REVOKED,
    now: int = NOW,
) -> tuple[str, int]:
    """The code of the refusal and the link at fault; `("", -1)` where the request is allowed."""
    try:
        found = verifier.chain(texts, now)
        verifier.admit(found, asked or request(), status, now)
    except GrantError as refused:
        return refused.code, refused.link
    return "", -1


def refused(line: Line, texts: Sequence[str], asked: Request | None = None, **given: Any) -> str:
    """The code of the refusal, which a second look at the same texts repeats."""
    verifier = line.verifier()
    first = judged(verifier, texts, asked, **given)
    if judged(verifier, texts, asked, **given) != first:
        pytest.fail("the second look says something else")
    return first[0]
