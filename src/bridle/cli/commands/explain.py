"""`bridle explain`: what decided an action, of the past and of where its arguments came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bridle.cli import choice, terminal
from bridle.cli.operator import connected, one
from bridle.cli.root import Command
from bridle.model.calls import Explain

_COLUMNS = ("record", "kind", "tool", "mission", "time")
_SOURCES = ("record", "kind", "tool", "system", "action")
_TRUTHS = {True: "true", False: "false", None: "not asked"}


@click.command(cls=Command)
@click.argument("action")
@choice.governor
@choice.as_json
def explain(action: str, bundle: Path, as_json: bool) -> None:
    """Show what decided an action: conditions over history, and where its arguments came from.

    ACTION is the action's id, or the number of its decision's record. Events are shown by when they
    happened, and what was read by what returned it, never by content: their records lie in the log
    (`bridle audit tail --from RECORD`).
    """
    with connected(bundle) as governor:
        row = one(governor, Explain(action=action), f"action {action!r}")
    if as_json:
        terminal.document(row)
        return
    conditions: list[dict[str, Any]] = row.pop("conditions")
    flow: list[dict[str, Any]] = row.pop("flow")
    provenance: dict[str, dict[str, list[str]]] = row.pop("provenance")
    shown = {name: value for name, value in row.items() if value != ""}
    terminal.pairs({**shown, "time": terminal.time(row["time"])})
    if not conditions:
        terminal.line("\nno policy that could have spoken looks back on anything")
    for condition in conditions:
        _show(condition)
    for argument in flow:
        _trace(argument)
    for name, said in provenance.items():
        _said(name, said)


def _trace(argument: dict[str, Any]) -> None:
    marks = [mark for mark in ("trusted", "prompted", "unknown") if argument[mark]]
    labels = [f"label {label}" for label in argument["labels"]]
    terminal.line()
    title = f"{argument['argument']} ({', '.join([*marks, *labels]) or 'not trusted'})"
    terminal.line(terminal.styled(terminal.visible(title), bold=True))
    terminal.table(argument["read"], _SOURCES, empty="nothing that was read says so")


def _said(argument: str, said: dict[str, list[str]]) -> None:
    terminal.line()
    title = f"{argument}, as whoever asked says"
    terminal.line(terminal.styled(terminal.visible(title), bold=True))
    for what, names in said.items():
        terminal.line(f"  {what} {terminal.visible(', '.join(names))}")


def _show(condition: dict[str, Any]) -> None:
    spoke = ", spoke" if condition["spoke"] else ""
    shadow = ", shadow" if condition["shadow"] else ""
    terminal.line()
    title = f"{condition['policy']} ({condition['effect']}{shadow}{spoke})"
    terminal.line(terminal.styled(terminal.visible(title), bold=True))
    terminal.line(f"  {terminal.visible(condition['sentence'])}")
    terminal.line(f"  {_TRUTHS[condition['truth']]}; events {condition['history']}")
    events: list[dict[str, Any]] = condition["events"]
    if events:
        shown = [{**each, "time": terminal.time(each["time"])} for each in events]
        terminal.table(shown, _COLUMNS, empty="")
