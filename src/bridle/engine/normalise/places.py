"""The places of a tool's arguments (or result): what each may hold and what it means.

Made once from the JSON Schema and the declared meanings of arguments. It judges nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, cast

from msgspec import Struct, structs

from bridle.bundle.schema.json_schema import Schema
from bridle.engine.normalise.schemas import Document
from bridle.model.tool import Argument

CONTENT = "content"
_REST = ("additionalProperties", "unevaluatedProperties")
_ONE_VALUE = ("const", "default")


class Meaning(Struct, frozen=True):
    """What declared arguments say about a place, and (`below`) about deeper ones.

    `detect` is None where the default holds: everything for content, nothing for what steers.
    """

    steering: bool = True
    int64: bool = False
    detect: tuple[str, ...] | None = None
    below: tuple[tuple[tuple[str, ...], Argument], ...] = ()
    sink: str = Argument("").sink
    inherits: bool = True

    def step(self, name: str) -> Meaning:
        """Return the meaning of a child; one that is declared nowhere shares its parent's."""
        below = tuple((path[1:], a) for path, a in self.below if path[0] == name)
        own = next((a for path, a in below if not path), None)
        deeper = tuple((path, a) for path, a in below if path)
        if own is None:
            return structs.replace(self, below=deeper)
        steering = own.sink != CONTENT
        return Meaning(steering, own.int64, own.detect, deeper, own.sink, own.inherits)

    def names(self) -> set[str]:
        """Return the keys below which something is declared."""
        return {path[0] for path, _ in self.below if path[0] != "[]"}


def meaning_of(arguments: Iterable[Argument]) -> Meaning:
    """Return the meaning of a tool's arguments as a whole."""
    return Meaning(below=tuple((steps(a.path), a) for a in arguments))


def steps(path: str) -> tuple[str, ...]:
    """Split `fields.note` or `to[]` into steps; `[]` is one of its own."""
    return tuple(s for s in path.replace("[]", ".[]").split(".") if s)


class Place:
    """One place, reached by a path of names and `[]`.

    `names` are the declared properties, `other` is where any other key leads (`closed`: nowhere),
    `items` where the elements of an array lie and `prefix` the first few of a tuple.
    """

    __slots__ = (
        "closed", "fraction", "items", "meaning", "mixed", "names", "other", "prefix",
        "special", "steering", "stringy", "typed", "written",
    )  # fmt: skip

    def __init__(self, meaning: Meaning, kinds: frozenset[str], *, loose: bool) -> None:
        self.meaning = meaning
        self.steering = meaning.steering
        self.typed = bool(kinds)
        """The schema says which types stand here."""
        self.fraction = "number" in kinds
        """A number with a fraction may stand here."""
        self.mixed = self.fraction and "integer" in kinds
        """Branches disagree whether it is an integer, so `1.0` has no single reading."""
        self.stringy = loose or "string" in kinds
        """A string may stand here too, so a number that prints as a string needs a mark."""
        self.special = self.fraction or meaning.int64
        """Numbers here (or below: see `compile_places`) do not print as themselves."""
        self.names: dict[str, Place] = {}
        self.closed = False
        self.written = frozenset[tuple[object, Any]]()
        """The values that the schema's author has written for it, each with its type."""
        self.items: Place = self
        self.prefix: tuple[Place, ...] = ()
        self.other: Place = self


def place_of(place: Place, index: int) -> Place:
    """Return where the element of an array lies."""
    return place.prefix[index] if index < len(place.prefix) else place.items


def compile_places(schema: Schema, meaning: Meaning) -> Place:
    """Prepare the places of one schema document. Recursive schemas give a cyclic graph."""
    maker = _Maker(Document(schema))
    root = maker.place((schema,), meaning)
    maker.mark_special()
    return root


class _Maker:
    """Makes each place once, however many references lead to it."""

    __slots__ = ("_document", "_made")

    def __init__(self, document: Document) -> None:
        self._document = document
        self._made: dict[tuple[tuple[int, ...], Meaning], Place] = {}

    def place(self, schemas: tuple[Any, ...], meaning: Meaning) -> Place:
        key = (tuple(id(s) for s in schemas), meaning)
        if key in self._made:
            return self._made[key]
        kinds = [self._document.kinds(s) for s in schemas]
        known = frozenset[str]().union(*(k for k in kinds if k is not None))
        made = self._made[key] = Place(meaning, known, loose=None in kinds or not kinds)
        applicable = self._document.applicable(schemas)
        made.written = frozenset(_written(applicable))
        self._properties(made, applicable)
        self._elements(made, applicable)
        return made

    def _properties(self, made: Place, applicable: list[Schema]) -> None:
        declared: dict[str, list[Any]] = {}
        matching = [p for s in applicable for p in s.get("patternProperties", {}).values()]
        rest = [s[k] for s in applicable for k in _REST if isinstance(s.get(k), dict)]
        for schema in applicable:
            for name, child in schema.get("properties", {}).items():
                declared.setdefault(name, []).append(child)
        step = made.meaning.step
        made.names = {n: self.place((*c, *matching), step(n)) for n, c in declared.items()}
        # A meaning may be declared for a key that the schema only tolerates.
        for name in made.meaning.names() - declared.keys():
            made.names[name] = self.place((*matching, *rest), step(name))
        made.other = self.place((*matching, *rest), step(""))
        made.closed = any(s.get("additionalProperties") is False for s in applicable)

    def _elements(self, made: Place, applicable: list[Schema]) -> None:
        items = tuple(s["items"] for s in applicable if isinstance(s.get("items"), dict))
        step = made.meaning.step("[]")
        made.items = self.place(items, step)
        width = max((len(s.get("prefixItems", ())) for s in applicable), default=0)
        made.prefix = tuple(
            self.place((*_column(applicable, i), *items), step) for i in range(width)
        )

    def mark_special(self) -> None:
        """Mark every place above one whose numbers do not print as themselves."""
        changed = True
        while changed:
            changed = False
            for place in self._made.values():
                below = (*place.names.values(), place.other, place.items, *place.prefix)
                if not place.special and any(p.special for p in below):
                    place.special = changed = True


def written(value: Any) -> tuple[object, Any]:
    """Return a plain value as it stands in `Place.written`: `1`, `"1"` and true are three."""
    if isinstance(value, float):
        value = Decimal(str(value))
    kind = cast("object", type(value))
    return kind, value


def _written(applicable: list[Schema]) -> Iterator[tuple[object, Any]]:
    for schema in applicable:
        given = [*schema.get("enum", ()), *(schema[k] for k in _ONE_VALUE if k in schema)]
        yield from (written(v) for v in given if not isinstance(v, dict | list))


def _column(applicable: list[Schema], index: int) -> Iterable[Any]:
    for schema in applicable:
        prefix = schema.get("prefixItems", ())
        if index < len(prefix):
            yield prefix[index]
