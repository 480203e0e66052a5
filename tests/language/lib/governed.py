"""Stories of the library as they go through a governor: real requests, ends and denials."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from itertools import count

from bridle.bundle.bundle import Bundle
from bridle.bundle.load import load_files
from bridle.governor.throwaway import OPERATOR, governor_over
from bridle.model.calls import Decide, Judged, Observe, Opened, OpenSession, Released, StartMission
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.verdict import Effect, Verdict
from language.lib.desk import Happened, policies
from language.lib.stories import STORIES

EPOCH_MS = 1_767_225_600_000
REFUSED = 13  # a `number` that is denied whatever the rule says

TOOL = """
[tools.{name}]
system = "s"
effect = "read"
idempotent = true
input.type = "object"
input.required = ["key", "amount", "number"]
input.properties.key = {{ type = "string" }}
input.properties.amount = {{ type = "integer" }}
input.properties.number = {{ type = "integer" }}
output.type = "object"
output.properties.ok = {{ type = "boolean" }}
"""


NO = (
    '@id("no") forbid (principal, action in Action::"call", resource)\n'
    f"when {{ context.input.number == {REFUSED} }};\n"
)


@cache
def bundle(name: str, folder: str = "policies") -> Bundle:
    """A bundle with one rule of the library, on `ask`."""
    named = policies(STORIES[name].rule).replace("permit", '@id("all") permit', 1)
    named = named.replace("forbid", '@id("rule") forbid', 1)
    return load_files(
        {
            "bridle.toml": 'format = 1\nname = "stories"\nversion = "1"\n',
            "systems.toml": '[domains.d]\n[systems.s]\ndomain = "d"\nowner = "u"\n'
            + "".join(TOOL.format(name=tool) for tool in ("ask", "do", "undo")),
            "agents.toml": "[users.u]\n[workloads.w]\n"
            + "".join(f'[agents.{agent}]\nowner = "u"\n' for agent in ("ann", "bob", "cid")),
            "missions.toml": '[missions.m]\npurpose = "p"\nagents = ["ann", "bob", "cid"]\n'
            'tools = ["*"]\ndomains = ["d"]\n',
            f"{folder}/rule.dw": named,
            "policies/no.dw": NO,
        }
    )


class Play:
    """One story on a governor of its own, in virtual time."""

    def __init__(self, name: str, folder: str = "policies") -> None:
        made = bundle(name, folder)
        self._governor, self._clock = governor_over(
            made, leases=False, seed=b"stories", start=EPOCH_MS
        )
        self._sessions: dict[tuple[str, str], str] = {}
        self._missions: dict[str, str] = {}
        self._running: dict[str, tuple[str, str]] = {}
        self._keys = count()

    def tell(self, history: Iterable[Happened]) -> Verdict:
        """Let everything happen in order; return the verdict on the last, an `ask`."""
        *past, last = history
        for number, each in enumerate(past):
            self._clock.move_to(EPOCH_MS + each.at * 1000)
            self._happen(each, past[number + 1 :])
        self._clock.move_to(EPOCH_MS + last.at * 1000)
        return self._decide(last)

    def close(self) -> None:
        """Close the governor."""
        self._governor.close()

    def _happen(self, each: Happened, rest: list[Happened]) -> None:
        if each.kind == "request":
            ends = {later.code for later in rest if each.id and later.id == each.id}
            self._decide(each, refused="denied" in ends)
        elif each.code != "denied" or not each.id:
            self._end(each)

    def _end(self, each: Happened) -> None:
        if each.code == "denied":
            self._decide(each, refused=True)
            return
        if each.id not in self._running or not each.id:
            assert self._decide(each).effect is Effect.ALLOW, f"cannot be told: {each}"
        session, attempt = self._running.pop(each.id or "")
        reply = self._governor.handle(
            OPERATOR, Observe(session=session, attempt=attempt, outcome=outcome(each))
        )
        assert isinstance(reply, Released), reply

    def _decide(self, each: Happened, *, refused: bool = False) -> Verdict:
        session = self._session(each)
        args = {
            "key": each.key,
            "amount": each.amount,
            "number": REFUSED if refused else each.number,
        }
        call = Decide(
            session=session,
            tool=each.what,
            args=json.dumps(args),
            key=str(next(self._keys)),
            start=True,
        )
        reply = self._governor.handle(OPERATOR, call)
        assert isinstance(reply, Judged), reply
        assert refused <= (reply.verdict.effect is Effect.DENY)
        self._running[each.id] = (session, reply.verdict.attempt)
        return reply.verdict

    def _session(self, each: Happened) -> str:
        if each.mission not in self._missions:
            self._missions[each.mission] = self._opened(StartMission(template="m", user="u"))
        at = (each.mission, each.by)
        if at not in self._sessions:
            mission = self._missions[each.mission]
            self._sessions[at] = self._opened(OpenSession(mission=mission, agent=each.by))
        return self._sessions[at]

    def _opened(self, call: StartMission | OpenSession) -> str:
        reply = self._governor.handle(OPERATOR, call)
        assert isinstance(reply, Opened), reply
        return reply.id


def outcome(each: Happened) -> Outcome:
    """How an attempt ended."""
    if each.kind == "response":
        return Outcome(OutcomeKind.OK, output=json.dumps({"ok": each.ok is not False}))
    if each.code == "not_started":
        return Outcome(OutcomeKind.NOT_STARTED)
    return Outcome(OutcomeKind.ERROR, error=each.code.removeprefix("reported:"))
