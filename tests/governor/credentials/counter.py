"""A governor of its own with brokers, workloads that prove themselves, and what brokers open."""

import itertools
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bridle.brokers.broker import Broker, BrokerError, Made, Order, Secret
from bridle.brokers.registry import Brokers
from bridle.brokers.sealed_file import SealedFile
from bridle.bundle.bundle import Bundle
from bridle.governor.governor import Governor
from bridle.governor.ground.chance import SeededChance
from bridle.governor.ground.clock import VirtualClock
from bridle.governor.ground.core import Core, Keys, Setting
from bridle.model import calls
from bridle.model.calls import Caller, Failed, Judged, Reply, Vended
from bridle.model.credential import AnyCredential
from bridle.model.verdict import Verdict
from bridle.store.base import Store
from bridle.store.rows import LeaseRow, MissionRow
from bridle.store.sqlite import open_store
from bridle.trust import credential
from governor.desk import START, Desk, bundle_of, changed, text_of
from governor.proving import SERVICE, proved

CRATE, MIXED, OTHER = (credential.generate("workload", n) for n in ("crate", "mixed", "other"))
PERFORMING = Caller(operator=False, method="peer:1001", uid=1001, performing=True)

SYSTEMS = """
[systems.crm]
domain = "house"
[systems.crm.credential]
broker = "sealed"
use = "worker"
secret = "crm-key"
lease = "30s"
wait = "2s"
[systems.api]
domain = "house"
url = "https://api.example"
[systems.api.credential]
broker = "header"
secret = "api-key"
[tools."crm.find"]
system = "crm"
effect = "read"
idempotent = true
timeout = "60s"
input = { type = "object", properties = { id = { type = "integer" } } }
[tools."api.issue"]
system = "api"
effect = "write"
idempotent = true
timeout = "60s"
http = { method = "POST", path = "/issues" }
input = { type = "object", properties = { title = { type = "string" } } }
[tools."api.poll"]
system = "api"
effect = "read"
idempotent = true
input = { type = "object", properties = { title = { type = "string" } } }
"""

WORKLOADS = f"""
[workloads.crate]
key = "{CRATE.public}"
separate = true
[workloads.other]
key = "{OTHER.public}"
separate = true
[workloads.mixed]
key = "{MIXED.public}"
"""

VENDS = """
@id("people") permit (principal is User, action in Action::"governance", resource);
@id("hand") permit (principal, action == Action::"delegate", resource);
@id("vend") permit (principal, action == Action::"vend_credential", resource);
"""

NEVER = """
@id("never") forbid (principal == Agent::"scout", action == Action::"vend_credential", resource);
"""

EDITS = (
    ("systems.toml", "", SYSTEMS),
    ("agents.toml", "", WORKLOADS),
    ("missions.toml", '"note.*", "safe.open"', '"note.*", "crm.*", "api.*", "safe.open"'),
    ("governance/vend.dw", "", VENDS),
)

_STEPS = itertools.count(1)

CRM_KEY, API_KEY = "crm-7Hq2-Zk9w/Tt+4xV==", "api-5Yd8/Rm3s+Lp6uNc"


class Valet:
    """A broker whose system is a set: what is in it opens, what was taken back does not.

    `down` refuses everything, `stubborn` so many times to take back. While `go_on` is clear it
    makes nothing, and it hangs when it is to take back the token `hangs_on`, until `let_go`.
    """

    def __init__(self) -> None:
        self.opens: set[str] = set()
        self.of_lease: dict[str, str] = {}
        self.ended: list[str] = []
        self.taken_back_by: list[AnyCredential] = []
        self.down = False
        self.stubborn = 0
        self.hangs_on = ""
        self.go_on, self.returned, self.emptied, self.hanging, self.let_go, self.ended_one = (
            threading.Event() for _ in range(6)
        )
        self.go_on.set()
        self.meanwhile: Callable[[], object] | None = None

    def vend(self, order: Order) -> Made:
        self.go_on.wait(30)
        if self.down:
            raise BrokerError("nobody answers", code="broker_unreachable")
        token = f"token-{secrets.token_urlsafe(24)}"
        self.opens.add(token)
        self.emptied.clear()
        self.of_lease[order.lease] = token
        if self.meanwhile is not None:
            self.meanwhile()
        return Made(
            secret=Secret(secret=token), handle=b"handle:" + token.encode(), expires=order.expires
        )

    def revoke(self, credential: AnyCredential, handle: bytes) -> None:
        name = handle.decode()
        token = name.removeprefix("handle:")
        token = self.of_lease.get(token, token)
        if self.hangs_on == token:
            self.hanging.set()
            self.let_go.wait(30)
        late = name.startswith("handle:") and not self.returned.is_set()
        try:
            if self.down or self.stubborn:
                self.stubborn = max(0, self.stubborn - 1)
                raise BrokerError("nobody answers", code="broker_unreachable")
            self.opens.discard(token)
        finally:
            if late:
                self.returned.set()
        self.ended.append(name)
        self.taken_back_by.append(credential)
        self.ended_one.set()
        if not self.opens:
            self.emptied.set()

    def close(self) -> None:
        """Its system does not end with it."""


