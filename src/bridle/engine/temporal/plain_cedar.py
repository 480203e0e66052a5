"""Cedar asked as the reference asks it when it replays a trace. Nothing of Bridle decides by this.

Three things are laxer than anywhere else in Bridle, and meant to be: a request is not checked
against the schema (a trace may leave out what is required), a policy that errs is skipped (its
error is reported), and a null shows as an empty text. The entities of a line are checked; so are
their types. The groups of actions come in with the schema's entities, as they must.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from cedarpy import _internal as cedar  # pyright: ignore[reportPrivateUsage]
from msgspec import Struct

from bridle.language.temporal.ast import DecimalLiteral, EntityLiteral
from bridle.language.trace import TracedEntity, TracedEvent, Value
from bridle.model.errors import BundleError

_PASS_ON = (KeyboardInterrupt, SystemExit, GeneratorExit)


class _Diagnostics(Struct):
    reason: list[str] = []
    errors: list[str] = []


class _Response(Struct):
    decision: str
    diagnostics: _Diagnostics


_decode = msgspec.json.Decoder(_Response).decode
_encode = msgspec.json.Encoder().encode


class Answer(Struct, frozen=True):
    """Cedar's verdict, the policies that made it (by number), and what went wrong on the way."""

    allowed: bool
    policies: tuple[int, ...] = ()
    errors: tuple[str, ...] = ()


class PlainCedar:
    """A lowered policy set and the actions of a schema, parsed once."""

    def __init__(self, policies: Sequence[str], schema: str) -> None:
        """Raise `BundleError` for policies or a schema that Cedar does not take."""
        try:
            self._policies = cedar.PolicySet.from_str("\n".join(policies))
            self._schema = cedar.Schema.from_str(schema)
            self._actions = cedar.Entities.from_json_str("[]", self._schema)
        except ValueError as error:
            raise BundleError(f"Cedar does not take this: {error}") from None

    def decide(self, event: TracedEvent, truths: Mapping[str, bool]) -> Answer:
        """Decide the request of a line, its conditions over history already judged.

        Whatever keeps the question from being asked denies, and is told as an error.
        """
        try:
            # INVARIANT: the actions with their groups are among the entities. Without them a policy
            # on `action in Group` would never match; the schema itself would check the request.
            raw = cedar.is_authorized(
                _question(event, truths), self._policies, self._entities(event), None, False
            )
            response = _decode(raw)
        except BaseException as error:
            # A panic of the engine is a BaseException; it denies like any other.
            if isinstance(error, _PASS_ON):
                raise
            return Answer(allowed=False, errors=(str(error),))
        told = response.diagnostics
        reasons = sorted(int(name.removeprefix("policy")) for name in told.reason)
        return Answer(response.decision == "Allow", tuple(reasons), tuple(told.errors))

    def _entities(self, event: TracedEvent) -> cedar.Entities:
        declared = [_entity(each) for each in event.entities]
        found = self._actions.with_added_json_str(_encode(declared).decode(), self._schema)
        known = {each.entity for each in event.entities}
        scope = dict.fromkeys(v for v in event.scope.values() if isinstance(v, EntityLiteral))
        bare = [_entity(TracedEntity(each, {})) for each in scope if each not in known]
        return found.with_added_json_str(_encode(bare).decode())


def _question(event: TracedEvent, truths: Mapping[str, bool]) -> dict[str, Any]:
    twice = event.context.keys() & truths.keys()
    if twice:
        raise ValueError(f"`context.{min(twice)}` is the name of a condition over history")
    context: dict[str, Any] = {name: _json(value) for name, value in event.context.items()}
    return {
        "principal": _party(event, "principal"),
        "action": {"type": "::".join(event.namespace), "id": event.action},
        "resource": _party(event, "resource"),
        "context": _encode({**context, **truths}).decode(),
    }


def _party(event: TracedEvent, name: str) -> dict[str, str]:
    value = event.scope.get(name)
    if not isinstance(value, EntityLiteral):
        raise ValueError(f"a deciding event has a {name} in its scope")  # noqa: TRY004
    return _uid(value)


def _entity(traced: TracedEntity) -> dict[str, Any]:
    # A null attribute is one that is not there: as a text it would satisfy the schema.
    attributes = {n: _json(v) for n, v in traced.attributes.items() if v is not None}
    parents = [_uid(parent) for parent in traced.parents]
    return {"uid": _uid(traced.entity), "attrs": attributes, "parents": parents}


def _uid(entity: EntityLiteral) -> dict[str, str]:
    return {"type": entity.type, "id": entity.id}


def _json(value: Value) -> Any:
    match value:
        case None:
            return ""
        case EntityLiteral():
            return {"__entity": _uid(value)}
        case DecimalLiteral(text):
            return {"__extn": {"fn": "decimal", "arg": text}}
        case list():
            return [_json(each) for each in value]
        case dict():
            return {name: _json(each) for name, each in value.items()}
        case _:
            return value
