"""A governor, runs of agents that hold keys and hand work on, and a sink of what took effect."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from bridle.model import calls
from bridle.model.calls import Caller, Fenced, Listing, Offered, Opened, Reply
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.verdict import Verdict
from bridle.trust.credential import Credential
from bridle.trust.grants import chain, issue
from bridle.trust.grants.chain import Chain
from bridle.trust.grants.claims import DETAIL_TYPE, Detail, Predicate, ToolGrant
from bridle.trust.holder import Holder
from governor.desk import ANYONE, HOUR, Desk, changed, judged, text_of

SOCKET = Caller(operator=False, method="peer:1001", uid=1001)
OPERATOR = Caller(operator=True, method="peer:1000", uid=1000)
HANDING_ON = '@id("all") permit (principal, action, resource);\n'
ANYTHING = (Detail(DETAIL_TYPE, {"*": ToolGrant()}),)
NOTES = (Detail(DETAIL_TYPE, {"note.*": ToolGrant()}),)

CREW = '[agents.digger]\nowner = "ana"\n[agents.porter]\nowner = "ana"\n'
FILES = changed(
    ("agents.toml", "[agents.scout]", CREW + "[agents.scout]"),
    ("missions.toml", '["clerk", "scout"]', '["clerk", "scout", "digger", "porter"]'),
    ("governance/handing.dw", "", HANDING_ON),
)


def edited(*edits: tuple[str, str, str]) -> dict[str, str]:
    """The office's files with texts replaced: `(file, old, new)`; an empty old one adds."""
    files = dict(FILES)
    for name, old, new in edits:
        assert old in files.get(name, ""), f"{old!r} is not in {name}"
        text = files.get(name, "")
        files[name] = text.replace(old, new) if old else text + new
    return files


def only(tool: str, **args: Predicate) -> tuple[Detail, ...]:
    """One tool, with these predicates (none: any arguments)."""
    return (Detail(DETAIL_TYPE, {tool: ToolGrant(args or None)}),)


class Office:
    """The desk's governor. `ran` is the sink: whatever took effect, in order."""

    def __init__(self, files: Mapping[str, str] = FILES, **given: Any) -> None:
        self.desk = Desk(dict(files), **given)
        self.ran: list[tuple[str, str, dict[str, Any]]] = []
        self._numbers = itertools.count()

    @property
    def now_s(self) -> int:
        """The governor's clock, seconds."""
        return self.desk.clock.now() // 1_000

    def number(self) -> str:
        """A key no action had before."""
        return f"n{next(self._numbers)}"

    def opening(self, agent: str, holder: Holder, by: Credential | None = None) -> Reply:
        """What is answered to an opening of a session for this key, certified by the agent's."""
        certificate = by.certify(self.desk.core.store_id, holder.public) if by else ""
        call = calls.OpenSession(
            mission=self.desk.mission,
            agent=agent,
            executor="worker",
            holder=holder.public,
            certificate=certificate,
        )
        return self.desk.ask(call, OPERATOR)

    def run(self, agent: str = "clerk", by: Credential | None = None) -> Run:
        """A run of an agent of the mission, with a key of its own."""
        holder = Holder.generate()
        reply = self.opening(agent, holder, by)
        assert isinstance(reply, Opened), reply
        return Run(self, agent, holder, reply)

    def revoke(self, kind: str, subject: str, as_user: str = "ana", *, preview: bool = False
               ) -> Fenced:  # fmt: skip
        """Revoke something."""
        call = calls.Revoke(kind=kind, subject=subject, as_user=as_user, preview=preview)
        reply = self.desk.done(call, OPERATOR)
        assert isinstance(reply, Fenced)
        return reply


