"""Deliberate faults of the evaluators, as changes of their text, which the comparison must find."""

# ruff: noqa: E501, ISC004
# A fault reads best with what it replaces above what it puts there.

from __future__ import annotations

from msgspec import Struct

TEMPORAL = "bridle.engine.temporal"
SPECIFICATION, ENGINE, INTERRUPTED = "specification", "incremental engine", "interrupted engine"


class Mutant(Struct, frozen=True):
    """A fault: in `module`, each `old` (which stands there once) becomes its `new`.

    `way` is the evaluator that must be seen to err.
    """

    name: str
    way: str
    module: str
    changes: tuple[tuple[str, str], ...]


def _of(way: str, module: str, faults: dict[str, tuple[tuple[str, str], ...]]) -> list[Mutant]:
    return [Mutant(name, way, module, changes) for name, changes in faults.items()]


_SPECIFICATION = {
    "a window is open at its far end": (
        ("<= window.seconds * 1000", "< window.seconds * 1000"),
    ),
    "a window is open at its near end": (("return 0 <= self.history", "return 0 < self.history"),),
    "a window reaches a second further": (
        ("<= window.seconds * 1000", "<= window.seconds * 1000 + 1000"),
    ),
    "later stamps are within every window": (("return 0 <= self.history", "return self.history"),),
    "minutes are seconds": (("<= window.seconds * 1000", "<= window.amount * 1000"),),
    "the present is not looked at": (
        ("places if past <= at and", "places if past < at and"),
    ),
    "the left of since is asked at the anchor": (
        ("range(anchor + 1, at + 1)", "range(anchor, at + 1)"),
    ),
    "the left of since is not asked now": (("range(anchor + 1, at + 1)", "range(anchor + 1, at)"),),
    "the left of since is not asked at all": (("range(anchor + 1, at + 1)", "range(0)"),),
    "the left of since does not know the anchor's values": (
        ("self._throughout(since.left, steps, {**bound, **dict(row)})",
         "self._throughout(since.left, steps, bound)"),
    ),
    "previous has no window": (
        ("seen = at > 0 and self._within(window, at, at - 1)", "seen = at > 0"),
    ),
    "previous is two back": (
        ("self.relation(body, at - 1, bound) if seen",
         "self.relation(body, max(at - 2, 0), bound) if seen"),
    ),
    "previous is the present": (
        ("self.relation(body, at - 1, bound) if seen", "self.relation(body, at, bound) if seen"),
    ),
    "a negation of a negation is a negation": (("negated = not negated", "negated = True"),),
    "exists does not hide the outer variable": (
        ("self.relation(condition, at, _without(bound, names))",
         "self.relation(condition, at, bound)"),
    ),
    "what exists binds is seen outside": (
        ("tuple(pair for pair in row if pair[0] not in names), behind)", "row, behind)"),
    ),
    "an aggregate does not hide the outer variable": (
        ("self.relation(term.body, at, _without(bound, names))",
         "self.relation(term.body, at, bound)"),
    ),
    "an aggregate forgets what is bound outside": (
        ("self.relation(term.body, at, _without(bound, names))",
         "self.relation(term.body, at, {})"),
    ),
    "each event counts": (
        ("total = len(rows) if isinstance(term, Count)",
         "total = sum(max(1, len(b)) for b in body.values()) if isinstance(term, Count)"),
    ),
    "sums are of the values alone": (
        ("total = len(rows) if isinstance(term, Count) else _sum(rows, term.variable)",
         "total = len(rows) if isinstance(term, Count) else "
         "sum({v for r in rows if isinstance(v := dict(r).get(term.variable), int)})"),
    ),
    "totals wrap around": (
        ("max(LONG_MIN, min(total, LONG_MAX)), behind",
         "(total + 2**63) % 2**64 - 2**63, behind"),
    ),
    "totals are of 32 bits": (
        ("max(LONG_MIN, min(total, LONG_MAX)), behind",
         "max(-2**31, min(total, 2**31 - 1)), behind"),
    ),
    "a field that is missing matches a wildcard": (
        ("        if logged is None:\n            return False",
         "        if logged is None:\n            return isinstance(field.term, Wildcard)"),
    ),
    "a field that is missing matches anything": (
        ("        if logged is None:\n            return False",
         "        if logged is None:\n            return True"),
    ),
    "a null is not there": (
        ("        if logged is None:", '        if logged is None or logged == "n":'),
    ),
    "a wildcard is nothing": (
        ("        if isinstance(field.term, Wildcard):\n            return True",
         "        if isinstance(field.term, Wildcard):\n            return False"),
    ),
    "a variable twice in a predicate need not agree": (
        ("return new.setdefault(field.term.name, logged) == logged",
         "return bool(new.setdefault(field.term.name, logged)) or True"),
    ),
    "a bound variable is bound anew": (
        ("if isinstance(field.term, Variable) and field.term.name not in bound:",
         "if isinstance(field.term, Variable):"),
    ),
    "the kind of an event does not count": (
        (" or event.kind != predicate.kind", ""),
    ),
    "the action of an event does not count": (
        ("if event.action != name or event.kind", "if event.kind"),
    ),
    "what is not there differs from everything": (
        ("    if left is None or right is None:\n        return False",
         '    if left is None or right is None:\n        return op == "!="'),
    ),
    "less is less or equal": (('"<": operator.lt', '"<": operator.le'),),
    "greater or equal is greater": (('">=": operator.ge', '">=": operator.gt'),),
    "conjuncts do not know what others have bound": (
        ("conjunct, at, {**bound, **dict(row)}", "conjunct, at, bound"),
    ),
    "a position is a time": (
        ("return {((name, at),): _NOWHERE}",
         "return {((name, self.history[at].time),): _NOWHERE}"),
        ("return _HOLDS if bound[name] == at else {}",
         "return _HOLDS if bound[name] == self.history[at].time else {}"),
    ),
    "an equality binds nothing": (
        ('if comparison.op == "==" and len(free) == 1:', "if False:"),
    ),
}  # fmt: skip

