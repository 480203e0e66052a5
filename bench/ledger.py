"""What the ledger costs: its tree, its verification, its records, its receipts and its bytes.

On real leaves, those of a governed run (`leaves.py`):

- appending to the tree and verifying the whole log, beside bare hashing of the same bytes;
- writing one record, with its commitments, sealed values, chain and tree;
- a receipt, as the log grows from 1,000 to 100,000 leaves;
- exporting and verifying from outside, and what a record takes in the store;
- governed calls at once with the ledger and without it (`unrecorded.py`);
- one entry of other people's ledgers (`peer_worker.py`).

Bare hashing is the least that anyone must do with the same bytes: the RFC 6962 root over the
leaves, each leaf and each inner node hashed once, in a plain loop; and for verification, which
reads what lies sealed beside the leaves too, one SHA-256 of each sealed payload. The plain SHA-256
of every leaf, which is no tree, stands beside them.
"""

from __future__ import annotations

import itertools
import secrets
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw

from bench import harness, leaves, peer_worker, peers, unrecorded
from bench.leaves import Run
from bridle.audit import places, stores
from bridle.audit.exports import reading, writing
from bridle.governor.ground.chance import SystemChance
from bridle.governor.ground.records import Recorder
from bridle.ledger import checkpoint, receipt, tiles, tree
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.note import Signer
from bridle.ledger.receipt import Receipt
from bridle.ledger.seal import Sealer
from bridle.ledger.tree import Frontier, leaf_hash
from bridle.ledger.verify import Report, verify_log
from bridle.store.base import StoredLeaf, Tx
from bridle.store.sqlite import open_store

MOST = 4.0
"""What appending and verifying may cost, as a multiple of bare hashing of the same bytes."""

SIZES = (1_000, 10_000, 100_000)
FLAT = 3.0
"""What a receipt at the largest size may cost, as a multiple of one at the smallest."""

PLAIN = "plain SHA-256 of each leaf"
BARE = "bare hashing: the RFC 6962 root"
WHOLE = "bare hashing: the root, and SHA-256 of each payload"
APPEND, VERIFY = "append to the tree", "verify the whole log"


class LedgerError(Exception):
    """The ledger does not do what is measured, so its timings would mean nothing."""


# --- the tree and its verification ----------------------------------------------------------------


def plain_hashes(found: list[StoredLeaf]) -> bytes:
    """SHA-256 of the bytes of every leaf."""
    digest = b""
    for leaf in found:
        digest = sha256(leaf.data).digest()
    return digest


def bare_root(found: list[StoredLeaf]) -> bytes:
    """The RFC 6962 root, level by level: every leaf and node hashed once, nothing else."""
    level = [sha256(b"\x00" + leaf.data).digest() for leaf in found]
    while len(level) > 1:
        odd = level[-1:] if len(level) & 1 else []
        pairs = range(0, len(level) - 1, 2)
        level = [sha256(b"\x01" + level[at] + level[at + 1]).digest() for at in pairs] + odd
    return level[0]


def bare_whole(found: list[StoredLeaf]) -> bytes:
    """The RFC 6962 root, and SHA-256 of all that lies sealed beside the leaves."""
    for leaf in found:
        if leaf.sealed:
            sha256(leaf.sealed).digest()
    return bare_root(found)


def appended(found: list[StoredLeaf]) -> bytes:
    """The root, come by as a store does: a frontier after each leaf, and the hashes of tiles."""
    frontier, kept = Frontier(), list[tuple[int, bytes]]()
    for leaf in found:
        digest = leaf_hash(leaf.data)
        if (frontier.size + 1) % tiles.WIDTH == 0:
            kept += [each for each in frontier.completed(digest) if not each[0] % tiles.BITS]
        frontier = frontier.append(digest)
    return frontier.root()


def verified(run: Run) -> bytes:
    """The root, come by as `bridle audit verify` does. Raises if anything is found wrong."""
    report = verify_log(run.leaves, run.frontier)
    if not report.ok or report.size != run.records:
        raise LedgerError(str(report.findings[:3]))
    return bytes.fromhex(report.root)


