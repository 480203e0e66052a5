"""What one mission has read, as an index: which of it a value came from. Bounded, without text.

What somebody vouches for and what nobody does lie apart, so nothing that is read from an untrusted
source can push out, hide or outnumber what makes a value trusted.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import chain

from bridle.engine.flow.half import MOST_STEPS, SOURCE_OCTETS, Half, narrowed, weight
from bridle.engine.flow.origin import NOTHING, Place, Trace
from bridle.engine.flow.reading import Reading
from bridle.engine.flow.source import Imprint, Source, SourceKind

TRUSTED_MOST = 512 * 1_024
"""Octets of what somebody vouches for, as `weight` counts them. What is more is not trusted."""

OTHERS_MOST = 1_536 * 1_024
"""Octets of what nobody vouches for. Where it becomes more, the oldest is let go of."""

LEFT = 3, 4
"""The part of `OTHERS_MOST` that is left after that."""

MOST_LABELLED = 2_048
"""Labelled values that are looked for. Labels of further ones go to every value."""

MOST_TOGETHER = 16_384
"""Places that are looked at for all values of one action, in each part of the index."""

_LABELLED_OCTETS = 192
_NONE = frozenset[str]()
_NO_MARKS = array("Q")


class Bounds:
    """How far one action's values are searched for; each part of the index has its own bound."""

    __slots__ = ("others", "results", "told")

    def __init__(self) -> None:
        self.told = self.results = self.others = MOST_TOGETHER


class Index:
    """What a mission has read. Sources come in the order of their numbers.

    The same sources in the same order give the same answers, whatever was asked in between. `gone`
    are the systems (with their domains) whose results are not known in full; `whole` says that
    everything is. `full` says that something is not vouched for any longer, for want of room.
    """

    __slots__ = (
        "_everywhere",
        "_labelled",
        "_others",
        "_results",
        "_told",
        "full",
        "gone",
        "whole",
    )

    def __init__(self, gone: Iterable[Place] = (), *, whole: bool = True) -> None:
        # INVARIANT: I2. They lie apart: no untrusted source changes what is trusted.
        self._told, self._results = Half(TRUSTED_MOST), Half(TRUSTED_MOST)
        self._others = Half(OTHERS_MOST, narrow=True)
        self._labelled: dict[int, frozenset[str]] = {}
        self._everywhere = _NONE
        self.gone = frozenset(gone)
        self.whole = whole and not self.gone
        self.full = False

    @property
    def octets(self) -> int:
        """What the index takes, in octets, as an upper bound."""
        halves = self._told, self._results, self._others
        sources = sum(len(half.sources) for half in halves)
        labelled = len(self._labelled) * _LABELLED_OCTETS
        return sum(half.octets for half in halves) + sources * SOURCE_OCTETS + labelled

    @property
    def weight(self) -> int:
        """What its imprints take where they are kept, in octets, as an upper bound."""
        halves = self._told, self._results, self._others
        return sum(sum(half.weights) for half in halves)

    @property
    def found(self) -> frozenset[str]:
        """The labels of all values that detectors found."""
        return self._everywhere.union(*self._labelled.values())

    def of(self, about: str) -> list[Source]:
        """Return the sources that are still held of what `about` names, such as an action."""
        halves = self._told, self._results, self._others
        sources = chain.from_iterable(half.sources for half in halves)
        return [source for source in sources if source.id.rpartition("@")[0] == about]

    def silent(self, *, inherits: bool = True) -> Trace | None:
        """Return what is to be said of every value where nothing that was read says anything.

        None where something does, and each value has to be looked for.
        """
        halves = self._told, self._results, self._others
        if self._labelled or any(half.sources for half in halves):
            return None
        mission = inherits or not self.whole
        return Trace(False, False, True, self.gone, self._everywhere, mission, ())

    def add(self, number: int, source: Source, imprint: Imprint) -> None:
        """Take in a source. What there is no room for becomes unknown, and never trusted."""
        if imprint.cut:
            self.miss(source)
        if source.trusted:
            self._vouched(number, source, imprint)
        else:
            self._others.add(number, source, imprint)
            self._bounded()
        for label, marks in imprint.labelled.items():
            self._label(label, array("Q", marks))

    def miss(self, source: Source) -> None:
        """Take in that something was read of which nobody knows all that it said."""
        self.whole = False
        self.gone |= {(source.system, source.domain)}

    def let_go(self, first: int) -> None:
        """Let go of what nobody vouches for and has a number below `first`."""
        self._drop(sum(number < first for number in self._others.numbers))

    def trace(
        self, reading: Reading, sink: str, domain: str, bounds: Bounds, *, inherits: bool = True
    ) -> Trace:
        """Return where a value came from that means `sink` to a system in `domain`.

        `inherits`: it carries all labels of the mission where it is not trusted.
        """
        if reading.empty:
            return NOTHING
        told, results, others = _Found(self._told), _Found(self._results), _Found(self._others)
        if self._told.sources:
            # A long value is read only as far as somebody may have said it.
            others_too = self._results.sources or self._others.sources
            nobody = not others_too and self._told.lacks(reading.head)
            exact = _NO_MARKS if nobody else reading.exact
            bounds.told = told.say(exact, reading.whole, bounds.told)
            told.keep(sink, domain)
        if self._results.sources:
            bounds.results = results.say(reading.exact, reading.whole, bounds.results)
            results.share(reading.parts)
        if self._others.sources:
            exact, whole = narrowed(reading.exact), narrowed(reading.whole)
            bounds.others = others.say(exact, whole, bounds.others)
            others.share(narrowed(reading.parts))
        return self._traced(reading, told, results, others, inherits=inherits)

    def _traced(
        self, reading: Reading, told: _Found, results: _Found, others: _Found, *, inherits: bool
    ) -> Trace:
        trusted = bool(told.sayers or results.sayers)
        # A human said it: in a prompt, or by approving it for this meaning in this domain.
        prompted = told.any_of(SourceKind.PROMPT) or told.any_of(SourceKind.ENDORSEMENT)
        events = told.events() + results.events() + others.events()
        places = (results.places() | others.places()) | self.gone
        unknown = not (trusted or others.sayers)
        # INVARIANT: labels shrink only by acts: what a user says, and what a human approved.
        if prompted:
            return Trace(trusted, prompted, unknown, places, _NONE, False, events)
        lost = results.lost or others.lost or not self.whole
        labels = self._labels(reading, told, results, others, trusted=trusted)
        mission = lost or (inherits and not trusted)
        return Trace(trusted, prompted, unknown, places, labels, mission, events)

    def _vouched(self, number: int, source: Source, imprint: Imprint) -> None:
        # INVARIANT: I2. Room for what is trusted is never made by anything that is read.
        taken = sum(self._told.weights) + sum(self._results.weights)
        if self.full or taken + weight(imprint) > TRUSTED_MOST:
            self.full = True
            self.miss(source)
            return
        half = self._results if source.kind == SourceKind.RESULT else self._told
        half.add(number, source, imprint)

    def _bounded(self) -> None:
        weights = self._others.weights
        total, count = sum(weights), 0
        if total <= OTHERS_MOST:
            return
        while total > OTHERS_MOST * LEFT[0] // LEFT[1]:
            total, count = total - weights[count], count + 1
        self._drop(count)

    def _drop(self, count: int) -> None:
        for source in self._others.sources[:count]:
            self.miss(source)
        self._others.forget(count)

    def _label(self, label: str, marks: array[int]) -> None:
        for mark in marks:
            known = self._labelled.get(mark, _NONE)
            if not known and len(self._labelled) >= MOST_LABELLED:
                self._everywhere |= {label}
                return
            self._labelled[mark] = known | {label}

    def _labels(self, reading: Reading, *found: _Found, trusted: bool) -> frozenset[str]:
        """Return the labels that a value has by itself, and not for what else was read.

        Of what is trusted, parts that stand elsewhere say nothing.
        """
        labels = self._everywhere.union(*[each.labels(shared=not trusted) for each in found])
        known = self._labelled
        for marks in (reading.parts, reading.exact) if known else ():
            if not known.keys().isdisjoint(marks):
                labels = labels.union(*[known[mark] for mark in marks if mark in known])
        return labels


