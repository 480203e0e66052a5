"""`bridle secrets`: the sealed secrets that credentials of systems are made of."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import click

from bridle.brokers import sealed_file
from bridle.cli import choice, passphrase, terminal
from bridle.cli.operator import connected
from bridle.cli.root import Group
from bridle.model.calls import SecretVerb
from bridle.model.errors import UsageError


@click.group(cls=Group, default="list")
def secrets() -> None:
    """See, set and remove the sealed secrets of a governor. Nobody is shown one again.

    Without a subcommand: the list.
    """


@secrets.command("list")
@choice.governor
@choice.as_json
def list_secrets(bundle: Path, as_json: bool) -> None:
    """List the names of secrets, whether each is sealed, and the systems that use it."""
    with connected(bundle) as governor:
        rows = governor.rows(SecretVerb(verb="list"))
    if as_json:
        terminal.document(rows)
        return
    shown = [{**row, "state": "sealed" if row["sealed"] else "missing"} for row in rows]
    terminal.table(shown, ("name", "state", "systems"), empty="no secrets")


@secrets.command("set")
@click.argument("name", metavar="NAME")
@choice.governor
@choice.as_user()
@choice.passphrase
@choice.as_json
def set_secret(name: str, bundle: Path, as_user: str, as_json: bool) -> None:
    """Seal the secret NAME: what comes by standard input, or is typed where that is a terminal.

    A line end at its end is no part of it. One that was there is replaced.
    """
    sealed_file.check(name, None)
    call = SecretVerb(verb="set", name=name, value=_value(name), as_user=as_user)
    with connected(bundle) as governor:
        row = governor.rows(call)[0]
    if as_json:
        terminal.document(row)
        return
    done = "replaced" if row["replaced"] else "sealed"
    terminal.line(f"{terminal.styled('✓', 'ok')} {name} {done}")


@secrets.command("remove")
@click.argument("name", metavar="NAME")
@choice.governor
@choice.as_user()
@choice.passphrase
@choice.as_json
def remove(name: str, bundle: Path, as_user: str, as_json: bool) -> None:
    """Remove the secret NAME for good. What needs it is denied from then on."""
    sealed_file.check(name, None)
    with connected(bundle) as governor:
        row = governor.rows(SecretVerb(verb="remove", name=name, as_user=as_user))[0]
    if as_json:
        terminal.document(row)
        return
    terminal.line(f"{terminal.styled('✓', 'ok')} {name} removed")


def _value(name: str) -> str:
    if sys.stdin.isatty():
        return _typed(name)
    data = sys.stdin.buffer.read(sealed_file.LONGEST + 3)
    text = ""
    # Without the decoder's error: it carries what it could not decode.
    with suppress(UnicodeDecodeError):
        text = data.decode()
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise UsageError("standard input holds no secret", hint=f"bridle secrets set {name} < FILE")
    sealed_file.check(name, text)
    return text


def _typed(name: str) -> str:
    while True:
        first = passphrase.ask(f"Secret {name}: ")
        if passphrase.ask("Once more: ") == first:
            return first
        click.echo("the two differ", err=True)
