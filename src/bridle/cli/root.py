"""The root of the command line: its commands, its errors, its exit codes."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from bridle.cli import findings, terminal
from bridle.model.errors import BridleError, BundleError

FINDINGS = 1
ENVIRONMENT = 3

# In the order of `bridle --help`. A command's module is read only when it is asked for.
_COMMANDS = {
    "demo": "demo",
    "init": "init",
    "check": "bundles",
    "test": "bundles",
    "pin": "pins",
    "activate": "activation",
    "decide": "decide",
    "plan": "plan",
    "policy": "policy",
    "serve": "serve",
    "mcp": "mcp",
    "http": "http",
    "run": "run",
    "status": "serve",
    "missions": "missions",
    "approvals": "approvals",
    "explain": "explain",
    "agents": "agents",
    "operator": "operator",
    "keys": "keys",
    "pipelines": "pipelines",
    "secrets": "secrets",
    "leases": "leases",
    "delegations": "delegations",
    "revoke": "revoke",
    "grant": "grant",
    "kill": "stops",
    "resume": "stops",
    "audit": "audit",
}


class Command(click.Command):
    """A command whose failures are a message, a code and a way out, and never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn what it raises into an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if os.environ.get("BRIDLE_DEBUG") == "1":
                raise
            ctx.exit(report(error, as_json=bool(ctx.params.get("as_json"))))


class Group(click.Group):
    """A group of commands. With `default`, a first word that is no command belongs to that one."""

    command_class = Command

    def __init__(self, *args: Any, default: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.default = default

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of the commands, in the order they were written."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command in front where none is named."""
        named = args and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named or not self.default else [self.default, *args])


class Root(Group):
    """The `bridle` command: its commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all commands, in the order of the help page."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command by its name."""
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"bridle.cli.commands.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


def report(error: Exception, *, as_json: bool) -> int:
    """Say what went wrong; return the exit code for it."""
    known = error if isinstance(error, BridleError) else _unforeseen(error)
    found = known.findings if isinstance(known, BundleError) else ()
    if as_json:
        told = {"code": known.code, "message": known.message, "hint": known.hint}
        terminal.document({"error": told, "findings": [findings.row(each) for each in found]})
    terminal.complain(known.message, known.code, known.hint)
    for finding in found:
        click.echo(terminal.visible(str(finding), lines=True), err=True)
    return FINDINGS if isinstance(known, BundleError) else ENVIRONMENT


def _unforeseen(error: Exception) -> BridleError:
    hint = "This should not happen; BRIDLE_DEBUG=1 shows where it did."
    return BridleError(f"{type(error).__name__}: {error}", hint=hint)


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from bridle import __version__

        terminal.line(f"bridle {__version__}")
        ctx.exit()


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Print the version.",
)
def cli() -> None:
    """Decide, action by action, whether what an agent wants to do may run.

    BUNDLE is a folder with a bridle.toml. Left out, it is $BRIDLE_BUNDLE, or the current folder.

    Exit codes: 0 done; 1 the check found something; 2 wrong usage; 3 something is missing
    (no governor, no store, …).
    """


def run() -> None:
    """Run the command line and exit."""
    sys.exit(cli.main(prog_name="bridle"))