def hashing(report: harness.Report, run: Run, *, seconds: float) -> None:
    """Time the tree and its verification beside bare hashing; add rows and the claims."""
    calls: dict[str, Callable[[], bytes]] = {
        PLAIN: partial(plain_hashes, run.leaves),
        BARE: partial(bare_root, run.leaves),
        WHOLE: partial(bare_whole, run.leaves),
        APPEND: partial(appended, run.leaves),
        VERIFY: partial(verified, run),
    }
    if len({call() for name, call in calls.items() if name != PLAIN}) != 1:
        raise LedgerError("the roots differ")
    taken = harness.interleave(calls, seconds=seconds, warm=1, least=5, timer=time.thread_time_ns)
    each = {name: harness.percentile(t, 0.5) / run.records for name, t in taken.items()}
    for name, value in each.items():
        report.add(name, "p50", value, "us/leaf", None if name == BARE else (BARE, each[BARE]))
    for name, base, claim in ((APPEND, BARE, "ledger_append"), (VERIFY, WHOLE, "ledger_verify")):
        ratios = [a / b for a, b in zip(taken[name], taken[base], strict=True)]
        figure = harness.percentile(ratios, 0.5)
        text = f"{claim}: {name}, over bare hashing"
        report.claims.append(harness.Claim(text, MOST, figure))
    mean = sum(len(leaf.data) for leaf in run.leaves) / run.records
    report.notes.append(
        f"hashing: {run.records} leaves of {run.calls} governed calls, {mean:.0f} bytes each, "
        f"{len(taken[BARE])} rounds in turn; processor time; the ratio of the claims is the median "
        "of the rounds'."
    )


# --- records --------------------------------------------------------------------------------------


def records(report: harness.Report, run: Run, *, seconds: float) -> None:
    """Time the writing of one call's records: commit to, seal, append; no fsync, no commit."""
    recorder, sealer = Recorder(SystemChance()), Sealer(secrets.token_bytes(32))
    with closing(open_store(None)) as store:

        def call() -> None:
            store.write(
                lambda tx: leaves.written_again(recorder, tx, run.entries, sealer, _AGAIN),
                relaxed=True,
            )

        taken = harness.interleave(
            {"records": call}, seconds=seconds, warm=1, least=3, timer=time.thread_time_ns
        )
    value = harness.percentile(taken["records"], 0.5) / (len(run.entries) * _AGAIN)
    report.add("write a record: build, commit to, seal, append", "p50", value, "us/record")


_AGAIN = 100  # times that one transaction writes the entries of a call


# --- receipts -------------------------------------------------------------------------------------


class Prover:
    """A log of many leaves in memory, and receipts from it at any smaller size."""

    def __init__(self, size: int) -> None:
        self.store = open_store(None)
        for start in range(0, size, 10_000):
            self.store.write(partial(self._fill, start, min(start + 10_000, size)))
        self._signer = Signer("bench.example/ledger", secrets.token_bytes(32))
        self.read = 0

    @staticmethod
    def _fill(start: int, end: int, tx: Tx) -> None:
        for number in range(start, end):
            data = b"leaf %d" % number
            tx.append("c", number, data, leaf_hash(data), b"")

    def root(self, size: int) -> tuple[bytes, bytes]:
        """Return the root at a size, and the checkpoint a log would have signed of it."""
        root = self.store.write(lambda tx: tiles.root_reader(tx.hashes)(0, size))
        signed = checkpoint.sign(Checkpoint("bench.example/ledger", size, root), [self._signer])
        return root, signed

    def receipt(self, index: int, size: int, signed: bytes) -> bytes:
        """Make one receipt, counting the hashes that are read."""

        def job(tx: Tx) -> bytes:
            def hashes(level: int, start: int, end: int) -> list[bytes]:
                self.read += end - start
                return tx.hashes(level, start, end)

            proof = tree.inclusion_proof(tiles.root_reader(hashes), index, size)
            return receipt.render(Receipt(index, proof, signed))

        return self.store.write(job, relaxed=True)

    def close(self) -> None:
        """Close the store."""
        self.store.close()


def receipts(report: harness.Report, *, seconds: float) -> None:
    """Time receipts of leaves all over the log at growing sizes; add rows and the claim."""
    with closing(Prover(max(SIZES))) as prover:
        made: dict[str, Callable[[], object]] = {}
        read: dict[str, float] = {}
        for size in SIZES:
            name, call = f"receipt, {size:,} leaves", _spread(prover, size)
            made[name] = call
            prover.read = 0
            for _ in range(_SPREAD):
                call()
            read[name] = prover.read / _SPREAD
        taken = harness.interleave(made, seconds=seconds)
    p50 = {name: harness.percentile(samples, 0.5) for name, samples in taken.items()}
    first = next(iter(p50))
    for name, value in p50.items():
        report.add(name, "p50", value, "us", None if name == first else (first, p50[first]))
        report.add(name, "hashes read", read[name], "each")
    figure = list(p50.values())[-1] / p50[first]
    claim = f"ledger_receipt: a receipt at {max(SIZES):,} leaves over one at {min(SIZES):,}"
    report.claims.append(harness.Claim(claim, FLAT, figure))


_SPREAD = 97


