"""`bridle agents`: the identities that are declared, and which of them may act."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bridle.cli import choice, spending, terminal
from bridle.cli.operator import connected, one
from bridle.cli.root import Group
from bridle.model.calls import Agents, IdentityVerb

_COLUMNS = {
    "agent": ("id", "status", "owner", "team", "version", "keys", "revoked", "budgets"),
    "user": ("id", "status", "name", "teams", "keys", "revoked", "budgets"),
    "workload": ("id", "status", "tools", "may_assert_user", "keys"),
}
_KEYS = ("fingerprint", "state", "source", "since", "until")
_COUNTING = ("active", "ending")
_kind = click.option(
    "--kind",
    type=click.Choice(list(_COLUMNS)),
    default="agent",
    show_default=True,
    help="Which identities are meant.",
)


@click.group(cls=Group, default="list")
def agents() -> None:
    """See, suspend, resume and retire agents, users and workloads.

    Without a subcommand: the list.
    """


@agents.command("list")
@choice.governor
@_kind
@choice.as_json
def list_agents(bundle: Path, kind: str, as_json: bool) -> None:
    """List identities with their status."""
    with connected(bundle) as governor:
        rows = governor.rows(Agents(kind=kind))
    if as_json:
        terminal.document(rows)
    else:
        shown = [_brief(row) for row in rows]
        terminal.table(shown, _COLUMNS[kind], empty=f"no {kind}s")


@agents.command("show")
@click.argument("identity", metavar="ID")
@choice.governor
@_kind
@choice.as_json
def show_agent(identity: str, bundle: Path, kind: str, as_json: bool) -> None:
    """Show one identity, with what is spent of its budgets in all missions."""
    with connected(bundle) as governor:
        row = one(governor, Agents(kind=kind, id=identity), f"{kind} {identity!r}")
    if as_json:
        terminal.document(row)
        return
    budgets, keys = spending.shown(row.pop("budgets", [])), row.pop("keys")
    terminal.pairs({**row, "revoked": terminal.time(row["revoked"])})
    terminal.line()
    terminal.line(terminal.styled("keys", bold=True))
    terminal.table([_key(each) for each in keys], _KEYS, empty="none")
    terminal.line()
    terminal.line(terminal.styled("budgets", bold=True))
    terminal.table(budgets, tuple(budgets[0]) if budgets else (), empty="none")


def _brief(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the list: which keys count, since when it is revoked, what is spent."""
    return {
        **row,
        "keys": [each["fingerprint"][:8] for each in row["keys"] if each["state"] in _COUNTING],
        "revoked": terminal.time(row["revoked"]),
        "budgets": spending.brief(row.get("budgets", [])),
    }


def _key(row: dict[str, Any]) -> dict[str, Any]:
    times = {name: terminal.time(row[name]) for name in ("since", "until")}
    return {**row, **times, "fingerprint": row["fingerprint"][:16]}


def _verb(verb: str, help_text: str) -> None:
    @agents.command(verb, help=help_text)
    @click.argument("identity", metavar="ID")
    @choice.governor
    @_kind
    @choice.as_user()
    @choice.passphrase
    @choice.as_json
    def change(identity: str, bundle: Path, kind: str, as_user: str, as_json: bool) -> None:
        with connected(bundle) as governor:
            governor.done(IdentityVerb(kind=kind, id=identity, verb=verb, as_user=as_user))
        if as_json:
            terminal.document({"kind": kind, "id": identity, "verb": verb})
        else:
            terminal.line(f"{verb} {kind} {terminal.visible(identity)}: done")


_verb("suspend", "Suspend an identity: it decides, executes and approves nothing.")
_verb("resume", "Resume a suspended identity.")
_verb("retire", "Retire an identity, for good.")