class Valets(Brokers):
    """Brokers of which every one is the valet."""

    def __init__(self, file: SealedFile, valet: Valet) -> None:
        super().__init__(file)
        self.valet = valet

    def of(self, credential: AnyCredential) -> Broker:
        del credential
        return self.valet

    def close(self) -> None:
        """The valet stays: its system does not end with a governor."""


class Counter(Desk):
    """A desk over a governor in a process of its own, as far as it can tell."""

    def __init__(
        self,
        folder: Path,
        *edits: tuple[str, str, str],
        valet: Valet | None = None,
        store: Store | None = None,
        level: str = "separate",
        brokers: bool = True,
    ) -> None:
        self.edits = edits
        self.file = SealedFile(folder / "secrets.sealed", b"\7" * 32)
        self.file.set("crm-key", CRM_KEY)
        self.file.set("api-key", API_KEY)
        self.valet = valet
        made = Valets(self.file, valet) if valet is not None else Brokers(self.file)
        bundle = bundle_of(changed(*EDITS, *edits))
        self.open(bundle, made if brokers else None, store, level)

    def open(
        self, bundle: Bundle, brokers: Brokers | None, store: Store | None, level: str
    ) -> None:
        self.bundle = bundle
        self.clock = VirtualClock(START)
        chance = SeededChance(b"counter" + bundle.digest.encode())
        self.core = Core(
            store if store is not None else open_store(None),
            Keys(payload=chance.draw(32), digest=chance.draw(32)),
            Setting(level, brokers=brokers),
            clock=self.clock,
            chance=SeededChance(secrets.token_bytes(16)),
        )
        self.governor = Governor.over(self.core, bundle)
        self._mission, self._sessions = "", {}

    # --- callers ---------------------------------------------------------------------------------

    def as_crate(self) -> Caller:
        return proved(self, CRATE, SERVICE)

    def as_other(self) -> Caller:
        return proved(self, OTHER, SERVICE)

    def as_mixed(self) -> Caller:
        return proved(self, MIXED, SERVICE)

    # --- acting ----------------------------------------------------------------------------------

    def judge(
        self,
        tool: str,
        caller: Caller,
        *,
        session: str = "",
        key: str = "",
        perform: bool = False,
        start: bool = True,
        **given: Any,
    ) -> Verdict:
        call = calls.Decide(
            session=session or self.session("clerk", "crate"),
            tool=tool,
            args=text_of(given),
            key=key or f"step-{next(_STEPS)}",
            start=start,
            perform=perform,
        )
        reply = self.ask(call, caller)
        assert isinstance(reply, Judged), reply
        return reply.verdict

    def started(self, key: str = "", session: str = "") -> str:
        """An attempt of the worker's."""
        found = self.judge("crm.find", self.as_crate(), session=session, key=key, id=1)
        assert found.attempt, found
        return found.attempt

    def vend(self, attempt: str, caller: Caller | None = None, session: str = "") -> Reply:
        call = calls.Vend(session=session or self.session("clerk", "crate"), attempt=attempt)
        return self.ask(call, caller or self.as_crate())

    def vended(self, attempt: str, caller: Caller | None = None, session: str = "") -> Vended:
        reply = self.vend(attempt, caller, session)
        assert isinstance(reply, Vended), reply
        return reply

    def code(self, reply: Reply) -> str:
        assert isinstance(reply, Failed), reply
        return reply.code

    def report(
        self,
        attempt: str,
        output: str = "null",
        caller: Caller | None = None,
        session: str = "",
        **more: Any,
    ) -> calls.Released:
        outcome = msgspec.convert({"kind": "ok", "output": output, **more}, calls.Outcome)
        call = calls.Observe(
            session=session or self.session("clerk", "crate"), attempt=attempt, outcome=outcome
        )
        reply = self.ask(call, caller or self.as_crate())
        assert isinstance(reply, calls.Released), reply
        return reply

    def activate_with(self, *edits: tuple[str, str, str]) -> None:
        self.activate(changed(*EDITS, *self.edits, *edits))

    # --- what there is ---------------------------------------------------------------------------

    def rows_of_mission(self) -> MissionRow:
        row = self.core.write(lambda turn: turn.tx.get(MissionRow, self.mission))
        assert row is not None
        return row

    def leases(self) -> list[LeaseRow]:
        return self.core.write(lambda turn: turn.tx.find(LeaseRow, limit=10_000))

    def lease(self, attempt: str) -> LeaseRow:
        (row,) = (row for row in self.leases() if row.attempt == attempt)
        return row

    def settled(self) -> None:
        """Have everything that is over taken back, as far as brokers do."""
        self.governor.keeper.look()
        assert self.governor.keeper.idle(10)