def _spread(prover: Prover, size: int) -> Callable[[], bytes]:
    """Return what makes a receipt of another leaf each time; each of them is shown to hold once."""
    root, signed = prover.root(size)
    at = [0]

    def call() -> bytes:
        at[0] = (at[0] + size // _SPREAD + 1) % size
        return prover.receipt(at[0], size, signed)

    for _ in range(_SPREAD):
        found = receipt.parse(call())
        digest = leaf_hash(b"leaf %d" % found.index)
        if not tree.includes(found.index, size, digest, found.proof, root):
            raise LedgerError(f"the receipt of leaf {found.index} does not hold")
    return call


# --- from outside ---------------------------------------------------------------------------------


def audits(report: harness.Report, run: Run, folder: Path, *, seconds: float) -> None:
    """Time what an auditor does with the store of the run, by the functions behind the commands."""
    where, number = places.place(None, run.folder), itertools.count()

    def export() -> Path:
        out = folder / f"export-{next(number)}"
        writing.export(where, out)
        return out

    kept = export()
    _assert_sound(stores.verify(where).report, run)
    _assert_sound(reading.verify(kept).report, run)
    calls: dict[str, Callable[[], object]] = {
        "audit verify, the store": lambda: stores.verify(where),
        "audit export, no payloads": export,
        "audit verify --export": lambda: reading.verify(kept),
    }
    taken = harness.interleave(calls, seconds=seconds, warm=1, least=3)
    for name, samples in taken.items():
        report.add(name, "p50", harness.percentile(samples, 0.5) / run.records, "us/record")


def _assert_sound(found: Report, run: Run) -> None:
    if not found.ok or found.size != run.records:
        raise LedgerError(f"{found.size} records; {found.findings[:3]}")


# --- bytes ----------------------------------------------------------------------------------------

_SIZES = (
    'SELECT sum(length("data")), sum(length("sealed")), '
    'sum(length("hash") + length("chain") + 8) FROM "leaves"'
)
_PAGES = 'SELECT "name", sum("pgsize") FROM "dbstat" GROUP BY "name"'
_LOG = {
    "leaves",
    "sqlite_autoindex_leaves_1",
    "chains",
    "log",
    "subtrees",
    "checkpoints",
    "log_keys",
    "payload_keys",
}


def sizes(report: harness.Report, run: Run) -> None:
    """Add what a record and a governed call take on disk: bytes of values, and pages they fill."""
    connection = apsw.Connection(str(run.folder / "store.db"), flags=apsw.SQLITE_OPEN_READONLY)
    with closing(connection):
        execute: Any = connection.execute
        data, sealed, place = execute(_SIZES).fetchall()[0]
        pages = {str(name): float(size) for name, size in execute(_PAGES)}
    index = pages.get("sqlite_autoindex_leaves_1", 0.0)
    log = sum(size for name, size in pages.items() if name in _LOG)
    rows = sum(size for name, size in pages.items() if name not in _LOG)
    for name, size in (
        ("the leaf", data),
        ("sealed beside it", sealed),
        ("hash and place", place),
        ("index, in pages", index),
        ("all of the log, in pages", log),
    ):
        report.add("store", f"{name}, per record", size / run.records, "bytes")
    for name, size in (("log", log), ("rows", rows)):
        report.add("store", f"{name}, in pages, per governed call", size / run.calls, "bytes")


# --- peers ----------------------------------------------------------------------------------------


def others(report: harness.Report, folder: Path, *, entries: int) -> None:
    """Time one entry of other people's ledgers, each in a log that is new; add rows."""
    known = peers.installed()
    if not known:
        missing = ", ".join(peer_worker.LEDGERS)
        report.notes.append(f"not installed, so not measured (`make peers`): {missing}")
        return
    report.versions |= known
    with peers.worker(folder) as process:
        for name in peer_worker.LEDGERS:
            taken = process.case(name, 0)(entries)
            value = harness.percentile(taken, 0.5)
            report.add(f"{name}, {entries:,} entries", "p50", value, "us/entry")


def measure(*, quick: bool) -> harness.Report:
    """Run everything. `quick` takes fewer rounds of the same."""
    report = harness.Report("ledger", harness.versions("bridle", "apsw", "msgspec", "cryptography"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-ledger-")))
        run = leaves.governed_run(folder, 500 if quick else 5_000)
        hashing(report, run, seconds=3 if quick else 30)
        records(report, run, seconds=1 if quick else 10)
        receipts(report, seconds=2 if quick else 20)
        audits(report, run, folder, seconds=3 if quick else 30)
        sizes(report, run)
        others(report, folder, entries=500 if quick else 5_000)
        unrecorded.measure(report, folder, rounds=6 if quick else 40)
    return report


if __name__ == "__main__":
    harness.run(measure)
