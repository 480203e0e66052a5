"""OpenID AuthZEN Authorization API 1.0: access evaluation, for enforcement points that speak it.

A subject is a user, for whom the configured agent would act in a mission of its own; resource type
and action name are a tool, the resource's id and the properties its arguments. The answer is the
governor's decision, and begins nothing. <https://openid.net/specs/authorization-api-1_0.html>
"""

from __future__ import annotations

import os
from typing import Any

from msgspec import Struct, structs

from bridle.client.agent import Agent
from bridle.client.worker import Worker
from bridle.gateway.http.acting import body
from bridle.gateway.http.config import Evaluating
from bridle.gateway.http.messages import (
    SILENT,
    Answer,
    Request,
    RequestError,
    answer,
    is_silent,
    of_verdict,
)
from bridle.gateway.http.taking import Kept
from bridle.model.errors import BridleError, UnreachableError
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect, Verdict

SINGLE, BATCH = "/access/v1/evaluation", "/access/v1/evaluations"
METADATA = "/.well-known/authzen-configuration"

_MOST = 100
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


class For(Struct, frozen=True):
    """For which user an agent would act, and by which template its mission is begun."""

    mission: str
    agent: str
    user: str


Users = Kept[For]
"""The agent for each user, in a mission that is begun when somebody first asks about them."""


def users(worker: Worker) -> Users:
    """Return what begins missions for users, as a workload that may say who they are."""

    def begin(wanted: For) -> Agent:
        mission = worker.governor.start_mission(wanted.mission, user=wanted.user)
        return mission.agent(wanted.agent, executor=worker.name)

    return Kept(begin, _OVER)


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
    """Return the decision, with the reason for a refusal.

    Raises `RequestError` for half a question, `UnreachableError` where nobody could be asked.
    """
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
        key = os.urandom(16).hex()
        verdict = users.asked(
            For(known.mission, known.agent, user),
            lambda agent: agent.decide(tool, arguments, key=key),
        )
    except BridleError as problem:
        if is_silent(problem.code):
            raise
        return _no(problem.code, problem.message)
    return _told(verdict)


def _told(verdict: Verdict) -> dict[str, Any]:
    if verdict.effect is Effect.ALLOW:
        return {"decision": True, "context": {"action": verdict.action}}
    if of_verdict(verdict) == SILENT:
        raise UnreachableError(verdict.text)
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
