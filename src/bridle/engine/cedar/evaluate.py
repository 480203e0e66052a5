"""Evaluation of prepared Cedar policy sets. The only module that calls the Cedar engine to decide.

Every call passes the schema: without it a policy on `action in Group` silently never matches.
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

from bridle.language.policy import Policy
from bridle.model.errors import BundleError

# The public wrapper decodes every answer with the standard library's JSON and wraps it three
# times; going to the extension itself saves about a third of a call. Its stub file is its
# contract.

Uid = dict[str, str]
_ERROR_PREFIX = "error while evaluating policy `"
_PASS_ON = (KeyboardInterrupt, SystemExit, GeneratorExit)


class Request(Struct, frozen=True):
    """One question to Cedar. `context` is JSON text; the other three are entity ids."""

    principal: Uid
    action: Uid
    resource: Uid
    context: str


class PolicyFault(Struct, frozen=True):
    """A policy that could not be evaluated, and why. `why` never repeats a value."""

    policy: str
    why: str


class Answer(Struct, frozen=True):
    """What Cedar said. `matched` are permits when `allowed`, otherwise the forbids that apply.

    `allowed` is Cedar's own decision and by itself not enough: `faults` must be empty as well,
    since Cedar skips a policy that fails.
    """

    allowed: bool
    matched: tuple[str, ...] = ()
    faults: tuple[PolicyFault, ...] = ()


NOTHING = Answer(allowed=False)


class _Diagnostics(Struct):
    reason: list[str] = []
    errors: list[str] = []


class _Response(Struct):
    decision: str
    diagnostics: _Diagnostics


_decode = msgspec.json.Decoder(_Response).decode


class World:
    """A schema and the entities that conform to it, parsed once and shared by all policy sets.

    The entities are built with the schema, which adds the actions and their groups to them.
    Measured: neither their number nor the size of the schema changes the cost of a call.
    """

    __slots__ = ("_entities", "_schema")

    def __init__(self, schema: str, entities: Iterable[Mapping[str, Any]]) -> None:
        try:
            self._schema = cedar.Schema.from_str(schema)
            text = msgspec.json.encode(list(entities)).decode()
            self._entities = cedar.Entities.from_json_str(text, self._schema)
        except (ValueError, TypeError) as e:
            raise BundleError(
                f"the bundle's entities do not fit its Cedar schema: {e}",
                hint="run `bridle check` on the bundle",
            ) from e

    def evaluate(self, policies: Prepared, request: Request) -> Answer:
        """Return Cedar's answer. A call that yields no decision is a fault that names no policy."""
        if not policies.ids:
            return NOTHING
        question = {
            "principal": request.principal,
            "action": request.action,
            "resource": request.resource,
            "context": request.context,
        }
        try:
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

    Annotations stay behind: Cedar ignores them, and without them its answers are shorter.
    """

    __slots__ = ("_handle", "ids", "policies")

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.policies = tuple(policies)
        self.ids = tuple(p.id for p in self.policies)
        self._handle: cedar.PolicySet | None = None

    @property
    def handle(self) -> cedar.PolicySet:
        """The parsed set. Two threads may both build it; either result is the same."""
        if self._handle is None:
            self._handle = cedar.PolicySet.from_pst(_nodes(self.policies))
        return self._handle


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
    ("overflow", "integer overflow"),
    ("type error", "type error"),
    ("extension function", "an extension function failed"),
)
