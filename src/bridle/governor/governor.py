"""The governor: takes every call, and answers it. The one door to everything below."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from msgspec import structs

from bridle.bundle.bundle import Bundle
from bridle.bundle.load import load
from bridle.governor import desk, refusals
from bridle.governor.action import attempts, carrying, holds, outcomes, path, standing
from bridle.governor.action.carrying import Carried
from bridle.governor.approval import answers, exceptions
from bridle.governor.audit.opening import Left
from bridle.governor.credentials import leases
from bridle.governor.credentials.keeper import Keeper
from bridle.governor.credentials.scrubbing import Vended
from bridle.governor.credentials.vending import Vending
from bridle.governor.delegation import dispatching, lapsing, offering
from bridle.governor.ground import clear, proven
from bridle.governor.ground.core import Core
from bridle.governor.ground.opening import Ground, Site, prepare
from bridle.governor.ground.turn import Turn
from bridle.governor.ground.watch import DiskWatch
from bridle.governor.history import entries
from bridle.governor.oversight import activation, approvals, missions, runs, showing
from bridle.governor.oversight.activation import By
from bridle.governor.oversight.scrubbing import Scrubber
from bridle.governor.planning import checking
from bridle.governor.publishing.keys import LogKeys
from bridle.governor.publishing.signed_log import SignedLog, manifest_in_force
from bridle.governor.revocation import revoking
from bridle.model import calls
from bridle.model.calls import Caller, Failed, Judged, Listing, Released, Reply
from bridle.model.errors import BridleError, RefusedError, StoreError
from bridle.model.reason import Reason, ReasonCode
from bridle.model.tool import EffectClass
from bridle.model.verdict import Release, Verdict
from bridle.trust.proof import Challenge

_log = logging.getLogger("bridle.governor")

T = TypeVar("T")

_LONGEST_WAIT_MS = 20_000


class Governor:
    """One governor of one store. Safe for use by many threads.

    `keeper` takes back what was vended; nobody else has to.

    `handle` never raises for a call: an action that cannot be judged is denied, any other
    operation that fails is answered with `Failed`.
    """

    def __init__(self, core: Core, *, ground: Ground | None = None) -> None:
        self._core = core
        self._ground = ground
        self._watch = DiskWatch(ground.root) if ground is not None else None
        self._log = _signed_log(ground) if ground is not None else None
        if self._watch is not None:
            core.differs = self._watch.differs
        self._answered = threading.Condition()
        self._scrubber = Scrubber(core)
        self._vended = Vended()
        self.keeper = Keeper(core)
        self._vending = Vending(core, self.keeper, self._vended)
        self._desk = desk.Desk(
            desk.Office(core, self._scrubber, self._tell, ground, self._watch, self._log)
        )

    @classmethod
    def open(
        cls,
        bundle: Path | str,
        *,
        state: Path | None = None,
        embedded: bool = False,
        site: Site | None = None,
    ) -> Governor:
        """Open the store of a bundle (made on first use) and stand ready to govern.

        `state` overrides the folder of the store, `site` all of where and as whom it runs. A store
        that has no active bundle yet activates this one, on record, if its scenarios pass. Raises
        `BundleError`, `StoreError`.
        """
        where = site if site is not None else Site(state=state)
        ground = prepare(Path(bundle), site=where, embedded=embedded)
        governor = cls(ground.core, ground=ground)
        try:
            governor.begin_with(lambda: _passing(ground))
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
        """Activate the bundle if the store has none, and settle what an earlier process left."""
        bundle = None if self._core.write(lambda turn: turn.globals.active) else source()
        if bundle is not None:
            self._core.adopt(bundle)
        if self._log is not None and self._ground is not None:
            self._begin_logged(self._log, self._ground.left, bundle)
        elif bundle is not None:
            self._core.write(partial(_begin, bundle=bundle))
        self._scrubber.complete()  # what an earlier governor could not
        self.tick()

    def _begin_logged(self, log: SignedLog, left: Left, bundle: Bundle | None) -> None:
        manifest = bundle.manifest if bundle is not None else self._core.write(manifest_in_force)
        first = log.prepare(manifest)

        def begin(turn: Turn) -> None:
            log.begin(turn, first, left, manifest)
            _begin(turn, bundle)
            log.sign(turn)

        self._core.write(begin)
        log.stand()

    def login(self, caller: Caller, call: calls.Login, challenge: Challenge) -> Caller | Failed:
        """Return the caller as what it has proved to be, for the rest of its connection."""
        try:
            return self._core.write(lambda turn: proven.login(turn, caller, call, challenge))
        except BridleError as problem:
            _log.warning("a login of uid %d was refused: %s", caller.uid, problem.code)
            return refusals.failed(problem)

    def distrust(self, caller: Caller, spoken_for: tuple[str, ...]) -> None:
        """Mark these missions' prompts as not their users' own: the caller acts as an agent too."""
        self._core.write(partial(missions.distrust, caller=caller, spoken_for=spoken_for))

    @property
    def instance(self) -> str:
        """What proofs are made for: 32 random bytes of this start, in hex."""
        return self._core.instance

    @property
    def store(self) -> str:
        """The id of the store, by which grants and certificates name this governor."""
        return self._core.store_id

    def lasting(self, tool: str) -> bool:
        """Whether what a tool does may be irreversible, by the bundle last seen in force."""
        latest = self._core.latest()
        known = latest.tools.get(tool) if latest is not None else None
        return known is None or known.effect is EffectClass.IRREVERSIBLE

    def carried(self, verdict: Verdict) -> Carried:
        """Return the tool and the system of what a verdict has started. Raises `BridleError`."""
        return self._core.write(partial(carrying.of_start, verdict=verdict), relaxed=True)

    def handle(self, caller: Caller, call: calls.Call) -> Reply:
        """Answer one call of an authenticated caller."""
        if caller.operator and isinstance(call, calls.AgentCall | calls.Accept | calls.OpenRun):
            # INVARIANT: I9 — whoever acts as an agent is recorded by their uid, at every socket.
            caller = structs.replace(caller, operator=False)
        try:
            return self._answer(caller, call)
        except StoreError as problem:
            return self._without_store(call, problem)
        except BridleError as problem:
            if isinstance(call, refusals.ON_ACTIONS):
                return self._broken(caller, call, problem)
            return refusals.failed(problem)
        except Exception as problem:
            # INVARIANT: I2 — whatever goes wrong on the path, the answer is no.
            return self._broken(caller, call, problem)
        finally:
            self._core.proofs.done(call)

    def _answer(self, caller: Caller, call: calls.Call) -> Reply:
        if not _is_text(call):
            return refusals.no(call, Reason(ReasonCode.MALFORMED, "an id in this call is no text"))
        if isinstance(call, calls.Accept):
            return self._core.write(partial(offering.accept, call=call), caller=caller)
        if isinstance(call, calls.OpenRun):
            return _offered(self._core.write(partial(runs.open_run, call=call), caller=caller))
        if isinstance(call, calls.AgentCall):
            return self._agent(caller, call)
        return self._desk.answer(caller, call)

    def tick(self) -> int:
        """Settle what time has settled: leases, holds, missions. Returns how many."""

        def settle(turn: Turn) -> tuple[int, bool]:
            ended = answers.expire(turn) + exceptions.expire(turn) + missions.expire(turn)
            entries.sweep(turn)
            ended += lapsing.expire(turn)
            return attempts.recover(turn) + ended, leases.are_in_force(turn)

        done, vended = self._core.write(settle)
        if done:
            self._tell()
        if vended:
            self.keeper.wake()
        self._scrubber.retry()
        return done

    def start_keeping(self) -> None:
        """Take back credentials as they end, from now on: first those left by an earlier governor.

        Without it, nothing that is vended here is taken back before its own time is up.
        """
        self.keeper.start()

    def close(self) -> None:
        """Finish and release the store."""
        self.keeper.close()
        try:
            self._scrubber.complete()
            if self._log is not None:
                self._log.end()
        finally:
            if self._core.brokers is not None:
                self._core.brokers.close()
            self._core.store.close()

    # --- agents ---------------------------------------------------------------------------------

    def _agent(self, caller: Caller, call: calls.AgentCall) -> Reply:
        write = partial(self._core.write, caller=caller)
        match call:
            case calls.Decide():
                reply: Reply = Judged(verdict=self._decide(caller, call))
            case calls.Begin():
                reply = Judged(verdict=write(partial(path.begin, call=call)))
            case calls.Observe():
                reply = Released(release=self._observe(caller, call))
            case calls.Vend():
                reply = self._vending.answer(caller, call)
            case calls.Beat():
                reply = self._beat(caller, call)
            case calls.ApprovalOf():
                reply = self._await(caller, call)
            case calls.Redeem():
                reply = _either(write(partial(approvals.redeem, call=call)))
            case calls.Offer():
                reply = _offered(write(partial(offering.offer, call=call)))
            case calls.RevokeGrant():
                reply = write(partial(revoking.revoke_grant, caller=caller, call=call))
                self._tell()
            case calls.CheckPlan():
                reply = calls.Planned(forecast=checking.check(self._core, caller, call))
            case calls.GrantOf() | calls.WorkloadOf() | calls.ToolsOf():
                reply = Listing(rows=write(partial(_listed, call=call)))
            case _:
                raise refusals.unknown(call)
        return reply

    def _decide(self, caller: Caller, call: calls.Decide) -> Verdict:
        write = partial(self._core.write, caller=caller)
        latest = self._core.latest()
        if latest is not None and standing.may_relax(latest, call.tool):
            try:
                return write(partial(path.decide, call=call), relaxed=True)
            except standing.NotRelaxedError:
                pass  # the bundle in force has changed: record it the strict way
        return write(partial(path.decide, call=call))

    def _observe(self, caller: Caller, call: calls.Observe) -> Release:
        try:
            return self._settled(caller, self._vended.scrubbed(call))
        finally:
            if self._vended.concerns(call.attempt):
                self.keeper.wake()

    def _settled(self, caller: Caller, call: calls.Observe) -> Release:
        with self._core.imprints.ahead(self._core.latest_engine(), call.outcome.output):
            return self._reported(caller, call)

    def _reported(self, caller: Caller, call: calls.Observe) -> Release:
        def observe(turn: Turn) -> Release:
            release = outcomes.observe(turn, call)
            if self._vended.concerns(call.attempt):
                leases.end_with(turn, call.attempt)
            return release

        write = partial(self._core.write, observe, caller=caller)
        latest = self._core.latest()
        if latest is not None and latest.manifest.durability == "relaxed":
            try:
                return write(relaxed=True)
            except standing.NotRelaxedError:
                pass  # what was started is no read: only its attempt tells of which tool it is
        return write()

    def _beat(self, caller: Caller, call: calls.Beat) -> Reply:
        problem = self._core.write(partial(attempts.renew, call=call), relaxed=True, caller=caller)
        if problem is None:
            return calls.Done()
        return Failed(code=problem.code, message=problem.text)

    def _await(self, caller: Caller, call: calls.ApprovalOf) -> Reply:
        """Answer how a hold stands; with `wait_ms`, once it is not pending or the time is up."""
        until = time.monotonic() + max(0, min(call.wait_ms, _LONGEST_WAIT_MS)) / 1000
        while True:
            with self._answered:
                row = self._core.write(
                    partial(approvals.status, call=call), relaxed=True, caller=caller
                )
                left = until - time.monotonic()
                if row["status"] != holds.PENDING or left <= 0:
                    return Listing(rows=[row])
                self._answered.wait(left)

    # --- failing --------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Wake whoever waits for what humans do: a hold's answer, the end of authority."""
        self.keeper.wake()
        with self._answered:
            self._answered.notify_all()

    def _without_store(self, call: calls.Call, problem: StoreError) -> Reply:
        _log.error("the store did not answer: %s", problem)
        if isinstance(call, refusals.ON_ACTIONS):
            self._core.count_lost(problem.code)
            text = "the record could not be written"
            return refusals.no(call, Reason(ReasonCode.STORE_UNAVAILABLE, text))
        return refusals.failed(problem)

    def _broken(self, caller: Caller, call: calls.Call, problem: Exception) -> Reply:
        """Say no to what made the governor fail, and put that on record if there is a way."""
        _log.error("a call failed: %s", type(call).__name__, exc_info=problem)
        reason = Reason(ReasonCode.INTERNAL, "the governor failed; its log says how")
        if not isinstance(call, refusals.ON_ACTIONS):
            return refusals.no(call, reason)
        session = call.session
        try:
            verdict = self._core.write(lambda turn: path.fail(turn, session, reason), caller=caller)
        except Exception as again:
            code = again.code if isinstance(again, BridleError) else ReasonCode.INTERNAL
            self._core.count_lost(code)
            return refusals.no(call, reason)
        return Judged(verdict=verdict)


