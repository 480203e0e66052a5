"""In whatever order things happen: nothing opens beyond its attempt, its time or its authority."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from bridle.model import calls
from bridle.model.calls import Caller, Vended
from bridle.store.rows import AttemptRow, LeaseRow
from governor.credentials.counter import Counter, Valet
from governor.desk import SECOND


class Interleavings(RuleBasedStateMachine):
    """Two agents of one worker; a book of its own says what may still open."""

    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.valet = Valet()
        self.counter = Counter(Path(self.folder.name), valet=self.valet)
        self.crate: Caller = self.counter.as_crate()
        self.agents = {name: self.counter.session(name, "crate") for name in ("clerk", "scout")}
        self.over: set[str] = set()
        self.tokens: dict[str, tuple[str, str]] = {}
        self.gone: set[str] = set()

    def teardown(self) -> None:
        self.valet.down = False
        self.counter.governor.keeper.retry()
        self.counter.done(
            calls.MissionVerb(mission=self.counter.mission, verb="close", as_user="ana")
        )
        self.counter.settled()
        assert not self.valet.opens
        self.counter.verified()
        self.counter.governor.close()
        self.folder.cleanup()

    @rule(target=attempts, agent=st.sampled_from(["clerk", "scout"]))
    def start(self, agent: str) -> tuple[str, str]:
        found = self.counter.judge("crm.find", self.crate, session=self.agents[agent])
        assert bool(found.attempt) == (agent not in self.gone)
        return agent, found.attempt

    @rule(which=attempts, other=st.booleans())
    def vend(self, which: tuple[str, str], other: bool) -> None:
        agent, attempt = which
        asker = {"clerk": "scout", "scout": "clerk"}[agent] if other else agent
        reply = self.counter.vend(attempt, self.crate, self.agents[asker])
        if not isinstance(reply, Vended):
            return
        assert not other
        assert attempt not in self.over
        assert agent not in self.gone
        assert attempt not in self.tokens
        self.tokens[attempt] = (agent, reply.secret["secret"])

    @rule(which=consumes(attempts), kind=st.sampled_from(["ok", "error", "unknown"]))
    def report(self, which: tuple[str, str], kind: str) -> None:
        agent, attempt = which
        self.counter.report(attempt, kind=kind, session=self.agents[agent], caller=self.crate)
        self.over.add(attempt)

    @rule(agent=st.sampled_from(["clerk", "scout"]))
    def revoke(self, agent: str) -> None:
        self.counter.done(calls.Revoke(kind="agent", subject=agent, as_user="ana"))
        self.gone.add(agent)

    @rule(agent=st.sampled_from(["clerk", "scout"]))
    def again(self, agent: str) -> None:
        """A new run of an agent, by the same name: what the former was given stays its own."""
        self.counter._sessions.clear()
        self.agents[agent] = self.counter.opened(agent, "crate")
        self.over |= {a for a, (whose, _) in self.tokens.items() if whose == agent}
        self.gone.discard(agent)

    @rule(seconds=st.sampled_from([1, 10, 29, 61]))
    def wait(self, seconds: int) -> None:
        self.counter.later(seconds * SECOND)

    @rule()
    def outage(self) -> None:
        self.valet.down = not self.valet.down
        if not self.valet.down:
            self.counter.governor.keeper.retry()

    @invariant()
    def nothing_opens_that_should_not(self) -> None:
        self.counter.settled()
        if self.valet.down:
            return
        rows = {row.attempt: row for row in self.counter.leases()}
        for attempt, (agent, token) in self.tokens.items():
            if token in self.valet.opens:
                assert self._stands(agent, attempt, rows[attempt])
        known = {token for _, token in self.tokens.values()}
        assert self.valet.opens <= known

    def _stands(self, agent: str, attempt: str, row: LeaseRow) -> bool:
        state = self.counter.core.write(lambda turn: turn.tx.get(AttemptRow, attempt))
        assert state is not None
        running = state.state == "started" and state.lease > self.counter.clock.now()
        return running and agent not in self.gone and row.expires > self.counter.clock.now()


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
