"""Offline judging: one JSON line in, one verdict line out. Deterministic; nothing is kept.

Identities are as declared in the input, time is what `at` says (never backwards), ids follow from
the input, leases are off, and an action without an outcome counts as started.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from bridle.bundle.bundle import Bundle
from bridle.bundle.load import load
from bridle.governor.provenance import told
from bridle.governor.throwaway import OPERATOR, governor_over
from bridle.model.calls import (
    Call,
    Decide,
    Explain,
    Failed,
    Judged,
    Listing,
    Observe,
    Opened,
    OpenSession,
    Released,
    StartMission,
)
from bridle.model.errors import BridleError, UsageError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.provenance import Provenance
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect, Verdict

_LONGEST_LINE = 8 * 1024 * 1024


class MissionLine(Struct, frozen=True, forbid_unknown_fields=True, tag="mission", kw_only=True):
    """`{"type":"mission", …}`: starts a mission under the input's own name for it."""

    id: str
    template: str = ""
    user: str = ""
    prompt: str = ""
    at: str = ""


class ActionLine(Struct, frozen=True, forbid_unknown_fields=True, tag="action", kw_only=True):
    """`{"type":"action", …}`. `args_raw` is the exact text of the arguments, instead of `args`.

    `provenance` says of arguments where they came from, with actions as the input names them.
    """

    tool: str
    id: str = ""
    mission: str = ""
    agent: str = ""
    executor: str = ""
    args: msgspec.Raw = msgspec.Raw(b"")
    args_raw: str | None = None
    provenance: dict[str, Provenance] = {}
    at: str = ""


class OutcomeLine(Struct, frozen=True, forbid_unknown_fields=True, tag="outcome", kw_only=True):
    """`{"type":"outcome", …}`: how an action ended; answered by the release verdict."""

    action: str
    output: msgspec.Raw = msgspec.Raw(b"")
    error: str = ""
    at: str = ""


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_decoder = msgspec.json.Decoder(MissionLine | ActionLine | OutcomeLine)


