"""`bridle operator`: the keys by which humans and workloads prove who they are."""

from __future__ import annotations

import getpass
from typing import Any

import click

from bridle.bundle.parse.table import IDENTIFIER
from bridle.cli import choice, passphrase, terminal
from bridle.cli.root import Group
from bridle.trust import credential, folder
from bridle.trust.folder import Found


@click.group(cls=Group, default="show")
def operator() -> None:
    """Make the keys by which humans and workloads prove who they are, and see which are there.

    Without a subcommand: which are there.
    """


@operator.command("new-key")
@click.option(
    "--user",
    default="",
    metavar="USER",
    envvar="BRIDLE_USER",
    help="Whose it is, as in agents.toml [env: BRIDLE_USER; default: your login].",
)
@click.option("--workload", default="", metavar="WORKLOAD", help="A workload's instead.")
@choice.passphrase
@choice.as_json
@click.pass_context
def new_key(ctx: click.Context, user: str, workload: str, as_json: bool) -> None:
    """Make a key, seal it with a passphrase, and print the public half for agents.toml.

    It counts once a bundle that names it has been activated.
    """
    named_user = ctx.get_parameter_source("user") is click.core.ParameterSource.COMMANDLINE
    if workload and named_user:
        raise click.UsageError("A key is a user's or a workload's: give one of the two.")
    kind, name = ("workload", workload) if workload else ("user", user or getpass.getuser())
    if not IDENTIFIER.fullmatch(name):
        raise click.UsageError(f"{name!r} is no id of a {kind}.")
    made = credential.generate(kind, name)
    path = folder.write(made, passphrase.chosen(f"{name}'s new key"))
    row = _row(folder.read(path))
    if as_json:
        terminal.document(row)
        return
    terminal.line(f"{terminal.styled('✓', 'ok')} {terminal.visible(str(path))}")
    terminal.line("  in agents.toml, and then `bridle activate`:")
    terminal.line()
    terminal.line(f"[{kind}s.{name}]")
    terminal.line(f'key = "{made.public}"')


@operator.command("show")
@choice.as_json
def show(as_json: bool) -> None:
    """List the keys of this user: BRIDLE_KEYS, or ~/.config/bridle/keys. Opens none."""
    rows = [_row(found) for found in folder.every()]
    if as_json:
        terminal.document(rows)
        return
    shown = [{**row, "fingerprint": row["fingerprint"][:16]} for row in rows]
    columns = ("kind", "name", "fingerprint", "public", "file")
    terminal.table(shown, columns, empty=f"no keys in {terminal.visible(str(folder.place()))}")


def _row(found: Found) -> dict[str, Any]:
    return {
        "kind": found.file.kind,
        "name": found.file.name,
        "fingerprint": found.fingerprint,
        "public": found.file.public,
        "file": str(found.path),
    }
