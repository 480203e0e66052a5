"""Checkpoints against the log they speak for: who signed, and whether it still says the same.

The keys an auditor brings are believed; a key that the log adds on record below a checkpoint which
a believed key signed is believed from then on, and one that it retires no longer. So an auditor
with the first key follows any number of rotations, without asking anybody; one with the newest key
has its word on which keys were in force before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, structs

from bridle.ledger import checkpoint, note
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.errors import LedgerError
from bridle.ledger.note import Key
from bridle.ledger.trustfile import Trust
from bridle.ledger.verify import Findings, KeyChange, Report


class Given(Struct, frozen=True):
    """A signed checkpoint and where it was found.

    One of the log's `own` is signed by all keys in force and nobody else: every byte of it follows
    from the log. One that an auditor kept may carry lines of witnesses, and lack some of the log's.
    """

    name: str
    data: bytes
    own: bool = True


class Noted(Struct, frozen=True):
    """Size and root (hex) of the log as somebody elsewhere once noted them."""

    size: int
    root: str


class Signed(Struct, frozen=True):
    """A checkpoint that holds: its size and root (hex), and who of the believed keys signed it."""

    size: int
    root: str
    keys: tuple[str, ...]


class Word(Struct, frozen=True):
    """What the log's signatures say about it.

    `trusted` tells whether the auditor brought the keys: without, the log vouches for itself.
    `newest` is the largest checkpoint that holds, `witnessed` the size of the largest that the
    witnesses asked for have cosigned (-1: none was asked for), `keys` all keys of the log.
    """

    origin: str
    trusted: bool
    newest: Signed | None
    checked: int
    witnessed: int
    keys: tuple[str, ...]


def size_of(given: Given) -> int:
    """Return the size a checkpoint speaks of, -1 where it cannot be read."""
    try:
        return checkpoint.parse(note.parse(given.data).text).size
    except LedgerError:
        return -1


def compare(noted: Noted | None, report: Report, found: Findings) -> None:
    """Compare the log with what was noted of it: flaw `root_mismatch` where it began otherwise.

    The report has to hold the root at that size.
    """
    root = report.roots.get(noted.size) if noted is not None else None
    if noted is not None and (root is None or root.hex() != noted.root.lower()):
        message = f"its first {noted.size} records are not those noted"
        found.add(-1, "root_mismatch", message)


class _InForce:
    """The keys that sign for a log, asked for sizes that only grow: each change is read once.

    None are in force where there are more than a note takes signatures: no log of ours has them,
    and a log that a stranger made is not to keep anybody busy.
    """

    def __init__(self, changes: Sequence[KeyChange]) -> None:
        self._changes = changes
        self._read = 0
        self._added: dict[Key, int] = {}
        self._now: tuple[Key, ...] = ()

    def at(self, size: int) -> tuple[Key, ...]:
        """Return the keys that sign for the first `size` leaves, in order of adding."""
        before = self._read
        while self._read < len(self._changes) and self._changes[self._read].index < size:
            self._take(self._changes[self._read])
            self._read += 1
        if self._read != before:
            few = len(self._added) <= note.MOST_SIGNATURES
            self._now = _in_order(self._added) if few else ()
        return self._now

    def _take(self, change: KeyChange) -> None:
        if change.state == "added":
            self._added[note.key(change.key)] = change.time
        else:
            self._added.pop(note.key(change.key), None)


def every_key(changes: Iterable[KeyChange], size: int) -> tuple[Key, ...]:
    """Return all keys that the first `size` leaves ever added, in order of adding."""
    return _in_order(
        {
            note.key(each.key): each.time
            for each in changes
            if each.index < size and each.state == "added"
        }
    )


def _in_order(added: Mapping[Key, int]) -> tuple[Key, ...]:
    """As they sign: by the time they were added, and their IDs within a millisecond."""
    return tuple(sorted(added, key=lambda key: (added[key], key.id)))


def unvouched(word: Word, report: Report) -> Iterator[str]:
    """Say what no signature, or no witness that was asked for, stands behind yet."""
    size = word.newest.size if word.newest is not None else 0
    later = report.size - size
    erasing = sum(index >= size for index in report.redactions)
    if later and word.newest is not None:
        yield (
            f"the last {later} of the records: nobody has signed them yet, so whoever can write "
            "the store could have written, changed or dropped such records"
        )
    if erasing and later:
        yield f"that what is gone was erased: {erasing} of the unsigned records say so"
    if 0 <= word.witnessed < size:
        yield (
            f"that others are shown this log: your witnesses cosigned the first {word.witnessed} "
            f"of {size} signed records"
        )


def judge(given: Sequence[Given], report: Report, trust: Trust | None, found: Findings) -> Word:
    """Compare checkpoints, in order of size, with the log that `report` is about.

    The report has to hold the roots at their sizes (`size_of`). With no `trust` the log's own keys
    are believed. Flaws: `checkpoint_invalid`, `checkpoint_ahead`, `checkpoint_forked`,
    `checkpoint_unsigned`, `checkpoint_missing`.
    """
    judging = _Judging(report, trust, found)
    for each in sorted(given, key=size_of):
        judging.take(each)
    judging.handed_over({size_of(each) for each in given if each.own})
    return judging.word()


class _Judging:
    """The checkpoints judged so far, and the keys believed by them."""

    def __init__(self, report: Report, trust: Trust | None, found: Findings) -> None:
        self._report = report
        self._keys = _InForce(report.keys)
        self._trust = trust
        self._found = found
        self._believed: set[Key] = set(trust.keys) if trust is not None else set()
        self._earlier: list[tuple[Given, tuple[Key, ...]]] = []
        self._newest: Signed | None = None
        self._checked = 0
        self._witnessed = -1
        self._origin = ""

    def take(self, given: Given) -> None:
        try:
            said = checkpoint.parse(note.parse(given.data).text)
        except LedgerError:
            self._flaw("checkpoint_invalid", f"{given.name} is no checkpoint")
            return
        self._checked += 1
        if not self._agrees(given, said):
            return
        force = self._keys.at(said.size)
        if self._trust is not None and force and self._believed.isdisjoint(force):
            self._earlier.append((given, force))
            return
        signed = self._signed(given, force)
        if not signed or not self._complete(given, force):
            return
        # What a believed key signed tells which keys were in force before it, too.
        for before, then in self._earlier:
            _ = self._by(before, then) and self._complete(before, then)
        self._earlier.clear()
        self._believed.update(force)
        self._origin = said.origin
        self._newest = Signed(said.size, said.root.hex(), tuple(map(str, signed)))
        self._witness(given, said, signed)

    def _agrees(self, given: Given, said: Checkpoint) -> bool:
        root = self._report.roots.get(said.size)
        if root is None:
            message = f"{given.name} speaks of {said.size} records, there are {self._report.size}"
            self._flaw("checkpoint_ahead", message)
        elif root != said.root:
            message = f"the first {said.size} records are not those of {given.name}"
            self._flaw("checkpoint_forked", message)
        return root == said.root

    def _signed(self, given: Given, force: tuple[Key, ...]) -> tuple[Key, ...]:
        believed = force if self._trust is None else [k for k in force if k in self._believed]
        return self._by(given, tuple(believed))

    def _by(self, given: Given, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        """Return who of `keys` signed it; a flaw where nobody did."""
        try:
            return checkpoint.read(given.data, keys).keys
        except LedgerError as problem:
            self._flaw("checkpoint_unsigned", f"{given.name}: {problem.message}")
            return ()

    def _complete(self, given: Given, force: tuple[Key, ...]) -> bool:
        """Whether one of the log's own has the lines of all keys in force; a flaw where not."""
        if not given.own or _signed_by_all(given, force):
            return True
        why = "is not signed by each key in force, in order, and nobody else"
        self._flaw("checkpoint_invalid", f"{given.name} {why}")
        return False

    def _witness(self, given: Given, said: Checkpoint, signed: tuple[Key, ...]) -> None:
        if self._trust is None or self._trust.quorum is None:
            return
        try:
            structs.replace(self._trust, keys=signed).read(given.data)
        except LedgerError:
            return
        self._witnessed = said.size

    def handed_over(self, sizes: set[int]) -> None:
        """Miss the last checkpoint of keys that later ones took over from, where it is not kept."""
        ordered, begun, some = sorted(sizes), 0, False
        for change in self._report.keys:
            last = bisect_right(ordered, change.index) - 1
            ended = some and last + 1 < len(ordered)
            if ended and not (last >= 0 and ordered[last] > begun):
                why = f"no checkpoint is kept of before record {change.index}, where keys change"
                self._flaw("checkpoint_missing", why)
            begun, some = change.index, True

    def word(self) -> Word:
        for given, _ in self._earlier:
            self._flaw("checkpoint_unsigned", f"{given.name}: the log has none of your keys")
        if self._trust is not None and self._newest is None and not self._checked:
            self._flaw("checkpoint_unsigned", "there is no checkpoint: nothing of it is signed")
        asked = self._trust is not None and self._trust.quorum is not None
        if asked and self._newest is not None and self._witnessed < 0:
            why = "too few of the witnesses you ask for have cosigned any checkpoint"
            self._flaw("checkpoint_unsigned", why)
        keys = every_key(self._report.keys, self._report.size)
        return Word(
            origin=self._origin,
            trusted=self._trust is not None,
            newest=self._newest,
            checked=self._checked,
            witnessed=self._witnessed,
            keys=tuple(map(str, keys)),
        )

    def _flaw(self, code: str, message: str) -> None:
        self._found.add(-1, code, message)


def _signed_by_all(given: Given, force: tuple[Key, ...]) -> bool:
    """Whether each key in force signed it, in order, and no other line stands there.

    Those of keys that are not believed yet count as well: else a byte of theirs could differ.
    """
    try:
        lines = checkpoint.read(given.data, force).note.signatures
    except LedgerError:
        return False
    return [(each.name, each.id) for each in lines] == [(each.name, each.id) for each in force]
