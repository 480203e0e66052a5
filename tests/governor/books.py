"""What the machines share: a desk, what was seen to start, and small books of their own."""

from dataclasses import dataclass, field

from hypothesis.stateful import RuleBasedStateMachine, initialize

from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.verdict import Verdict
from governor.desk import FILES, SECOND, Desk

HARMLESS = ("not_started", "no_such_order")
LEASE, WAIT = 30 * SECOND, 5 * SECOND


def outcome_of(end: str) -> Outcome:
    if end in {"ok", "unknown", "not_started"}:
        return Outcome(OutcomeKind(end), output="null" if end == "ok" else "")
    return Outcome(OutcomeKind.ERROR, error=end)


def kind_of(end: str) -> str:
    return outcome_of(end).kind.value if end else ""


class Machine(RuleBasedStateMachine):
    """A desk, a sink where every start is seen, and a last look at the ledger."""

    files = FILES

    @initialize()
    def open(self) -> None:
        self.desk = Desk(self.files)
        self.session = self.desk.session()
        self.sink: list[str] = []
        self.books()

    def books(self) -> None:
        """Open the machine's own books."""
        raise NotImplementedError

    @property
    def now(self) -> int:
        return self.desk.clock.now()

    def saw(self, verdict: Verdict) -> Verdict:
        """I1, I3, I4: a start that is told of is on record, once, under the verdict it had."""
        if verdict.attempt:
            assert verdict.receipt is not None
            leaves = self.desk.leaves()
            decision = leaves[verdict.receipt.index]
            assert decision.ids["action"] == self.desk.pseudonym(verdict.action)
            assert decision.body["effect"] == verdict.effect
            assert verdict.effect.runs
            started = [x.ids["attempt"] for x in leaves if x.kind == "started"]
            assert started.count(verdict.attempt) == 1
            assert verdict.attempt not in self.sink
            self.sink.append(verdict.attempt)
        else:
            assert verdict.lease_ms == 0
        return verdict

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            # I7: no record is missing, doubled or out of place.
            self.desk.verified()
            started = [leaf.ids["attempt"] for leaf in self.desk.leaves("started")]
            assert sorted(started) == sorted(self.sink)
            self.desk.governor.close()


@dataclass
class Start:
    """One attempt: until when it is alive, how it ended, whether two reports of that differed."""

    id: str
    until: int
    end: str = ""
    contradicted: bool = False


@dataclass
class Work:
    """One action: its attempts, a verdict that waits for its start, a request to humans."""

    starts: list[Start] = field(default_factory=list)
    waits: int = 0
    hold: str = ""
    lifted: frozenset[str] | None = None
    # What is charged is the governor's to say: an old report was corrected, or came too late.
    blurred: bool = False

    @property
    def done(self) -> bool:
        return bool(self.starts) and self.starts[-1].end == "ok"

    @property
    def paid(self) -> bool:
        return any(start.end not in HARMLESS for start in self.starts)

    def live(self, now: int) -> bool:
        return bool(self.starts) and not self.starts[-1].end and self.starts[-1].until > now

    def doubts(self, now: int) -> frozenset[str]:
        return frozenset(
            start.id
            for start in self.starts
            if start.end not in HARMLESS and (start.end or start.until <= now)
        )

    def sweep(self, now: int) -> None:
        for start in self.starts:
            if not start.end and start.until <= now:
                start.end = "unknown"
        if self.waits <= now:
            self.waits = 0

    def started(self, attempt: str, now: int) -> None:
        self.starts.append(Start(attempt, now + LEASE))
        self.waits, self.hold, self.lifted = 0, "", None
