"""`bridle grant`: chains of grants and the list of what is revoked, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from bridle.cli import choice, terminal
from bridle.cli.root import FINDINGS, Group
from bridle.cli.texts import Texts
from bridle.model.calls import Delegations, StatusSnapshot
from bridle.model.errors import RefusedError, UsageError
from bridle.trust.grants.codes import GrantError

_PATH = click.Path(path_type=Path)
_EFFECTS = ("read", "write", "irreversible")
_NOTHING = {"code": "", "message": "", "hint": "", "link": -1}
_file = click.argument("file", type=_PATH)


def _read(_: click.Context, param: click.Parameter, value: Any) -> Any:
    """Read what an option has; what cannot be read is wrong usage, and no refusal of the chain."""
    from bridle.cli import offline
    from bridle.model import public_key

    try:
        if param.name == "args":
            return offline.arguments(value)
        for key in value:
            public_key.parse(key)
    except UsageError as error:
        raise click.BadParameter(error.message) from None
    return value


@click.group(cls=Group)
def grant() -> None:
    """Look at chains of grants and verify them, without a governor."""


@grant.command("inspect")
@_file
@choice.as_json
@click.pass_context
def inspect_chain(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Show what a chain says, link by link. Nothing of it is verified.

    FILE (`-`: standard input) holds one link on each line, or a JSON array of them, root first. A
    chain is no secret, and no authority without the key it is bound to. Exit code 1 when it cannot
    be read.
    """
    from bridle.cli import chains
    from bridle.trust.grants.chain import read

    links = chains.texts_of(file, Texts())
    try:
        chain = read(links)
    except GrantError as error:
        if as_json:
            terminal.document({"error": _why(error), "findings": []})
        _refused(ctx, error, links)
    if as_json:
        rows = [chains.row(link) for link in chain.links]
        terminal.document({"verified": False, "links": rows})
        return
    warning = "not verified: anybody can have written this"
    terminal.line(f"{terminal.styled('!', 'warning')} {terminal.styled(warning, 'warning')}")
    terminal.line()
    chains.show(chain)


@grant.command("verify")
@_file
@click.option(
    "--root", "roots", multiple=True, required=True, callback=_read, metavar="KEY", help="Pinned."
)
@click.option(
    "--status", type=_PATH, metavar="FILE", help="The governor's list of what is revoked."
)
@click.option("--no-status", is_flag=True, help="Without one: what is revoked is not known.")
@click.option("--keep", type=_PATH, metavar="FILE", help="Refuse lists older than those seen.")
@click.option("--context", default="", metavar="TEXT", help="The Bridle-Context it came with.")
@click.option("--mission", default="", metavar="ID", help="The mission it must be of.")
@click.option("--task", default="", metavar="TASK", help="The task at hand.")
@click.option("--audience", default="", metavar="GOVERNOR", help="The governor it must be for.")
@click.option("--tool", required=True, metavar="TOOL", help="The tool to be used.")
@click.option("--args", default="{}", callback=_read, metavar="JSON", help="Its arguments.")
@click.option("--bundle", type=_PATH, metavar="DIR", help="The bundle that declares the tool.")
@click.option("--domain", default="", metavar="NAME", help="Without it: the tool's domain,")
@click.option("--effect", type=click.Choice(_EFFECTS), help="… its effect class,")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="… each of its labels.")
@choice.as_json
@click.pass_context
def verify_chain(
    ctx: click.Context, /, *, file: Path, no_status: bool, as_json: bool, **how: Any
) -> None:
    """Say whether a chain allows an action now: exit code 0 if so, 1 with the reason if not.

    Goes by the pinned keys alone, never by what the chain says of itself. Whoever acts must also
    prove the key that the last link is bound to: a chain is no authority without it.
    """
    from bridle.cli import chains, offline

    _complete(how, no_status=no_status)
    texts = Texts()
    links = chains.texts_of(file, texts)
    given: dict[str, Any] = {**how, "effect": how["effect"] or ""}
    try:
        held = offline.held(links, offline.Asked(**given), texts)
    except GrantError as error:
        if as_json:
            terminal.document({"allowed": False, **_why(error), "version": None, "links": []})
        _refused(ctx, error, links)
    if as_json:
        rows = [chains.row(link) for link in held.chain.links]
        version = held.status.version if held.status else None
        terminal.document({"allowed": True, **_NOTHING, "version": version, "links": rows})
        return
    terminal.line(f"{terminal.styled('✓', 'ok')} allowed by every link")
    if held.status is None:
        terminal.line(f"{terminal.styled('!', 'warning')} what is revoked is not known")
    terminal.line()
    chains.show(held.chain)


