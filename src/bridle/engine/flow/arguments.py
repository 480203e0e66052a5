"""Which values of an action make up which argument, what they mean, and where they came from.

What the bundle's author has written (a value of a schema's `enum`, `const` or `default`, and truth
values) is nobody's data. Keys of open objects are data like what stands under them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bridle.engine.flow.index import Bounds, Index
from bridle.engine.flow.origin import NOTHING, UNKNOWN, Trace, joined
from bridle.engine.flow.reading import Reader, number_text
from bridle.engine.flow.reading.chunks import stripped
from bridle.engine.flow.source import Origin, Origins
from bridle.engine.normalise.places import (
    Meaning,
    Place,
    compile_places,
    meaning_of,
    place_of,
    written,
)
from bridle.language.plain import is_array, is_object
from bridle.model.tool import System, Tool

MOST_VALUES = 4_096
"""Values of one action that are looked for. Further ones are unknown."""

Labelled = Callable[[Iterable[str]], Iterator[tuple[str, str]]]
"""Finds labels that texts carry by what stands in them, see `Engine.labelled`."""


class Leaf(NamedTuple):
    """One value: its argument, its text ("": nothing to look for) and what it means."""

    argument: str
    text: str
    meaning: Meaning


class Meanings:
    """What the arguments of a bundle's tools mean. Each tool is prepared on its first use."""

    __slots__ = ("_places", "_systems", "_tools")

    def __init__(self, tools: Mapping[str, Tool], systems: Mapping[str, System]) -> None:
        self._tools = tools
        self._systems = systems
        self._places: dict[str, Place] = {}

    def leaves(self, tool: str, value: Mapping[str, Any]) -> Iterator[Leaf]:
        """Yield the values of a tool's canonical arguments, in order."""
        root = self._place(tool)
        for name, item in value.items():
            if item is None:
                continue
            place = root.names.get(name)
            if place is None:
                place = root.other
                yield Leaf(name, name, root.meaning)
            if is_object(item) or is_array(item):
                yield from _leaves(name, item, place)
            else:
                yield _leaf(name, item, place)

    def domain(self, tool: str) -> str:
        """Return the domain of a tool's system."""
        return self._systems[self._tools[tool].system].domain

    def _place(self, tool: str) -> Place:
        place = self._places.get(tool)
        if place is None:
            known = self._tools[tool]
            place = compile_places(known.input, meaning_of(known.arguments))
            self._places[tool] = place
        return place


class MissionFlow:
    """What a mission has read, as a judgement asks for it. Implements `Flow`.

    `labels` are those of everything that it has read, `labelled` finds them in a value itself,
    and `declared` is what somebody says of arguments beside what is found of them.
    """

    __slots__ = ("_declared", "_index", "_labelled", "_labels", "_meanings", "_reader")

    def __init__(  # noqa: PLR0913, PLR0917 - what a value is looked for in, and what is said of it
        self,
        index: Index,
        reader: Reader,
        meanings: Meanings,
        labels: frozenset[str],
        labelled: Labelled,
        declared: Mapping[str, Sequence[Trace]] = {},
    ) -> None:
        self._declared = declared
        self._labelled = labelled
        self._index = index
        self._reader = reader
        self._meanings = meanings
        self._labels = labels

    @property
    def labels(self) -> frozenset[str]:
        """Return the labels of everything that was read."""
        return self._labels

    def origins(self, tool: str, value: Mapping[str, Any]) -> Origins:
        """Return where the canonical arguments of a declared tool came from."""
        arguments: dict[str, list[Trace]] = {name: [] for name in value if value[name] is not None}
        sinks: dict[str, list[Trace]] = {}
        meant: dict[str, set[str]] = {}
        own = _Own(self._labelled, self._labels)
        looked_for = _Looked(self._index, self._reader, self._meanings.domain(tool), own)
        for leaf in self._meanings.leaves(tool, value):
            trace = looked_for.trace(leaf)
            arguments[leaf.argument].append(trace)
            sinks.setdefault(leaf.meaning.sink, []).append(trace)
            if self._declared:
                meant.setdefault(leaf.argument, set()).add(leaf.meaning.sink)
        # INVARIANT: what is declared is joined to what was found, and takes nothing from it.
        for name, declared in self._declared.items():
            arguments.get(name, []).extend(declared)
            for sink in meant.get(name, ()):
                sinks[sink].extend(declared)
        every = [trace for traces in arguments.values() for trace in traces]
        join = _Joins(self._labels).join
        return Origins(
            arguments={name: join(traces) for name, traces in arguments.items()},
            sinks={sink: join(traces) for sink, traces in sinks.items()},
            any=join(every),
        )


