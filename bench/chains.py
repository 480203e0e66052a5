"""Chains of so many handoffs, as the library of grants makes and verifies them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, pairwise

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from bench.calls import WorkloadError
from bridle.model.calls import Decide
from bridle.model.public_key import written
from bridle.trust.grants import issue
from bridle.trust.grants.chain import Chain
from bridle.trust.grants.claims import DETAIL_TYPE, Detail, Predicate, Range, ToolGrant
from bridle.trust.grants.roots import RootKey, Roots
from bridle.trust.grants.verify import Request, Verifier
from bridle.trust.holder import Holder, Nonces, check, statement_of
from bridle.trust.status import NOTHING_REVOKED, Status, StatusList

NOW = 1_767_225_600
HOUR = 3_600
GOVERNOR, MISSION, INSTANCE = "bridle:" + "ab" * 16, "mis_" + "0" * 26, "c1" * 32
TOOL, ARGS = "web.get", '{"url":"https://docs.example/page/7","size":12}'
REQUEST = Request(
    tool=TOOL,
    domain="internet",
    effect="read",
    labels=frozenset(),
    args={"url": "https://docs.example/page/7", "size": 12},
    audience=GOVERNOR,
    mission=MISSION,
)


def details(prefix: str = "https://docs.example/", most: int = 100) -> tuple[Detail, ...]:
    """One tool, both of whose arguments are constrained: what the peers' chains say too."""
    args = {"url": Predicate(prefix=prefix), "size": Predicate(range=Range(0, most))}
    return (Detail(DETAIL_TYPE, {TOOL: ToolGrant(args)}),)


class Handed:
    """A chain with `depth` handoffs below its root, and who holds the last link."""

    def __init__(self, depth: int) -> None:
        self._grant_key = Ed25519PrivateKey.generate()
        public = written(self._grant_key.public_key().public_bytes_raw())
        self.roots = Roots((RootKey(public, NOW - HOUR, 0),))
        keys = [Ed25519PrivateKey.generate() for _ in range(depth + 1)]
        self.holder = Holder(keys[-1])
        self.texts = [self._root(keys[0])]
        for signer, to in pairwise(keys):
            chain = Verifier(self.roots).chain(self.texts, NOW)
            self.texts.append(_child(chain, signer, to))

    def _root(self, to: Ed25519PrivateKey) -> str:
        return issue.issue_root(
            self._grant_key, issuer=GOVERNOR, audience=GOVERNOR, user="ana", agent="a0",
            holder=text_of(to), mission=MISSION, details=details(), issued=NOW, expires=NOW + HOUR,
        )  # fmt: skip

    def admitting(self, status: Status = NOTHING_REVOKED, *, cached: bool) -> Callable[[], Chain]:
        """Return what verifies the texts and holds the request against them."""
        kept = Verifier(self.roots)

        def admit() -> Chain:
            verifier = kept if cached else Verifier(self.roots)
            chain = verifier.chain(self.texts, NOW)
            verifier.admit(chain, REQUEST, status, NOW)
            return chain

        admit()
        return admit


class Proved:
    """Verifies a cached chain and a new proof each time: signed ahead, outside what is timed."""

    def __init__(self, handed: Handed) -> None:
        self._admit = handed.admitting(cached=True)
        self._holder = handed.holder
        self._nonces = Nonces(1 << 20, 60_000)
        self._numbers = count()
        self._ahead: list[Decide] = []

    def renew(self, times: int) -> None:
        """Sign the proofs of so many requests more."""
        grant = self._admit().digest
        for number in (next(self._numbers) for _ in range(times)):
            call = Decide(session="s" * 43, tool=TOOL, args=ARGS, key=f"k{number}")
            proof = self._holder.prove(call, INSTANCE, grant)
            self._ahead.append(structs.replace(call, proof=proof))

    def __call__(self) -> None:
        """Verify the next request, proof and all."""
        call = self._ahead.pop()
        chain = self._admit()
        proof = call.proof
        if proof is None:
            raise WorkloadError("a request without a proof")
        check(chain.leaf.key, statement_of(call, INSTANCE, chain.digest), proof, proof.time)
        self._nonces.use(proof.nonce, proof.time)


def revoked(ids: int) -> StatusList:
    """A status list of so many revoked grants, none of them in any chain here."""
    gone = {f"grant:{number:064x}": NOW * 1_000 for number in range(ids)}
    return StatusList(ids, NOW, NOW + HOUR, GOVERNOR, gone)


def text_of(private: Ed25519PrivateKey) -> str:
    """The public half as it is written."""
    return written(private.public_key().public_bytes_raw())


def _child(parent: Chain, signer: Ed25519PrivateKey, to: Ed25519PrivateKey) -> str:
    return issue.attenuate(
        parent, signer, agent=f"a{len(parent.links)}", holder=text_of(to), details=details(),
        issued=NOW, expires=NOW + HOUR,
    )  # fmt: skip