def _complete(how: dict[str, Any], *, no_status: bool) -> None:
    """Refuse what leaves something out that would then silently count as harmless."""
    if no_status == bool(how["status"]):
        raise click.UsageError("Name a --status list, or say --no-status.")
    if how["keep"] and not how["status"]:
        raise click.UsageError("--keep belongs to --status.")
    if not how["mission"] and not how["context"]:
        raise click.UsageError("Name the --mission, or the --context that names it.")
    if not how["audience"] and not how["status"]:
        raise click.UsageError("Name the --audience, or a --status list, which names it.")
    declared = bool(how["domain"] and how["effect"])
    if declared == bool(how["bundle"]) or (how["bundle"] and how["labels"]):
        raise click.UsageError("Say what the tool is: by --bundle, or by --domain and --effect.")


def _refused(ctx: click.Context, error: GrantError, links: list[str]) -> NoReturn:
    from bridle.cli import chains

    where = chains.fault(links, error.link)
    terminal.complain(
        f"{where}: {error.message}" if where else error.message, error.code, error.hint
    )
    ctx.exit(FINDINGS)


def _why(error: GrantError) -> dict[str, Any]:
    known = {"code": error.code, "message": error.message, "hint": error.hint}
    return known | {"link": error.link}


@grant.command("export")
@click.argument("name", metavar="GRANT")
@choice.governor
@choice.as_json
def export_chain(name: str, bundle: Path, as_json: bool) -> None:
    """Print the chain of a grant, as the governor has it: one link on each line, root first.

    GRANT is a digest, or the first digits of it. What it allows stands in it, and nothing secret.
    """
    from bridle.cli import grants
    from bridle.cli.operator import connected

    with connected(bundle) as governor:
        meant = grants.named(governor, name)
        rows = governor.rows(Delegations(grant=meant, all=True))
    chain = rows[0]["chain"]
    if not chain:
        raise RefusedError(
            f"the chain of {meant} can no longer be read, or not with keys in force",
            code="grant_invalid",
        )
    if as_json:
        terminal.document({"grant": meant, "chain": chain})
        return
    for link in chain:
        terminal.line(link)


@grant.command("status")
@choice.governor
@click.option(
    "--valid", default=300, show_default=True, metavar="SECONDS", help="Good for so long."
)
@click.option(
    "--out", type=_PATH, metavar="FILE", help="Write the list there, and print no more of it."
)
@choice.as_json
def status_list(bundle: Path, valid: int, out: Path | None, as_json: bool) -> None:
    """Ask the governor for its signed list of what is revoked, and for the keys to pin.

    For `bridle grant verify`, wherever there is no governor to ask. Whoever holds the list relies
    on it until it expires: what is revoked meanwhile is not in it.
    """
    from bridle.cli.operator import connected, one

    with connected(bundle) as governor:
        row = one(governor, StatusSnapshot(valid_ms=valid * 1_000), "status list")
    if out is not None:
        out.write_text(f"{row['status']}\n", "utf-8")
    if as_json:
        terminal.document(row)
        return
    shown = {name: row[name] for name in ("issuer", "version")}
    terminal.pairs(shown | {"expires": terminal.time(row["expires"])})
    for key in row["roots"]:
        terminal.line(f"{terminal.styled('root   ', dim=True)}  {terminal.visible(key)}")
    if out is None:
        terminal.line()
        terminal.line(row["status"])
