"""I1, I2, I4 and I7 against small models: what may start, who may approve, what is spent.

Each machine keeps books of its own, in a few lines, and compares them with the governor's answers.
"""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridle.model import calls
from bridle.model.action import action_id
from bridle.model.verdict import Verdict
from bridle.store.rows import ActionRow
from governor.books import HARMLESS, LEASE, WAIT, Machine, Start, Work, kind_of, outcome_of
from governor.desk import HOUR, SECOND, START, changed, codes

NAMES = st.sampled_from("ab")
ENDS = st.sampled_from(["ok", "timeout", "unknown", *HARMLESS])


class Attempts(Machine):
    """Payments of 20 that must not run twice without a human, under leases."""

    def books(self) -> None:
        self.work = {name: Work() for name in "ab"}

    def id(self, name: str) -> str:
        return action_id(self.desk.mission, "clerk", "python", name)

    @rule(name=NAMES, start=st.booleans())
    def decide(self, name: str, start: bool) -> None:
        work, now = self.work[name], self.now
        verdict = self.saw(
            self.desk.decide("bank.pay", name, session=self.session, start=start, amount=20)
        )
        if work.done:
            assert verdict.outcome is not None
        elif work.live(now):
            assert codes(verdict) == ["already_started"]
        elif work.hold and work.lifted is None:
            assert (verdict.effect, verdict.approval) == ("hold", work.hold)
        else:
            lifted, work.lifted = work.lifted, None
            doubts = work.doubts(now) - (lifted or frozenset())
            self.judged(work, verdict, allowed=not doubts or work.waits > now)

    def judged(self, work: Work, verdict: Verdict, *, allowed: bool) -> None:
        work.sweep(self.now)
        assert verdict.effect == ("allow" if allowed else "hold"), codes(verdict)
        work.hold = verdict.approval
        if not allowed:
            assert codes(verdict) == ["needs_human"]
            work.waits = 0
        elif verdict.attempt:
            work.started(verdict.attempt, self.now)
        else:
            work.waits = work.waits or self.now + WAIT

    @rule(name=NAMES)
    def begin(self, name: str) -> None:
        work = self.work[name]
        verdict = self.saw(self.desk.begin(self.id(name), self.session))
        if work.waits > self.now:
            assert verdict.attempt, codes(verdict)
            work.started(verdict.attempt, self.now)
        else:
            assert verdict.effect == "deny"
        work.waits = 0

    @precondition(lambda self: any(work.hold for work in self.work.values()))
    @rule(data=st.data(), start=st.booleans())
    def redeem(self, data: st.DataObject, start: bool) -> None:
        held = [name for name, work in self.work.items() if work.hold]
        work = self.work[data.draw(st.sampled_from(held))]
        verdict = self.saw(self.desk.redeem(work.hold, start=start, session=self.session))
        if work.lifted is None:
            assert (verdict.effect, verdict.attempt) == ("hold", "")
            return
        lifted, work.lifted = work.lifted, None
        self.judged(work, verdict, allowed=work.doubts(self.now) <= lifted)

    @precondition(lambda self: any(w.hold and w.lifted is None for w in self.work.values()))
    @rule(data=st.data())
    def approve(self, data: st.DataObject) -> None:
        pending = [name for name, w in self.work.items() if w.hold and w.lifted is None]
        work = self.work[data.draw(st.sampled_from(pending))]
        assert self.desk.answer(work.hold, "ana") == "approved"
        work.lifted = frozenset(cause["id"] for cause in self.desk.hold(work.hold).causes)

    @precondition(lambda self: any(work.starts for work in self.work.values()))
    @rule(data=st.data(), end=ENDS)
    def observe(self, data: st.DataObject, end: str) -> None:
        begun = [name for name, work in self.work.items() if work.starts]
        work = self.work[data.draw(st.sampled_from(begun))]
        start = data.draw(st.sampled_from(work.starts))
        release = self.desk.observe(start.id, outcome_of(end), self.session)
        last = start is work.starts[-1]
        if start.contradicted:
            assert codes(release) == ["needs_human"]
        elif start.end in {"", "unknown"}:
            assert release.effect == ("allow" if last else "deny"), codes(release)
            self.settle(work, start, end)
        elif kind_of(start.end) != kind_of(end):
            assert codes(release) == ["needs_human"]
            if start.end != "ok":
                work.blurred = work.blurred or start.end in HARMLESS
                start.end, start.contradicted, work.waits = "unknown", True, 0

    def settle(self, work: Work, start: Start, end: str) -> None:
        start.end = end
        if start is work.starts[-1]:
            work.waits = 0
            if end == "ok" or end in HARMLESS:
                work.hold, work.lifted = "", None
        elif end in HARMLESS:
            work.blurred = True  # only recorded: the charge stays until the next end

    @rule(ms=st.sampled_from([SECOND, WAIT, LEASE, LEASE - 1]))
    def wait(self, ms: int) -> None:
        self.desk.later(ms, tick=False)

    @rule()
    def tick(self) -> None:
        self.desk.governor.tick()
        for work in self.work.values():
            work.sweep(self.now)
        if not any(work.blurred for work in self.work.values()):
            charged = sum(1 for work in self.work.values() if work.paid or work.waits)
            assert self.desk.used("money") == 20 * charged

    @precondition(lambda self: any(work.live(self.now) for work in self.work.values()))
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        live = [name for name, work in self.work.items() if work.live(self.now)]
        start = self.work[data.draw(st.sampled_from(live))].starts[-1]
        assert self.desk.beat(start.id, self.session) == ""
        start.until = self.now + LEASE

    @rule(name=NAMES)
    def change_the_arguments(self, name: str) -> None:
        if self.desk.core.write(lambda turn: turn.tx.get(ActionRow, self.id(name))) is not None:
            verdict = self.desk.act("bank.pay", name, session=self.session, amount=21)
            assert codes(verdict) == ["args_changed"]


