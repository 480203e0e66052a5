"""A chain as a governor, triage and a researcher make it, with the governor's key."""

from __future__ import annotations

import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridle.model.public_key import written
from bridle.trust import status
from bridle.trust.grants import issue
from bridle.trust.grants.chain import read
from bridle.trust.grants.claims import DETAIL_TYPE, Detail, Predicate, ToolGrant
from bridle.trust.status import StatusList

AUDIENCE = "bridle:" + "ab" * 16
MISSION = "mis_" + "0" * 26


def public(private: Ed25519PrivateKey) -> str:
    return written(private.public_key().public_bytes_raw())


class Handed:
    """A chain as a governor, triage and a researcher make it, with the governor's key."""

    def __init__(
        self, tool: ToolGrant | None = None, *, task: str = "", seconds: int = 900
    ) -> None:
        now = int(time.time())
        self.governor, self.triage, researcher = (Ed25519PrivateKey.generate() for _ in range(3))
        everything = Detail(DETAIL_TYPE, {"web.*": ToolGrant(), "desk.read": ToolGrant()})
        root = issue.issue_root(
            self.governor,
            issuer=AUDIENCE,
            audience=AUDIENCE,
            user="ana",
            agent="triage",
            holder=public(self.triage),
            mission=MISSION,
            details=[everything],
            issued=now - 60,
            expires=now + 3_600,
        )
        pages = tool or ToolGrant({"url": Predicate(prefix="https://docs.example/")})
        child = issue.attenuate(
            read([root]),
            self.triage,
            agent="researcher",
            holder=public(researcher),
            details=[Detail(DETAIL_TYPE, {"web.get": pages})],
            issued=now - 30,
            expires=now + seconds,
            task=task,
            budgets={"calls": "5"},
        )
        self.links = [root, child]
        self.root_key = public(self.governor)

    @property
    def leaf(self) -> str:
        return read(self.links).digest

    def status(self, *, version: int = 1, good_for: int = 300, **revoked: str) -> str:
        """The governor's signed list: what is revoked by kind, since a second ago."""
        now = int(time.time())
        at = {f"{kind}:{subject}": (now - 1) * 1_000 for kind, subject in revoked.items()}
        made = StatusList(version, now - 10, now - 5 + good_for, AUDIENCE, at)
        return status.sign(made, self.governor)
