"""Runs of agents with keys of their own, for tests of what they hand on and what is taken back."""

from typing import Any

from msgspec import structs

from bridle.model import calls
from bridle.model.calls import Failed, Fenced, Offered, Opened
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.verdict import Release, Verdict
from bridle.trust.grants.chain import Chain, read
from bridle.trust.grants.claims import DETAIL_TYPE, Detail, ToolGrant
from bridle.trust.grants.issue import attenuate
from bridle.trust.holder import Holder
from governor.desk import AGENT, FILES, Desk, codes, judged, text_of

EVERYTHING = '@id("any") permit (principal, action, resource);'
HANDING = {**FILES, "governance/any.dw": EVERYTHING}

EMBEDDED = calls.Caller(operator=True, method="embedded")


class Run:
    """One run of an agent: its key, its session, its chain."""

    def __init__(self, desk: Desk, agent: str, holder: Holder, opened: Opened) -> None:
        self.desk, self.agent, self.holder = desk, agent, holder
        self.handle, self.grant = opened.id, opened.grant
        self.chain: Chain = read(opened.chain)

    def ask(self, call: Any) -> calls.Reply:
        now = self.desk.clock.now()
        proof = self.holder.prove(call, self.desk.core.instance, self.grant, time_ms=now)
        return self.desk.ask(structs.replace(call, proof=proof), AGENT)

    def decide(
        self, tool: str, key: str, *, start: bool = False, requester: str = "", **args: Any
    ) -> Verdict:
        call = calls.Decide(
            session=self.handle,
            tool=tool,
            args=text_of(args),
            key=key,
            start=start,
            requester=requester,
        )
        return judged(self.ask(call))

    def act(self, tool: str, key: str, **args: Any) -> Verdict:
        return self.decide(tool, key, start=True, **args)

    def begin(self, action: str) -> Verdict:
        return judged(self.ask(calls.Begin(session=self.handle, action=action)))

    def redeem(self, approval: str, *, start: bool = True) -> Verdict:
        call = calls.Redeem(session=self.handle, approval=approval, start=start)
        return judged(self.ask(call))

    def beat(self, attempt: str) -> str:
        return self.desk.beat(attempt, self.handle)

    def observe(self, attempt: str, kind: str = "ok") -> Release:
        output = "null" if kind == "ok" else ""
        outcome = Outcome(OutcomeKind(kind), output=output)
        return self.desk.observe(attempt, outcome, self.handle)

    def revoke(self, grant: str) -> Fenced | str:
        """What was answered, or the code of the refusal."""
        reply = self.desk.ask(calls.RevokeGrant(session=self.handle, grant=grant), AGENT)
        if isinstance(reply, Failed):
            return reply.code
        assert isinstance(reply, Fenced)
        return reply

    def link(
        self, agent: str, holder: Holder, tools: tuple[str, ...] = ("*",), lasts_s: int = 3_600
    ) -> str:
        now = self.desk.clock.now() // 1_000
        return attenuate(
            self.chain,
            self.holder.private,
            agent=agent,
            holder=holder.public,
            details=[Detail(DETAIL_TYPE, {tool: ToolGrant() for tool in tools})],
            issued=now,
            expires=now + lasts_s,
        )

    def offer(self, link: str) -> Offered | str:
        reply = self.desk.ask(calls.Offer(session=self.handle, link=link), AGENT)
        if isinstance(reply, Failed):
            return reply.code
        assert isinstance(reply, Offered)
        return reply

    def hand(self, agent: str, tools: tuple[str, ...] = ("*",), lasts_s: int = 3_600) -> "Run":
        """Hand on, and have it taken up."""
        holder = Holder.generate()
        offered = self.offer(self.link(agent, holder, tools, lasts_s))
        assert isinstance(offered, Offered), offered
        taken = take_up(self.desk, agent, holder, offered.grant)
        assert isinstance(taken, Run), taken
        return taken


def take_up(desk: Desk, agent: str, holder: Holder, grant: str) -> Run | str:
    """Accept an offer: the run it opens, or the code of the refusal."""
    call = calls.Accept(grant=grant, proof=calls.Proof(0, "", ""), executor="worker")
    proof = holder.prove(call, desk.core.instance, grant, time_ms=desk.clock.now())
    call = calls.Accept(grant=grant, proof=proof, executor="worker")
    reply = desk.ask(call, AGENT)
    if isinstance(reply, Failed):
        return reply.code
    assert isinstance(reply, Opened)
    return Run(desk, agent, holder, reply)


def begin_run(desk: Desk, agent: str = "clerk", mission: str = "") -> Run:
    """Open a session with a key."""
    holder = Holder.generate()
    call = calls.OpenSession(
        mission=mission or desk.mission, agent=agent, executor="worker", holder=holder.public
    )
    reply = desk.done(call)
    assert isinstance(reply, Opened)
    return Run(desk, agent, holder, reply)


def revoke(desk: Desk, kind: str, subject: str, as_user: str = "ana", **more: Any) -> Fenced:
    reply = desk.done(calls.Revoke(kind=kind, subject=subject, as_user=as_user, **more))
    assert isinstance(reply, Fenced)
    return reply


def denied(verdict: Verdict) -> str:
    """The code of a denial, empty for anything else."""
    return codes(verdict)[0] if verdict.effect == "deny" else ""
