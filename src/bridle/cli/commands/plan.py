"""`bridle plan`: what is planned, judged as a whole before any of it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import structs

from bridle.cli import choice, terminal
from bridle.cli.root import FINDINGS, Group

if TYPE_CHECKING:
    from bridle.model.plan import Forecast

_COLUMNS = ("step", "tool", "effect", "why")
_SOURCES = ("airflow", "node-red")
# Of a longer file one byte more is read, so that it is refused.
_LONGEST = 1 << 20


@click.group(cls=Group)
def plan() -> None:
    """Judge what is planned before it runs."""


@plan.command("check")
@click.argument("file", type=click.File("rb"))
@choice.bundle
@click.option("--mission", default="", help="The mission's template.")
@click.option("--user", default="", help="On whose behalf the mission is.")
@click.option("--agent", default="", help="Whose plan it is.")
@click.option("--executor", default="", help="The workload that would carry it out.")
@click.option("--prompt", default="", help="What the user says at the start.")
@choice.as_json
@click.pass_context
def check(
    ctx: click.Context,
    *,
    file: Any,
    bundle: Path,
    mission: str,
    user: str,
    agent: str,
    executor: str,
    prompt: str,
    as_json: bool,
) -> None:
    """Judge a plan as a whole, offline, as at the start of a mission.

    FILE is the plan as JSON (`-`: standard input). Nothing runs and nothing is kept. Exit code 1
    when a step is denied.
    """
    from bridle.bundle.load import load
    from bridle.governor.planning import offline

    loaded = load(bundle)
    given = {"mission": mission, "user": user, "agent": agent, "executor": executor}
    who = structs.replace(
        loaded.manifest.defaults, **{name: value for name, value in given.items() if value}
    )
    text = file.read(_LONGEST + 1).decode("utf-8", "surrogateescape")
    found = offline.check(loaded, text, who, prompt)
    if as_json:
        terminal.document(msgspec.to_builtins(structs.replace(found, reference="", receipt=None)))
    else:
        _show(found)
    ctx.exit(0 if found.allowed else FINDINGS)


@plan.command("verify")
@click.argument("file", type=click.File("rb"))
@click.option("--word", required=True, metavar="REFERENCE", help="What the governor said of it.")
@click.option(
    "--root", "roots", multiple=True, required=True, metavar="KEY", help="A key of the governor."
)
@choice.as_json
@click.pass_context
def verify(
    ctx: click.Context, *, file: Any, word: str, roots: tuple[str, ...], as_json: bool
) -> None:
    """Say whether a governor has checked this very plan, without asking it.

    FILE is the plan as JSON (`-`: standard input). Exit code 1 when it has not.
    """
    from bridle.cli.importing import vouched

    text = file.read(_LONGEST + 1).decode("utf-8", "surrogateescape")
    row, good = vouched(text, word, roots)
    if as_json:
        terminal.document({"good": good, **row})
    else:
        icon = terminal.styled("✓", "ok") if good else terminal.styled("✗", "error")
        said = "is the plan that was checked" if good else "is not the plan that was checked"
        terminal.line(f"{icon} {file.name} {said}")
        terminal.pairs({**row, "checked": terminal.time(row["checked"])})
    ctx.exit(0 if good else FINDINGS)


@plan.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--from", "source", type=click.Choice(_SOURCES), required=True, help="What wrote it.")
@click.option(
    "--map",
    "mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="What its operators or nodes become.",
)
@click.option("--as", "account", default="", metavar="USER", help="Root has it read as this user.")
@choice.as_json
def import_(file: Path, *, source: str, mapping: Path, account: str, as_json: bool) -> None:
    """Read somebody else's definition of work as a plan, and print it.

    FILE is an Airflow DAG or Node-RED flows. It is data: nothing of it is executed or imported, and
    a DAG is parsed in a jail. What cannot be read so is refused with its place.
    """
    from bridle.cli import importing

    del as_json  # a plan is JSON anyway
    terminal.line(importing.imported(file, source, mapping, account))


def _show(found: Forecast) -> None:
    rows = [
        {"step": each.step, "tool": each.tool, "effect": each.effect.value, "why": _why(each)}
        for each in found.steps
    ]
    terminal.table(rows, _COLUMNS, empty="")
    icon = terminal.styled("✓", "ok") if found.allowed else terminal.styled("✗", "error")
    said = "no step is denied" if found.allowed else "a step is denied"
    terminal.line(f"{icon} plan {found.digest[:16]}: {said}")


def _why(step: Any) -> str:
    waits = f" ({', '.join(step.waits)})" if step.waits else ""
    return f"{step.text}{waits}"
