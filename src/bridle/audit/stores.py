"""Verifies a store offline, whether a governor serves it: log, signatures, payloads, rows.

All that a store keeps beside the bytes of its leaves is recomputed from them and compared. It is
read in one snapshot, once, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, structs

from bridle.audit import openers, plainfile
from bridle.audit.word import Given, Noted, Word, compare, judge, size_of, unvouched
from bridle.bundle.load import digest_of
from bridle.governor.audit.reconcile import every_difference
from bridle.governor.audit.witness import Marker
from bridle.ledger.errors import LedgerError
from bridle.ledger.tiles import BITS
from bridle.ledger.trustfile import Trust
from bridle.ledger.verify import LeafRecord, Report, SealedPayloads, Verification
from bridle.model.errors import StoreError
from bridle.store.base import Tx
from bridle.store.failures import failure
from bridle.store.place import Place
from bridle.store.rows import ROWS, BundleRow
from bridle.store.sqlite.reading import snapshot

_MOST = 1 << 20
_EVERY = (1 << 63) - 1
_ROWS = b'"rows":{"'
"""What a record that speaks for rows holds."""


class Asked(Struct, frozen=True):
    """What an auditor brings: keys, checkpoints and a root kept since."""

    trust: Trust | None = None
    checkpoints: tuple[Given, ...] = ()
    noted: Noted | None = None


class Verified(Struct, frozen=True):
    """What was found.

    `unsigned` records are above the newest checkpoint that holds. `rows` were compared with the log
    (None: for want of the key). `unverified` says what could not be looked at, and why.
    """

    report: Report
    word: Word
    rows: int | None
    unsigned: int
    unverified: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.report.ok


def verify(where: Place, asked: Asked | None = None) -> Verified:
    """Verify a store. Raises `StoreError` where it cannot be read at all."""
    asked = asked or Asked()
    # Read before the snapshot: a governor that serves writes the file after its commit, so what it
    # speaks for is in the snapshot.
    beside = _file(where.checkpoint)
    try:
        with snapshot(where.database) as tx:
            return _Store(tx, where, asked, beside).verify()
    except (TypeError, ValueError, AttributeError, OverflowError) as problem:
        # Damaged pages yield values of other types than their columns can hold.
        raise failure("store_corrupt", f"{where.database} is damaged: {problem}") from problem


class _Store:
    """One look at one store."""

    def __init__(self, tx: Tx, where: Place, asked: Asked, beside: Given | None) -> None:
        self._tx, self._where, self._asked = tx, where, asked
        self._beside = beside
        rows = [Given("a checkpoint of the store", note) for note in tx.checkpoints()]
        self._given = [*rows, *([beside] if beside else []), *asked.checkpoints]
        self._sizes = list(map(size_of, rows))
        self._kept = max(self._sizes, default=-1)
        self._opener = openers.opener(tx, where)
        self._no_rows = ""

    def verify(self) -> Verified:
        sizes = {size_of(each) for each in self._given}
        if self._asked.noted is not None:
            sizes.add(self._asked.noted.size)
        payloads = SealedPayloads(self._opener, self._reread)
        passing = Verification(payloads, sizes=sizes, completed=self._completed)
        self._found = passing.found
        # From below the first: what no reader sees has no business there either.
        for record in self._tx.leaves(-_EVERY, _EVERY):
            passing.take(record)
        self._compare(passing)
        report = passing.finish()
        word = judge(self._given, report, self._asked.trust, passing.found)
        compare(self._asked.noted, report, passing.found)
        rows = self._rows()
        if rows is None:
            self._bundles(report)
        newest = word.newest.size if word.newest is not None else 0
        return Verified(
            report=structs.replace(
                report,
                findings=tuple(passing.found.kept),
                flaws=passing.found.count,
                anchored=True,
            ),
            word=word,
            rows=rows,
            unsigned=report.size - newest,
            unverified=(*self._unverified(word, rows), *unvouched(word, report)),
        )

    def _reread(self, index: int) -> LeafRecord | None:
        return next(self._tx.leaves(index, index + 1), None)

    def _completed(self, level: int, number: int, root: bytes) -> None:
        if self._tx.hashes(level, number, number + 1) != [root]:
            message = f"hash {number} of level {level} of the tiles is not that of its leaves"
            self._found.add(-1, "subtree_mismatch", message)

    def _compare(self, passing: Verification) -> None:
        """Compare what the store keeps beside its leaves: frontier, heads, hashes of tiles."""
        try:
            expected = self._tx.frontier()
        except StoreError as problem:
            self._found.add(-1, "root_mismatch", problem.message)
        else:
            own = passing.frontier
            if expected.size != own.size:
                message = f"{own.size} leaves were found, not {expected.size}"
                self._found.add(-1, "size_mismatch", message)
            if expected.hashes != own.hashes:
                message = "the leaves do not hash to the root that the store keeps"
                self._found.add(-1, "root_mismatch", message)
        if self._sizes != sorted(set(self._sizes)):
            self._found.add(-1, "checkpoint_invalid", "checkpoints are filed under other sizes")
        self._heads(passing)
        for level in range(1, 8):
            count = passing.size >> (BITS * level)
            if self._tx.hashes(level, count, _EVERY) or self._tx.hashes(level, -_EVERY, 0):
                message = f"level {level} of the tiles has hashes of records that are not there"
                self._found.add(-1, "subtree_mismatch", message)

    def _heads(self, passing: Verification) -> None:
        missing = set(passing.chains)
        for chain, head in self._tx.heads():
            if chain not in missing or (head.seq, head.hash) != passing.head(chain):
                message = f"the store's head of {chain} is not its last record"
                self._found.add(-1, "head_mismatch", message)
            missing.discard(chain)
        for chain in missing:
            self._found.add(-1, "head_mismatch", f"the store has no head of {chain}")

    def _rows(self) -> int | None:
        """Compare rows with what the log says of them; None where that cannot be done, and why."""
        key = openers.secret(self._where, "digest.key")
        if key is None:
            self._no_rows = "the store's digest key is not there"
            return None
        if not any(_ROWS in record.data for record in self._tx.leaves()):
            self._no_rows = "the log says nothing of any: it is from before such records"
            return None
        self._found.extend(every_difference(self._tx, Marker(key)))
        return sum(self._tx.count(kind) for kind in ROWS)

    def _bundles(self, report: Report) -> None:
        """Compare the bundles that the log names with their digests, which takes no key."""
        missing = set(report.bundles)
        for filed in self._tx.every(BundleRow):
            row = filed.row
            if isinstance(row, BundleRow) and filed.true and digest_of(row.files) == filed.key:
                missing.discard(filed.key)
            else:
                message = f"the files of bundle {filed.key[:12]!r} are not those of its digest"
                self._found.add(-1, "bundle_altered", message)
        for digest in missing:
            self._found.add(-1, "bundle_altered", f"bundle {digest[:12]} is not there")

    def _unverified(self, word: Word, rows: int | None) -> Iterator[str]:
        if not word.trusted:
            yield "who signed: no --key or --trust was given, so the log vouches for itself"
        if word.newest is None:
            yield "signatures: the store holds no checkpoint that could be checked"
        if self._opener is None:
            yield "what payloads say: the store's payload key is not there"
        if rows is None:
            yield f"rows: {self._no_rows}"
        if self._beside is None and self._kept >= 0:
            yield "the file `checkpoint` beside the store: it is not there"
        elif self._beside is not None and size_of(self._beside) < self._kept:
            yield (
                "the file `checkpoint` beside the store: it is older than the newest in the store, "
                "as a crash leaves it until the next start"
            )


def _file(path: Path) -> Given | None:
    try:
        data = plainfile.read(path, _MOST)
    except LedgerError as problem:
        return Given(f"the file `checkpoint` ({problem.message})", b"")
    return None if data is None else Given("the file `checkpoint`", data)