_PINS = {
    "pins are lost": (
        ("if event is None or not event.pins:", "if True:"),
    ),
    "a pin takes the place of what the policy says": (
        ("fields=(*node.fields, *pinned)", "fields=pinned"),
    ),
    "a pin on some events parts the history": (
        ("all(p in e.pins for e in every)", "any(p in e.pins for e in every)"),
    ),
    "a pin under another name parts the history": (
        ("if _is_symmetric(p) and all(", "if all("),
    ),
    "no pin parts the history": (
        ("return tuple(dict.fromkeys(shared))", "return ()"),
    ),
}  # fmt: skip

_ATOMS = {
    "decimals are their spelling": (
        ('return "x:" + self._keyed(text) if units is None else f"d:{units}"',
         'return "x:" + self._keyed(text)'),
    ),
    "the sign of a decimal is lost": (
        ("signed = -units if found[1] else units", "signed = units"),
    ),
    "strings have no case": (
        ('return "s:" + self._keyed(value)', 'return "s:" + self._keyed(value.lower())'),
    ),
}  # fmt: skip

_SEEK = {
    "formerly is open at its far end": (
        ("posting is not None and posting.times[at] >= time - span",
         "posting is not None and posting.times[at] > time - span"),
    ),
    "formerly has no window": (
        ("posting is not None and posting.times[at] >= time - span", "posting is not None"),
    ),
    "previous is open at its far end, now": (
        ("stamp if stamp is not None and stamp >= time - span",
         "stamp if stamp is not None and stamp > time - span"),
    ),
    "previous is open at its far end, before": (
        ("record is not None and record.time >= time - span",
         "record is not None and record.time > time - span"),
    ),
    "previous is two back": (
        ("stamp is not None and check(moment, position - 1, stamp)",
         "stamp is not None and check(moment, position - 2, stamp)"),
    ),
    "keys are looked up the other way round": (
        ("for term in keys]\n    if not values", "for term in reversed(keys)]\n    if not values"),
    ),
    "positions are times": (
        ("env[slot] = record.position\n            yield record",
         "env[slot] = record.time\n            yield record"),
    ),
    "rows come twice at most once per event": (
        ("            if row not in seen:\n                seen.add(row)",
         "            if not seen:\n                seen.add(row)"),
    ),
    "an event before a previous may be gone": (
        ("compiler.keeps_everything(scope.horizon + span)", "pass"),
    ),
}  # fmt: skip

