"""I4, I8: budgets of missions, agents and users against books of their own, row by row.

The machine knows nothing of rows, keys and records: it keeps, for each step of work, what each
payer ought to have paid for it, and compares the sums with the store's rows and the ledger's.
"""

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridle.model import calls
from bridle.model.calls import Observe
from bridle.model.verdict import Verdict
from bridle.store.rows import BudgetRow
from bridle.store.sqlite import open_store
from governor.books import LEASE, WAIT, Start, outcome_of
from governor.desk import AGENT, HOUR, SECOND, START, Desk, changed, codes

SCALE = 10_000
HARMLESS = ("not_started", "refused")
OLD_TIPS = 'limit = 10\nunit = "EUR"\nmeasure = { "bank.tip" = "input.amount" }\nhold = ["leads"]'
TIPS = '{}\nlimit = {}\nwindow = "{}"\nmeasure = {{ "bank.tip" = "input.amount" }}\n{}\n'

Payer = tuple[str, str, int]


def files_of(agent: str) -> dict[str, str]:
    return changed(
        ("bridle.toml", "pending_holds = 3", "pending_holds = 500"),
        ("missions.toml", OLD_TIPS, 'limit = 100\nmeasure = { "bank.tip" = "input.amount" }'),
        ("agents.toml", "[workloads.worker]\n", "[workloads.worker]\nreports_use = true\n"),
        ("agents.toml", "", TIPS.format("[users.ana.budgets.tips]", 150, "1h", "")),
        ("agents.toml", "", TIPS.format("[users.ben.budgets.tips]", 60, "1h", "")),
        ("agents.toml", "", agent),
    )  # fmt: skip


BUNDLES = [
    files_of(TIPS.format("[agents.clerk.budgets.tips]", 120, "2h", 'hold = ["leads"]')),
    files_of(""),
]
ENDS = st.sampled_from(["ok", "timeout", "unknown", *HARMLESS])


@dataclass
class Step:
    """One action: what it costs, what was paid for it by whom, and where it stands."""

    key: str
    place: int
    amount: int
    paid: Counter[Payer] = field(default_factory=Counter)
    starts: list[Start] = field(default_factory=list)
    action: str = ""
    waits: int = 0
    bundle: int = 0
    hold: str = ""
    expires: int = 0
    lifted: int | None = None
    # The bundle under which nobody answered in time: asked again under it, that stays the answer.
    unanswered: int = -1

    @property
    def done(self) -> bool:
        return bool(self.starts) and self.starts[-1].end == "ok"

    @property
    def live(self) -> bool:
        return bool(self.starts) and not self.starts[-1].end

    @property
    def idle(self) -> bool:
        return not (self.done or self.live or self.waits or self.hold)

    @property
    def doubt(self) -> bool:
        return any(start.end not in HARMLESS for start in self.starts)

    def paid_by(self, payer: Payer) -> int:
        return sum(v for (kind, name, _), v in self.paid.items() if (kind, name) == payer[:2])


