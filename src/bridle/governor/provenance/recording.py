"""Takes in what a mission reads, as it is given to its agents: labels, and imprints if asked for.

Everything happens in the turn of the record that tells of it, right before that is written. What is
read is what is released: a result that is withheld adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import methodcaller

from msgspec import Struct, structs

from bridle.engine.flow.source import Imprint, Source, SourceKind
from bridle.governor.ground.turn import Turn
from bridle.governor.identity import executors
from bridle.governor.provenance import keeping, seeing, told
from bridle.governor.provenance.imprinting import texts_of
from bridle.governor.provenance.shelf import Change
from bridle.model.mission import MissionStatus, MissionTemplate
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.tool import Tool
from bridle.store.rows import ActionRow, AttemptRow, MissionRow, SourceRow

_OVER = (MissionStatus.CLOSED, MissionStatus.EXPIRED)
NOTHING = Imprint()

# Characters of a result that may say nothing at all: `null`, `true`, empty lists.
_WORDLESS = 64


class Read(Struct, frozen=True):
    """One thing that is read, and its imprint: None where nobody knows what it said."""

    source: Source
    said: Imprint | None = NOTHING


def began(turn: Turn, mission: MissionRow, template: MissionTemplate, prompt: str) -> None:
    """Take in what a mission begins with: its template's constants, its user's words."""
    if template.constants:
        source = Source(id=template.id, kind=SourceKind.CONSTANT, record=_next(turn), trusted=True)
        vouched_for(turn, mission.id, source, template.constants)
    prompted(turn, mission.id, prompt, trusted=mission.prompt_trusted)


def prompted(turn: Turn, mission: str, prompt: str, *, trusted: bool) -> None:
    """Take in what somebody said: a user their own words, or anybody else."""
    if not prompt:
        return
    source = Source(id=told.PROMPT, kind=SourceKind.PROMPT, record=_next(turn), trusted=trusted)
    if trusted:
        vouched_for(turn, mission, source, (prompt,))
    else:
        take_in(turn, mission, Read(source, turn.core.imprints.of(turn.engine, (prompt,))))


def vouched_for(turn: Turn, mission: str, source: Source, texts: Iterable[str]) -> None:
    """Take in what a human said: whatever stands in it carries no label."""
    said = turn.core.imprints.of(turn.engine, texts, labelled=False)
    take_in(turn, mission, Read(source, said))


def returned(turn: Turn, action: ActionRow, text: str, *, opaque: bool) -> None:
    """Take in a result as it is released. `text` is its JSON; an opaque one cannot be read."""
    tool = turn.bundle.tools.get(action.tool)
    if tool is None:
        return
    # INVARIANT: I9 — nobody vouches for what was not reported by whom the humans gave the tool to.
    trusted = tool.trusted and not opaque and executors.unproven(turn, action.executor) is None
    if not opaque and len(text) <= _WORDLESS and not texts_of(text):
        # Nobody can put words into a result that has none. Its labels it carries all the same.
        _note(turn, action.mission, Read(_of_tool(turn, tool, action.id, trusted=True)))
        return
    said = None if opaque else turn.core.imprints.of_output(turn.engine, text)
    take_in(turn, action.mission, Read(_of_tool(turn, tool, action.id, trusted=trusted), said))


def failed(turn: Turn, attempt: AttemptRow, outcome: Outcome) -> None:
    """Take in what an effect said that did not end `ok`: nobody vouches for that.

    An effect that ran in the agent's own program has told it, whatever is released.
    """
    tool = turn.bundle.tools.get(attempt.tool)
    texts = [text for text in (outcome.error, outcome.message, outcome.output) if text]
    if tool is None or (outcome.kind is OutcomeKind.NOT_STARTED and not texts):
        return
    said = turn.core.imprints.of(turn.engine, texts)
    if outcome.opaque or outcome.kind is OutcomeKind.UNKNOWN:
        said = structs.replace(said, cut=True)
    take_in(turn, attempt.mission, Read(_of_tool(turn, tool, attempt.action), said))


def silent(turn: Turn, attempt: AttemptRow) -> None:
    """Take in that nobody knows what an attempt said: its lease ran out."""
    # INVARIANT: I2 — whoever runs an effect and never reports it has read all that it can say.
    tool = turn.bundle.tools.get(attempt.tool)
    if tool is not None:
        take_in(turn, attempt.mission, Read(_of_tool(turn, tool, attempt.action), None))


def distrusted(turn: Turn, mission: MissionRow) -> bool:
    """Vouch no longer for what was said in a mission. Returns whether that changes anything."""
    moved, gone = keeping.distrust(turn, mission.id)
    if moved or mission.vouched or mission.prompt_trusted:
        changed = structs.replace(mission, prompt_trusted=False, vouched=False)
        turn.tx.put(_having_missed(changed, gone))
        return True
    return False


def take_in(turn: Turn, mission: str, read: Read) -> None:
    """Add something to what a mission has read. The turn's next record has to tell of it."""
    row = _open(turn, mission)
    if row is None:
        return
    if not turn.engine.traces:
        _put(turn, row, _having_missed(_noted(row, read), (read.source,)))
        return
    before = keeping.state(row, keeping.read_of(turn, mission))
    kept = keeping.Kept(None)
    if read.said is not None:
        kept = keeping.add(turn, mission, read.source, read.said)
    if kept.again:
        _put(turn, row, _noted(row, read))
        return
    whole = kept.row is not None and read.said is not None and not read.said.cut
    missed: list[Source | SourceRow] = [*kept.gone]
    if not whole:
        missed.append(read.source)
    noted = _put(turn, row, _having_missed(_noted(row, read), missed))
    after = keeping.state(noted, keeping.read_of(turn, mission))
    turn.core.indexes.follow(mission, before, after, _change(kept, read))


