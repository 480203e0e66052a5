"""Evaluation of prepared Cedar policy sets. The only module that calls the Cedar engine to decide.

Compiled policies answer where they can, and say the same (`compiled`). Every call of Cedar itself
passes the schema: without it a policy on `action in Group` silently never matches.
Whatever goes wrong (no decision, an exception, even a panic of the engine) becomes a `Failed`
answer, which no caller can mistake for a permission. It knows nothing of remedies or verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from cedarpy import _internal as cedar  # pyright: ignore[reportPrivateUsage]
from cedarpy import pst
from msgspec import Struct

from bridle.engine.cedar.answer import NOTHING, Answer, PolicyFault, Request
from bridle.engine.cedar.compiled.program import Evaluator, Program
from bridle.language.policy import Policy
from bridle.model.errors import BundleError

# The public wrapper decodes every answer with the standard library's JSON and wraps it three
# times; going to the extension itself saves about a third of a call. Its stub file is its
# contract.

_ERROR_PREFIX = "error while evaluating policy `"
_PASS_ON = (KeyboardInterrupt, SystemExit, GeneratorExit)


class _Diagnostics(Struct):
    reason: list[str] = []
    errors: list[str] = []


class _Response(Struct):
    decision: str
    diagnostics: _Diagnostics


_decode = msgspec.json.Decoder(_Response).decode
_encode = msgspec.json.Encoder().encode


class World:
    """A schema and the entities that conform to it, parsed once and shared by all policy sets.

    The entities are built with the schema, which adds the actions and their groups to them.
    Measured: neither their number nor the size of the schema changes the cost of a call.
    Without `compiled` Cedar itself answers everything.
    """

    __slots__ = ("_entities", "_evaluator", "_schema")

    def __init__(
        self, schema: str, entities: Iterable[Mapping[str, Any]], *, compiled: bool = True
    ) -> None:
        try:
            self._schema = cedar.Schema.from_str(schema)
            text = msgspec.json.encode(list(entities)).decode()
            self._entities = cedar.Entities.from_json_str(text, self._schema)
        except (ValueError, TypeError) as e:
            raise BundleError(
                f"the bundle's entities do not fit its Cedar schema: {e}",
                hint="run `bridle check` on the bundle",
            ) from e
        self._evaluator = _evaluator(str(self._schema), str(self._entities)) if compiled else None

    def evaluate(self, policies: Prepared, request: Request) -> Answer:
        """Return Cedar's answer. A call that yields no decision is a fault that names no policy."""
        if not policies.ids:
            return NOTHING
        answer = self._compiled(policies, request)
        return self._asked(policies, request) if answer is None else answer

    def _compiled(self, policies: Prepared, request: Request) -> Answer | None:
        if self._evaluator is None:
            return None
        try:
            program = policies.program(self._evaluator)
            return None if program is None else self._evaluator.answer(program, request)
        except Exception:
            # INVARIANT: I2. Where our own evaluation breaks down, Cedar decides.
            return None

    def _asked(self, policies: Prepared, request: Request) -> Answer:
        try:
            question = _question(request)
            raw = cedar.is_authorized(
                question, policies.handle, self._entities, self._schema, False
            )
            response = _decode(raw)
        except BaseException as e:
            # INVARIANT: I2. A panic of the engine is a BaseException; it denies like any other.
            if isinstance(e, _PASS_ON):
                raise
            return _failed(type(e).__name__)
        return _answer(response, policies)


class Prepared:
    """A policy set under our own ids, handed to Cedar once, on first use.

    Annotations stay behind: Cedar ignores them, and without them its answers are shorter. Its
    compiled form is kept for the world that asked last; in practice there is only one.
    """

    __slots__ = ("_handle", "_program", "ids", "policies")

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.policies = tuple(policies)
        self.ids = tuple(p.id for p in self.policies)
        self._handle: cedar.PolicySet | None = None
        self._program: tuple[Evaluator, Program | None] | None = None

    @property
    def handle(self) -> cedar.PolicySet:
        """The parsed set. Two threads may both build it; either result is the same."""
        if self._handle is None:
            self._handle = cedar.PolicySet.from_pst(_nodes(self.policies))
        return self._handle

    def program(self, evaluator: Evaluator) -> Program | None:
        """The set as compiled policies, if all of them can be. Two threads may both compile it."""
        kept = self._program
        if kept is None or kept[0] is not evaluator:
            unique = len(set(self.ids)) == len(self.ids)
            kept = evaluator, evaluator.program(self.policies) if unique else None
            self._program = kept
        return kept[1]


def _evaluator(schema: str, entities: str) -> Evaluator | None:
    """Return the compiled form of a world; None where Cedar has to answer everything in it."""
    try:
        return Evaluator(schema, entities)
    except Exception:
        # What we cannot read is no reason to refuse a bundle that Cedar takes.
        return None


def _question(request: Request) -> dict[str, Any]:
    context = request.context
    return {
        "principal": request.principal,
        "action": request.action,
        "resource": request.resource,
        "context": context if isinstance(context, str) else _encode(context).decode(),
    }


def _nodes(policies: tuple[Policy, ...]) -> pst.PolicySet:
    bare = {p.id: replace(p.node, id=p.id, annotations=pst.FrozenMap({})) for p in policies}
    return pst.PolicySet(templates={}, static_policies=bare, template_links=())


def _answer(response: _Response, policies: Prepared) -> Answer:
    diagnostics = response.diagnostics
    # INVARIANT: I2. Anything but the two words Cedar decides with is no decision.
    if response.decision not in ("Allow", "Deny"):
        return _failed(response.decision)
    faults = tuple(_fault(e, policies.ids) for e in diagnostics.errors)
    return Answer(response.decision == "Allow", tuple(diagnostics.reason), faults)


def _failed(what: str) -> Answer:
    return Answer(allowed=False, faults=(PolicyFault("", f"no decision ({what})"),))


def _fault(message: str, ids: tuple[str, ...]) -> PolicyFault:
    """Name the policy of a Cedar error. An id may hold a backtick: the longest match wins."""
    rest = message.removeprefix(_ERROR_PREFIX)
    named = [i for i in ids if rest.startswith(f"{i}`: ")] if rest != message else []
    policy = max(named, key=len, default="")
    return PolicyFault(policy, _why(rest[len(policy) :]))


def _why(message: str) -> str:
    """Say what kind of failure it was. Cedar's own text may quote an argument's value."""
    for sign, kind in _KINDS:
        if sign in message:
            return kind
    return "could not be evaluated"


_KINDS = (
    ("does not have the attribute", "reads an attribute that is not there"),
    ("does not have the tag", "reads a tag that is not there"),
    ("does not exist", "names an entity that does not exist"),
    ("extension function", "an extension function failed"),
    ("overflow", "integer overflow"),
    ("type error", "type error"),
)
