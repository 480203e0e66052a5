"""All conditions of a program, compiled for one way of making atoms."""

from __future__ import annotations

from collections.abc import Mapping

from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.index.log import Log
from bridle.engine.temporal.index.record import Layout
from bridle.engine.temporal.plan.collect import event_types
from bridle.engine.temporal.plan.compiler import Check, Compiler
from bridle.engine.temporal.plan.scope import Scope
from bridle.language.temporal.ast import Condition


class Plan:
    """Immutable.

    `checks` are the conditions by their digests, `slots` the size of the environment they need,
    `shared` how much they have in common, `layout` and the specs what a partition keeps for them.
    """

    __slots__ = ("_postings", "_tallies", "_trackers", "checks", "layout", "shared", "slots")

    def __init__(self, conditions: Mapping[str, Condition], atoms: Atomiser) -> None:
        types = event_types(conditions.values())
        compiler = Compiler(types, atoms)
        self.checks: dict[str, Check] = {
            digest: compiler.check(conditions[digest], Scope({})) for digest in sorted(conditions)
        }
        self.layout = Layout(types, compiler.ticks)
        self.slots = compiler.slots
        self.shared = compiler.shared
        self._postings = tuple(compiler.postings)
        self._trackers = tuple(compiler.trackers)
        self._tallies = tuple(compiler.tallies)

    def log(self) -> Log:
        """Return an empty log with the indexes that the checks use."""
        return Log(self.layout, self._postings, self._trackers, self._tallies)
