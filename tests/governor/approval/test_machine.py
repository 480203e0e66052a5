"""Approvals racing with edits, exceptions, policy changes, kills, expiries and restarts.

The machine keeps books of its own and says beforehand what the governor has to answer. Whatever
runs has to be justified by them: by votes of distinct humans for exactly these arguments, once, in
time; or by an exception that was not used up.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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

from bridle.governor.governor import Governor
from bridle.governor.ground.chance import SeededChance
from bridle.governor.ground.core import Core, Keys, Setting
from bridle.model import calls
from bridle.model.action import action_id
from bridle.model.calls import Terms
from bridle.model.verdict import Verdict
from bridle.store.sqlite import open_store
from governor.desk import HOUR, SECOND, START, Desk, bundle_of, changed, codes

BOARD = ("ben", "cleo", "dora")
IDS = st.sampled_from([1, 2, 3])
TERMS = st.one_of(
    st.none(),
    st.builds(
        Terms,
        count=st.sampled_from([1, 2]),
        expires_ms=st.sampled_from([0, HOUR]),
        free=st.sampled_from([(), ("id",)]),
    ),
    st.builds(Terms, count=st.just(2), most=st.just({"id": "3"})),
)
ROOMY = ("bridle.toml", "pending_holds = 3", "pending_holds = 1000\npending_holds_mission = 1000")
TEXTS = ("two keys", "both keys")
# What is denied for these says something about the moment; asked again, it is judged again.
PASSING = ("killed", "approval_void")

What = tuple[int, Terms | None]


@dataclass
class Hold:
    """A request to humans: what was asked, what it is about now, and who said yes to what."""

    id: str
    opener: "Work"
    about: What
    expires: int
    votes: dict[str, What] = field(default_factory=dict)
    status: str = "pending"
    edited: bool = False

    @property
    def asked(self) -> int:
        return self.opener.asked

    @property
    def written(self) -> bool:
        """Whether other humans have changed what a vote is about."""
        return self.edited or self.about[1] is not None

    def settle(self, code: str) -> None:
        """It came to nothing; so did, at once, the action that it was opened for."""
        self.status = code.removeprefix("approval_")
        if self.opener.hold == self.id and self.opener.state == "held":
            self.opener.state, self.opener.denied = "denied", code


@dataclass
class Granted:
    """What was granted for the mission, and by whom."""

    hold: Hold
    terms: Terms
    args: int
    expires: int
    used: int = 0
    over: bool = False

    def fits(self, args: int, now: int) -> bool:
        alike = args == self.args or "id" in self.terms.free
        if "id" in self.terms.most:
            alike = 0 <= args <= int(self.terms.most["id"])
        return alike and now < self.expires and self.used < self.terms.count and not self.over


@dataclass
class Work:
    """One action: what was asked, the hold it waits for, and how it stands."""

    asked: int
    hold: str = ""
    state: str = "new"
    denied: str = ""
    bundle: str = ""


class Approvals(RuleBasedStateMachine):
    """One safe with three boxes, opened once two of three have agreed.

    Where the store is in memory, a restart leaves it as it is and forgets everything else.
    """

    on_disk = False

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        Path(self.folder.name).chmod(0o700)
        self.path = Path(self.folder.name, "bridle.db") if self.on_disk else None
        self.restarts = 0
        self.files = changed(ROOMY)
        self.desk = Desk(self.files, store=open_store(self.path))
        self.session = self.desk.session()
        self.holds: dict[str, Hold] = {}
        self.granted: dict[str, Granted] = {}
        self.work: dict[str, Work] = {}
        self.suspended: set[str] = set()
        self.killed, self.text, self.version = False, TEXTS[0], 1
        self.ran: list[str] = []

    @property
    def now(self) -> int:
        return self.desk.clock.now()

    @property
    def bundle(self) -> str:
        return f"{self.text}/{self.version}"

    # --- what the books say -----------------------------------------------------------------------

    def reached(self, hold: Hold) -> bool:
        """Two of the board who may vote now have said yes to what it is about."""
        yes = {u for u, what in hold.votes.items() if what == hold.about}
        return len(yes - self.suspended) >= 2

    def excepting(self, args: int) -> list[str]:
        return [
            name
            for name, granted in self.granted.items()
            if granted.fits(args, self.now) and self.reached(granted.hold)
        ]

    def ready(self, asked: int) -> list[str]:
        return [
            hold.id
            for hold in self.holds.values()
            if hold.asked == asked
            and hold.status == "approved"
            and self.now < hold.expires
            and self.reached(hold)
        ]

    def pending(self, asked: int) -> list[str]:
        return [
            hold.id
            for hold in self.holds.values()
            if hold.asked == asked and hold.status == "pending" and self.now < hold.expires
        ]

    # --- what the governor says -------------------------------------------------------------------

    def judged(self, work: Work, verdict: Verdict) -> None:
        """An action was judged without an approval of its own."""
        if self.killed:
            self.denied(work, verdict, "killed")
        elif names := self.excepting(work.asked):
            (name,) = self.ids_of(verdict, "exceptions")
            assert name in names
            self.granted[name].used += 1
            self.started(work, verdict, work.asked)
        elif names := self.ready(work.asked):
            (name,) = self.ids_of(verdict, "approval")
            assert name in names
            self.redeemed(work, verdict, self.holds[name])
        elif names := self.pending(work.asked):
            assert (verdict.effect, verdict.approval in names) == ("hold", True)
            self.waits(work, verdict.approval)
        else:
            assert (verdict.effect, verdict.attempt) == ("hold", ""), codes(verdict)
            assert verdict.approval not in self.holds
            self.holds[verdict.approval] = Hold(
                verdict.approval, work, (work.asked, None), self.now + 2 * HOUR
            )
            self.waits(work, verdict.approval)

    def waits(self, work: Work, hold: str) -> None:
        work.state, work.hold, work.bundle = "held", hold, self.bundle

    def denied(self, work: Work, verdict: Verdict, code: str) -> None:
        assert (verdict.effect, codes(verdict)) == ("deny", [code])
        work.state, work.denied, work.bundle, work.hold = "denied", code, self.bundle, ""

    def approved(self, work: Work, verdict: Verdict, hold: Hold) -> None:
        """An action was judged with the approval it waited for."""
        if self.killed:
            # It waits on: a kill that is lifted leaves the approval as it was.
            assert codes(verdict) == ["killed"]
        elif not self.reached(hold):
            hold.status = "void"
            self.denied(work, verdict, "approval_void")
        else:
            self.redeemed(work, verdict, hold)

    def redeemed(self, work: Work, verdict: Verdict, hold: Hold) -> None:
        assert hold.status == "approved"
        assert self.now < hold.expires
        hold.status = "used"
        self.started(work, verdict, hold.about[0])

    def started(self, work: Work, verdict: Verdict, args: int) -> None:
        assert verdict.attempt, codes(verdict)
        assert verdict.effect == ("allow" if args == work.asked else "modify")
        assert verdict.args == f'{{"id":{args}}}'
        assert verdict.attempt not in self.ran
        self.ran.append(verdict.attempt)
        work.state = "ok"
        assert self.desk.observe(verdict.attempt, "ok", self.session).effect == "allow"

    def ids_of(self, verdict: Verdict, name: str) -> list[str]:
        assert verdict.receipt is not None, codes(verdict)
        found = self.desk.leaves()[verdict.receipt.index].ids.get(name, "")
        return found.split(",")

    # --- agents -----------------------------------------------------------------------------------

    def decide(self, key: str, asked: int) -> Verdict:
        return self.desk.act("safe.open", key, session=self.session, id=asked)

    @rule(asked=IDS)
    def ask(self, asked: int) -> None:
        key = f"k{len(self.work)}"
        work = self.work[key] = Work(asked)
        self.judged(work, self.decide(key, asked))

    @precondition(lambda self: self.work)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.work)))
        work = self.work[key]
        verdict = self.decide(key, work.asked)
        hold = self.holds.get(work.hold)
        if work.state == "ok":
            assert verdict.outcome is not None
        elif work.state == "denied":
            if work.denied in PASSING or work.bundle != self.bundle:
                self.judged(work, verdict)
            else:
                assert codes(verdict) == [work.denied]
        elif hold is None or hold.status in ("used", "void"):
            self.judged(work, verdict)
        elif hold.status == "denied":
            self.denied(work, verdict, "approval_denied")
        elif hold.status == "expired" or self.now >= hold.expires:
            self.denied(work, verdict, "approval_expired")
        elif hold.status == "approved":
            self.approved(work, verdict, hold)
        else:
            assert (verdict.effect, verdict.approval) == ("hold", hold.id)

    @precondition(lambda self: any(work.hold for work in self.work.values()))
    @rule(data=st.data())
    def redeem(self, data: st.DataObject) -> None:
        waiting = sorted(key for key, work in self.work.items() if work.hold)
        key = data.draw(st.sampled_from(waiting))
        work = self.work[key]
        hold = self.holds[work.hold]
        verdict = self.desk.redeem(hold.id, session=self.session, action=self.id(key))
        if work.state == "ok":
            assert verdict.outcome is not None
        elif hold.status in ("used", "void"):
            assert codes(verdict) == ["approval_void"]
        elif hold.status == "denied":
            assert codes(verdict) == ["approval_denied"]
        elif hold.status == "expired" or self.now >= hold.expires:
            assert codes(verdict) == ["approval_expired"]
        elif hold.status == "approved":
            self.approved(work, verdict, hold)
        else:
            assert (verdict.effect, verdict.attempt) == ("hold", "")

    def id(self, key: str) -> str:
        return action_id(self.desk.mission, "clerk", "python", key)

    # --- humans -----------------------------------------------------------------------------------

    @precondition(lambda self: self.holds)
    @rule(
        data=st.data(),
        user=st.sampled_from(["ana", *BOARD]),
        args=st.one_of(st.none(), IDS),
        terms=TERMS,
        informed=st.booleans(),
    )
    def approve(
        self, data: st.DataObject, user: str, args: int | None, terms: Terms | None, informed: bool
    ) -> None:
        self.vote(self.drawn(data), user, args, terms, informed=informed)

    @precondition(lambda self: any(self.votable()))
    @rule(data=st.data(), args=st.one_of(st.none(), IDS), terms=TERMS)
    def agree(self, data: st.DataObject, args: int | None, terms: Terms | None) -> None:
        """Two of the board come to the same view of a hold that waits, one after the other."""
        hold = data.draw(st.sampled_from(self.votable()), label="hold")
        able = sorted(set(BOARD) - self.suspended)
        self.vote(hold, able[0], args, terms, informed=True)
        if hold.status == "pending":
            self.vote(hold, able[-1], None, None, informed=True)

    def votable(self) -> list[Hold]:
        return [h for h in self.holds.values() if h.status == "pending" and self.now < h.expires]

    def vote(
        self, hold: Hold, user: str, args: int | None, terms: Terms | None, *, informed: bool
    ) -> None:
        call = calls.Answer(
            approval=hold.id,
            approve=True,
            as_user=user,
            digest=self.desk.hold(hold.id).digest if informed else "",
            args=f'{{"id":{args}}}' if args else "",
            terms=terms,
        )
        if (code := self.stops(hold, user)) or (
            code := "digest_missing" if hold.written and not informed and not args else ""
        ):
            assert self.desk.refused(call) == code
            return
        if args or terms:
            # A proposal is complete: without terms it is about this one action.
            hold.edited = hold.edited or bool(args and args != hold.about[0])
            hold.about = (args or hold.about[0], terms)
        hold.votes[user] = hold.about
        hold.status = "approved" if self.reached(hold) else "pending"
        reply = self.desk.done(call)
        assert reply.note == hold.status
        if hold.status == "approved" and hold.about[1] is not None:
            self.grant(hold, hold.about[1])

    def grant(self, hold: Hold, terms: Terms) -> None:
        ends = self.now + terms.expires_ms if terms.expires_ms else START + 8 * HOUR
        rows = self.desk.rows(calls.Exceptions(limit=1000))
        (name,) = [row["id"] for row in rows if row["approval"] == hold.id]
        self.granted[name] = Granted(hold, terms, hold.about[0], min(ends, START + 8 * HOUR))

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), user=st.sampled_from(["ana", *BOARD]))
    def deny(self, data: st.DataObject, user: str) -> None:
        hold = self.drawn(data)
        call = calls.Answer(approval=hold.id, approve=False, as_user=user)
        if code := self.stops(hold, user):
            assert self.desk.refused(call) == code
            return
        assert self.desk.done(call).note == "denied"
        hold.settle("approval_denied")

    def stops(self, hold: Hold, user: str) -> str:
        if user in self.suspended:
            return "suspended"
        if not (hold.status == "pending" and self.now < hold.expires):
            return "hold_settled"
        return "" if user in BOARD else "not_an_approver"

    def drawn(self, data: st.DataObject) -> Hold:
        return self.holds[data.draw(st.sampled_from(list(self.holds)), label="hold")]

    @rule(user=st.sampled_from(["cleo", "dora"]))
    def suspend_or_resume(self, user: str) -> None:
        verb = "resume" if user in self.suspended else "suspend"
        self.desk.done(calls.IdentityVerb(kind="user", id=user, verb=verb, as_user="ana"))
        self.suspended ^= {user}

    @precondition(lambda self: self.granted)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(list(self.granted)))
        granted = self.granted[name]
        call = calls.EndException(exception=name, as_user="ana")
        if granted.over or granted.used >= granted.terms.count:
            assert self.desk.refused(call) == "exception_over"
            return
        reply = self.desk.ask(call)
        assert reply == calls.Done() or self.now >= granted.expires
        granted.over = True

    # --- what happens meanwhile -------------------------------------------------------------------

    @rule()
    def kill_or_resume(self) -> None:
        if self.killed:
            self.desk.done(calls.Unkill(scope="all", as_user="ben"))
        else:
            self.desk.done(calls.Kill(scope="all", as_user="ana"))
            self.void("pending")
        self.killed = not self.killed

    # With one of the board left, no bundle that needs two of them can be activated.
    @precondition(lambda self: len(self.suspended) < 2)
    @rule(related=st.booleans())
    def change_the_bundle(self, related: bool) -> None:
        self.version = 3 - self.version
        if related:
            self.text = TEXTS[1 - TEXTS.index(self.text)]
            self.void("pending", "approved")
            for granted in self.granted.values():
                granted.over = True
        self.files = changed(
            ROOMY,
            ("bridle.toml", 'version = "1"', f'version = "{self.version}"'),
            ("policies/limits.dw", TEXTS[0], self.text),
        )
        self.desk.activate(self.files)

    def void(self, *statuses: str) -> None:
        for hold in self.holds.values():
            if hold.status in statuses and self.now < hold.expires:
                hold.status = "void"

    @rule(ms=st.sampled_from([SECOND, HOUR, 2 * HOUR]), tick=st.booleans())
    def wait(self, ms: int, tick: bool) -> None:
        if self.now + ms < START + 7 * HOUR:
            self.desk.later(ms, tick=tick)
            if tick:
                self.ticked()

    def ticked(self) -> None:
        for hold in self.holds.values():
            if hold.status in ("pending", "approved") and self.now >= hold.expires:
                hold.settle("approval_expired")

    @rule()
    def restart(self) -> None:
        """The store is closed and opened by a governor that knows nothing but what is in it."""
        chance = SeededChance(b"desk" + self.desk.bundle.digest.encode())
        keys = Keys(payload=chance.draw(32), digest=chance.draw(32))
        store = self.desk.core.store
        if self.path is not None:
            self.desk.governor.close()
            store = open_store(self.path)
        self.restarts += 1
        fresh = SeededChance(f"restart {self.restarts}".encode())
        core = Core(store, keys, Setting("offline"), clock=self.desk.clock, chance=fresh)
        # Reading it from the store again would give the same, and takes its time.
        core.adopt(bundle_of(self.files))
        self.desk.core, self.desk.governor = core, Governor.over(core, self.desk.bundle)
        self.ticked()

    # --- always -----------------------------------------------------------------------------------

    @invariant()
    def the_books_agree(self) -> None:
        if not hasattr(self, "granted"):
            return
        rows = {r["id"]: r for r in self.desk.rows(calls.Exceptions(all=True, limit=1000))}
        assert rows.keys() == self.granted.keys()
        for name, granted in self.granted.items():
            assert rows[name]["used"] == granted.used <= granted.terms.count

    def teardown(self) -> None:
        if hasattr(self, "granted"):
            self.desk.verified()
            started = [leaf.ids["attempt"] for leaf in self.desk.leaves("started")]
            assert sorted(started) == sorted(self.ran)
            self.desk.governor.close()
            self.folder.cleanup()


def test_whatever_runs_was_approved_by_humans_who_saw_it():
    run_state_machine_as_test(
        Approvals, settings=settings(max_examples=50, stateful_step_count=30, deadline=None)
    )


class OnDisk(Approvals):
    """The same, with a store that is closed and opened again."""

    on_disk = True


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("machine", [Approvals, OnDisk])
def test_whatever_runs_was_approved_by_humans_who_saw_it_for_long(machine: Any, count: Any):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=count(150, 1_500), stateful_step_count=60, deadline=None, print_blob=True
        ),
    )
