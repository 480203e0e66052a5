"""A small bundle in which every way of an action occurs, and a desk to act from."""

import json
from decimal import Decimal
from typing import Any

import msgspec

from bridle.bundle.bundle import Bundle
from bridle.bundle.load import load_files
from bridle.governor.audit.reconcile import every_difference, live
from bridle.governor.delegation import grants
from bridle.governor.governor import Governor
from bridle.governor.ground.clock import VirtualClock
from bridle.governor.ground.core import Core
from bridle.governor.ground.vault import opener
from bridle.governor.oversight import activation
from bridle.governor.throwaway import governor_over
from bridle.ledger import leaf
from bridle.ledger.verify import Flaw, verify_log
from bridle.model import calls
from bridle.model.calls import Caller, Failed, Judged, Listing, Opened, Released, Reply
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.record import Leaf
from bridle.model.verdict import Release, Verdict
from bridle.store.base import Store
from bridle.store.rows import ActionRow, AttemptRow, BudgetRow, ExceptionRow, HoldRow
from bridle.trust.grants import issue
from bridle.trust.grants.claims import Detail, ToolGrant
from bridle.trust.holder import Holder

PROVED = calls.Decide | calls.Begin | calls.Redeem | calls.CheckPlan

START = 1_767_225_600_000  # 2026-01-01T00:00:00Z
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000

ANYONE = Caller(operator=True, method="offline")
AGENT = Caller(operator=False, method="peer:1001", uid=1001)

BRIDLE = """
format = 1
name = "governor-tests"
version = "1"
operators = ["ana", "ben"]
[defaults]
mission = "office"
user = "ana"
agent = "clerk"
executor = "worker"
[limits]
pending_holds = 3
hold_expiry = "2h"
result_bytes = 2000
"""

SYSTEMS = """
[domains.house]
[domains.street]
[systems.notes]
domain = "house"
[systems.bank]
domain = "street"

[tools."note.read"]
system = "notes"
effect = "read"
idempotent = true
input = { type = "object", required = ["id"], properties = { id = { type = "integer" } } }
[tools."note.read".output]
type = "object"
required = ["body"]
properties = { body = { type = "string" }, pin = { type = "string" } }

[tools."note.write"]
system = "notes"
effect = "write"
timeout = "30s"
no_effect = ["disk_full"]
input = { type = "object", required = ["text"], properties = { text = { type = "string" } } }
arguments.text = { sink = "content" }

[tools."note.index"]
system = "notes"
effect = "write"
idempotent = true
timeout = "30s"
input = { type = "object", properties = { depth = { type = "integer" } } }

[tools."safe.open"]
system = "notes"
effect = "irreversible"
timeout = "30s"
no_effect = ["jammed"]
input = { type = "object", required = ["id"], properties = { id = { type = "integer" } } }

[tools."bank.pay"]
system = "bank"
effect = "irreversible"
timeout = "30s"
no_effect = ["no_such_order"]
[tools."bank.pay".input]
type = "object"
required = ["amount"]
properties = { amount = { type = "number" }, order = { type = "integer" } }

[tools."bank.tip"]
system = "bank"
effect = "write"
timeout = "30s"
no_effect = ["refused"]
[tools."bank.tip".input]
type = "object"
properties = { amount = { type = "number" } }

[tools."bell.ring"]
system = "bank"
effect = "read"
idempotent = true
timeout = "30s"
input = { type = "object", properties = { times = { type = "integer" } } }
arguments.times = { int64 = true }
"""

AGENTS = """
[users.ana]
[users.ben]
[users.cleo]
[users.dora]
[agents.clerk]
owner = "ana"
[agents.scout]
owner = "ben"
[workloads.worker]
tools = ["*"]
[workloads.porter]
tools = ["note.*"]
[approvers.leads]
users = ["ben", "cleo"]
[approvers.board]
users = ["ben", "cleo", "dora"]
need = 2
"""

