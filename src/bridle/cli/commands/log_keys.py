"""`bridle audit keys` and `bridle audit rotate-key`: the keys that sign the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bridle.cli import choice, terminal
from bridle.cli.operator import connected_or_opened
from bridle.cli.root import Command
from bridle.model.calls import RotateLogKey

_COLUMNS = ("id", "state", "added", "retired")


@click.command("keys", cls=Command)
@choice.of_store
@choice.as_json
@click.pass_context
def keys(ctx: click.Context, bundle: Path | None, store: Path | None, as_json: bool) -> None:
    """List the keys that sign the log, and those that did: what auditors verify it with.

    Works whether a governor serves the store or not. Hand the keys to auditors by a way of their
    own: whoever could write the store could name others here.
    """
    from bridle.governor.publishing.signed_log import listed
    from bridle.store.sqlite.reading import snapshot

    with snapshot(choice.stored(ctx, bundle, store).database) as tx:
        rows = listed(tx)
    _show(rows, as_json=as_json)


@click.command("rotate-key", cls=Command)
@choice.governor
@click.option("--retire", default="", metavar="ID", help="Have this key sign no more instead.")
@choice.as_user()
@choice.passphrase
@choice.as_json
def rotate_key(bundle: Path, retire: str, as_user: str, as_json: bool) -> None:
    """Have one more key sign the log, beside those that do; with --retire, one less.

    Rotate in two steps. Between them both keys sign, and whoever trusts the old one learns of the
    new one from the log itself. A retired key's file is deleted. Works through the governor that
    serves the bundle, or on its store where none does.
    """
    with connected_or_opened(bundle) as governor:
        rows = governor.rows(RotateLogKey(retire=retire, as_user=as_user))
    _show(rows, as_json=as_json)


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        terminal.document(rows)
    else:
        times = ("added", "retired")
        shown = [{**row, **{name: terminal.time(row[name]) for name in times}} for row in rows]
        terminal.table(shown, _COLUMNS, empty="no key has signed this log yet")
        for row in rows:  # each on a line of its own, to be copied
            terminal.line(terminal.visible(row["key"]))
