"""Actions as events, and the parts of a deciding request that conditions over history read.

Both see of arguments and results what Cedar sees: typed parts, without nulls. It looks nothing up:
entities are those that the bundle declares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, cast

from bridle.bundle.bundle import Bundle
from bridle.bundle.schema import extra
from bridle.bundle.schema.shape import Field, Record, Shape, input_typing, output_typing
from bridle.engine.case import Case, Typed
from bridle.engine.cedar.entities import entities
from bridle.engine.normalise.projection import UntypableError, record_projector
from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.event import ActionName, Atom, Event, Path, Read
from bridle.language.plain import is_object
from bridle.model.event import EventKind

NAMESPACE = "Action"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_Take: TypeAlias = Callable[[Any, Atomiser], Atom | None]
"""Takes one part out of arguments or a result, as an atom."""


class Occurrences:
    """Makes events and reads of one bundle's actions. Safe to share between threads."""

    __slots__ = ("_inputs", "_outputs", "_people", "_tools")

    def __init__(self, bundle: Bundle) -> None:
        self._tools = bundle.tools
        self._people = _Entities(bundle)
        self._inputs: dict[str, _Form] = {}
        self._outputs: dict[str, _Form] = {}

    def event(  # noqa: PLR0913 - the parts of an event, by name
        self,
        case: Case,
        kind: EventKind,
        atoms: Atomiser,
        *,
        typed: Typed | None = None,
        output: Typed | None = None,
        error: str = "",
    ) -> Event:
        """Return what history holds of an action: its final arguments, who, for whom, what came.

        `typed` are the arguments (default: those of the case), `output` is a response's result and
        `error` an error's code. A part of a result that Cedar could not hold is left out.
        """
        fields: dict[str, Atom] = {
            "callerPrincipal": atoms.entity("Agent", case.agent),
            "callerResource": atoms.entity("System", self._tools[case.tool].system),
            "requestId": atoms.text(case.id),
            "mission.id": atoms.text(case.mission.id),
            "user": atoms.entity("User", case.user),
        }
        given = case.typed if typed is None else typed
        fields.update(self._input(case.tool).fields("input", given.value, atoms))
        if output is not None:
            fields.update(self._output(case.tool).fields("output", output.value, atoms))
        if kind is EventKind.ERROR:
            fields["error.code"] = atoms.text(error)
        name: ActionName = (NAMESPACE, case.tool)
        return Event(case.now, name, kind.value, fields, case.mission.id)

    def read(self, case: Case, agent: str, arguments: Any, facts: Any, atoms: Atomiser) -> Read:
        """Return the reader of a request as it is put to the policies with `agent` as principal."""
        resource = self._tools[case.tool].system

        def read(path: Path) -> Atom | None:
            match path:
                case ("principal", *rest):
                    return self._people.read("Agent", agent, rest, atoms)
                case ("resource", *rest):
                    return self._people.read("System", resource, rest, atoms)
                case ("context", "input", *rest):
                    return self._input(case.tool).part(tuple(rest), arguments, atoms)
                case ("context", "facts", *rest):
                    return _within(facts, rest, atoms)
                case _:
                    return self._context(case, path, atoms)

        return read

    def _context(self, case: Case, path: Path, atoms: Atomiser) -> Atom | None:
        match path:
            case ("context", "user", *rest):
                return self._people.read("User", case.user, rest, atoms)
            case ("context", *rest):
                return _surrounding(case, rest, atoms)
            case _:
                return None

    def read_end(self, user: str, mission: Mapping[str, Any], now: int, atoms: Atomiser) -> Read:
        """Return the reader of a mission's end, whose principal is its user."""

        def read(path: Path) -> Atom | None:
            match path:
                case ("principal", *rest) | ("context", "user", *rest):
                    return self._people.read("User", user, rest, atoms)
                case ("resource",):
                    return atoms.entity("Mission", str(mission["id"]))
                case ("context", "mission", *rest):
                    return _within(mission, rest, atoms)
                case ("context", "system", "now"):
                    return now
                case _:
                    return None

        return read

    def _input(self, tool: str) -> _Form:
        found = self._inputs.get(tool)
        if found is None:
            found = self._inputs[tool] = _Form(input_typing(self._tools[tool].input).shape)
        return found

    def _output(self, tool: str) -> _Form:
        found = self._outputs.get(tool)
        if found is None:
            schema = self._tools[tool].output
            shape = output_typing(schema).shape if schema is not None else None
            found = self._outputs[tool] = _Form(shape)
        return found


