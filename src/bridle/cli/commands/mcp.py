"""`bridle mcp`: a governor in front of an MCP server on standard input and output."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from bridle.cli import choice, terminal
from bridle.cli.leading import Leading
from bridle.cli.root import ENVIRONMENT
from bridle.cli.unlocking import with_key

if TYPE_CHECKING:
    from bridle.trust.credential import Credential

_SESSION = "BRIDLE_SESSION"
# What a session that was handed over has been opened with.
_OPERATORS = ("mission", "user", "executor", "prompt", "prompt_file")
_GROUPS = "resources,prompts,completions,sampling,elicitation,roots,other"


def _groups(ctx: click.Context, param: click.Parameter, value: str) -> frozenset[str]:
    found = frozenset(name for name in value.split(",") if name)
    unknown = found - set(_GROUPS.split(","))
    if unknown:
        raise click.BadParameter(f"{min(unknown)!r} is none of {_GROUPS}", ctx, param)
    return found


@click.command(cls=Leading, follows="SERVER")
@choice.governor
@click.option("--mission", metavar="TEMPLATE", help="Start a mission from this template.")
@click.option(
    "--mission-id",
    metavar="MISSION",
    envvar="BRIDLE_MISSION",
    default="",
    help="Act in this mission, which has been started [env: BRIDLE_MISSION].",
)
@click.option("--user", help="On whose behalf the mission is.")
@click.option("--agent", envvar="BRIDLE_AGENT", help="Who acts [env: BRIDLE_AGENT].")
@click.option("--executor", metavar="WORKLOAD", help="The workload that carries the calls out.")
@click.option(
    "--as-workload",
    "workload",
    metavar="WORKLOAD",
    help="Be this workload, with its key: its calls may need credentials that only it gets.",
)
@choice.passphrase
@click.option("--system", default="", help="The system that the server is, of systems.toml.")
@click.option("--prompt", default="", metavar="TEXT", help="What the user asked for.")
@click.option("--prompt-file", type=click.File(), help="File with what the user asked for.")
@click.option("--all-tools", is_flag=True, help="Show tools that the mission cannot use as well.")
@click.option(
    "--pass",
    "passes",
    default="",
    metavar="GROUPS",
    callback=_groups,
    help=f"Let these pass ungoverned, with commas between them: {_GROUPS}.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0, max=86_400),
    default=0.0,
    metavar="SECONDS",
    help="Let a held call wait so long for its approval before it is answered.",
)
@click.option("--verbose", is_flag=True, help="Say on standard error what is going on.")
@choice.as_json
def mcp(*, bundle: Path, **options: Any) -> None:
    """Run an MCP server (a command, after --) with Bridle in front of it.

    Speaks MCP on standard input and output in the server's place. Connects to the governor of the
    bundle or starts one, starts a mission and opens a session in it; what is left out is what the
    bundle's [defaults] say. With a session in BRIDLE_SESSION it needs no operator's right.
    With --as-workload, what the server writes to standard error is dropped.
    """
    from bridle.client import access
    from bridle.gateway import stdio
    from bridle.gateway.proxy import Rules

    command: tuple[str, ...] = click.get_current_context().meta["command"]
    if not command:
        raise click.UsageError("No server: give its command after --.")
    rules = Rules(passes=options["passes"], everything=options["all_tools"], wait=options["wait"])
    handle = os.environ.pop(_SESSION, "")
    wanted = _wanted(bundle, options)
    workload = _workload(options["workload"])
    if handle:
        _require_silence(options)
        session = access.attached(bundle, handle, wanted, workload=workload)
    else:
        session = access.opened(bundle, wanted, human=with_key, workload=workload)
    try:
        stayed = stdio.serve(
            session,
            command,
            system=options["system"],
            rules=rules,
            ready=lambda: _ready(session.mission, options),
            verbose=options["verbose"],
            # INVARIANT: I9 — it is the client's, and the server may say there what it was sent.
            quiet=workload is not None,
        )
    finally:
        session.close()
    if not stayed:
        # Standard output belongs to the protocol, to the end.
        terminal.complain("the server has ended", "server_ended", "its own words stand above")
        click.get_current_context().exit(ENVIRONMENT)


def _require_silence(options: dict[str, Any]) -> None:
    """Refuse what only an operator can settle: it would be passed over without a word."""
    said = [name for name in _OPERATORS if options[name]]
    if said:
        shown = said[0].replace("_", "-")
        raise click.UsageError(f"The session in {_SESSION} was opened without --{shown}.")


def _workload(name: str | None) -> Credential | None:
    """Unlock the key of the workload that this proxy is, if it is one."""
    if name is None:
        return None
    from bridle.cli import passphrase
    from bridle.trust import folder, keyfile

    file = folder.by_name(name).file
    if file.kind != "workload":
        raise click.UsageError(f"{name!r} is the key of a {file.kind}, and no workload's.")
    return passphrase.unlocked(f"{name}'s key", lambda text: keyfile.unseal(file, text))


def _wanted(bundle: Path, options: dict[str, Any]) -> Any:
    """What is asked for: the options, and where they are silent the bundle's defaults."""
    from bridle.client.access import Wanted, defaults_of

    file: TextIO | None = options["prompt_file"]
    defaults = defaults_of(bundle)
    return Wanted(
        mission=options["mission"] or defaults.mission,
        mission_id=options["mission_id"],
        user=options["user"] or defaults.user,
        agent=options["agent"] or defaults.agent,
        executor=_executor(options, defaults.executor),
        prompt=file.read() if file is not None else options["prompt"],
    )


def _executor(options: dict[str, Any], default: str) -> str:
    named: str | None = options["executor"]
    if named is not None:
        return named
    workload: str | None = options["workload"]
    return workload or default


def _ready(mission: str, options: dict[str, Any]) -> None:
    """Say on standard error that calls are taken. Standard output is the protocol's."""
    if options["as_json"]:
        sys.stderr.write(json.dumps({"ready": True, "mission": mission}) + "\n")
    elif options["verbose"]:
        sys.stderr.write(f"bridle mcp: ready, mission {mission}\n")
    sys.stderr.flush()
