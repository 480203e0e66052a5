"""`bridle audit`: the ledger, offline."""

from __future__ import annotations

from pathlib import Path

import click

from bridle.cli import choice, terminal
from bridle.cli.commands.tail import tail
from bridle.cli.root import FINDINGS, Group
from bridle.ledger.verify import Report


@click.group(cls=Group)
def audit() -> None:
    """Work on the ledger of a store, offline."""


@audit.command("verify")
@click.argument("bundle", required=False, type=click.Path(path_type=Path), envvar="BRIDLE_BUNDLE")
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Verify the store in this folder instead of a bundle's.",
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
    size: int | None,
    root: str,
    as_json: bool,
) -> None:
    """Recompute the whole log: hashes, chains, root, what is sealed, and every row beside it.

    Whoever can write the store can cut or rewrite all of it consistently. --size and --root, noted
    elsewhere, show that. Works whether a governor serves the store or not, and writes nothing. Exit
    code 1 when the log does not verify.
    """
    from bridle.cli import audit as auditing

    if (size is None) != (not root):
        raise click.UsageError("--size and --root belong together")
    if store is None:
        bundle = choice.chosen(ctx, ctx.command.params[0], bundle)
    where = auditing.place(bundle, store)
    noted = auditing.Noted(size, root) if size is not None else None
    found = auditing.verify(where, noted)
    if as_json:
        terminal.document({**document(found.report, where.folder), "rows": found.rows})
    else:
        show(found.report, where.folder, found.rows)
    ctx.exit(0 if found.report.ok else FINDINGS)


def document(found: Report, folder: Path) -> dict[str, object]:
    """Return the report on a log as the object that --json prints."""
    return {
        "ok": found.ok,
        "store": str(folder),
        "size": found.size,
        "root": found.root,
        "anchored": found.anchored,
        "kinds": found.kinds,
        "chains": len(found.chains),
        "payloads": found.payloads,
        "flaws": found.flaws,
        "findings": found.findings,
    }


def show(found: Report, folder: Path, rows: int | None) -> None:
    """Print a report. `rows` were compared with the log (None: the key to do so is not there)."""
    for flaw in found.findings:
        where = f"leaf {flaw.index}" if flaw.index >= 0 else "log"
        code = terminal.styled(f"[{flaw.code}]", dim=True)
        terminal.line(f"{where}: {terminal.styled(flaw.message)} {code}")
    terminal.pairs(
        {
            "store": folder,
            "records": found.size,
            "chains": len(found.chains),
            "root": found.root,
            "kinds": dict(sorted(found.kinds.items())),
            "sealed": {
                "opened": found.payloads.opened,
                "erased": found.payloads.erased,
                "without key": found.payloads.unopened,
            },
            "rows": "not compared: the key is not there" if rows is None else rows,
        }
    )
    good = terminal.styled("✓ the ledger verifies", "ok", bold=True)
    bad = terminal.styled(
        f"✗ the ledger does not verify: {terminal.counted(found.flaws, 'flaw')}", "error", bold=True
    )
    terminal.line(good if found.ok else bad)


audit.add_command(tail)