class _Form:
    """The typed parts of a tool's arguments or result, by path."""

    __slots__ = ("_leaves", "_shape", "_taken")

    def __init__(self, shape: Shape | None) -> None:
        self._shape = shape if isinstance(shape, Record) else Record({})
        self._leaves = [
            (".".join(path), _taker(path, field)) for path, field in _leaves((), self._shape)
        ]
        self._taken: dict[Path, _Take | None] = {}

    def fields(self, root: str, value: Any, atoms: Atomiser) -> dict[str, Atom]:
        """Return every part that is there, by its dotted path below `root`."""
        found: dict[str, Atom] = {}
        for path, take in self._leaves:
            atom = take(value, atoms)
            if atom is not None:
                found[f"{root}.{path}"] = atom
        return found

    def part(self, path: Path, value: Any, atoms: Atomiser) -> Atom | None:
        """Return one part; None where it is not there."""
        if path not in self._taken:
            # Paths come from policies, so there are only so many.
            field = _field(self._shape, path)
            self._taken[path] = _taker(path, field) if field is not None else None
        take = self._taken[path]
        return take(value, atoms) if take is not None else None


def _leaves(above: Path, shape: Record) -> Iterator[tuple[Path, Field]]:
    """Yield the fields that conditions can name, nested records taken apart."""
    for name, field in shape.fields.items():
        # INVARIANT: a name with a dot in it never stands for a path through a record.
        if not _NAME.fullmatch(name):
            continue
        if isinstance(field.shape, Record):
            yield from _leaves((*above, name), field.shape)
        else:
            yield (*above, name), field


def _field(shape: Shape, path: Path) -> Field | None:
    found: Field | None = None
    for name in path:
        if not isinstance(shape, Record) or name not in shape.fields:
            return None
        found = shape.fields[name]
        shape = found.shape
    return found


def _taker(path: Path, field: Field) -> _Take:
    *above, name = path
    project = record_projector(Record({name: field}))

    def take(value: Any, atoms: Atomiser) -> Atom | None:
        for step in above:
            value = value.get(step) if is_object(value) else None
        if not is_object(value) or value.get(name) is None:
            return None
        try:
            return atoms.cedar(project(value)[name], field.shape)
        except UntypableError:
            return None

    return take


class _Entities:
    """What the bundle says of users, agents and systems."""

    __slots__ = ("_attributes", "_types")

    def __init__(self, bundle: Bundle) -> None:
        self._types = extra.types(bundle.files.get(extra.FILE))
        self._attributes: dict[tuple[str, str], dict[str, Any]] = {
            (e["uid"]["type"], e["uid"]["id"]): e["attrs"] for e in entities(bundle)
        }

    def read(self, kind: str, name: str, path: list[str], atoms: Atomiser) -> Atom | None:
        """Return the entity, or what a path through its attributes (and theirs) leads to."""
        if not path:
            return atoms.entity(kind, name)
        value: Any = self._attributes.get((kind, name), {}).get(path[0])
        if value is None:
            return None
        declared = self._types.get(kind, {}).get(path[0])
        if declared is not None:
            return _extra(value, declared, path[1:], atoms)
        if is_object(value):
            return self.read(value["type"], value["id"], path[1:], atoms)
        return _within(value, path[1:], atoms)


def _extra(value: Any, declared: extra.Type, path: list[str], atoms: Atomiser) -> Atom | None:
    """Return an attribute that the bundle has added, or a part of one."""
    for name in path:
        if not is_object(value) or name not in value or name not in declared.inner:
            return None
        value, declared = value[name], declared.inner[name]
    match declared.name:
        case "decimal":
            return atoms.decimal(value)
        case "Set":
            items = (_extra(v, declared.inner[""], [], atoms) for v in value)
            return atoms.array(i for i in items if i is not None)
        case "Record":
            inner = {n: _extra(v, declared.inner[n], [], atoms) for n, v in value.items()}
            return atoms.record({n: v for n, v in inner.items() if v is not None})
        case _:
            return atoms.cedar(value)


def _surrounding(case: Case, path: list[str], atoms: Atomiser) -> Atom | None:
    """Return what stands in the context beside arguments, facts and user."""
    match path:
        case ["mission", *rest]:
            return _within(case.mission.context(), rest, atoms)
        case ["executor"] if case.executor:
            return atoms.entity("Workload", case.executor)
        case ["system", "now"]:
            return case.now
        case ["chain", "depth"]:
            return len(case.chain)
        case ["chain", "agents"]:
            return atoms.array(atoms.entity("Agent", a) for a in (*case.chain, case.agent))
        case _:
            return None


def _within(value: Any, path: list[str], atoms: Atomiser) -> Atom | None:
    """Follow a path through plain records of our own making."""
    for name in path:
        if not is_object(value) or name not in value:
            return None
        value = value[name]
    if isinstance(value, tuple):
        value = [*cast("tuple[Any, ...]", value)]  # type: ignore[redundant-cast]
    return None if value is None else atoms.cedar(value)