def _note(turn: Turn, mission: str, read: Read) -> None:
    row = _open(turn, mission)
    if row is not None:
        _put(turn, row, _noted(row, read))


def _open(turn: Turn, mission: str) -> MissionRow | None:
    row = turn.tx.get(MissionRow, mission)
    return row if row is not None and row.status not in _OVER else None


def _change(kept: keeping.Kept, read: Read) -> Change:
    """What becomes of an index that is held."""
    if kept.row is None or read.said is None:
        return methodcaller("miss", read.source)
    return methodcaller("add", kept.row.number, keeping.source_of(kept.row), read.said)


def _noted(row: MissionRow, read: Read) -> MissionRow:
    """Note the labels of what is read, and whether anybody vouches for it."""
    # INVARIANT: labels shrink only by acts: nothing that is read takes one away.
    source, labels = read.source, set(row.labels)
    if not _is_prompted(source):
        labels.update(source.labels, read.said.labelled if read.said is not None else ())
    return structs.replace(row, labels=sorted(labels), vouched=row.vouched and source.trusted)


def _having_missed(row: MissionRow, missed: Iterable[Source | SourceRow]) -> MissionRow:
    """Note of which systems something was read that is not known in full."""
    every = list(missed)
    if not every:
        return row
    systems = {each.system: each.domain for each in every if each.system}
    return structs.replace(row, imprinted=False, missed={**row.missed, **systems})


def _put(turn: Turn, before: MissionRow, after: MissionRow) -> MissionRow:
    if after != before:
        turn.tx.put(after)
    return after


def _is_prompted(source: Source) -> bool:
    return source.trusted and source.kind is not SourceKind.RESULT


def _of_tool(turn: Turn, tool: Tool, action: str, *, trusted: bool = False) -> Source:
    return Source(
        id=action,
        kind=SourceKind.RESULT,
        record=_next(turn),
        tool=tool.name,
        system=tool.system,
        domain=turn.bundle.systems[tool.system].domain,
        labels=seeing.of_tool(turn.bundle, tool),
        trusted=trusted,
    )


def _next(turn: Turn) -> int:
    """The number of the record that tells of it."""
    return turn.tx.frontier().size
