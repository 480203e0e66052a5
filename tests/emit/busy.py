"""A governor that lives through everything records are made of, on a store in a file.

Whatever may hold somebody's data (arguments, results, prompts, keys, reasons, made-up names) is
marked: no event may carry a mark.
"""

from pathlib import Path

from bridle.emit import reading
from bridle.emit.record import Record
from bridle.model import calls
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.store.sqlite import open_store
from governor.desk import HOUR, MINUTE, Desk, changed

MARK = "marked"
FILES = changed(
    ("bridle.toml", "pending_holds = 3", "pending_holds = 30"),
    ("missions.toml", "limit = 100\nunit", "limit = 9000\nunit"),
    (
        "policies/limits.dw",
        "",
        '@id("noted") @enforce("shadow") forbid (principal, action, resource);',
    ),
)
LATER = FILES | {"policies/limits.dw": FILES["policies/limits.dw"].replace("no gossip", "gossip")}


def marked(number: int) -> str:
    """Somebody's data: it looks like a name, so that nothing is left out for its looks."""
    return f"{MARK}-{number}"


def live(database: Path) -> list[Record]:
    """Have everything happen; return the records."""
    store = open_store(database)
    desk = Desk(FILES, store=store)
    prompts(desk)
    judged(desk)
    ended(desk)
    approved(desk)
    overseen(desk)
    desk.governor.close()
    return records(database)


def records(database: Path) -> list[Record]:
    found: list[Record] = []
    while more := reading.page(database, len(found)).records:
        found += more
    return found


def prompts(desk: Desk) -> None:
    desk._mission = desk.start_mission(prompt=marked(1))
    desk.done(calls.AddPrompt(mission=desk.mission, user="ana", prompt=marked(2)))


def judged(desk: Desk) -> None:
    """Every verdict, and requests that yield no tool."""
    desk.decide("note.write", marked(3), text=f"{marked(4)} is a long text")
    desk.decide("note.write", marked(5), text="gossip")
    desk.decide("note.read", marked(6), id=marked(7))
    desk.decide(marked(8), marked(9), body=marked(10))
    desk.decide("note.read", marked(11), args='{"id": ' + marked(12))
    desk.decide("bank.pay", marked(13), amount=55)
    desk.decide("safe.open", "safe", id=1)


def ended(desk: Desk) -> None:
    """Every outcome and release."""
    for number, result in enumerate(
        (f'{{"body":"{marked(20)}"}}', f'{{"body":"a","pin":"{marked(21)}"}}', '{"body":"burnt"}')
    ):
        verdict = desk.act("note.read", f"read {number}", id=number)
        desk.observe(verdict.attempt, result)
    for number, kind in enumerate(("error", "not_started", "unknown")):
        verdict = desk.act("note.index", f"index {number}", depth=number)
        outcome = Outcome(
            OutcomeKind(kind), error="disk_full" * (kind == "error"), message=marked(22)
        )
        desk.observe(verdict.attempt, outcome)
    lost = desk.act("note.write", "lost", text="short")
    desk.decide("bank.tip", "never started", amount=1)
    desk.later(2 * MINUTE)
    call = calls.Settle(
        attempt=lost.attempt, outcome=Outcome(OutcomeKind.OK, message=marked(23)), as_user="ben"
    )
    desk.done(call)


def approved(desk: Desk) -> None:
    """Answers, an edit, an exception, and a hold that nobody answers."""
    held = desk.decide("bank.pay", "approved", amount=60)
    desk.done(calls.Answer(approval=held.approval, approve=True, as_user="ben", reason=marked(30)))
    desk.observe(desk.redeem(held.approval).attempt)
    held = desk.decide("bank.pay", "edited", amount=61)
    desk.answer(held.approval, args='{"amount":52}')
    held = desk.decide("bank.pay", "excepted", amount=62)
    desk.answer(held.approval, terms=calls.Terms(count=2, most={"amount": "70"}))
    desk.decide("bank.pay", "by exception", amount=62)
    held = desk.decide("bank.pay", "refused", amount=95)
    desk.answer(held.approval, yes=False)
    desk.decide("safe.open", "ignored", id=2)
    desk.later(3 * HOUR)


def overseen(desk: Desk) -> None:
    """What humans do: stop and lift, suspend and retire, activate, end."""
    desk.done(calls.Kill(scope="agent", subject="clerk", reason=marked(40), as_user="ana"))
    desk.decide("note.read", "killed", id=1)
    desk.done(calls.Unkill(scope="agent", subject="clerk", as_user="ben"))
    for verb in ("suspend", "resume", "retire"):
        desk.done(calls.IdentityVerb(kind="agent", id="scout", verb=verb, as_user="ana"))
    desk.done(calls.IdentityVerb(kind="user", id="dora", verb="suspend", as_user="ana"))
    desk.activate(LATER)
    for verb in ("suspend", "resume", "close"):
        desk.done(calls.MissionVerb(mission=desk.mission, verb=verb, as_user="ana"))
    erased(desk)
    desk.core.count_lost("store_full")
    desk.core.write(lambda turn: turn.now)


def erased(desk: Desk) -> None:
    """What was sealed goes: of one record, then of the mission, whose ends are all known."""
    for row in desk.rows(calls.Attempts()):
        outcome = Outcome(OutcomeKind.NOT_STARTED)
        desk.done(calls.Settle(attempt=row["id"], outcome=outcome, as_user="ben"))
    sealed = next(n for n, each in enumerate(desk.leaves()) if "args" in each.commit)
    desk.done(calls.Redact(record=sealed, fields=("args",), basis=marked(50), as_user="ana"))
    desk.done(calls.Redact(mission=desk.mission, basis=marked(51), as_user="ana"))