BOARD = ("ben", "cleo", "dora")


class Holds(Machine):
    """The safe, which two of three have to agree to, among kills, expiry and other bundles."""

    def books(self) -> None:
        self.hold, self.action, self.votes = "", "", set[str]()
        self.status, self.expires, self.killed, self.version = "", 0, False, 0
        self.text, self.asked, self.number = "two keys", "", 0

    @rule()
    def ask(self) -> None:
        if self.hold and self.status in {"pending", "approved"} and self.now < self.expires:
            return
        if self.killed:
            return
        self.number += 1
        verdict = self.desk.decide("safe.open", f"k{self.number}", session=self.session, id=1)
        assert verdict.effect == "hold"
        assert verdict.approval != self.hold
        self.hold, self.action, self.status = verdict.approval, verdict.action, "pending"
        self.votes, self.asked = set(), self.text
        self.expires = self.now + 2 * HOUR

    @precondition(lambda self: self.hold)
    @rule(user=st.sampled_from(["ana", "ben", "cleo", "dora"]), yes=st.booleans())
    def vote(self, user: str, yes: bool) -> None:
        call = calls.Answer(approval=self.hold, approve=yes, as_user=user)
        if self.status != "pending" or self.now >= self.expires:
            assert self.desk.refused(call) == "hold_settled"
            return
        if user not in BOARD:
            assert self.desk.refused(call) == "not_an_approver"
            return
        self.votes = self.votes | {user} if yes else self.votes - {user}
        if not yes:
            self.status = "denied"
        elif len(self.votes) >= 2:
            self.status = "approved"
        assert self.desk.answer(self.hold, user, yes=yes) == self.status

    @precondition(lambda self: self.hold)
    @rule()
    def redeem(self) -> None:
        verdict = self.saw(self.desk.redeem(self.hold, session=self.session))
        over = self.now >= self.expires
        if self.status == "denied":
            assert codes(verdict) == ["approval_denied"]
        elif self.status == "used":
            assert verdict.outcome is not None
        elif self.status == "void":
            assert codes(verdict) == ["approval_void"]
        elif over:
            assert codes(verdict) == ["approval_expired"]
        elif self.status == "pending":
            assert (verdict.effect, verdict.attempt) == ("hold", "")
        elif self.killed:
            assert codes(verdict) == ["killed"]
        else:
            assert self.text == self.asked
            assert (verdict.effect, verdict.action) == ("allow", self.action)
            assert verdict.attempt
            self.status = "used"
            self.desk.observe(verdict.attempt, "ok", self.session)

    @rule()
    def switch(self) -> None:
        if self.killed:
            self.desk.done(calls.Unkill(scope="all", as_user="ben"))
        else:
            self.desk.done(calls.Kill(scope="all", as_user="ana"))
            self.voided("pending")
        self.killed = not self.killed

    @rule(related=st.booleans())
    def change_the_bundle(self, related: bool) -> None:
        self.version = (self.version + 1) % 3
        if related:
            self.text = {"two keys": "both keys", "both keys": "two keys"}[self.text]
            self.voided("pending", "approved")
        self.desk.activate(
            changed(
                ("bridle.toml", 'version = "1"', f'version = "v{self.version}"'),
                ("policies/limits.dw", "two keys", self.text),
            )
        )

    def voided(self, *statuses: str) -> None:
        """What is void stays so, whatever is put back later; what has expired has expired."""
        if self.status in statuses and self.now < self.expires:
            self.status = "void"

    @rule(ms=st.sampled_from([SECOND, HOUR, 2 * HOUR]), tick=st.booleans())
    def wait(self, ms: int, tick: bool) -> None:
        if self.now + ms < START + 8 * HOUR:
            self.desk.later(ms, tick=tick)

    @invariant()
    def approvals_are_counted(self) -> None:
        if hasattr(self, "number"):
            approved = len(
                [x for x in self.desk.leaves("approval") if x.body["status"] == "approved"]
            )
            assert len(self.sink) <= approved


