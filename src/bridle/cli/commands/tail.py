"""`bridle audit tail`: the newest records, or each as it comes, whether a governor runs or not."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridle.cli import choice, terminal
from bridle.cli.root import Command

if TYPE_CHECKING:
    from bridle.emit.record import Record

_POLL_S = 0.5
_NEWEST = 20
_FORMS = ("text", "json", "ocsf", "cloudevents")
# What a line says first: what happened, then to what, then why.
_FIRST = ("effect", "what", "kind", "approve", "status", "subject")
_THEN = (
    *("tool", "system", "secret", "scope", "template", "id"),
    *("error", "code", "codes", "policies", "why"),
)


@click.command("tail", cls=Command)
@choice.of_store
@click.option("--follow", is_flag=True, help="Go on with what is recorded from now on.")
@click.option("--from", "first", type=click.IntRange(min=0), metavar="INDEX", help="Begin there.")
@click.option(
    "--last",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Begin with the newest N records [default: {_NEWEST}].",
)
@click.option(
    "--as",
    "form",
    type=click.Choice(_FORMS),
    default="text",
    show_default=True,
    help="One line a record in this form.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --as json.")
@click.pass_context
def tail(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    bundle: Path | None,
    store: Path | None,
    follow: bool,
    first: int | None,
    last: int | None,
    form: str,
    as_json: bool,
) -> None:
    """Print records as they lie in the log, one a line: no arguments, results or prompts.

    Works whether a governor serves the store or not, and writes nothing. It shows; `bridle audit
    verify` is what checks.
    """
    from bridle.emit import reading

    if first is not None and last is not None:
        raise click.UsageError("--from and --last exclude each other")
    database = choice.stored(ctx, bundle, store).database
    if first is None:
        newest = _NEWEST if last is None else last
        first = max(0, reading.size(database) - newest)
    show = _shown("json" if as_json else form)
    try:
        for record in _records(database, first, follow=follow):
            show(record)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Nobody reads on: Python would say so once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _records(database: Path, start: int, *, follow: bool) -> Iterator[Record]:
    from bridle.emit import reading

    never = threading.Event()
    while True:
        found = reading.page(database, start).records
        yield from found
        start += len(found)
        if not found:
            if not follow:
                return
            never.wait(_POLL_S)


def _shown(form: str) -> Callable[[Record], None]:
    """Return what prints a record in a form."""
    if form == "text":
        return _print
    from bridle.emit.targets import FORMATS

    render = {**FORMATS, "json": _row}[form]
    return lambda record: terminal.document(render(record))


def _row(record: Record) -> dict[str, Any]:
    return {
        "index": record.index,
        "hash": record.hash,
        "origin": record.origin,
        "leaf": record.leaf,
    }


def _print(record: Record) -> None:
    from bridle.emit import told
    from bridle.emit.record import rfc3339

    leaf, ids, said = record.leaf, told.ids(record), told.body(record)
    first = next((terminal.cell(said[name]) for name in _FIRST if name in said), "")
    then = [terminal.cell(said[name]) for name in _THEN if name in said]
    who = [terminal.cell(ids[name]) for name in ("by", "agent", "user") if name in ids][:1]
    if "author" in ids:
        who.append(f"as {terminal.cell(ids['author'])}")
    parts = (
        terminal.styled(f"{record.index:>7}", dim=True),
        rfc3339(leaf.time),
        leaf.kind.value.ljust(10),
        terminal.styled(first.ljust(8), first),
        *(terminal.styled(each) for each in (*then, *who)),
        terminal.styled(leaf.chain, dim=True),
    )
    terminal.line("  ".join(parts))
