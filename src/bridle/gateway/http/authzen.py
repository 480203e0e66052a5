"""OpenID AuthZEN Authorization API 1.0: access evaluation, for enforcement points that speak it.

A subject is a user, for whom the configured agent would act in a mission of its own; resource type
and action name are a tool, the resource's id and the properties its arguments. The answer is the
governor's decision, and begins nothing. <https://openid.net/specs/authorization-api-1_0.html>
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Any

from msgspec import Struct, structs

from bridle.client.agent import Agent
from bridle.client.worker import Worker
from bridle.gateway.http.acting import body
from bridle.gateway.http.config import Evaluating
from bridle.gateway.http.messages import Answer, Request, RequestError, answer
from bridle.model.errors import BridleError
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect, Verdict

SINGLE, BATCH = "/access/v1/evaluation", "/access/v1/evaluations"
METADATA = "/.well-known/authzen-configuration"

_MOST = 100
_MOST_USERS = 1_000
_ID = "id"
# With these the mission, and no word about the action: another is begun for the user, once.
_OVER = (
    ReasonCode.NO_SESSION,
    ReasonCode.MISSION_NOT_ACTIVE,
    ReasonCode.EXPIRED,
    ReasonCode.GRANT_EXPIRED,
)
# For which answers a batch stops.
_STOPS = {"execute_all": None, "deny_on_first_deny": False, "permit_on_first_permit": True}


class Subject(Struct, frozen=True, kw_only=True):
    """Who acts. Members that are not known are passed over, as the standard wants."""

    type: str
    id: str
    properties: dict[str, Any] = {}


class Resource(Subject, frozen=True, kw_only=True):
    """On what."""


class Action(Struct, frozen=True, kw_only=True):
    """What is done."""

    name: str
    properties: dict[str, Any] = {}


class Evaluation(Struct, frozen=True, kw_only=True):
    """One question, perhaps without what a batch says for all of its questions."""

    subject: Subject | None = None
    action: Action | None = None
    resource: Resource | None = None
    context: dict[str, Any] | None = None


class Options(Struct, frozen=True, kw_only=True):
    """How a batch is answered."""

    evaluations_semantic: str = "execute_all"


class Batch(Evaluation, frozen=True, kw_only=True):
    """Several questions, and what they have in common."""

    evaluations: list[Evaluation] = []
    options: Options = Options()


class Users:
    """The agent for each user, in a mission that is begun when somebody first asks about them."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, str], Agent] = OrderedDict()

    def decide(self, known: Evaluating, user: str, tool: str, arguments: dict[str, Any]) -> Verdict:
        """Return the verdict on what the agent would do for a user. Raises `BridleError`."""
        name = (known.mission, known.agent, user)
        key = os.urandom(16).hex()
        with self._lock:
            agent = self._kept.get(name)
        if agent is not None:
            verdict = agent.decide(tool, arguments, key=key)
            if not any(reason.code in _OVER for reason in verdict.reasons):
                return verdict
        return self._begun(name).decide(tool, arguments, key=key)

    def _begun(self, name: tuple[str, str, str]) -> Agent:
        template, agent, user = name
        mission = self._worker.governor.start_mission(template, user=user)
        made = mission.agent(agent, executor=self._worker.name)
        with self._lock:
            self._kept[name] = made
            if len(self._kept) > _MOST_USERS:
                self._kept.popitem(last=False)
        return made


def evaluation(users: Users, known: Evaluating, request: Request) -> Answer:
    """Answer one question."""
    return _identified(request, answer(200, _decided(users, known, body(request, Evaluation))))


def evaluations(users: Users, known: Evaluating, request: Request) -> Answer:
    """Answer several, in order; as one where there is no list of them."""
    batch = body(request, Batch)
    if not batch.evaluations:
        return _identified(request, answer(200, _decided(users, known, batch)))
    if len(batch.evaluations) > _MOST:
        raise RequestError(400, f"more than {_MOST} evaluations", code="limit_exceeded")
    semantic = batch.options.evaluations_semantic
    if semantic not in _STOPS:
        raise RequestError(400, "there is no such evaluations_semantic", code="bad_request")
    found = list[dict[str, Any]]()
    for each in batch.evaluations:
        found.append(_decided(users, known, _filled(each, batch)))
        if found[-1]["decision"] is _STOPS[semantic]:
            break
    return _identified(request, answer(200, {"evaluations": found}))


def metadata(url: str) -> Answer:
    """Say where what is answered."""
    told = {
        "policy_decision_point": url,
        "access_evaluation_endpoint": url + SINGLE,
        "access_evaluations_endpoint": url + BATCH,
    }
    return answer(200, told)


def _filled(one: Evaluation, batch: Batch) -> Evaluation:
    common = {name: getattr(batch, name) for name in Evaluation.__struct_fields__}
    missing = {name: value for name, value in common.items() if getattr(one, name) is None}
    return structs.replace(one, **missing)


def _decided(users: Users, known: Evaluating, asked: Evaluation) -> dict[str, Any]:
    """Return the decision, with the reason for a refusal. Raises `RequestError` for half a one."""
    subject, action, resource = asked.subject, asked.action, asked.resource
    if subject is None or action is None or resource is None:
        raise RequestError(400, "it takes subject, action and resource", code="bad_request")
    user = known.subjects.get((subject.type, subject.id))
    tool = known.tools.get(f"{resource.type}/{action.name}")
    if user is None or tool is None:
        return _no("unknown_subject" if user is None else "unknown_action", "nobody here knows it")
    arguments = {_ID: resource.id}
    for said in (resource.properties, action.properties, asked.context or {}):
        if said.keys() & arguments.keys():
            # Two values for one argument: the policy would see one, and the service the other.
            return _no("ambiguous", "an argument is said twice")
        arguments |= said
    try:
        verdict = users.decide(known, user, tool, arguments)
    except BridleError as problem:
        if problem.code in ("governor_unreachable", "store_unavailable"):
            raise
        return _no(problem.code, problem.message)
    return _told(verdict)


def _told(verdict: Verdict) -> dict[str, Any]:
    if verdict.effect is Effect.ALLOW:
        return {"decision": True, "context": {"action": verdict.action}}
    code = verdict.reasons[0].code.value if verdict.reasons else "refused"
    found = _no(code, verdict.text)
    found["context"]["action"] = verdict.action
    if verdict.approval:
        found["context"]["approval"] = verdict.approval
    return found


def _no(code: str, text: str) -> dict[str, Any]:
    return {"decision": False, "context": {"code": code, "reason_user": {"en": text}}}


def _identified(request: Request, found: Answer) -> Answer:
    """Repeat the request's id, where it has one."""
    name = request.headers.get("x-request-id", "")
    if not name or len(name) > 128 or not name.isascii() or not name.isprintable():
        return found
    return structs.replace(found, headers=(*found.headers, ("X-Request-ID", name)))
