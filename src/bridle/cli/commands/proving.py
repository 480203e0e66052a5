"""`bridle audit prove`: receipts of records, and proofs that a log has only grown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridle.cli import choice, terminal
from bridle.cli.root import FINDINGS, Command
from bridle.model.errors import StoreError

if TYPE_CHECKING:
    from bridle.audit.finding import Candidate

_NOTE_BYTES = 1 << 20


@click.command("prove", cls=Command)
@click.argument("what", required=False)
@choice.of_store
@click.option("--kind", default="", help="Only records of this kind, such as `decision`.")
@click.option(
    "--consistency",
    metavar="OLD",
    help="Prove growth since OLD, a size or a checkpoint's file, instead of a record.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where it goes, a new file; without, to standard output.",
)
@choice.as_json
@click.pass_context
def prove(
    ctx: click.Context,
    *,
    what: str | None,
    bundle: Path | None,
    store: Path | None,
    kind: str,
    consistency: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Write the receipt of a record: with it and the log's key anybody sees that it is in the log.

    WHAT is a record's index or hash (a verdict's receipt tells both), or the id of an action,
    attempt, approval, mission or session: then the records that name it are listed where there are
    several, with exit code 1.
    """
    from bridle.store.sqlite.reading import snapshot

    if consistency is not None and bundle is None and what is not None:
        bundle, what = Path(what), None
    if (what is None) == (consistency is None):
        raise click.UsageError("name what to prove: a record, or --consistency OLD")
    where = choice.stored(ctx, bundle, store)
    with snapshot(where.database) as tx:
        if consistency is not None:
            from bridle.audit import growth, proving

            old, root = _old(consistency)
            proof = proving.growth(tx, old, root)
            told = {"old": old, "hashes": len(proof.proof)}
            _give(growth.render(proof), out, told, as_json=as_json)
            return
        from bridle.audit import finding, proving
        from bridle.ledger import receipt
        from bridle.ledger.tree import leaf_hash

        assert what is not None
        found = finding.candidates(tx, where, what, kind)
        if len(found) > 1:
            _list(found, as_json=as_json)
            ctx.exit(FINDINGS)
        proved = proving.record(tx, found[0].index)
        # The hash that the store keeps beside a record is no part of what was proved of it.
        made, digest = receipt.render(proved), leaf_hash(proved.extra).hex()
        if digest != found[0].hash:
            raise proving.unproven()
    record = {"index": found[0].index, "hash": digest, "kind": found[0].kind}
    _give(made, out, record, as_json=as_json)


def _old(text: str) -> tuple[int, bytes | None]:
    """Read what growth is to be proved since: a size, or the checkpoint in a file."""
    from bridle.audit import plainfile
    from bridle.ledger import checkpoint, note

    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text), None
    said = checkpoint.parse(note.parse(plainfile.required(Path(text), _NOTE_BYTES)).text)
    return said.size, said.root


def _list(found: list[Candidate], *, as_json: bool) -> None:
    if as_json:
        terminal.document({"candidates": found})
        return
    columns = ["index", "kind", "time", "chain", "hash"]
    rows = [
        {
            "index": each.index,
            "kind": each.kind,
            "time": terminal.time(each.time),
            "chain": each.chain,
            "hash": each.hash[:16] + "…",
        }
        for each in found
    ]
    terminal.table(rows, columns, empty="")
    terminal.line("several records: name one by its index, or narrow them down with --kind")


def _give(data: bytes, out: Path | None, told: Mapping[str, object], *, as_json: bool) -> None:
    """Write a proof into its file, or print it."""
    if out is not None:
        _write(out, data)
    if as_json:
        where = {"out": str(out)} if out is not None else {"proof": data.decode()}
        terminal.document({**told, **where})
    elif out is None:
        click.echo(data, nl=False)
    else:
        terminal.pairs({**told, "written": out})


def _write(out: Path, data: bytes) -> None:
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(out, flags, 0o600), "wb") as file:
            file.write(data)
    except OSError as problem:
        raise StoreError(
            f"{out} cannot be written: {problem.strerror}",
            code="export_failed",
            hint="Name a file that is not there yet, in a folder that you may write.",
        ) from problem