MISSIONS = """
[missions.office]
purpose = "Keep the notes, pay the bills"
agents = ["clerk", "scout"]
tools = ["note.*", "safe.open", "bank.*", "bell.ring"]
domains = ["house", "street"]
expires = "8h"
[missions.office.budgets.calls]
limit = 1000
[missions.office.budgets.money]
limit = 100
unit = "EUR"
measure = { "bank.pay" = "input.amount" }
[missions.office.budgets.tips]
limit = 10
unit = "EUR"
measure = { "bank.tip" = "input.amount" }
hold = ["leads"]
[missions.office.budgets.bells]
limit = 3
window = "1h"
measure = { "bell.ring" = 1 }

[missions.reading]
agents = ["scout"]
tools = ["note.read"]
domains = ["house"]
"""

PERMITS = """
@id("work") permit (principal, action in Action::"call", resource);
"""

LIMITS = """
@id("no-gossip") @reason("no gossip in notes")
forbid (principal, action == Action::"note.write", resource)
when { context.input.text == "gossip" };

@id("short-notes") @reason("notes are short") @modify("truncate input.text 10")
forbid (principal, action == Action::"note.write", resource)
when { context.facts has text && context.facts.text.length > 10 };

@id("big-pay") @reason("more than 50 needs a lead") @hold("leads")
forbid (principal, action == Action::"bank.pay", resource)
when { context.input.amount.greaterThan(decimal("50.0")) };

@id("two-keys") @reason("the safe has two keys") @hold("board")
forbid (principal, action == Action::"safe.open", resource);
"""

HOURS = f"""
@id("late-pay") @reason("late payments need the board") @hold("board")
forbid (principal, action == Action::"bank.pay", resource)
when {{ context.system.now >= {START + HOUR} }};

@id("curfew") @reason("nobody pays at night")
forbid (principal, action == Action::"bank.pay", resource)
when {{ context.system.now >= {START + 3 * HOUR} }};
"""

RESULTS = """
@id("no-pins") @reason("a pin stays in the house") @modify("drop output.pin")
forbid (principal, action == Action::"note.read:result", resource)
when { context.output has pin };

@id("sealed-notes") @reason("a lead opens sealed notes") @hold("leads")
forbid (principal, action == Action::"note.read:result", resource)
when { context.output.body == "sealed" };

@id("burnt-notes") @reason("this note is for nobody")
forbid (principal, action == Action::"note.read:result", resource)
when { context.output.body == "burnt" };
"""

FILES = {
    "bridle.toml": BRIDLE,
    "systems.toml": SYSTEMS,
    "agents.toml": AGENTS,
    "missions.toml": MISSIONS,
    "policies/permits.dw": PERMITS,
    "policies/limits.dw": LIMITS,
    "policies/hours.dw": HOURS,
    "policies/results.dw": RESULTS,
}

_LOADED: dict[str, Bundle] = {}


def changed(*edits: tuple[str, str, str]) -> dict[str, str]:
    """The files with texts replaced: `(file, old, new)`; an empty old one adds at the end."""
    files = dict(FILES)
    for name, old, new in edits:
        assert old in files.get(name, ""), f"{old!r} is not in {name}"
        text = files.get(name, "")
        files[name] = text.replace(old, new) if old else text + new
    return files


def bundle_of(files: dict[str, str] = FILES) -> Bundle:
    """Load the files, once for each content."""
    key = json.dumps(files, sort_keys=True)
    if key not in _LOADED:
        _LOADED[key] = load_files(files)
    return _LOADED[key]


def text_of(args: dict[str, Any]) -> str:
    """JSON with decimals as they are written."""
    parts = (
        f"{json.dumps(k)}:{v if isinstance(v, Decimal) else json.dumps(v)}" for k, v in args.items()
    )
    return "{" + ",".join(parts) + "}"