class SharedBudgets(RuleBasedStateMachine):
    """Tips in three missions of two users by two agents, in windows, with every kind of end."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "bridle.db"
        self.desk = Desk(BUNDLES[0], store=open_store(self.file))
        missions = [self.desk.start_mission(user=user) for user in ("ana", "ana", "ben")]
        self.places = [
            (self.desk.opened(agent, mission=mission), mission, agent, user)
            for mission, user in zip(missions, ("ana", "ana", "ben"), strict=True)
            for agent in ("clerk", "scout")
        ]
        self.steps: list[Step] = []
        self.bundle = 0

    @property
    def now(self) -> int:
        return self.desk.clock.now()

    # --- the books ------------------------------------------------------------------------------

    def payers(self, step: Step) -> list[tuple[Payer, int, bool]]:
        """Who pays for a step now: with their limit, and whether humans may let it be overdrawn."""
        _, mission, agent, user = self.places[step.place]
        hour, two = self.now // HOUR * HOUR, self.now // (2 * HOUR) * 2 * HOUR
        found = [
            (("mis", mission, 0), 100 * SCALE, False),
            (("user", user, hour), (150 if user == "ana" else 60) * SCALE, False),
        ]
        if agent == "clerk" and self.bundle == 0:
            found.append((("agent", agent, two), 120 * SCALE, True))
        return found

    def used(self) -> Counter[Payer]:
        total = Counter[Payer]()
        for step in self.steps:
            total.update(step.paid)
        return total

    def due(self, step: Step) -> tuple[dict[Payer, int], int, bool]:
        """What each payer still owes for a step, how far that overdraws the clerk, and whether
        somebody cannot pay whom nobody may help."""
        used, owed, overdraft, broke = self.used(), {}, 0, False
        for payer, limit, helped in self.payers(step):
            need = step.amount - step.paid_by(payer)
            if need <= 0:
                continue
            owed[payer] = need
            missing = need - max(limit - used[payer], 0)
            if missing > 0 and helped:
                overdraft = missing
            elif missing > 0:
                broke = True
        return owed, overdraft, broke

    def judged(self, step: Step, verdict: Verdict, *, lifted: int = -1) -> None:
        """Enter a fresh verdict. `lifted` is by how much the clerk may be overdrawn (-1: nobody
        was asked, so that earlier attempts stand in the way as well)."""
        owed, overdraft, broke = self.due(step)
        step.action, step.hold, step.lifted, step.unanswered = verdict.action, "", None, -1
        if broke:
            assert codes(verdict)[:1] == ["budget_exhausted"], codes(verdict)
        elif overdraft > max(lifted, 0) or (step.doubt and lifted < 0):
            assert verdict.effect == "hold", codes(verdict)
            step.hold, step.expires = verdict.approval, self.now + 2 * HOUR
            step.bundle = self.bundle
            causes = self.desk.hold(verdict.approval).causes
            asked = {c["id"]: c["amount"] for c in causes if c["kind"] == "budget"}
            if overdraft > max(lifted, 0):
                assert asked == {"agent/tips": overdraft}
        else:
            assert verdict.effect == "allow", codes(verdict)
            step.paid.update(owed)
            self.started(step, verdict)

    def started(self, step: Step, verdict: Verdict) -> None:
        if verdict.attempt:
            step.starts.append(Start(verdict.attempt, self.now + LEASE))
            step.waits = 0
        else:
            step.waits, step.bundle = self.now + WAIT, self.bundle

    def refunded(self, step: Step) -> None:
        step.paid, step.waits = Counter(), 0

    def sweep(self) -> None:
        for step in self.steps:
            if step.live and step.starts[-1].until <= self.now:
                step.starts[-1].end = "unknown"
            if step.waits and step.waits <= self.now:
                self.refunded(step)
            if step.hold and step.expires <= self.now:
                step.hold, step.lifted, step.unanswered = "", None, step.bundle

    def picked(self, data: st.DataObject, fits: Callable[[Step], object]) -> Step:
        return data.draw(st.sampled_from([step for step in self.steps if fits(step)]))

    # --- what happens ---------------------------------------------------------------------------

    def ask(self, step: Step, *, start: bool) -> Verdict:
        amount = Decimal(step.amount) / SCALE
        session = self.places[step.place][0]
        return self.desk.decide("bank.tip", step.key, session=session, start=start, amount=amount)

    @rule(place=st.integers(0, 5), euros=st.integers(0, 70), start=st.booleans())
    def decide(self, place: int, euros: int, start: bool) -> None:
        number = len(self.steps)
        # No two steps have the same arguments: their holds would be one.
        step = Step(f"s{number}", place, euros * SCALE + number)
        verdict = self.ask(step, start=start)
        self.judged(step, verdict)
        self.steps.append(step)

    @precondition(lambda self: any(step.idle for step in self.steps))
    @rule(data=st.data(), start=st.booleans())
    def ask_again(self, data: st.DataObject, start: bool) -> None:
        step = self.picked(data, lambda step: step.idle)
        verdict = self.ask(step, start=start or bool(step.starts))
        if step.unanswered == self.bundle:
            assert codes(verdict) == ["approval_expired"]
        else:
            self.judged(step, verdict)

    @precondition(lambda self: any(step.live or step.done for step in self.steps))
    @rule(data=st.data())
    def ask_in_vain(self, data: st.DataObject) -> None:
        step = self.picked(data, lambda step: step.live or step.done)
        verdict = self.ask(step, start=True)
        # What a human settled has no result to show.
        refused = codes(verdict) in (["already_started"], ["result_opaque"])
        assert verdict.outcome is not None or refused

    @precondition(lambda self: any(step.waits for step in self.steps))
    @rule(data=st.data())
    def ask_for_what_waits(self, data: st.DataObject) -> None:
        step = self.picked(data, lambda step: step.waits)
        if step.bundle != self.bundle:
            self.refunded(step)
            self.judged(step, self.ask(step, start=False))
        else:
            assert self.ask(step, start=False).effect == "allow"

    @precondition(lambda self: any(step.waits for step in self.steps))
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        step = self.picked(data, lambda step: step.waits)
        verdict = self.desk.begin(step.action, self.places[step.place][0])
        if step.bundle == self.bundle:
            self.started(step, verdict)
            assert verdict.attempt
        else:
            assert codes(verdict) == ["lease_lapsed"]
            self.refunded(step)

    @precondition(lambda self: any(s.live or (s.starts[-1:] and s.starts[-1].end == "unknown")
                                   for s in self.steps))  # fmt: skip
    @rule(data=st.data(), end=ENDS, used=st.none() | st.integers(0, 80), human=st.booleans())
    def end(self, data: st.DataObject, end: str, used: int | None, human: bool) -> None:
        step = self.picked(data, lambda s: s.live or (s.starts and s.starts[-1].end == "unknown"))
        start = step.starts[-1]
        if human and start.end == "unknown" and end != "unknown":
            told = calls.Settle(attempt=start.id, outcome=outcome_of(end), as_user="ana")
            self.desk.done(told)
            used = None
        else:
            report = {} if used is None else {"tips": str(used)}
            session = self.places[step.place][0]
            self.desk.ask(Observe(session=session, attempt=start.id, outcome=outcome_of(end),
                                  used=report), AGENT)  # fmt: skip
        start.end = end
        self.settled(step, None if used is None else used * SCALE)

    def settled(self, step: Step, used: int | None) -> None:
        *earlier, last = step.starts
        doubtful = any(start.end not in HARMLESS for start in earlier)
        if last.end in HARMLESS:
            step.hold, step.lifted = "", None
            if not doubtful:
                self.refunded(step)
        elif last.end in {"ok", "timeout"} and used is not None and not doubtful:
            step.paid = Counter({payer: min(paid, used) for payer, paid in step.paid.items()})
        if last.end == "ok":
            step.hold, step.lifted = "", None

    @precondition(lambda self: any(step.hold and step.lifted is None for step in self.steps))
    @rule(data=st.data())
    def approve(self, data: st.DataObject) -> None:
        step = self.picked(data, lambda step: step.hold and step.lifted is None)
        for user in ("ben", "ana"):
            if self.desk.hold(step.hold).status == "pending":
                self.desk.answer(step.hold, user)
        hold = self.desk.hold(step.hold)
        assert hold.status == "approved"
        step.lifted = sum(c["amount"] for c in hold.causes if c["kind"] == "budget")

    @precondition(lambda self: any(step.lifted is not None for step in self.steps))
    @rule(data=st.data())
    def redeem(self, data: st.DataObject) -> None:
        step = self.picked(data, lambda step: step.lifted is not None)
        session = self.places[step.place][0]
        verdict = self.desk.redeem(step.hold, session=session)
        self.judged(step, verdict, lifted=step.lifted or 0)

    @rule(ms=st.sampled_from([SECOND, WAIT, LEASE, HOUR // 2, HOUR]))
    def wait(self, ms: int) -> None:
        if self.now + ms < START + 7 * HOUR:
            self.desk.later(ms)
            self.sweep()

    @rule()
    def change_the_bundle(self) -> None:
        self.bundle = 1 - self.bundle
        self.desk.activate(BUNDLES[self.bundle])

    @rule()
    def restart(self) -> None:
        before = self.desk
        before.governor.close()
        self.desk = Desk(BUNDLES[0], store=open_store(self.file), start=self.now)
        self.desk.runs.update(before.runs)
        # Its ids go on where those of the run before ended.
        self.desk.core._chance._count = before.core._chance._count + 1_000

    # --- what holds -----------------------------------------------------------------------------

    @invariant()
    def the_books_agree(self) -> None:
        if not hasattr(self, "bundle"):
            return
        rows = self.desk.core.write(lambda turn: turn.tx.find(BudgetRow))
        tips = [row for row in rows if row.name == "tips" and row.used]
        seen = sorted((row.id.split("_")[0], row.window, row.used) for row in tips)
        booked = sorted((kind, window, v) for (kind, _, window), v in self.used().items() if v)
        assert seen == booked
        total = Counter[str]()
        for leaf in self.desk.leaves():
            total.update(leaf.body.get("charged", {}))
            total.subtract(leaf.body.get("returned", {}))
        assert +total == Counter({row.id: row.used for row in rows if row.used})

    @invariant()
    def nobody_is_overdrawn_but_with_approval(self) -> None:
        if hasattr(self, "bundle"):
            for (kind, name, _), used in self.used().items():
                limits = {"mis": 100, "user": 150 if name == "ana" else 60}
                assert used <= limits.get(kind, 10**9) * SCALE

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.desk.verified()
            self.desk.governor.close()
            self.folder.cleanup()


def test_everyone_pays_what_the_books_say():
    run_state_machine_as_test(
        SharedBudgets, settings=settings(max_examples=25, stateful_step_count=30, deadline=None)
    )


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_everyone_pays_what_the_books_say_for_long(count: Callable[[int, int], int]):
    run_state_machine_as_test(
        SharedBudgets,
        settings=settings(
            max_examples=count(80, 1_500), stateful_step_count=60, deadline=None, print_blob=True
        ),
    )
