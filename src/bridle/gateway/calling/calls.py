"""The way of a `tools/call`: judged and started, sent to the server, its result judged, answered.

One call to the governor before the server sees anything, one before the client does. Whatever goes
wrong on the way, the server is sent nothing, or the client is shown nothing of the result.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

from bridle.client.access import Access
from bridle.client.attempt import gate
from bridle.client.errors import Denied
from bridle.gateway.calling import answers, credentials, repeats
from bridle.gateway.calling.call import Attempt, Call, State, outcome_of
from bridle.gateway.calling.credentials import Credentials
from bridle.gateway.calling.parked import Parked
from bridle.gateway.calling.repeats import Repeats, Waiting
from bridle.gateway.catalogue import Catalogue
from bridle.gateway.wire import message, methods
from bridle.gateway.wire.lines import BrokenPipe, LineWriter
from bridle.gateway.wire.message import Message
from bridle.model.action import action_id
from bridle.model.calls import ApprovalOf, Decide, Failed, Judged, Listing, Redeem, Released
from bridle.model.errors import BridleError, UnreachableError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.verdict import Effect, Release, Verdict

ADAPTER = "mcp"

# What no pin is: for a name that stands for no tool of this mission.
_NO_DEFINITION = "-"
_POLL_SECONDS = 2.0
# Each of them keeps a thread; others are told at once that a human has to be asked.
_MOST_WAITING = 64
# Reports that are on their way to the governor together.
_AT_ONCE = 16


class Calls:
    """Carries out calls of one session. Every method may run in several threads at once.

    `wait` is how many seconds a call may wait for its approval before it is answered. `answered`
    is called with a call right before it is answered (or dropped), `finished` once nothing is left
    to do about it.
    """

    def __init__(  # noqa: PLR0913 - all but one by name
        self,
        access: Access,
        *,
        catalogue: Catalogue,
        client: LineWriter,
        server: LineWriter,
        answered: Callable[[Call], None],
        finished: Callable[[Call], None],
        wait: float = 0.0,
        passes: frozenset[str] = frozenset(),
    ) -> None:
        self._access = access
        self._catalogue = catalogue
        self.credentials = Credentials(access.channel, access.session)
        self._client = client
        self._server = server
        self._answered = answered
        self._finished = finished
        self._wait = wait
        self._passes = passes
        self._repeats = Repeats()
        self._parked = Parked()
        self._bundle = ""
        self._stopping = threading.Event()
        self._seats = threading.BoundedSemaphore(_MOST_WAITING)

    def run(self, call: Call) -> None:
        """Judge a call and, if it may run, send it to the server. Never raises."""
        try:
            self._run(call)
        except BridleError as problem:
            self._refuse(call, answers.not_asked(problem.code, problem.message))
        except Exception as problem:
            # INVARIANT: I2 — whatever goes wrong here, the answer is no.
            self._refuse(call, answers.not_asked("internal", type(problem).__name__))

    def settle(self, call: Call, answer: Message) -> None:
        """Report what came of a call that ran, and show the client what may be shown of it."""
        if "result" in answer.value and methods.needed_by_answer(answer) and self._lets(answer):
            self._park(call, answer)
            return
        release = self._report(call, outcome_of(answer))
        if release is not None:
            self._show(call, release, answer)

    def cancel(self, call: Call) -> bool:
        """The client gave a call up. Return whether the server has to be told."""
        with call.lock:
            told = call.state is State.RUNNING
            call.ends(State.CANCELLED)
        return told

    def cancelled(self, call: Call) -> None:
        """Report a call that was given up while it ran: nobody knows what it did."""
        self._settle_unseen(call, Outcome(OutcomeKind.UNKNOWN, error="cancelled"))
        self._finished(call)

    def late(self, call: Call, answer: Message) -> None:
        """Report what came of a call that had been given up. The client is not told."""
        self._settle_unseen(call, outcome_of(answer))

    def lose(self, calls: Iterable[Call], code: str, why: str) -> None:
        """The ends of running calls will not be known: say so to governor and client."""
        lost = [call for call in calls if call.takes()]
        self._settle_together(lost, Outcome(OutcomeKind.UNKNOWN, error=code))
        # The governor hears of all before a client that does not read can hold any up.
        for call in lost:
            self._refuse(call, answers.lost(why))

    def stop(self) -> None:
        """From here on nothing is sent to the server."""
        self._stopping.set()

    def close(self) -> None:
        """Report the calls that still wait for input: they will not get it."""
        self._abandon(self._parked.all())

    def refresh(self) -> None:
        """Ask anew which tools the mission can use."""
        self._catalogue.reach(self._access.tools())

    # --- before the server sees anything ---------------------------------------------------------

    def _run(self, call: Call) -> None:
        key = self._place(call)
        if key and credentials.occupied(call.message, key):
            # INVARIANT: I9 — a server acts with what it is given for this call, or not at all.
            why = f"the call's own _meta has the place of a credential, {key}"
            self._refuse(call, answers.not_asked("reserved_input", why))
            return
        if call.continues is not None:
            self._continue(call, call.continues)
            return
        until = time.monotonic() + self._wait
        while True:
            waiting = self._repeats.claim(call.sameness) if self._repeats.any else None
            if waiting is not None and waiting.result:
                self._fetch(call, waiting, until)
                return
            verdict, intent = self._judge(call, waiting)
            if verdict.effect is not Effect.HOLD or not verdict.approval:
                break
            kept = Waiting(self._key(intent), verdict.action, verdict.approval)
            self._repeats.keep(call.sameness, kept)
            if not self._approved(call, verdict.approval, until):
                break
        self._act_on(call, verdict, intent, waiting)

    def _judge(self, call: Call, waiting: Waiting | None) -> tuple[Verdict, gate.Intent]:
        key = waiting.key if waiting is not None else repeats.new_key()
        name, definition = self._defined(call.wire)
        decide = Decide(
            session=self._access.session,
            tool=name,
            args=call.args,
            key=key,
            adapter=ADAPTER,
            start=True,
            definition=definition,
        )
        action = action_id(self._access.mission, self._access.agent, ADAPTER, key)
        intent = gate.Intent(decide, action)
        try:
            verdict = gate.judge(self._access.channel, intent)
        except Denied:
            if waiting is not None:
                self._repeats.keep(call.sameness, waiting)
            raise
        self._follow(verdict.bundle)
        return verdict, intent

    def _defined(self, wire: str) -> tuple[str, str]:
        """Return the bundle's name of a tool, and the digest of what the server says of it."""
        known = self._catalogue.tool(wire)
        if known is None:
            self.refresh()
            known = self._catalogue.tool(wire)
        if known is None:
            # INVARIANT: I2 — a name that is not this server's tool is judged (and so recorded) with
            # a definition that no tool has: nothing else of that name can be permitted by it.
            return wire, _NO_DEFINITION
        return known.name, self._catalogue.definition(wire)

    def _key(self, intent: gate.Intent) -> str:
        return intent.call.key if isinstance(intent.call, Decide) else ""

    def _follow(self, bundle: str) -> None:
        """Another bundle is in force: other names may stand for other tools."""
        if bundle and bundle != self._bundle:
            if self._bundle:
                self.refresh()
            self._bundle = bundle

    def _act_on(
        self, call: Call, verdict: Verdict, intent: gate.Intent, waiting: Waiting | None
    ) -> None:
        if not verdict.effect.runs:
            if waiting is not None and repeats.may_go_on(verdict.reasons):
                self._repeats.keep(call.sameness, waiting)
            self._refuse(call, answers.refused(verdict))
        elif verdict.outcome is not None:
            self._repeat(call, verdict.outcome)
        elif not verdict.attempt or verdict.lease_ms < 0:
            self._refuse(call, answers.not_asked("protocol_error", "the governor started nothing"))
        else:
            self._equip(call, Attempt(self._access.channel, intent, verdict), waiting)

    def _equip(self, call: Call, attempt: Attempt, waiting: Waiting | None) -> None:
        """Get a started call what it needs at the server, and send it."""
        key = self._place(call)
        if key:
            attempt.keep_alive()
            try:
                attempt.credential = key, self.credentials.of(attempt.verdict.attempt)
            except BaseException:
                # INVARIANT: I2 — no credential, no call.
                attempt.let_go()
                attempt.abandon()
                if waiting is not None:
                    # Nothing ran, so what humans approved is still to be done.
                    self._repeats.keep(call.sameness, waiting)
                raise
        self._send(call, attempt)

    def _place(self, call: Call) -> str:
        """Return the key of `_meta` that a call's credential goes into; empty: it needs none."""
        known = self._catalogue.tool(call.wire)
        return known.meta if known is not None else ""

    def _send(self, call: Call, attempt: Attempt) -> None:
        """Send a started call to the server, unless it was given up meanwhile."""
        unsent: BrokenPipe | None = None
        with call.lock:
            if call.state is not State.JUDGING or self._stopping.is_set():
                unsent = BrokenPipe(begun=False)
            else:
                call.runs(attempt)
                try:
                    self._server.write(call.line())
                except BrokenPipe as broken:
                    unsent = broken
                    call.ends()
        if unsent is None:
            return
        if not unsent.begun:
            attempt.abandon()
            self._refuse(call, answers.not_asked("server_ended", "the server takes no more calls"))
        else:
            self._settle_unseen(call, Outcome(OutcomeKind.UNKNOWN, error="server_ended"))
            self._refuse(call, answers.lost("The server ended while it was sent this call"))

    def _repeat(self, call: Call, outcome: Outcome) -> None:
        """The action this call goes on with has ended before: its stored result, or none."""
        if outcome.kind is OutcomeKind.OK and outcome.output and not outcome.opaque:
            self._answer(call, message.result(call.message.id, outcome.output.encode()))
        else:
            self._refuse(call, answers.not_told("result_opaque", "its result could not be kept"))

    # --- while humans are asked ------------------------------------------------------------------

    def _approved(self, call: Call, approval: str, until: float) -> bool:
        """Wait until a hold is settled; False when the time is up or nobody waits any more."""
        if time.monotonic() >= until or not self._seats.acquire(blocking=False):
            return False
        call.waits = True
        try:
            return self._settled(call, approval, until)
        finally:
            call.waits = False
            self._seats.release()

    def _settled(self, call: Call, approval: str, until: float) -> bool:
        rounds = 0
        while (left := until - time.monotonic()) > 0:
            if self._stopping.is_set() or call.state is not State.JUDGING:
                return False
            rounds += 1
            self._progress(call, approval, rounds)
            wait_ms = int(min(left, _POLL_SECONDS) * 1000)
            asked = ApprovalOf(session=self._access.session, approval=approval, wait_ms=wait_ms)
            reply = self._access.channel.send(asked)
            if not isinstance(reply, Listing) or not reply.rows:
                return False
            if reply.rows[0]["status"] != "pending":
                return True
        return False

    def _progress(self, call: Call, approval: str, rounds: int) -> None:
        if call.progress_token is None:
            return
        # Small steps: the server's own progress for this call begins later, and higher.
        said = {
            "progressToken": call.progress_token,
            "progress": rounds / 1_000_000,
            "message": f"waiting for a human: approval {approval}",
        }
        self._client.write(message.notification("notifications/progress", said))

    def _fetch(self, call: Call, waiting: Waiting, until: float) -> None:
        """Ask for the result of an earlier call, which a human has to release."""
        asked = Redeem(
            session=self._access.session, approval=waiting.approval, action=waiting.action
        )
        try:
            self._approved(call, waiting.approval, until)
            if call.state is not State.JUDGING:
                # A result is released once, so not to somebody who is gone.
                self._repeats.keep(call.sameness, waiting)
                self._pass(call, b"")
                return
            reply = self._access.channel.send(asked)
        except BridleError as problem:
            self._repeats.keep(call.sameness, waiting)
            self._refuse(call, answers.not_told(problem.code, problem.message))
            return
        if isinstance(reply, Released):
            self._show(call, reply.release, None)
            return
        # The call ran: whatever this is, repeating it has to ask again and not run again.
        self._repeats.keep(call.sameness, waiting)
        if isinstance(reply, Judged):
            reasons = reply.verdict.reasons
            denied = Release(action=waiting.action, effect=Effect.DENY, reasons=reasons)
            self._refuse(call, answers.withheld(denied))
        else:
            code = reply.code if isinstance(reply, Failed) else "protocol_error"
            self._refuse(call, answers.not_told(code, "the governor did not release it"))

    # --- before the client sees anything ---------------------------------------------------------

    def _report(self, call: Call, outcome: Outcome) -> Release | None:
        """Report an outcome; None when that was not possible, and the client has been told so."""
        assert call.attempt is not None
        try:
            return call.attempt.report(outcome)
        except UnreachableError as problem:
            self._refuse(call, answers.not_told(problem.code, problem.message))
        except Exception as problem:
            self._refuse(call, answers.not_told("internal", type(problem).__name__))
        return None

    def _show(self, call: Call, release: Release, answer: Message | None) -> None:
        """Answer with the server's own bytes, the judged result, or why neither passes."""
        # INVARIANT: I3 — what a rule has judged passes as it was judged, and nothing else does.
        if not release.effect.runs:
            if release.effect is Effect.HOLD and release.approval:
                waiting = Waiting("", release.action, release.approval, result=True)
                self._repeats.keep(call.sameness, waiting)
            self._refuse(call, answers.withheld(release))
        elif answer is None or not self._as_it_came(release, answer):
            self._answer(call, message.result(call.message.id, release.output.encode() or b"{}"))
        elif not self._lets(answer):
            self._refuse(call, answers.not_told("not_complete", "it wants input, or became a task"))
        else:
            self._answer(call, answer.line)

    def _lets(self, answer: Message) -> bool:
        """Whether what the server wants of client or user, if anything, may pass."""
        needed = methods.needed_by_answer(answer)
        return needed is not None and needed <= self._passes

    def _as_it_came(self, release: Release, answer: Message) -> bool:
        if release.effect is not Effect.ALLOW:
            return False
        return not release.output or release.output == outcome_of(answer).output

    def _settle_unseen(self, call: Call, outcome: Outcome) -> None:
        """Report an outcome whose release nobody waits for."""
        if call.attempt is None:
            return
        try:
            call.attempt.report(outcome)
        except Exception:
            # The lease settles it: a governor that hears nothing counts the attempt as unknown.
            return

    def _settle_together(self, calls: list[Call], outcome: Outcome) -> None:
        """The same for several: what a governor is told at once it also writes at once."""
        if calls:
            with ThreadPoolExecutor(min(len(calls), _AT_ONCE), "bridle-end") as crew:
                crew.map(self._settle_unseen, calls, repeat(outcome))

    def _refuse(self, call: Call, text: str) -> None:
        self._answer(
            call,
            message.result(call.message.id, answers.tool_error(text, modern=call.modern)),
        )

    def _answer(self, call: Call, line: bytes) -> None:
        with call.lock:
            silent = call.state is State.CANCELLED
            if not silent:
                call.ends()
        self._pass(call, b"" if silent else line)

    def _pass(self, call: Call, line: bytes) -> None:
        """Write the answer, if there is one to write. The id is free before the client has it."""
        self._answered(call)
        try:
            if line:
                self._client.write(line)
        except BrokenPipe:
            pass  # that the client has left is seen, and acted upon, elsewhere
        finally:
            self._finished(call)

    # --- calls in several rounds -----------------------------------------------------------------

    def _park(self, call: Call, answer: Message) -> None:
        """The server wants input first: the attempt stays open for the call that brings it."""
        assert call.attempt is not None
        call.attempt.keep_alive()
        state = answer.value["result"].get("requestState", "")
        dropped = self._parked.put(f"{call.sameness}|{state!r}", call)
        if dropped is not None:
            self._abandon([dropped])
        self._pass(call, answer.line)

    def _abandon(self, calls: list[Call]) -> None:
        for call in calls:
            if call.attempt is not None:
                call.attempt.let_go()
        self._settle_together(calls, Outcome(OutcomeKind.UNKNOWN, error="abandoned"))

    def _continue(self, call: Call, state: str) -> None:
        """Go on with an attempt that waits for input. It was judged; its arguments are the same."""
        earlier = self._parked.take(state)
        if earlier is None or earlier.attempt is None:
            why = "no call with these arguments waits for this input"
            self._refuse(call, answers.not_asked("not_decided", why))
            return
        # INVARIANT: I4 — a kill, an end or another definition since then ends it here as well.
        goes_on = earlier.attempt.may_go_on(self._defined(call.wire)[1])
        earlier.attempt.let_go()
        if goes_on:
            self._send(call, earlier.attempt)
            return
        self._settle_unseen(earlier, Outcome(OutcomeKind.UNKNOWN, error="stopped"))
        self._refuse(call, answers.lost("Bridle has stopped this call while it waited for input"))
