"""`bridle mcp`: a governor in front of an MCP server on standard input and output."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

import click

from bridle.cli import acting, choice, terminal
from bridle.cli.leading import Leading
from bridle.cli.root import ENVIRONMENT
from bridle.cli.unlocking import with_key

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
@acting.options
@click.option("--system", default="", help="The system that the server is, of systems.toml.")
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
@acting.wait("a held call")
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
    handle = os.environ.pop(acting.SESSION, "")
    wanted = _wanted(bundle, options)
    workload = acting.workload(options["workload"])
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
        raise click.UsageError(f"The session in {acting.SESSION} was opened without --{shown}.")


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
        executor=acting.executor(options, defaults.executor),
        prompt=file.read() if file is not None else options["prompt"],
    )


def _ready(mission: str, options: dict[str, Any]) -> None:
    """Say on standard error that calls are taken. Standard output is the protocol's."""
    if options["as_json"]:
        sys.stderr.write(json.dumps({"ready": True, "mission": mission}) + "\n")
    elif options["verbose"]:
        sys.stderr.write(f"bridle mcp: ready, mission {mission}\n")
    sys.stderr.flush()
