"""What policies see of the texts in a value: per top-level property its length, and what was found.

Which properties have facts, and under which key a result without a type stands, is the same
decision that the Cedar schema is made from (`bridle.bundle.schema.cedar`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bridle.bundle.schema.cedar import WHOLE, fact_keys, result_fact_keys
from bridle.bundle.schema.shape import output_typing
from bridle.engine.normalise.places import Meaning, Place, compile_places, meaning_of, place_of
from bridle.language.plain import is_array, is_object
from bridle.model.tool import Tool

Facts = dict[str, dict[str, Any]]
Find = Callable[[str, tuple[str, ...]], set[str]]


class Texts:
    """One tool, prepared: where text stands in its arguments and its result, and who searches it.

    `find` returns which of the named detectors find something in a text; `everything` are the
    names that stand for «all of them».
    """

    __slots__ = ("_everything", "_find", "_input", "_input_keys", "_output", "_output_keys")

    def __init__(self, tool: Tool, find: Find, everything: tuple[str, ...]) -> None:
        self._find = find
        self._everything = everything
        self._input = compile_places(tool.input, meaning_of(tool.arguments))
        self._input_keys = frozenset(fact_keys(tool))
        everywhere = Meaning(steering=False, detect=tool.detect_output)
        self._output = compile_places(tool.output or {}, everywhere)
        typed = tool.output is not None and output_typing(tool.output).shape is not None
        self._output_keys = frozenset(result_fact_keys(tool)) if typed else None

    def facts(self, value: dict[str, Any]) -> Facts:
        """Return the facts of arguments."""
        return self._by_name(value, self._input, self._input_keys)

    def facts_output(self, value: Any) -> Facts:
        """Return the facts of a result: by property when it is typed, else of the whole."""
        if self._output_keys is not None:
            return self._by_name(value, self._output, self._output_keys)
        fact = self._fact(value, self._output)
        return {WHOLE: fact} if fact else {}

    def _by_name(self, value: dict[str, Any], place: Place, keys: frozenset[str]) -> Facts:
        names, other = place.names, place.other
        facts: Facts = {}
        for name, item in value.items():
            if name in keys and (fact := self._fact(item, names.get(name, other))):
                facts[name] = fact
        return facts

    def _fact(self, value: Any, place: Place) -> dict[str, Any] | None:
        """Return the united facts of every text at and below a place; None without any text."""
        if isinstance(value, str):
            detect = self._detect(place)
            found = sorted(self._find(value, detect)) if detect else []
            return {"length": len(value), "found": found}
        return self._united(value, place) if isinstance(value, list | dict) else None

    def _united(self, value: Any, place: Place) -> dict[str, Any] | None:
        length, seen, found = 0, False, set[str]()
        for text, detect in self._texts(value, place):
            seen = True
            length += len(text)
            if wanted := [n for n in detect if n not in found]:
                found |= self._find(text, tuple(wanted))
        return {"length": length, "found": sorted(found)} if seen else None

    def _texts(self, value: Any, place: Place) -> Iterator[tuple[str, tuple[str, ...]]]:
        if isinstance(value, str):
            yield value, self._detect(place)
        elif is_array(value):
            for index, item in enumerate(value):
                yield from self._texts(item, place_of(place, index))
        elif is_object(value):
            for key, item in value.items():
                below = place.names.get(key)
                if below is None:
                    # The key of an open object is the sender's text like any other.
                    yield key, self._detect(place)
                yield from self._texts(item, below or place.other)

    def _detect(self, place: Place) -> tuple[str, ...]:
        declared = place.meaning.detect
        if declared is not None:
            return declared
        return () if place.steering else self._everything
