"""A mission of the back office whose work was handed on, in the store that commands look at."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from msgspec import structs

from bridle.client.transport.embedded import EmbeddedChannel
from bridle.governor.governor import Governor
from bridle.model.calls import (
    Accept,
    Decide,
    Judged,
    Observe,
    Offer,
    Offered,
    Opened,
    OpenSession,
    Proof,
    StartMission,
)
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.trust.grants.chain import read
from bridle.trust.grants.claims import DETAIL_TYPE, Detail, Predicate, ToolGrant
from bridle.trust.grants.issue import attenuate
from bridle.trust.holder import Holder

PAGES = "http://help.shop.example/"


class HandedOn:
    """Triage has let a researcher read pages; it read one, and one reading never ended."""

    def __init__(self, bundle: Path) -> None:
        self.governor = Governor.open(bundle, embedded=True)
        self.channel = EmbeddedChannel(self.governor)
        try:
            self._hand_on()
        finally:
            self.governor.close()

    def _hand_on(self) -> None:
        self.mission = self._opened(StartMission(template="refund-desk", user="ana")).id
        self.triage = Holder.generate()
        begun = OpenSession(
            mission=self.mission, agent="triage", executor="worker-1", holder=self.triage.public
        )
        opened = self._opened(begun)
        self.root = opened.grant
        self.researcher = Holder.generate()
        link = attenuate(
            read(opened.chain),
            self.triage.private,
            agent="researcher",
            holder=self.researcher.public,
            details=[Detail(DETAIL_TYPE, {"web.get": ToolGrant({"url": Predicate(prefix=PAGES)})})],
            issued=int(time.time()),
            expires=int(time.time()) + 900,
            budgets={"calls": "5"},
        )
        offered = self.channel.send(Offer(session=opened.id, link=link))
        assert isinstance(offered, Offered), offered
        self.leaf, self.reference = offered.grant, offered.reference
        self.session = self._accepted()
        self._read_pages(self.session)

    def _accepted(self) -> str:
        call = Accept(grant=self.leaf, proof=Proof(0, "", ""), executor="worker-1")
        return self._opened(structs.replace(call, proof=self._proof(call))).id

    def _read_pages(self, session: str) -> None:
        for name, ends in (("a", True), ("b", False)):
            args = json.dumps({"url": f"{PAGES}{name}"})
            call = Decide(session=session, tool="web.get", args=args, key=name, start=True)
            judged = self.channel.send(structs.replace(call, proof=self._proof(call)))
            assert isinstance(judged, Judged), judged
            assert judged.verdict.attempt, judged.verdict.reasons
            if ends:
                told = Outcome(OutcomeKind.OK, output='{"status": 200, "text": "…"}')
                self.channel.send(
                    Observe(session=session, attempt=judged.verdict.attempt, outcome=told)
                )
            else:
                self.running = judged.verdict.attempt

    def _proof(self, call: Any) -> Proof:
        return self.researcher.prove(call, self.governor.core.instance, self.leaf)

    def _opened(self, call: Any) -> Opened:
        reply = self.channel.send(call)
        assert isinstance(reply, Opened), reply
        return reply