class _Found:
    """The sources in one part of the index that say a value, and those that share with it.

    Both by profile. `lost`: there may be more of them, so all count.
    """

    __slots__ = ("_half", "_sharers", "lost", "sayers")

    def __init__(self, half: Half) -> None:
        self._half = half
        self.sayers: dict[int, int] = {}
        self._sharers: dict[int, int] = {}
        self.lost = False

    def say(self, exact: array[int], whole: array[int], steps: int) -> int:
        """Look for those that say the value, and return how many steps are left."""
        most = min(steps, MOST_STEPS)
        left = self._half.says(exact, self.sayers, most)
        self.lost = left < 0
        self._half.holds(whole, self.sayers)
        return steps - most + max(left, 0)

    def share(self, parts: array[int]) -> None:
        """Look for those that share something with it."""
        self._half.holds(parts, self._sharers)

    def keep(self, sink: str, domain: str) -> None:
        """Keep of those that say it only what counts for this meaning and domain."""
        for whose in list(self.sayers):
            profile = self._half.profiles[whose]
            applies = profile.sink == sink and profile.toward == domain
            if profile.kind == SourceKind.ENDORSEMENT and not applies:
                del self.sayers[whose]

    def any_of(self, kind: SourceKind) -> bool:
        """Whether a source of this kind says it."""
        return any(self._half.profiles[whose].kind == kind for whose in self.sayers)

    def labels(self, *, shared: bool) -> frozenset[str]:
        """Return the labels of those that say it, and with `shared` of the others."""
        found = self._all() if shared else self.sayers
        return _NONE.union(*[self._half.profiles[whose].labels for whose in found])

    def places(self) -> frozenset[Place]:
        """Return the systems of these, of all there are where some may be missing."""
        profiles = self._half.profiles
        found = profiles if self.lost else [profiles[whose] for whose in self._all()]
        return frozenset([profile.place for profile in found])

    def events(self) -> tuple[str, ...]:
        """Return the ids of the last sources of these profiles, in the order of reading."""
        if not self.sayers and not self._sharers:
            return ()
        found = sorted({*self.sayers.values(), *self._sharers.values()})
        return tuple([self._half.sources[index].id for index in found])

    def _all(self) -> Iterable[int]:
        return {**self._sharers, **self.sayers} if self._sharers else self.sayers