class Run:
    """One run of an agent: its session, its key, its chain."""

    def __init__(self, office: Office, agent: str, holder: Holder, opened: Opened) -> None:
        self.office, self.agent, self.holder = office, agent, holder
        self.session, self.grant, self.texts = opened.id, opened.grant, opened.chain

    @property
    def chain(self) -> Chain:
        """What its chain says."""
        return chain.read(self.texts)

    # --- asking ---------------------------------------------------------------------------------

    def proved(self, call: Any, holder: Holder | None = None, grant: str = "") -> Any:
        """The call with a proof, by its own key and grant unless others are given."""
        desk = self.office.desk
        proof = (holder or self.holder).prove(
            call, desk.core.instance, grant or self.grant, time_ms=desk.clock.now()
        )
        return structs.replace(call, proof=proof)

    def ask(self, call: Any, caller: Caller = SOCKET) -> Reply:
        """Send a call as it is."""
        return self.office.desk.ask(call, caller)

    def decision(self, tool: str, *, start: bool = False, key: str = "", requester: str = "",
                 **args: Any) -> calls.Decide:  # fmt: skip
        """A decision to be asked for, not yet proved."""
        return calls.Decide(
            session=self.session, tool=tool, args=text_of(args), key=key or self.office.number(),
            start=start, requester=requester,
        )  # fmt: skip

    def decide(self, tool: str, *, caller: Caller = SOCKET, **given: Any) -> Verdict:
        """Ask for a decision, proved."""
        return judged(self.ask(self.proved(self.decision(tool, **given)), caller))

    def begin(self, action: str) -> Verdict:
        """Start what was decided, proved."""
        return judged(self.ask(self.proved(calls.Begin(session=self.session, action=action))))

    def redeem(self, held: Verdict, *, start: bool = True) -> Verdict:
        """Go on with what was held, proved."""
        call = calls.Redeem(session=self.session, approval=held.approval, start=start)
        return judged(self.ask(self.proved(call)))

    def take_effect(self, verdict: Verdict, tool: str, args: dict[str, Any]) -> str:
        """Run what a verdict started: into the sink. Returns the code of a denial, or nothing."""
        if not verdict.attempt:
            return verdict.reasons[0].code.value
        self.office.ran.append((self.agent, tool, args))
        outcome = Outcome(OutcomeKind.OK, output='{"body":"x"}' if tool == "note.read" else "null")
        done = calls.Observe(session=self.session, attempt=verdict.attempt, outcome=outcome)
        assert isinstance(self.ask(done), calls.Released)
        return ""

    def act(self, tool: str, *, key: str = "", requester: str = "", **args: Any) -> str:
        """Decide, start, run. Returns the code of a denial, or nothing."""
        verdict = self.decide(tool, start=True, key=key, requester=requester, **args)
        return self.take_effect(verdict, tool, args)

    # --- handing on -----------------------------------------------------------------------------

    def link(self, to: str, key: Holder, details: tuple[Detail, ...] = ANYTHING, **given: Any
             ) -> str:  # fmt: skip
        """A link below its own, signed with its key."""
        now = self.office.now_s
        more = {"issued": now, "expires": now + HOUR // 1_000} | given
        return issue.attenuate(
            self.chain, self.holder.private, agent=to, holder=key.public, details=details, **more
        )

    def offer(self, link: str) -> Reply:
        """Offer a link, proved where the call can be."""
        return self.ask(calls.Offer(session=self.session, link=link))

    def accepted(self, to: str, key: Holder, grant: str) -> Reply:
        """Take an offer up, by whoever's key."""
        call = calls.Accept(
            grant=grant, executor="worker", proof=calls.Proof(time=0, nonce="0" * 32, signature="")
        )
        return self.ask(self.proved(call, key, grant))

    def hand(self, to: str, details: tuple[Detail, ...] = ANYTHING, **given: Any) -> Run:
        """Hand part of the task to another agent, which accepts."""
        key = Holder.generate()
        offered = self.offer(self.link(to, key, details, **given))
        assert isinstance(offered, Offered), offered
        opened = self.accepted(to, key, offered.grant)
        assert isinstance(opened, Opened), opened
        return Run(self.office, to, key, opened)

    def row(self) -> dict[str, Any]:
        """How its grant is shown."""
        listing = calls.Delegations(grant=self.grant, all=True, as_user="ana")
        reply = self.office.desk.done(listing, ANYONE)
        assert isinstance(reply, Listing)
        return reply.rows[0]