class Budgets(Machine):
    """Bells in windows of an hour, payments and tips: exact books under every kind of end."""

    def books(self) -> None:
        self.money, self.bells = Decimal(0), dict[int, int]()
        self.open: dict[str, tuple[str, Decimal, int]] = {}
        self.number, self.began = 0, self.now

    @property
    def window(self) -> int:
        return (self.now - self.began) // HOUR

    @rule(amount=st.decimals(min_value=0, max_value=50, places=4), start=st.booleans())
    def pay(self, amount: Decimal, start: bool) -> None:
        self.number += 1
        name = f"p{self.number}"
        verdict = self.saw(
            self.desk.decide("bank.pay", name, session=self.session, start=start, amount=amount)
        )
        if self.now - self.began >= HOUR:
            assert verdict.effect in {"hold", "deny"}  # the board, or the curfew
        elif self.money + amount > 100:
            assert codes(verdict) == ["budget_exhausted"]
        else:
            assert verdict.effect == "allow"
            self.money += amount
            if start:
                self.open[verdict.attempt] = ("money", amount, 0)
            else:
                again = self.saw(self.desk.begin(verdict.action, self.session))
                self.open[again.attempt] = ("money", amount, 0)

    @rule()
    def ring(self) -> None:
        self.number += 1
        verdict = self.saw(self.desk.act("bell.ring", f"b{self.number}", session=self.session))
        rung = self.bells.get(self.window, 0)
        if rung >= 3:
            assert codes(verdict) == ["budget_exhausted"]
        else:
            assert verdict.attempt
            self.bells[self.window] = rung + 1
            self.open[verdict.attempt] = ("bells", Decimal(1), self.window)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), end=ENDS)
    def observe(self, data: st.DataObject, end: str) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.open)))
        name, amount, window = self.open.pop(attempt)
        self.desk.observe(attempt, outcome_of(end), self.session)
        if end == "not_started" or (end == "no_such_order" and name == "money"):
            if name == "money":
                self.money -= amount
            else:
                self.bells[window] -= 1

    @rule(ms=st.sampled_from([SECOND, HOUR // 2, HOUR]))
    def wait(self, ms: int) -> None:
        if self.now + ms < self.began + 7 * HOUR:
            self.desk.later(ms)

    @invariant()
    def the_books_agree(self) -> None:
        if hasattr(self, "number"):
            assert self.desk.used("money") == self.money <= 100
            assert self.desk.used("bells") == sum(self.bells.values())


MACHINES = [Attempts, Holds, Budgets]


@pytest.mark.parametrize("machine", MACHINES)
def test_books_and_governor_agree(machine: Callable[[], RuleBasedStateMachine]):
    run_state_machine_as_test(
        machine, settings=settings(max_examples=50, stateful_step_count=30, deadline=None)
    )


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("machine", MACHINES)
def test_books_and_governor_agree_for_long(machine: Callable[[], RuleBasedStateMachine], count):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=count(300, 2_000), stateful_step_count=60, deadline=None, print_blob=True
        ),
    )