_POSTINGS = {
    "the far end of a visit is left out": (
        ("return bisect_left(times, since", "return bisect_right(times, since"),
        ("if times[self.head] >= since", "if times[self.head] > since"),
    ),
    "the position itself is left out": (
        ("if positions[-1] <= position:", "if positions[-1] < position:"),
        ("return bisect_right(positions, position", "return bisect_left(positions, position"),
    ),
    "a sum is not undone after a question": (
        ("            posting.sums.pop()", "            pass"),
    ),
    "an event is not undone after a question": (
        ("        posting.positions.pop()\n        posting.times.pop()", "        pass"),
    ),
    "a run goes on over a gap": (
        ("posting.positions[-1] == position - 1", "posting.positions[-1] >= position - 2"),
    ),
}  # fmt: skip

_CONTINUITY = {
    "an anchor at the break counts not": (
        ("posting.times[at]) <= posting.positions[at]", "posting.times[at]) < posting.positions[at]"),
    ),
    "since is open at its far end": (
        ("posting.times[at] < time - span", "posting.times[at] <= time - span"),
    ),
    "an anchor at the break ends the search": (
        ("if record.position < failed:", "if record.position <= failed:"),
    ),
    "a break is taken for its absence": (
        ("return last_match if negated else before_run", "return last_match"),
    ),
    "only the first part of the left counts": (
        ("max(part(moment, position, start) for part in parts)",
         "parts[0](moment, position, start)"),
    ),
}  # fmt: skip

_LOG = {
    "events go too early": (
        (
            "stream[0].time < time - horizon:\n                self._evict",
            "stream[0].time <= time - horizon:\n                self._evict",
        ),
    ),
}

_COLLECT = {
    "nested windows do not add up": (
        ("return [(body, reach + milliseconds(window))]",
         "return [(body, max(reach, milliseconds(window)))]"),
    ),
}  # fmt: skip

_TRACKER = {
    "rows go too early": (
        ("if self._rows[key].time >= since:", "if self._rows[key].time > since:"),
    ),
    "rows stay too long": (
        ("if row.time < time - self._spec.window:", "if False:"),
    ),
    "a block ends too early": (
        ("last[0] < time - self.window", "last[0] <= time - self.window"),
    ),
    "a block never ends": (
        ("if last[0] < time - self.window:", "if False:"),
    ),
    "what came before breaks, too": (
        ("return not self.since or last[1] > position", "return True"),
    ),
    "the anchor breaks itself": (
        ("or last[1] > position", "or last[1] >= position"),
    ),
    "equal outputs count each": (
        ("count, total = (len(found.outputs), found.total)",
         "count, total = (sum(found.outputs.values()), found.total)"),
    ),
    "equal outputs add up each": (
        ("if counts and now == 1:", "if counts:"),
    ),
    "the request's own row is forgotten": (
        ("        if own is not None:", "        if False:"),
        ("if own is None or own.key[0] != group or", "if True or"),
    ),
    "what the request blocks is forgotten": (
        ("if trial is not None and trial.blocks[number] == join:", "if False:"),
    ),
    "what comes in never ends": (
        ("        self._until = min(self._until, record.time + self._shortest)\n", ""),
    ),
    "what the request adds is never blocked": (
        ("            if last is not None and guard.blocks(last, newest", "            if False and guard.blocks(last, newest"),
    ),
    "only rows come to an end": (
        ("        self._shortest = min([spec.window, *(guard.window for guard in spec.guards)])\n",
         "        self._shortest = spec.window\n"),
        ("            for guard in self._guards\n            if guard.last\n", "            for guard in ()\n"),
    ),
    "a row is as old as its first event": (
        ("        row.time, row.position = record.time, record.position\n", ""),
    ),
}  # fmt: skip

