"""`bridle pipelines`: the definitions by which pipelines decide as their authors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bridle.cli import choice, terminal
from bridle.cli.operator import connected
from bridle.cli.root import Group
from bridle.model.calls import Pipelines, PipelineVerb
from bridle.trust import definition

Function = TypeVar("Function", bound=Callable[..., Any])

_COLUMNS = ("pipeline", "definition", "author", "state", "since", "ended")


def _root(function: Function) -> Function:
    add = click.option(
        "--root",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(),
        metavar="DIR",
        help="The folder that the files are named from [default: the current one].",
    )
    return add(function)


def _named(function: Function) -> Function:
    """Add the pipeline, and the two ways to say which definition is meant."""
    name = click.argument("name", metavar="PIPELINE")
    files = click.option(
        "--file", "files", multiple=True, metavar="FILE", help="A file of it. Can be repeated."
    )
    digest = click.option("--digest", default="", metavar="HEX", help="Or: its digest.")
    return name(files(digest(_root(function))))


@click.group(cls=Group, default="list")
def pipelines() -> None:
    """See, register and withdraw the definitions by which pipelines decide as their authors.

    Without a subcommand: the list.
    """


@pipelines.command("list")
@choice.governor
@click.option("--pipeline", default="", metavar="PIPELINE", help="Of this one only.")
@click.option("--all", "everything", is_flag=True, help="Those that count no more as well.")
@choice.as_json
def list_pipelines(bundle: Path, pipeline: str, everything: bool, as_json: bool) -> None:
    """List the registered definitions, newest first."""
    with connected(bundle) as governor:
        rows = governor.rows(Pipelines(pipeline=pipeline))
    _show([row for row in rows if everything or row["counts"]], as_json=as_json)


@pipelines.command("digest")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@_root
@choice.as_json
def digest(files: tuple[str, ...], root: Path, as_json: bool) -> None:
    """Print the digest of a definition that consists of these files.

    It is that of `sha256sum FILE... | sha256sum`, with the names sorted by their bytes.
    """
    found = definition.of_files(*files, root=root)
    if as_json:
        terminal.document({"definition": found})
    else:
        terminal.line(found)


@pipelines.command("register")
@_named
@choice.governor
@choice.as_user()
@choice.passphrase
@choice.as_json
def register(
    *,
    name: str,
    files: tuple[str, ...],
    digest: str,
    root: Path,
    bundle: Path,
    as_user: str,
    as_json: bool,
) -> None:
    """Let a definition of PIPELINE decide as its author, who does this with their key.

    The definition is its files, or its digest. Others that are registered go on counting.
    """
    call = PipelineVerb(
        verb="register", pipeline=name, digest=_digest(files, digest, root), as_user=as_user
    )
    _send(bundle, call, as_json=as_json)


@pipelines.command("withdraw")
@_named
@choice.governor
@choice.as_user()
@choice.passphrase
@choice.as_json
def withdraw(
    *,
    name: str,
    files: tuple[str, ...],
    digest: str,
    root: Path,
    bundle: Path,
    as_user: str,
    as_json: bool,
) -> None:
    """Let a definition of PIPELINE decide nothing any more: its runs stop, for good.

    By its author or an operator.
    """
    call = PipelineVerb(
        verb="withdraw", pipeline=name, digest=_digest(files, digest, root), as_user=as_user
    )
    _send(bundle, call, as_json=as_json)


def _digest(files: tuple[str, ...], digest: str, root: Path) -> str:
    if bool(files) == bool(digest):
        raise click.UsageError("Say which definition: by --file (one or more), or by --digest.")
    return digest or definition.of_files(*files, root=root)


def _send(bundle: Path, call: PipelineVerb, *, as_json: bool) -> None:
    with connected(bundle) as governor:
        rows = governor.rows(call)
    _show([row for row in rows if row["digest"] == call.digest], as_json=as_json)


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        terminal.document(rows)
        return
    shown = [
        {
            **row,
            "definition": row["digest"],
            "state": _state(row),
            "since": terminal.time(row["since"]),
            "ended": terminal.time(row["ended"]),
        }
        for row in rows
    ]
    terminal.table(shown, _COLUMNS, empty="no definition is registered")


def _state(row: dict[str, Any]) -> str:
    if row["counts"]:
        return "registered"
    return "withdrawn" if row["ended"] else "revoked"
