"""What every adapter is held to. Each case asserts at the sink what really happened.

A case takes a trial whose worker does not run yet: `with t.bench.running(t.carrier):` runs it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import bridle
from adapters.conformance.bench import Came
from adapters.conformance.impostor import RUBBISH, impostor
from adapters.conformance.sink import FAILS_ONCE, PIN
from adapters.conformance.trial import Trial, until
from bridle.model import calls
from bridle.trust import context
from server.test_dispatching import OTHER, WORKER

Case = Callable[[Trial], None]
CASES: dict[str, Case] = {}
QUIET = 1.5
"""Seconds within which whatever would happen happens."""
ENDED = {"refused", "held", "undecided", "failed", "waiting"}


def case(title: str) -> Callable[[Case], Case]:
    def named(what: Case) -> Case:
        CASES[title] = what
        return what

    return named


def running(t: Trial) -> AbstractContextManager[object]:
    return t.bench.running(t.carrier)


def ran(t: Trial, reference: str, number: int, **more: Any) -> Came:
    """Run one item to its end."""
    with running(t):
        return t.bench.came(t.bench.submit(reference, number, **more))


@case("allow")
def allow(t: Trial) -> None:
    came = ran(t, t.dispatched(7), 7)
    assert came.kind == "done", came
    assert came.value["page"] == 7
    assert t.numbers() == [7]


@case("deny")
def deny(t: Trial) -> None:
    assert ran(t, t.dispatched(13), 13).kind == "refused"
    time.sleep(QUIET)
    assert t.numbers() == []


@case("not dispatched")
def not_dispatched(t: Trial) -> None:
    assert ran(t, t.dispatched(7), 8).kind == "refused"
    assert t.numbers() == []


@case("modify")
def modify(t: Trial) -> None:
    came = ran(t, t.dispatched(900), 900)
    assert came.kind == "done", came
    assert came.value["page"] == 100
    assert t.numbers() == [100]


@case("held, then approved")
def held_then_approved(t: Trial) -> None:
    native = "held, then approved" not in t.bench.gaps
    with running(t):
        item = t.bench.submit(t.dispatched(66), 66)
        approval = t.approval()
        if not native:
            came = t.bench.came(item)
            assert came.kind == "held"
            assert approval in came.text
        time.sleep(QUIET)
        assert t.numbers() == []
        assert len(t.site.ana.rows(calls.Approvals())) == 1
        t.answer(approval, approve=True)
        if not native:
            t.bench.again(item)
        assert t.bench.came(item).kind == "done"
    assert t.numbers() == [66]


@case("held, the worker dies, then approved")
def held_over_a_restart(t: Trial) -> None:
    with running(t):
        item = t.bench.submit(t.dispatched(66), 66)
        approval = t.approval()
    t.answer(approval, approve=True)
    with running(t):
        if t.bench.gaps:
            t.bench.again(item)
        assert t.bench.came(item).kind == "done"
    assert t.numbers() == [66]


@case("held, then rejected")
def held_then_rejected(t: Trial) -> None:
    with running(t):
        item = t.bench.submit(t.dispatched(66), 66)
        t.answer(t.approval(), approve=False)
        if t.bench.gaps:
            t.bench.again(item)
        assert t.bench.came(item).kind == "refused"
    assert t.numbers() == []


@case("approved, then revoked: begin refused")
def begin_refused(t: Trial) -> None:
    reference = t.dispatched(66)
    with running(t):
        item = t.bench.submit(reference, 66)
        approval = t.approval()
        t.clerk.revoke(context.parse(reference).leaf)
        with suppress(bridle.BridleError):
            t.answer(approval, approve=True)
        if t.bench.gaps:
            t.bench.again(item)
        assert t.bench.came(item).kind == "refused"
    assert t.numbers() == []


@case("one verdict, one start")
def one_start(t: Trial) -> None:
    came = ran(t, t.dispatched(7), 7, deliveries=2)
    assert came.kind == "done", came
    assert t.numbers() == [7]
    assert len(t.attempts()) == 1
    assert t.charged() == 1


@case("retry of idempotent work, charged once")
def retried(t: Trial) -> None:
    came = ran(t, t.dispatched(FAILS_ONCE), FAILS_ONCE, tool="page.put", deliveries=2)
    assert came.kind == "done", came
    # As it would be without Bridle: the first came through, and its answer was lost.
    assert t.sink.seen() == [("page.put", FAILS_ONCE)] * 2
    assert t.charged() == 1


@case("other work never twice without a human")
def never_twice(t: Trial) -> None:
    with running(t):
        item = t.bench.submit(t.dispatched(FAILS_ONCE), FAILS_ONCE, deliveries=2)
        came = t.bench.came(item, within=5.0)
    assert came.kind in ENDED, came
    assert t.numbers() == [FAILS_ONCE]
    assert t.charged() == 1


@case("result redacted")
def redacted(t: Trial) -> None:
    came = ran(t, t.dispatched(7), 7)
    assert came.kind == "done", came
    assert came.value == {"page": 7}
    assert PIN.encode() not in t.bench.stored()


@case("missing delegation")
def missing(t: Trial) -> None:
    assert ran(t, "", 7).kind == "refused"
    assert t.numbers() == []


@case("forged delegation")
def forged(t: Trial) -> None:
    real = context.parse(t.dispatched(7))
    made = context.format(context.Reference(real.mission, real.task, "0" * 64))
    assert ran(t, made, 7).kind == "refused"
    assert t.numbers() == []


@case("another workload")
def another_workload(t: Trial) -> None:
    with bridle.worker(t.folder, credential=OTHER) as other, t.bench.running(other):
        assert t.bench.came(t.bench.submit(t.dispatched(7), 7)).kind == "refused"
    assert t.numbers() == []


@case("revoked while queued")
def revoked_while_queued(t: Trial) -> None:
    reference = t.dispatched(7)
    item = t.bench.submit(reference, 7)
    t.clerk.revoke(context.parse(reference).leaf)
    with running(t):
        assert t.bench.came(item).kind == "refused"
    assert t.numbers() == []


@case("governor down")
def governor_down(t: Trial) -> None:
    reference = t.dispatched(7)
    t.site.stop()
    _nothing_happens(t, reference)


@case("governor slow")
def governor_slow(t: Trial) -> None:
    reference = t.dispatched(7)
    t.site.stop()
    with impostor(t.folder) as silent:
        _nothing_happens(t, reference, lambda: silent.asked)


@case("governor answers rubbish")
def governor_rubbish(t: Trial) -> None:
    reference = t.dispatched(7)
    t.site.stop()
    with impostor(t.folder, RUBBISH) as raving:
        _nothing_happens(t, reference, lambda: raving.asked)


def _nothing_happens(t: Trial, reference: str, asked: Callable[[], object] = lambda: True) -> None:
    with running(t):
        item = t.bench.submit(reference, 7)
        assert until(asked), "the adapter never asked"
        assert t.bench.came(item, within=2 * QUIET).kind in ENDED
    assert t.numbers() == []


@case("ways around the gate")
def bypasses(t: Trial) -> None:
    ways = t.bench.bypasses()
    assert ways
    with running(t):
        for name, way in ways.items():
            with suppress(Exception):
                way()
            assert t.numbers() == [], name
    time.sleep(QUIET)
    assert t.numbers() == []


@case("both identities on record")
def identities(t: Trial) -> None:
    assert ran(t, t.dispatched(7), 7).kind == "done"
    (row,) = t.attempts()
    assert (row["agent"], row["executor"]) == ("clerk", "worker")


@case("a handoff is a delegation")
def handoff(t: Trial) -> None:
    both = {"id": bridle.one_of(7)}
    scout = t.clerk.delegate("scout", tools={"page.get": both, "page.put": both})
    assert ran(t, t.dispatched(7, by=scout), 7).kind == "done"
    assert t.numbers() == [7]
    (row,) = t.attempts()
    assert (row["agent"], row["executor"]) == ("scout", "worker")
    (explained,) = t.site.ana.rows(calls.Explain(action=row["action"]))
    assert explained["line"].startswith("clerk>scout")


@case("no secret is stored")
def no_secret(t: Trial) -> None:
    reference = t.dispatched(7)
    assert ran(t, reference, 7).kind == "done"
    kept = t.bench.stored()
    assert kept
    for secret in (t.clerk._session.handle, WORKER.holder().seed_text()):
        assert secret.encode() not in kept