class Desk:
    """One governor on a clock of its own, one mission, and whoever acts in it."""

    def __init__(
        self,
        files: dict[str, str] = FILES,
        *,
        leases: bool = True,
        store: Store | None = None,
        start: int = START,
    ) -> None:
        self.bundle = bundle_of(files)
        self.clock: VirtualClock
        self.governor, self.clock = governor_over(
            self.bundle, leases=leases, seed=b"desk", start=start, store=store
        )
        self.core = self.governor.core
        self._mission = ""
        self._sessions: dict[tuple[str, str, str], str] = {}

    @classmethod
    def over(cls, core: Core, clock: VirtualClock) -> "Desk":
        """The desk of a store that has a bundle in force."""
        desk = cls.__new__(cls)
        desk.core, desk.clock = core, clock
        desk.bundle = core.write(lambda turn: turn.bundle)
        desk.governor = Governor.over(core, desk.bundle)
        desk._mission, desk._sessions = "", {}
        return desk

    # --- people ---------------------------------------------------------------------------------

    def ask(self, call: calls.Call, caller: Caller = ANYONE) -> Reply:
        return self.governor.handle(caller, self.proved(call))

    @property
    def runs(self) -> dict[str, tuple[Holder, str]]:
        """Each session's key and grant, by its handle."""
        return self.__dict__.setdefault("_runs", {})

    def proved(self, call: calls.Call) -> calls.Call:
        """The call with a fresh proof by its session's key, as every client sends it."""
        if not isinstance(call, PROVED) or call.proof is not None or call.session not in self.runs:
            return call
        holder, grant = self.runs[call.session]
        proof = holder.prove(call, self.core.instance, grant, time_ms=self.core.clock.wall())
        return msgspec.structs.replace(call, proof=proof)

    def hand_on(self, to: str = "scout", session: str = "", **caveats: Any) -> tuple[str, Holder]:
        """Offer part of a session's task. Returns the grant, and the key it is bound to."""
        receiver = caveats.pop("holder", None) or Holder.generate()
        reply = self.done(self.offer(to, receiver, session, **caveats), AGENT)
        assert isinstance(reply, calls.Offered)
        return reply.grant, receiver

    def offer(self, to: str, receiver: Holder, session: str = "", **caveats: Any) -> calls.Offer:
        session = session or self.session()
        holder, leaf = self.runs[session]
        above = self.core.write(lambda turn: grants.chain_of(turn, leaf))
        now = self.clock.now() // 1_000
        given: dict[str, Any] = {
            "details": (Detail("bridle_action", {"note.*": ToolGrant()}),),
            "issued": now,
            "expires": now + 3_600,
            **caveats,
        }
        link = issue.attenuate(above, holder.private, agent=to, holder=receiver.public, **given)
        return calls.Offer(session=session, link=link)

    def accepting(self, grant: str, receiver: Holder, executor: str = "worker") -> calls.Accept:
        bare = calls.Accept(grant=grant, proof=calls.Proof(0, "", ""), executor=executor)
        proof = receiver.prove(bare, self.core.instance, grant, time_ms=self.core.clock.wall())
        return msgspec.structs.replace(bare, proof=proof)

    def taken_up(self, grant: str, receiver: Holder, executor: str = "worker") -> str:
        """The session of whoever accepts an offer."""
        reply = self.done(self.accepting(grant, receiver, executor), AGENT)
        assert isinstance(reply, Opened)
        self.runs[reply.id] = (receiver, reply.grant)
        return reply.id

    def delegated(self, to: str = "scout", session: str = "", **caveats: Any) -> str:
        """The session of an agent that part of a session's task was handed to."""
        return self.taken_up(*self.hand_on(to, session, **caveats))

    def done(self, call: calls.Call, caller: Caller = ANYONE) -> Reply:
        reply = self.ask(call, caller)
        assert not isinstance(reply, Failed), reply
        return reply

    def refused(self, call: calls.Call, caller: Caller = ANYONE) -> str:
        """The code of an operation that did not happen."""
        reply = self.ask(call, caller)
        assert isinstance(reply, Failed), reply
        assert reply.message
        return reply.code

    def rows(self, call: calls.Call) -> list[dict[str, Any]]:
        reply = self.done(call)
        assert isinstance(reply, Listing)
        return reply.rows

    def start_mission(self, template: str = "office", user: str = "ana", prompt: str = "") -> str:
        reply = self.done(calls.StartMission(template=template, user=user, prompt=prompt))
        assert isinstance(reply, Opened)
        return reply.id

    @property
    def mission(self) -> str:
        self._mission = self._mission or self.start_mission()
        return self._mission

    def session(self, agent: str = "clerk", executor: str = "worker", mission: str = "") -> str:
        key = (agent, executor, mission or self.mission)
        if key not in self._sessions:
            self._sessions[key] = self.opened(agent, executor, key[2])
        return self._sessions[key]

    def opened(self, agent: str = "clerk", executor: str = "worker", mission: str = "") -> str:
        """A session of its own, with a key."""
        holder = Holder.generate()
        call = calls.OpenSession(
            mission=mission or self.mission, agent=agent, executor=executor, holder=holder.public
        )
        reply = self.done(call)
        assert isinstance(reply, Opened)
        self.runs[reply.id] = (holder, reply.grant)
        return reply.id

    def keyless(self, agent: str = "clerk", executor: str = "worker", mission: str = "") -> str:
        """A session of its own without a key, as earlier releases opened them."""
        call = calls.OpenSession(mission=mission or self.mission, agent=agent, executor=executor)
        reply = self.done(call)
        assert isinstance(reply, Opened)
        return reply.id

    def answer(
        self,
        approval: str,
        as_user: str = "ben",
        *,
        yes: bool = True,
        digest: str = "",
        args: str = "",
        terms: calls.Terms | None = None,
    ) -> str:
        call = calls.Answer(
            approval=approval, approve=yes, as_user=as_user, digest=digest, args=args, terms=terms
        )
        reply = self.done(call)
        assert isinstance(reply, calls.Done)
        return reply.note

    def activate(self, files: dict[str, str]) -> None:
        """Put another bundle in force, as the operation does once it has read the folder."""
        bundle = bundle_of(files)
        self.core.adopt(bundle)
        by = activation.By(user="ana", method="offline")
        self.core.write(lambda turn: activation.activate(turn, bundle, by))

    # --- agents ---------------------------------------------------------------------------------

    def decide(
        self,
        tool: str,
        key: str,
        args: str | None = None,
        *,
        session: str = "",
        start: bool = False,
        **given: Any,
    ) -> Verdict:
        call = calls.Decide(
            session=session or self.session(),
            tool=tool,
            args=text_of(given) if args is None else args,
            key=key,
            start=start,
        )
        return judged(self.ask(call, AGENT))

    def act(self, tool: str, key: str, **given: Any) -> Verdict:
        """Decide and start."""
        return self.decide(tool, key, start=True, **given)

    def begin(self, action: str, session: str = "") -> Verdict:
        return judged(
            self.ask(calls.Begin(session=session or self.session(), action=action), AGENT)
        )

    def observe(self, attempt: str, outcome: Outcome | str = "ok", session: str = "") -> Release:
        """Report an outcome: an `Outcome`, the name of a kind, or the JSON text of a result."""
        if isinstance(outcome, str) and outcome in set(OutcomeKind):
            outcome = Outcome(OutcomeKind(outcome), output="null" if outcome == "ok" else "")
        elif isinstance(outcome, str):
            outcome = Outcome(OutcomeKind.OK, output=outcome)
        call = calls.Observe(session=session or self.session(), attempt=attempt, outcome=outcome)
        reply = self.ask(call, AGENT)
        assert isinstance(reply, Released), reply
        return reply.release

    def beat(self, attempt: str, session: str = "") -> str:
        """Empty, or the code of the refusal."""
        reply = self.ask(calls.Beat(session=session or self.session(), attempt=attempt), AGENT)
        return reply.code if isinstance(reply, Failed) else ""

    def redeem(
        self, approval: str, *, start: bool = True, session: str = "", action: str = ""
    ) -> Verdict:
        call = calls.Redeem(
            session=session or self.session(), approval=approval, start=start, action=action
        )
        return judged(self.ask(call, AGENT))

    def redeem_result(self, approval: str, session: str = "") -> Release:
        call = calls.Redeem(session=session or self.session(), approval=approval)
        reply = self.ask(call, AGENT)
        assert isinstance(reply, Released), reply
        return reply.release

    # --- time and truth -------------------------------------------------------------------------

    def later(self, ms: int, *, tick: bool = True) -> None:
        self.clock.move_to(self.clock.now() + ms)
        if tick:
            self.governor.tick()

    def leaves(self, kind: str = "") -> list[Leaf]:
        """The records as people read them: without the digests of the rows they speak for."""

        def read(turn: Any) -> list[Leaf]:
            found = [leaf.parse(stored.data) for stored in turn.tx.leaves()]
            for each in found:
                each.body.pop("rows", None)
                if each.commit:
                    each.body.pop("sealed", None)
            return found

        return [each for each in self.core.write(read) if not kind or each.kind == kind]

    def pseudonym(self, action: str) -> str:
        """The name of an action in the ledger."""
        return self.core.write(lambda turn: turn.pseudonym(action))

    def opened_leaf(self, index: int) -> dict[str, str]:
        """The sealed values of a leaf."""

        def read(turn: Any) -> dict[str, str]:
            stored = next(turn.tx.leaves(index, index + 1))
            found = opener(self.core.keyring, turn.tx)(stored, leaf.leaf_hash(stored.data))
            return {name: value.decode() for name, (_, value) in found.items()}

        return self.core.write(read)

    def used(self, budget: str) -> Decimal:
        """What all windows of a budget hold."""
        rows = self.core.write(lambda turn: turn.tx.find(BudgetRow, mission=self.mission))
        return Decimal(sum(row.used for row in rows if row.name == budget)) / 10_000

    def action(self, verdict: Verdict) -> ActionRow:
        row = self.core.write(lambda turn: turn.tx.get(ActionRow, verdict.action))
        assert row is not None
        return row

    def attempt(self, attempt: str) -> AttemptRow:
        row = self.core.write(lambda turn: turn.tx.get(AttemptRow, attempt))
        assert row is not None
        return row

    def hold(self, approval: str) -> HoldRow:
        row = self.core.write(lambda turn: turn.tx.get(HoldRow, approval))
        assert row is not None
        return row

    def exception(self, exception: str) -> ExceptionRow:
        row = self.core.write(lambda turn: turn.tx.get(ExceptionRow, exception))
        assert row is not None
        return row

    def verified(self) -> None:
        """The log is whole, every record follows the one before, and every seal opens."""

        def check(turn: Any) -> Any:
            opened = opener(self.core.keyring, turn.tx)
            return verify_log(turn.tx.leaves(), turn.tx.frontier(), opener=opened)

        report = self.core.write(check)
        assert report.ok, report.findings
        self.witnessed()

    def witnessed(self) -> None:
        """Every row is what the log says of it."""

        def look(turn: Any) -> list[Flaw]:
            marker = self.core.marker
            return every_difference(turn.tx, marker) + live(turn.tx, marker, turn.tx.leaves())[0]

        assert self.core.write(look) == []


def judged(reply: Reply) -> Verdict:
    assert isinstance(reply, Judged), reply
    return reply.verdict


def codes(found: Verdict | Release) -> list[str]:
    return [reason.code.value for reason in found.reasons]


def said(found: Verdict | Release) -> tuple[str, list[str]]:
    """Effect and reason codes at a glance."""
    return found.effect.value, codes(found)


def plain(value: Any) -> Any:
    return msgspec.to_builtins(value)