class Offline:
    """Feeds lines to a throw-away governor.

    `mission`, `user`, `agent` and `executor` stand in for what a line does not say; without them,
    the bundle's `[defaults]` do.
    """

    def __init__(self, bundle: Bundle | Path | str, **given: str) -> None:
        loaded = bundle if isinstance(bundle, Bundle) else load(bundle)
        self._defaults = structs.replace(
            loaded.manifest.defaults, **{name: value for name, value in given.items() if value}
        )
        self._governor, self._clock = governor_over(loaded, leases=False, seed=b"bridle offline")
        engine = self._governor.core.latest_engine()
        self._traces = engine is not None and engine.traces
        self._named: dict[str, str] = {}
        self._acted: dict[str, str] = {}
        self._missions: dict[str, str] = {}
        self._sessions: dict[tuple[str, str, str], str] = {}
        self._started: dict[str, tuple[str, str]] = {}
        self._lines = 0

    def feed(self, line: bytes) -> dict[str, Any]:
        """Answer one line. Never raises for what the line contains."""
        self._lines += 1
        try:
            return self._answer(line)
        except BridleError as problem:
            return _refused(_name(line), problem.code, problem.message)
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as problem:
            text = str(problem).split("\n", 1)[0][:200]
            return _refused(_name(line), ReasonCode.MALFORMED, f"this line cannot be read: {text}")
        except Exception:
            # INVARIANT: I2 — whatever goes wrong on the path, the answer is no.
            return _refused(_name(line), ReasonCode.INTERNAL, "judging this line failed")

    def close(self) -> None:
        """Drop the throw-away store."""
        self._governor.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        if len(line) > _LONGEST_LINE:
            return _refused("", ReasonCode.LIMIT_EXCEEDED, "this line is too long")
        item = _decoder.decode(line)
        if item.at:
            self._clock.move_to(_time(item.at))
        self._governor.tick()
        match item:
            case MissionLine():
                self._start(item.id, item.template, item.user, item.prompt)
                return {"id": item.id, "ok": True}
            case ActionLine():
                return self._judge(item)
            case _:
                return self._observe(item)

    def _start(self, name: str, template: str, user: str, prompt: str) -> None:
        if name in self._missions:
            raise UsageError(f"mission {name!r} was started before", code="duplicate_mission")
        call = StartMission(
            template=template or self._defaults.mission,
            user=user or self._defaults.user,
            prompt=prompt,
        )
        self._missions[name] = self._opened(call)

    def _judge(self, item: ActionLine) -> dict[str, Any]:
        name = item.id or f"line-{self._lines}"
        session = self._session(item)
        written = bytes(item.args).decode()
        if written and item.args_raw is not None:
            raise UsageError("`args` and `args_raw` exclude one another", code="malformed")
        text = item.args_raw if item.args_raw is not None else written or "{}"
        call = Decide(
            session=session,
            tool=item.tool,
            args=text,
            key=name,
            adapter="offline",
            start=True,
            provenance=self._provenance(item),
        )
        reply = self._governor.handle(OPERATOR, call)
        if not isinstance(reply, Judged):
            raise UsageError("no verdict")
        verdict = reply.verdict
        if verdict.attempt:
            self._started[name] = (session, verdict.attempt)
        line: dict[str, Any] = {"id": name, "effect": verdict.effect.value}
        if verdict.effect is Effect.MODIFY:
            line["args"] = json.loads(verdict.args)
        line["reasons"] = _reasons(verdict.reasons)
        if verdict.approval:
            line["approval"] = verdict.approval
        self._named[verdict.action] = name
        self._acted[name] = verdict.action
        flow = self._flow(verdict)
        if flow:
            line["flow"] = flow
        return line

    def _provenance(self, item: ActionLine) -> str:
        if not item.provenance:
            return ""
        said = {
            argument: structs.replace(
                each, read=tuple(self._acted.get(name, name) for name in each.read)
            )
            for argument, each in item.provenance.items()
        }
        return msgspec.json.encode(said).decode()

    def _flow(self, verdict: Verdict) -> dict[str, Any]:
        """Return where each argument came from, if a policy asked and anything is known."""
        if verdict.receipt is None or not self._traces:
            return {}
        reply = self._governor.handle(OPERATOR, Explain(action=str(verdict.receipt.index)))
        rows: list[dict[str, Any]] = reply.rows[0]["flow"] if isinstance(reply, Listing) else []
        if not any(map(told.says_anything, rows)):
            return {}
        return {row.pop("argument"): {**row, "read": self._read(row["read"])} for row in rows}

    def _read(self, sources: list[dict[str, Any]]) -> list[dict[str, str]]:
        """Name sources as the input does, and leave out what has no name there."""
        named = [{**each, "action": self._named.get(each["action"], "")} for each in sources]
        return [{k: v for k, v in each.items() if v and k != "record"} for each in named]

    def _observe(self, item: OutcomeLine) -> dict[str, Any]:
        started = self._started.get(item.action)
        if started is None:
            return _refused(item.action, ReasonCode.NOT_DECIDED, "no such action was started")
        if item.error and bytes(item.output):
            raise UsageError("`output` and `error` exclude one another", code="malformed")
        if item.error:
            outcome = Outcome(OutcomeKind.ERROR, error=item.error)
        else:
            outcome = Outcome(OutcomeKind.OK, output=bytes(item.output).decode())
        call = Observe(session=started[0], attempt=started[1], outcome=outcome)
        reply = self._governor.handle(OPERATOR, call)
        if not isinstance(reply, Released):
            raise UsageError("no release")
        release = reply.release
        line: dict[str, Any] = {"id": item.action, "effect": release.effect.value}
        if release.effect == "modify":
            line["output"] = json.loads(release.output)
        line["reasons"] = _reasons(release.reasons)
        if release.approval:
            line["approval"] = release.approval
        return line

    def _session(self, item: ActionLine) -> str:
        mission = item.mission or "default"
        if mission not in self._missions:
            if item.mission:
                raise UsageError(f"mission {mission!r} was not started", code="out_of_mission")
            self._start(mission, "", "", "")
        agent = item.agent or self._defaults.agent
        executor = item.executor or self._defaults.executor
        key = (mission, agent, executor)
        if key not in self._sessions:
            call = OpenSession(mission=self._missions[mission], agent=agent, executor=executor)
            self._sessions[key] = self._opened(call)
        return self._sessions[key]

    def _opened(self, call: Call) -> str:
        reply = self._governor.handle(OPERATOR, call)
        if isinstance(reply, Failed):
            raise UsageError(reply.message, code=reply.code, hint=reply.hint)
        return reply.id if isinstance(reply, Opened) else ""


def _reasons(reasons: tuple[Reason, ...]) -> list[dict[str, str]]:
    return [{"policy": r.policy, "code": r.code.value, "text": r.text} for r in reasons]


def _refused(name: str, code: str, text: str) -> dict[str, Any]:
    return {
        "id": name,
        "effect": "deny",
        "reasons": [{"policy": "", "code": str(code), "text": text}],
    }


def _name(line: bytes) -> str:
    """The id of a line that could not be used, if it can still be seen."""
    try:
        found = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    name = found.get("id") or found.get("action")
    return name[:256] if isinstance(name, str) else ""


def _time(text: str) -> int:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("`at` needs a time zone")
    return (moment - _EPOCH) // dt.timedelta(milliseconds=1)