def _listed(
    turn: Turn, call: calls.GrantOf | calls.WorkloadOf | calls.ToolsOf
) -> list[dict[str, Any]]:
    """Answer what an agent's process asks about its own session."""
    if isinstance(call, calls.GrantOf):
        return offering.grant_of(turn, call)
    at = standing.find(turn, call.session)
    if isinstance(at, Reason):
        raise RefusedError(at.text, code=at.code)
    return (
        dispatching.workload_of(turn, call)
        if isinstance(call, calls.WorkloadOf)
        else showing.tools(at)
    )


def _offered(found: calls.Offered | calls.Opened | offering.Refusal) -> Reply:
    """What was turned down stands on record, so its turn is not undone."""
    return refusals.failed(found.problem) if isinstance(found, offering.Refusal) else found


def _either(found: Verdict | Release) -> Reply:
    return Released(release=found) if isinstance(found, Release) else Judged(verdict=found)


def _is_text(call: calls.Call) -> bool:
    """Whether every id of a call can be looked up. Its other words are met where they are used."""
    for name in _ids_of(type(call)):
        value = getattr(call, name)
        if isinstance(value, str) and not clear.is_text(value):
            return False
    return True


@cache
def _ids_of(kind: type[calls.Call]) -> tuple[str, ...]:
    own = {"args", "prompt", "given", "reason", "tool", "key", "adapter"}
    return tuple(name for name in kind.__struct_fields__ if name not in own)


def _begin(turn: Turn, bundle: Bundle | None) -> None:
    if bundle is not None:
        activation.activate(turn, bundle, By(user="", method="first-open"))


def _signed_log(ground: Ground) -> SignedLog:
    return SignedLog(ground.core, LogKeys(ground.place.keys), ground.files)


def _passing(ground: Ground) -> Bundle:
    """The bundle a new store begins with. As for any activation, its scenarios must pass."""
    # The very one whose tools were shown to write elsewhere than to store, keys and bundle.
    bundle = ground.bundle or load(ground.root)
    activation.require_passing(bundle)
    return bundle
