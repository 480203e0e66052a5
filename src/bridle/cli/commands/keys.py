"""`bridle keys`: the public keys of users, agents, workloads and of the governor itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bridle.bundle.parse.table import IDENTIFIER, milliseconds
from bridle.cli import choice, passphrase, terminal
from bridle.cli.operator import connected
from bridle.cli.root import Group
from bridle.model import public_key
from bridle.model.calls import Keys, KeyVerb
from bridle.model.errors import NotFoundError, UsageError
from bridle.trust import credential, folder

Function = TypeVar("Function", bound=Callable[..., Any])

_KINDS = ("user", "agent", "workload")
_COLUMNS = ("kind", "name", "fingerprint", "state", "source", "since", "until")
_OVERLAP = "24h"
_SHOWN = 16


def _of_identity(function: Function) -> Function:
    kind = click.argument("kind", metavar="KIND", type=click.Choice(_KINDS))
    return kind(click.argument("name", metavar="NAME")(function))


def _overlap(function: Function) -> Function:
    add = click.option(
        "--overlap",
        default=_OVERLAP,
        show_default=True,
        metavar="TIME",
        callback=_duration,
        help="How long the keys there were still count: 0s, 90m, 24h, 7d.",
    )
    return add(function)


def _duration(_: click.Context, __: click.Parameter, value: str) -> int:
    found = milliseconds(value)
    if found < 0:
        raise click.BadParameter("a duration is written 0s, 90m, 24h or 7d")
    return found


@click.group(cls=Group, default="list")
def keys() -> None:
    """See, make, add, rotate and retire the keys by which identities prove who they are.

    Without a subcommand: the list.
    """


@keys.command("list")
@choice.governor
@click.option(
    "--kind", type=click.Choice(("governor", *_KINDS)), default=None, help="Of these only."
)
@click.option("--name", default="", metavar="NAME", help="Of this one only.")
@choice.as_json
def list_keys(bundle: Path, kind: str | None, name: str, as_json: bool) -> None:
    """List the public keys of all identities, those that ended as well."""
    with connected(bundle) as governor:
        rows = governor.rows(Keys(kind=kind or "", name=name))
    _show(rows, as_json=as_json)


@keys.command("new")
@_of_identity
@choice.passphrase
@choice.as_json
def new(kind: str, name: str, as_json: bool) -> None:
    """Make a key of a user, agent or workload (KIND), and seal it with a passphrase.

    It lies in BRIDLE_KEYS, or ~/.config/bridle/keys, and counts once it stands in agents.toml, or
    was added.
    """
    if not IDENTIFIER.fullmatch(name):
        raise click.UsageError(f"{name!r} is no id of a {kind}.")
    made = credential.generate(kind, name)
    path = folder.write(made, passphrase.chosen(f"{name}'s new key"))
    if as_json:
        terminal.document(
            {
                "kind": kind,
                "name": name,
                "fingerprint": made.fingerprint,
                "public": made.public,
                "file": str(path),
            }
        )
        return
    file = terminal.visible(str(path))
    terminal.line(f"{terminal.styled('✓', 'ok')} {file}")
    terminal.line(f"  beside or after the keys there are: bridle keys rotate {kind} {name} {file}")
    terminal.line("  as the first one, in agents.toml, and then `bridle activate`:")
    terminal.line()
    terminal.line(f"[{kind}s.{name}]")
    terminal.line(f'key = "{made.public}"')


@keys.command("add")
@_of_identity
@click.argument("key", metavar="KEY")
@choice.governor
@choice.as_user()
@choice.passphrase
@choice.as_json
def add(*, kind: str, name: str, key: str, bundle: Path, as_user: str, as_json: bool) -> None:
    """Let one more KEY prove an identity.

    KEY is the public key, or the file that `bridle keys new` made.
    """
    call = KeyVerb(verb="add", kind=kind, name=name, key=_public(key), as_user=as_user)
    _send(bundle, call, as_json=as_json)


@keys.command("rotate")
@_of_identity
@click.argument("key", metavar="KEY")
@choice.governor
@_overlap
@choice.as_user()
@choice.passphrase
@choice.as_json
def rotate(
    *, kind: str, name: str, key: str, bundle: Path, overlap: int, as_user: str, as_json: bool
) -> None:
    """Let KEY prove an identity from now on, and the keys there were for a while longer.

    KEY is the public key, or the file that `bridle keys new` made. Users rotate their own.
    """
    public = _public(key)
    call = KeyVerb(
        verb="rotate", kind=kind, name=name, key=public, overlap_ms=overlap, as_user=as_user
    )
    _send(bundle, call, as_json=as_json)


@keys.command("rotate-governor")
@choice.governor
@_overlap
@choice.as_user()
@choice.passphrase
@choice.as_json
def rotate_governor(bundle: Path, overlap: int, as_user: str, as_json: bool) -> None:
    """Have the governor sign grants with a new key. Grants under the old one end with the overlap.

    Missions that are open then need new sessions: choose an overlap that is longer than they last.
    """
    call = KeyVerb(verb="rotate", kind="governor", overlap_ms=overlap, as_user=as_user)
    _send(bundle, call, as_json=as_json)


@keys.command("retire")
@click.argument("key", metavar="KEY")
@choice.governor
@choice.as_user()
@choice.passphrase
@choice.as_json
def retire(key: str, bundle: Path, as_user: str, as_json: bool) -> None:
    """End a KEY at once: the public key, its file, or 16 or more digits of its fingerprint.

    What others may have is revoked instead (`bridle revoke key`): that ends what was begun with it.
    """
    text = key if _is_fingerprint(key) else _public(key)
    with connected(bundle) as governor:
        row = _one(governor.rows(Keys()), text)
        call = KeyVerb(
            verb="retire", kind=row["kind"], name=row["name"], key=row["key"], as_user=as_user
        )
        _show(governor.rows(call), as_json=as_json)


def _send(bundle: Path, call: KeyVerb, *, as_json: bool) -> None:
    with connected(bundle) as governor:
        _show(governor.rows(call), as_json=as_json)


def _one(rows: list[dict[str, Any]], text: str) -> dict[str, Any]:
    found = [row for row in rows if row["key"] == text or row["fingerprint"].startswith(text)]
    if len(found) != 1:
        raise NotFoundError(
            f"{len(found) or 'no'} keys answer to {text[:80]}",
            hint="`bridle keys list` shows them",
        )
    return found[0]


def _is_fingerprint(text: str) -> bool:
    return _SHOWN <= len(text) <= 4 * _SHOWN and not set(text) - set("0123456789abcdef")


def _public(text: str) -> str:
    """Return the public key that a word means: as written, or of a key file, which stays shut."""
    if not text.startswith(public_key.PREFIX):
        return folder.read(Path(text)).file.public
    try:
        public_key.parse(text)
    except UsageError as problem:
        raise click.BadParameter(problem.message) from problem
    return text


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        terminal.document(rows)
        return
    shown = [
        {
            **row,
            "fingerprint": row["fingerprint"][:_SHOWN],
            "since": terminal.time(row["since"]),
            "until": terminal.time(row["until"]),
        }
        for row in rows
    ]
    terminal.table(shown, _COLUMNS, empty="no keys")
