"""What hostile holders send: chains made to cost more than they are worth.

A holder signs what it likes, so some of these verify link by link and are as large as may be.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.calls import WorkloadError
from bench.chains import HOUR, NOW, REQUEST, Handed, text_of
from bridle.trust.grants import chain, issue, jws
from bridle.trust.grants.bounds import MOST_NETWORKS, MOST_TOOLS
from bridle.trust.grants.claims import DETAIL_TYPE, Detail, Predicate, ToolGrant
from bridle.trust.grants.codes import GrantError
from bridle.trust.grants.matching import matchers, readings
from bridle.trust.grants.verify import Verifier
from bridle.trust.status import NOTHING_REVOKED

Tools = dict[str, ToolGrant]
Sized = Callable[[int], Tools]

_ROOM = 900  # bytes that the other claims of a link and its signature take


def made(handed: Handed) -> dict[str, Callable[[], object]]:
    """Return, by name, the reading of each bomb by a verifier that has seen none of it."""
    stem = Handed(4)
    texts, last = stem.texts, stem.holder.private
    broken = {
        "10,000 links": ["a.b.c"] * 10_000,
        "links of noise, as large as may be": ["A" * chain.MAX_LINK_BYTES] * 4,
        "brackets within brackets": [*texts, jws.sign(b"[" * 12_000, last)],
        "members within members": [*texts, jws.sign(b'{"jti":' * 1_700, last)],
        "one member a thousand times": [*texts, jws.sign(_repeated(), last)],
        "a number of 12,000 digits": [*texts, jws.sign(b'{"iat":' + b"9" * 12_000 + b"}", last)],
    }
    wrong = [*handed.texts[:-1], handed.texts[-1][:-8] + "AAAAAAAA"]
    calls = {"the last signature is another's": _reading(handed, wrong, refused=True)}
    calls |= {name: _reading(stem, bomb, refused=True) for name, bomb in broken.items()}
    for name, (sized, most) in _LARGE.items():
        root = Handed(0)
        calls[name] = _reading(root, grown(root, sized, most), refused=False)
    return calls


def grown(handed: Handed, sized: Sized, most: int) -> list[str]:
    """Return a chain of eight more, each with as much as the chain's bytes allow."""
    texts, signer = list(handed.texts), handed.holder.private
    for left in range(chain.MAX_DEPTH, 0, -1):
        to = Ed25519PrivateKey.generate()
        share = (chain.MAX_CHAIN_BYTES - sum(map(len, texts))) // left * 3 // 4 - _ROOM
        count = bisect_right(range(1, most), share, key=lambda n: _size(sized(n)))
        texts.append(_child(chain.read(texts), signer, to, sized(max(1, count))))
        signer = to
    return texts


def _size(tools: Tools) -> int:
    return len(msgspec.json.encode(tools))


def _child(
    parent: chain.Chain, signer: Ed25519PrivateKey, to: Ed25519PrivateKey, tools: Tools
) -> str:
    return issue.attenuate(
        parent, signer, agent=f"a{len(parent.links)}", holder=text_of(to),
        details=(Detail(DETAIL_TYPE, tools),), issued=NOW, expires=NOW + HOUR,
    )  # fmt: skip


def _reading(handed: Handed, texts: list[str], *, refused: bool) -> Callable[[], object]:
    def read() -> None:
        matchers.pattern.cache_clear()
        readings.network_of.cache_clear()
        verifier = Verifier(handed.roots)
        try:
            found = verifier.chain(texts, NOW)
        except GrantError as error:
            if not refused or error.code == "root_unknown":
                raise WorkloadError(str(error)) from error
            return
        if refused:
            raise WorkloadError("a bomb was taken for a chain")
        verifier.admit(found, REQUEST, NOTHING_REVOKED, NOW)

    return read


def _repeated() -> bytes:
    return b"{" + b",".join([b'"task":"x"'] * 1_100) + b"}"


def _used(test: Predicate, **more: Predicate) -> Tools:
    return {"web.get": ToolGrant({"url": test, "size": Predicate(any=True), **more})}


def _tools(count: int) -> Tools:
    return {"web.get": ToolGrant()} | {f"t{n}": ToolGrant() for n in range(count)}


def _values(count: int) -> Tools:
    return _used(Predicate(in_=(*(f"v{n}" for n in range(count)), str(REQUEST.args["url"]))))


def _networks(count: int) -> Tools:
    networks = tuple(f"10.{n // 250}.{n % 250}.0/24" for n in range(count))
    return _used(Predicate(any=True), ip=Predicate(any=True)) | {
        "net.open": ToolGrant({"ip": Predicate(cidr=networks)})
    }


def _patterns(count: int) -> Tools:
    bomb = "(?:.{0,9}.{0,9}){0,9}.*"
    named = {f"t{n}": ToolGrant({"x": Predicate(re2=f"{bomb}{n}")}) for n in range(count)}
    return _used(Predicate(re2=bomb)) | named


_LARGE: dict[str, tuple[Sized, int]] = {
    "as many tools as may be": (_tools, MOST_TOOLS),
    "values without end": (_values, 4_000),
    "as many networks as may be": (_networks, MOST_NETWORKS + 1),
    "as many patterns as may be": (_patterns, chain.MAX_PATTERNS // chain.MAX_DEPTH),
}