_AGGREGATES = {
    "totals wrap around": (
        ("return value if LONG_MIN <= value <= LONG_MAX else max(LONG_MIN, min(value, LONG_MAX))",
         "return (value + 2**63) % 2**64 - 2**63"),
    ),
    "an aggregate does not hide the outer variable": (
        ("scope = outside.without(names)", "scope = outside"),
    ),
    "equal values count each": (
        ("if not set(names) & one.timed.keys() or (summand",
         "if (summand"),
    ),
    "what is closed in an aggregate is not asked": (
        ("            if not guard(moment, position, time):\n                return 0",
         "            guard(moment, position, time)"),
    ),
    "equal rows are added up once": (
        ("return sum(value for row in found if isinstance(value := row[column], int))",
         "return sum({value for row in found if isinstance(value := row[column], int)})"),
    ),
}  # fmt: skip

_COMPILER = {
    "exists does not hide the outer variable": (
        ("return self.check(body, scope.without([binder.name]))", "return self.check(body, scope)"),
    ),
    "a negation is lost": (
        ("        if not negated:\n            return check\n", "        return check\n"),
    ),
    "any event at the position will do": (
        ("record is None or record.type != number or not", "record is None or not"),
    ),
    "nothing comes of a check among rows": (
        ("    def rows(moment: Moment, position: int, time: int) -> Iterator[None]:\n"
         "        if check(moment, position, time):",
         "    def rows(moment: Moment, position: int, time: int) -> Iterator[None]:\n"
         "        if not check(moment, position, time):"),
    ),
}  # fmt: skip

_PATTERNS = {
    "a negation holds where one field differs from what all say": (
        ("return self._add(NotAll(canonical(tests)))",
         "return all([self._add(NotAll((t,))) for t in tests]) and bool(tests)"),
    ),
    "a variable twice in a predicate need not agree": (
        ("self.tests.append(Same(self.binds[term.name], index))", "pass"),
    ),
    "a field that is missing matches a wildcard": (
        ("        self.tests.append(Present(index))\n",
         "        if not isinstance(term, Wildcard):\n            self.tests.append(Present(index))\n"),
    ),
    "any value of the request is the same value": (
        ("k.index == index and k.identity == same for k", "k.index == index for k"),
    ),
}  # fmt: skip

_PARTITION = {
    "a new condition is not filled from the past": (
        ("if program.conditions.keys() - self.program.conditions.keys():", "if False:"),
    ),
}

MUTANTS = [
    *_of(SPECIFICATION, f"{TEMPORAL}.specification", _SPECIFICATION),
    *_of(SPECIFICATION, "bridle.language.events.pins", _PINS),
    *_of(SPECIFICATION, f"{TEMPORAL}.atoms", _ATOMS),
    *_of(ENGINE, f"{TEMPORAL}.plan.seek", _SEEK),
    *_of(ENGINE, f"{TEMPORAL}.index.postings", _POSTINGS),
    *_of(ENGINE, f"{TEMPORAL}.plan.continuity", _CONTINUITY),
    *_of(ENGINE, f"{TEMPORAL}.index.log", _LOG),
    *_of(ENGINE, f"{TEMPORAL}.plan.collect", _COLLECT),
    *_of(ENGINE, f"{TEMPORAL}.index.tracker", _TRACKER),
    *_of(ENGINE, f"{TEMPORAL}.plan.aggregates", _AGGREGATES),
    *_of(ENGINE, f"{TEMPORAL}.plan.compiler", _COMPILER),
    *_of(ENGINE, f"{TEMPORAL}.plan.patterns", _PATTERNS),
    *_of(INTERRUPTED, f"{TEMPORAL}.partition", _PARTITION),
]
