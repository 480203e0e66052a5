"""Reads the past back from the ledger's records, as events: for a scope that nobody kept so far.

Decisions carry the arguments, outcomes the result, both sealed. Where a record cannot be opened any
more, or is from before records said what they mean for history, everything up to it is unknown.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from msgspec import Struct, structs

from bridle.engine.case import Case, MissionView, Typed
from bridle.engine.temporal.event import Atom, Event
from bridle.engine.temporal.occurrence import NAMESPACE
from bridle.governor.delegation import lineage
from bridle.governor.ground.turn import Turn
from bridle.governor.ground.vault import opener
from bridle.governor.history import telling
from bridle.governor.history.whose import Whose
from bridle.ledger import leaf
from bridle.ledger.tree import leaf_hash
from bridle.model.errors import BridleError
from bridle.model.event import EventKind
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.record import Leaf, LeafKind
from bridle.model.verdict import Effect
from bridle.store.base import StoredLeaf
from bridle.store.rows import MissionRow

MOST = 200_000
"""Records that are read back, at most: the newest ones."""

# Requests that may still end, as far as anybody remembers while reading.
_REMEMBERED = 50_000


class Found(Struct, frozen=True):
    """An event, whose history it enters, and the record that tells of it.

    Without an event: something happened that cannot be told any more.
    """

    time: int
    record: int
    of: Whose
    event: Event | None


class _Request(Struct, frozen=True):
    action: str
    tool: str
    fields: dict[str, Atom]


class Past:
    """The events of the log's records since a moment. Read once, in order."""

    def __init__(self, turn: Turn, since: int) -> None:
        self._turn = turn
        self._open = opener(turn.core.keyring, turn.tx)
        # The last requests that were told of: what came of one has the same arguments.
        self._requests: OrderedDict[tuple[str, int], _Request] = OrderedDict()
        self._start = max(0, turn.tx.frontier().size - MOST, turn.globals.told)
        self._since = since
        self.complete = self._complete()

    def _complete(self) -> int:
        """From when on nothing is missing: 0 where every event there ever was is read."""
        turn = self._turn
        whole = self._start == 0 and turn.globals.told == 0
        first = next(turn.tx.leaves(self._start, self._start + 1), None)
        begun = leaf.parse(first.data).time if first is not None else turn.now
        if whole and begun >= self._since:
            return 0
        # Of two records of one moment, one may be read and the other not.
        return self._since if whole else max(self._since, begun + 1)

    def events(self) -> Iterator[Found]:
        """Yield what happened, in order."""
        for stored in self._turn.tx.leaves(self._start):
            record = leaf.parse(stored.data)
            if record.kind in (LeafKind.DECISION, LeafKind.OUTCOME) and _number(record):
                # Read even where it is older: what came of it may not be.
                yield from (
                    found for found in self._of(stored, record) if found.time >= self._since
                )

    def _of(self, stored: StoredLeaf, record: Leaf) -> Iterator[Found]:
        of = self._whose(record)
        made: list[Event | None] = []
        try:
            made.extend(self._events(stored, record, of))
        except (BridleError, ValueError, KeyError, TypeError):
            # INVARIANT: I2 — what cannot be read is unknown, not something that never happened.
            made = [None]
        for event in made:
            yield Found(record.time, stored.index, of, event)

    def _events(self, stored: StoredLeaf, record: Leaf, of: Whose) -> Iterator[Event]:
        fields = self._fields(stored, record)
        if record.kind is LeafKind.DECISION:
            yield from self._decided(record, of, fields)
        elif "contradicts" in record.body:
            yield from self._again(record, of)
        else:
            yield self._ended(record, of, fields)

    def _fields(self, stored: StoredLeaf, record: Leaf) -> dict[str, str]:
        if not record.commit:
            return {}
        opened = self._open(stored, leaf_hash(stored.data))
        if opened.keys() != record.commit.keys():
            raise ValueError(record.seq)
        return {name: value.decode() for name, (_, value) in opened.items()}

    def _decided(self, record: Leaf, of: Whose, fields: dict[str, str]) -> Iterator[Event]:
        effect, number = Effect(record.body["effect"]), _number(record)
        text = fields.get("judged") or fields.get("modified") or fields["args"]
        action = fields["action"]
        case = self._case(record, of, telling.request_id(action, number))
        typed = self._turn.engine.normalise(case.tool, text)
        if isinstance(typed, Typed):
            case = structs.replace(case, typed=typed)
        kind = EventKind.HELD if effect is Effect.HOLD else EventKind.REQUEST
        event = telling.event_in(self._turn, case, kind)
        self._requests[record.ids["action"], number] = _Request(action, case.tool, event.fields)
        if len(self._requests) > _REMEMBERED:
            self._requests.popitem(last=False)
        yield event
        if effect is Effect.DENY:
            yield self._failed(event, record.time, telling.DENIED)

    def _case(self, record: Leaf, of: Whose, name: str) -> Case:
        return Case(
            tool=str(record.body["tool"]),
            typed=telling.NOTHING,
            agent=of.agents[-1],
            user=of.user,
            mission=MissionView(of.mission, ""),
            now=record.time,
            id=name,
        )

    def _ended(self, record: Leaf, of: Whose, fields: dict[str, str]) -> Event:
        request = self._request(record, _number(record))
        kind = OutcomeKind(record.body["kind"])
        if kind is not OutcomeKind.OK:
            code = telling.code_of(kind, str(record.body.get("error", "")))
            return self._failed(self._event(record, of, request), record.time, code)
        # What a human said of it has no result.
        opaque = bool(record.body.get("opaque") or record.body.get("by_human"))
        outcome = Outcome(kind, output=fields.get("output", ""), opaque=opaque)
        result = telling.output_of(self._turn, request.tool, outcome)
        case = self._case(record, of, "")
        answered = telling.event_in(self._turn, case, EventKind.RESPONSE, output=result)
        said = {name: a for name, a in answered.fields.items() if name.startswith("output.")}
        return structs.replace(answered, fields={**request.fields, **said})

    def _again(self, record: Leaf, of: Whose) -> Iterator[Event]:
        """Yield a request that counts once more, since its end was reported in two ways."""
        request = self._request(record, int(record.body["of"]))
        name = telling.request_id(request.action, _number(record))
        fields = {**request.fields, "requestId": self._turn.core.atoms.text(name)}
        event = self._event(record, of, structs.replace(request, fields=fields))
        yield event
        yield self._failed(event, record.time, telling.CONTRADICTED)

    def _request(self, record: Leaf, number: int) -> _Request:
        return self._requests[record.ids["action"], number]

    def _event(self, record: Leaf, of: Whose, request: _Request) -> Event:
        name = (NAMESPACE, request.tool)
        return Event(record.time, name, EventKind.REQUEST.value, request.fields, of.mission)

    def _failed(self, request: Event, time: int, code: str) -> Event:
        fields = {**request.fields, "error.code": self._turn.core.atoms.text(code)}
        return structs.replace(request, time=time, kind=EventKind.ERROR.value, fields=fields)

    def _whose(self, record: Leaf) -> Whose:
        user = record.ids.get("user", "")
        if not user:
            mission = self._turn.tx.get(MissionRow, record.chain)
            user = mission.user if mission is not None else ""
        serves = record.ids.get("serves", "")
        agents = lineage.agents(record.ids.get("line", ""), record.ids.get("agent", ""))
        requesters = lineage.agents(serves, "") if serves else ()
        return Whose(record.chain, user, (*requesters, *agents))


def _number(record: Leaf) -> int:
    """Which request of its action a record is about; 0 where it is about none."""
    found = record.body.get("request")
    return found if type(found) is int else 0