class _Joins:
    """Makes the origins of one action, one for all that are made up of the same traces."""

    __slots__ = ("_known", "_labels")

    def __init__(self, labels: frozenset[str]) -> None:
        self._labels = labels
        self._known: dict[tuple[int, ...], Origin] = {}

    def join(self, traces: list[Trace]) -> Origin:
        """Return the origin of what these values make up."""
        ids = map(id, traces)
        key = tuple(ids if len(traces) == 1 else dict.fromkeys(ids))
        known = self._known.get(key)
        if known is None:
            distinct = {id(trace): trace for trace in traces}
            known = self._known[key] = joined(list(distinct.values()), self._labels)
        return known


class _Own:
    """Finds which of a mission's labels a value carries by itself, where it inherits none.

    A value that was put together anew says nothing that was read, and may hold what labels it.
    """

    __slots__ = ("_labelled", "_labels")

    def __init__(self, labelled: Labelled, labels: frozenset[str]) -> None:
        self._labelled = labelled
        self._labels = labels

    def added(self, text: str, trace: Trace) -> Trace:
        """Return what was found of a value, with the labels that it carries besides."""
        # INVARIANT: a value that inherits nothing never carries more than one that does.
        if trace.trusted or trace.mission or not self._labels:
            return trace
        found = {label for label, _ in self._labelled([text])} & self._labels
        return trace._replace(labels=trace.labels | found) if found else trace


class _Looked:
    """Looks for the values of one action, for each once, within bounds."""

    __slots__ = ("_bounds", "_domain", "_index", "_known", "_own", "_reader", "_silent")

    def __init__(self, index: Index, reader: Reader, domain: str, own: _Own) -> None:
        self._index = index
        self._own = own
        self._reader = reader
        self._domain = domain
        self._bounds = Bounds()
        self._known: dict[tuple[str, str, bool], Trace] = {}
        self._silent = index.silent(inherits=False), index.silent()

    def trace(self, leaf: Leaf) -> Trace:
        """Return where a value came from."""
        if not leaf.text or not stripped(leaf.text):
            return NOTHING
        meaning = leaf.meaning
        silent = self._silent[meaning.inherits]
        if silent is not None and meaning.inherits:
            return silent
        key = (leaf.text, meaning.sink, meaning.inherits)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MOST_VALUES:
                return UNKNOWN
            found = silent if silent is not None else self._found(leaf)
            known = found if meaning.inherits else self._own.added(leaf.text, found)
            self._known[key] = known
        return known

    def _found(self, leaf: Leaf) -> Trace:
        meaning = leaf.meaning
        return self._index.trace(
            self._reader.read(leaf.text),
            meaning.sink,
            self._domain,
            self._bounds,
            inherits=meaning.inherits,
        )


def _leaves(argument: str, value: Any, place: Place) -> Iterator[Leaf]:
    """Yield the values below a place, without recursion: a value may be nested deeply."""
    pending = [(value, place)]
    while pending:
        item, place = pending.pop()
        if is_object(item):
            names, other = place.names, place.other
            pending += [(below, names.get(key, other)) for key, below in reversed(item.items())]
            for key in item:
                if key not in names:
                    yield Leaf(argument, key, place.meaning)
        elif is_array(item):
            pending += reversed([(each, place_of(place, i)) for i, each in enumerate(item)])
        elif item is not None:
            yield _leaf(argument, item, place)


def _leaf(argument: str, item: object, place: Place) -> Leaf:
    if place.written and written(item) in place.written:
        return Leaf(argument, "", place.meaning)
    text = item if isinstance(item, str) else number_text(item)
    return Leaf(argument, text, place.meaning)
