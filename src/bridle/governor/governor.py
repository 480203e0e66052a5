"""The governor: takes every call, and answers it. The one door to everything below."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bridle.bundle.bundle import Bundle
from bridle.bundle.load import load
from bridle.governor.action import attempts, holds, outcomes, path, standing
from bridle.governor.ground.core import Core
from bridle.governor.ground.opening import Ground, prepare
from bridle.governor.ground.watch import DiskWatch
from bridle.governor.oversight import activation, approvals, humans, missions, operators
from bridle.model import calls
from bridle.model.calls import Caller, Failed, Judged, Listing, Opened, Released, Reply
from bridle.model.errors import BridleError, RefusedError, StoreError
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect, Release, Verdict
from bridle.store.base import Tx

T = TypeVar("T")

_log = logging.getLogger("bridle.governor")

_LONGEST_WAIT_MS = 20_000


class Governor:
    """One governor of one store. Safe for use by many threads.

    `handle` never raises for a call: an action that cannot be judged is denied, any other
    operation that fails is answered with `Failed`.
    """

    def __init__(self, core: Core, *, root: Path | None = None) -> None:
        self._core = core
        self._root = root
        self._watch = DiskWatch(root) if root is not None else None
        if self._watch is not None:
            core.differs = self._watch.differs
        self._answered = threading.Condition()

    @classmethod
    def open(
        cls, bundle: Path | str, *, state: Path | None = None, embedded: bool = False
    ) -> Governor:
        """Open the store of a bundle (made on first use) and stand ready to govern.

        `state` overrides the folder of the store. A store that has no active bundle yet activates
        this one, on record. Raises `BundleError`, `StoreError`.
        """
        ground: Ground = prepare(Path(bundle), state=state, embedded=embedded)
        governor = cls(ground.core, root=ground.root)
        try:
            governor.begin_with(lambda: load(ground.root))
        except BaseException:
            governor.close()
            raise
        return governor

    @classmethod
    def over(cls, core: Core, bundle: Bundle) -> Governor:
        """A governor of a throw-away store and a bundle that is not watched on disk."""
        governor = cls(core)
        governor.begin_with(lambda: bundle)
        return governor

    @property
    def core(self) -> Core:
        """The shared ground, for scenarios and offline judging."""
        return self._core

    def begin_with(self, source: Callable[[], Bundle]) -> None:
        """Activate the bundle if the store has none yet, and settle what an earlier process left open."""
        if not self._core.store.write(lambda tx: self._core.globals(tx).active):
            bundle = source()
            self._core.adopt(bundle)
            self._core.store.write(
                lambda tx: activation.activate(self._core, tx, bundle, by="", method="first-open")
            )
        self.tick()

    def handle(self, caller: Caller, call: calls.Call) -> Reply:
        """Answer one call of an authenticated caller."""
        try:
            if isinstance(call, calls.AgentCall):
                return self._agent(call)
            if not caller.operator:
                raise RefusedError(
                    "this needs the operator's connection",
                    code="operator_only",
                    hint="use the operator socket of this store, as its owner",
                )
            return self._operator(caller, call)
        except StoreError as problem:
            return self._without_store(call, problem)
        except BridleError as problem:
            return Failed(code=problem.code, message=problem.message, hint=problem.hint)
        except Exception:
            # INVARIANT: I2 — whatever goes wrong on the path, the answer is no.
            _log.exception("a call failed: %s", type(call).__name__)
            return _no(call, ReasonCode.INTERNAL, "the governor failed; its log says how")

    def tick(self) -> int:
        """Settle what time has settled: leases, holds, missions. Returns how many."""
        core = self._core

        def settle(tx: Tx) -> int:
            now = core.clock.now()
            return (
                attempts.recover(core, tx, now)
                + holds.expire(core, tx, now)
                + missions.expire(core, tx, now)
            )

        done = core.write(settle)
        if done:
            self._tell()
        return done

    def close(self) -> None:
        """Finish and release the store."""
        self._core.store.close()

    # --- agents ---------------------------------------------------------------------------------

    def _agent(self, call: calls.AgentCall) -> Reply:
        core = self._core
        match call:
            case calls.Decide():
                return Judged(verdict=self._decide(call))
            case calls.Begin():
                return Judged(verdict=core.write(lambda tx: path.begin(core, tx, call)))
            case calls.Observe():
                return Released(release=core.write(lambda tx: outcomes.observe(core, tx, call)))
            case calls.Beat():
                return self._beat(call)
            case calls.ApprovalOf():
                return self._await(call)
            case calls.Redeem():
                found = core.write(lambda tx: approvals.redeem(core, tx, call))
                return (
                    Released(release=found) if isinstance(found, Release) else Judged(verdict=found)
                )
            case calls.ToolsOf():
                return Listing(rows=core.write(lambda tx: self._tools(tx, call)))
            case _:
                raise RefusedError(f"unknown call {type(call).__name__}", code="unknown_call")

    def _decide(self, call: calls.Decide) -> Verdict:
        core = self._core
        latest = core.latest()
        if latest is not None and path.may_relax(latest, call.tool):
            try:
                return core.write(
                    lambda tx: path.decide(core, tx, call, relaxed=True), relaxed=True
                )
            except path.NotRelaxedError:
                pass  # the bundle in force has changed: record it the strict way
        return core.write(lambda tx: path.decide(core, tx, call))

    def _beat(self, call: calls.Beat) -> Reply:
        core = self._core

        def renew(tx: Tx) -> Reason | None:
            return attempts.renew(core, tx, call)

        problem = core.write(renew, relaxed=True)
        if problem is None:
            return calls.Done()
        return Failed(code=problem.code, message=problem.text)

    def _await(self, call: calls.ApprovalOf) -> Reply:
        """Answer how a hold stands; with `wait_ms`, once it is no longer pending or the time is up."""
        core = self._core
        until = time.monotonic() + max(0, min(call.wait_ms, _LONGEST_WAIT_MS)) / 1000
        while True:
            with self._answered:
                row = core.write(lambda tx: approvals.status(core, tx, call), relaxed=True)
                left = until - time.monotonic()
                if row["status"] != holds.PENDING or left <= 0:
                    return Listing(rows=[row])
                self._answered.wait(left)

    def _tools(self, tx: Tx, call: calls.ToolsOf) -> list[dict[str, object]]:
        at = standing.find(self._core, tx, call.session)
        if isinstance(at, Reason):
            raise RefusedError(at.text, code=at.code)
        if at.template is None:
            return []
        rules = {name for name in at.bundle.tools if at.engine.has_release_rules(name)}
        return missions.tools(at.bundle, at.template, rules)

    # --- operators ------------------------------------------------------------------------------

    def _operator(self, caller: Caller, call: calls.Call) -> Reply:
        core = self._core
        match call:
            case calls.StartMission():
                return Opened(id=core.write(lambda tx: missions.start(core, tx, caller, call)).id)
            case calls.AddPrompt():
                core.write(lambda tx: missions.add_prompt(core, tx, caller, call))
            case calls.MissionVerb():
                row = core.write(lambda tx: missions.change(core, tx, caller, call))
                return calls.Done(note=row.status)
            case calls.OpenSession():
                return Opened(
                    id=core.write(lambda tx: missions.open_session(core, tx, caller, call))
                )
            case calls.CloseSession():
                core.write(lambda tx: missions.close_session(core, tx, call))
            case calls.Answer():
                return self._answer(caller, call)
            case calls.Kill():
                return Listing(rows=core.write(lambda tx: operators.kill(core, tx, caller, call)))
            case calls.Unkill():
                core.write(lambda tx: operators.unkill(core, tx, caller, call))
            case calls.IdentityVerb():
                core.write(lambda tx: operators.identity(core, tx, caller, call))
            case calls.Settle():
                core.write(lambda tx: operators.settle(core, tx, caller, call))
            case calls.Activate():
                return self._activate(caller, call)
            case _:
                return self._show(caller, call)
        return calls.Done()

    def _show(self, caller: Caller, call: calls.Call) -> Reply:
        core = self._core
        match call:
            case calls.Missions():
                rows = core.write(lambda tx: missions.listing(core, tx, call))
            case calls.Agents():
                rows = core.write(lambda tx: operators.identities(core, tx, call))
            case calls.Approvals():
                rows = core.write(lambda tx: approvals.listing(core, tx, caller, call))
            case calls.Attempts():
                rows = core.write(lambda tx: operators.attempts(tx, call))
            case calls.Status():
                rows = [core.write(lambda tx: operators.overview(core, tx))]
                rows[0] |= self._on_disk(rows[0]["active"])
            case _:
                raise RefusedError(f"unknown call {type(call).__name__}", code="unknown_call")
        return Listing(rows=rows)

    def _on_disk(self, active: str) -> dict[str, object]:
        if self._watch is None:
            return {"bundle": "", "on_disk": active, "changed": False}
        digest = self._watch.digest()
        return {"bundle": str(self._root), "on_disk": digest, "changed": digest != active}

    def _answer(self, caller: Caller, call: calls.Answer) -> Reply:
        row = self._core.write(lambda tx: approvals.answer(self._core, tx, caller, call))
        self._tell()
        return calls.Done(note=row.status)

    def _activate(self, caller: Caller, call: calls.Activate) -> Reply:
        if self._root is None:
            raise RefusedError("this governor has no bundle on disk", code="no_bundle")
        bundle = load(self._root)
        if bundle.digest != call.digest:
            raise RefusedError(
                "the bundle on disk is not the one you were shown",
                code="digest_differs",
                hint="run `bridle check` again and activate what it shows",
            )
        activation.require_passing(bundle)
        core = self._core
        core.adopt(bundle)

        def job(tx: Tx) -> None:
            # Who may activate is what the bundle in force says, not the new one.
            current = core.engine(tx, core.globals(tx).active).bundle
            who = humans.operator(tx, current, caller, call.as_user)
            activation.activate(core, tx, bundle, by=who, method=caller.method)

        core.write(job)
        if self._watch is not None:
            self._watch.digest()
        return calls.Done(note=bundle.digest)

    # --- failing --------------------------------------------------------------------------------

    def _tell(self) -> None:
        with self._answered:
            self._answered.notify_all()

    def _without_store(self, call: calls.Call, problem: StoreError) -> Reply:
        _log.error("the store did not answer: %s", problem)
        if isinstance(call, calls.Decide | calls.Begin | calls.Redeem):
            self._core.count_lost()
            return _no(call, ReasonCode.STORE_UNAVAILABLE, "the record could not be written")
        return Failed(code=problem.code, message=problem.message, hint=problem.hint)


def _no(call: calls.Call, code: ReasonCode, text: str) -> Reply:
    reason = Reason(code, text)
    if isinstance(call, calls.Observe):
        return Released(release=Release(action="", effect=Effect.DENY, reasons=(reason,)))
    if isinstance(call, calls.Decide | calls.Begin | calls.Redeem):
        return Judged(verdict=Verdict(action="", effect=Effect.DENY, reasons=(reason,)))
    return Failed(code=code, message=text)
