"""`bridle audit`: the ledger, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridle.cli import choice, terminal
from bridle.cli.commands.erasure import redact, retention
from bridle.cli.commands.log_keys import keys, rotate_key
from bridle.cli.commands.proving import prove
from bridle.cli.commands.tail import tail
from bridle.cli.root import FINDINGS, Group
from bridle.ledger.errors import LedgerError

if TYPE_CHECKING:
    from bridle.audit.word import Given
    from bridle.ledger.trustfile import Trust
    from bridle.store.place import Place

_NOTE_BYTES = 1 << 20
_LEAF_BYTES = 65_535
_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group(cls=Group)
def audit() -> None:
    """Work on the ledger of a store, offline."""


@audit.command("verify")
@choice.of_store
@click.option("--export", type=_FOLDER, metavar="DIR", help="Verify an export instead.")
@click.option("--receipt", type=_FILE, metavar="FILE", help="Verify the receipt of a record.")
@click.option("--leaf", type=_FILE, metavar="FILE", help="The record, if a receipt has it not.")
@click.option("--consistency", type=_FILE, metavar="FILE", help="Verify a proof of growth.")
@click.option("--key", "vkeys", multiple=True, metavar="VKEY", help="A key of the log you trust.")
@click.option("--trust", type=_FILE, metavar="FILE", help="Your trust file: logs and witnesses.")
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="A checkpoint that you kept: it must still hold.",
)
@click.option("--size", type=click.IntRange(min=0), help="How many records the log once had …")
@click.option("--root", default="", metavar="HEX", help="… and its root then: it must still hold.")
@choice.as_json
@click.pass_context
def verify(
    ctx: click.Context,
    *,
    bundle: Path | None,
    store: Path | None,
    export: Path | None,
    receipt: Path | None,
    leaf: Path | None,
    consistency: Path | None,
    vkeys: tuple[str, ...],
    trust: Path | None,
    checkpoints: tuple[Path, ...],
    size: int | None,
    root: str,
    as_json: bool,
) -> None:
    """Recompute a whole log: hashes, chains, root, signatures, what is sealed, and every row.

    With --export, --receipt or --consistency that instead, for which the log's key is enough.
    Without --key and --trust the log's own keys are believed. Whoever holds those and the store can
    rewrite all of it consistently: --checkpoint, or --size and --root, noted elsewhere, show that.
    Works whether a governor serves the store or not, and writes nothing. Exit code 1 when something
    does not verify.
    """
    _assert_one(ctx, store=store, export=export, receipt=receipt, consistency=consistency)
    if (size is None) != (not root):
        raise click.UsageError("--size and --root belong together")
    if leaf is not None and receipt is None:
        raise click.UsageError("--leaf belongs to --receipt")
    if size is not None and (receipt is not None or consistency is not None):
        raise click.UsageError("--size and --root belong to a store or an export")
    if checkpoints and receipt is not None:
        raise click.UsageError("--checkpoint is compared with a store, an export or a growth")
    believed = _trust(vkeys, trust)
    noted = (size, root) if size is not None else None
    if receipt is not None:
        ok = _receipt(receipt, leaf, _required(believed), as_json=as_json)
    elif consistency is not None:
        ok = _growth(consistency, checkpoints, _required(believed), as_json=as_json)
    elif export is not None:
        ok = _export(export, believed, _kept(checkpoints), noted, as_json=as_json)
    else:
        where = choice.stored(ctx, bundle, store)
        ok = _verified(where, believed, _kept(checkpoints), noted, as_json=as_json)
    ctx.exit(0 if ok else FINDINGS)


def _assert_one(ctx: click.Context, **what: Path | None) -> None:
    named = [f"--{name}" for name, value in what.items() if value is not None]
    by_hand = click.core.ParameterSource.COMMANDLINE
    if ctx.get_parameter_source("bundle") is by_hand:
        named.append("BUNDLE")
    if len(named) > 1:
        raise click.UsageError(f"{' and '.join(named)}: verify one at a time")


def _trust(texts: tuple[str, ...], file: Path | None) -> Trust | None:
    """Return whom the auditor believes; None where nothing says so."""
    from msgspec import structs

    from bridle.audit import plainfile
    from bridle.ledger import note, trustfile

    if not texts and file is None:
        return None
    try:
        believed = tuple(map(note.key, texts))
    except LedgerError as problem:
        raise click.BadParameter(f"{problem.message}. {problem.hint}", param_hint="--key") from None
    if file is None:
        return trustfile.Trust(believed, {}, (), None)
    found = trustfile.parse(plainfile.required(file, trustfile.MOST_BYTES))
    return structs.replace(found, keys=(*found.keys, *believed))


def _required(trust: Trust | None) -> Trust:
    if trust is None:
        raise click.UsageError("this needs the key of the log: --key, or --trust")
    return trust


def _kept(files: tuple[Path, ...]) -> tuple[Given, ...]:
    from bridle.audit import plainfile
    from bridle.audit.word import Given

    return tuple(
        Given(str(file), plainfile.required(file, _NOTE_BYTES), own=False) for file in files
    )


def _verified(
    where: Place,
    trust: Trust | None,
    kept: tuple[Given, ...],
    noted: tuple[int, str] | None,
    *,
    as_json: bool,
) -> bool:
    from bridle.audit import stores
    from bridle.audit.word import Noted
    from bridle.cli import verdicts

    asked = stores.Asked(trust, kept, Noted(*noted) if noted is not None else None)
    found = stores.verify(where, asked)
    if as_json:
        terminal.document(verdicts.store_document(found, where.folder))
    else:
        verdicts.store(found, where.folder)
    return found.ok


def _export(
    folder: Path,
    trust: Trust | None,
    kept: tuple[Given, ...],
    noted: tuple[int, str] | None,
    *,
    as_json: bool,
) -> bool:
    from bridle.audit.exports import reading
    from bridle.audit.word import Noted
    from bridle.cli import verdicts

    found = reading.verify(folder, trust, kept, Noted(*noted) if noted is not None else None)
    if as_json:
        terminal.document(verdicts.export_document(found, folder))
    else:
        verdicts.export(found, folder)
    return found.ok


def _receipt(file: Path, leaf: Path | None, trust: Trust, *, as_json: bool) -> bool:
    from bridle.audit import plainfile, receipts
    from bridle.cli import verdicts

    data = plainfile.required(file, receipts.MOST_BYTES)
    given = plainfile.required(leaf, _LEAF_BYTES) if leaf is not None else None
    try:
        found = receipts.verify(data, trust, given)
    except LedgerError as problem:
        return _failed(problem, "the receipt", as_json=as_json)
    if as_json:
        terminal.document(verdicts.receipt_document(found))
    else:
        verdicts.receipt(found)
    return True


def _growth(file: Path, kept: tuple[Path, ...], trust: Trust, *, as_json: bool) -> bool:
    from bridle.audit import growth, plainfile
    from bridle.cli import verdicts

    if len(kept) != 1:
        raise click.UsageError("--consistency needs the one --checkpoint that it starts from")
    data = plainfile.required(file, growth.MOST_BYTES)
    before = plainfile.required(kept[0], _NOTE_BYTES)
    try:
        old, new = growth.verify(growth.parse(data), before, trust)
    except LedgerError as problem:
        return _failed(problem, "the proof", as_json=as_json)
    if as_json:
        terminal.document({"ok": True, "old": old.checkpoint.size, **verdicts.checkpoint(new)})
    else:
        verdicts.growth(old, new)
    return True


def _failed(problem: LedgerError, what: str, *, as_json: bool) -> bool:
    from bridle.audit import hints
    from bridle.cli import verdicts
    from bridle.ledger.verify import Flaw

    flaw = Flaw(-1, problem.code, problem.message)
    if as_json:
        terminal.document({"ok": False, "findings": [flaw], "hints": hints.of([flaw])})
    else:
        verdicts.failed(flaw, what)
    return False


@audit.command("export")
@choice.of_store
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where it goes."
)
@click.option("--payloads", is_flag=True, help="Include what is sealed, opened.")
@choice.as_json
@click.pass_context
def export(
    ctx: click.Context,
    *,
    bundle: Path | None,
    store: Path | None,
    out: Path,
    payloads: bool,
    as_json: bool,
) -> None:
    """Write the log as a folder that verifies without Bridle: records, tiles, keys, bundles, guide.

    It covers what the newest checkpoint does. DIR must be empty or not be there.
    """
    from bridle.audit.exports import writing

    where = choice.stored(ctx, bundle, store)
    with terminal.progress("records") as told:
        found = writing.export(where, out, opened=payloads, progress=told)
    if as_json:
        terminal.document({"out": str(out), **_fields(found)})
        return
    later = terminal.counted(found.unsigned, "later record")
    terminal.pairs(
        {
            "export": out,
            "log": found.origin,
            "records": found.size,
            "root": found.root,
            "payloads": "included" if found.opened else "left out",
            "files": found.files,
            "bytes": found.bytes,
        }
    )
    if found.unsigned:
        terminal.line(f"{later} no checkpoint covers yet: not in the export")
    terminal.line(f"verify it: bridle audit verify --export {out} --key VKEY")


def _fields(found: object) -> dict[str, object]:
    from msgspec import to_builtins

    return dict(to_builtins(found))


for each in (prove, redact, retention, tail, keys, rotate_key):
    audit.add_command(each)
