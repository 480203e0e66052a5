"""`bridle missions`: bounded pieces of work, and attempts whose end nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TextIO

import click

from bridle.cli import choice, spending, terminal
from bridle.cli.operator import connected, one
from bridle.cli.root import Group
from bridle.client.mission import Session
from bridle.model.calls import Attempts, Missions, MissionVerb, Settle
from bridle.model.outcome import Outcome, OutcomeKind

_COLUMNS = ("id", "template", "user", "status", "started", "expires")


@click.group(cls=Group, default="list")
def missions() -> None:
    """See, start, suspend, resume and close missions.

    Without a subcommand: the list.
    """


@missions.command("list")
@choice.governor
@click.option("--limit", default=100, show_default=True, help="At most so many, newest first.")
@choice.as_json
def list_missions(bundle: Path, limit: int, as_json: bool) -> None:
    """List missions, newest first."""
    with connected(bundle) as governor:
        rows = governor.rows(Missions(limit=limit))
    if as_json:
        terminal.document(rows)
    else:
        shown = [_timed(row, "started", "expires") for row in rows]
        terminal.table(shown, _COLUMNS, empty="no missions")


@missions.command("show")
@click.argument("mission")
@choice.governor
@choice.as_json
def show_mission(mission: str, bundle: Path, as_json: bool) -> None:
    """Show a mission with what is spent, its sessions and its running attempts."""
    with connected(bundle) as governor:
        row = one(governor, Missions(mission=mission), f"mission {mission!r}")
    if as_json:
        terminal.document(row)
        return
    lists: dict[str, list[dict[str, Any]]] = {
        name: value for name, value in row.items() if isinstance(value, list)
    }
    lists["budgets"] = spending.shown(lists.get("budgets", []))
    plain = {name: value for name, value in row.items() if name not in lists}
    terminal.pairs(_timed(plain, "started", "expires", "ended"))
    for name, rows in lists.items():
        terminal.line()
        terminal.line(terminal.styled(name.replace("_", " "), bold=True))
        timed = [_timed(each, "opened", "closed", "started", "lease", "ended") for each in rows]
        terminal.table(timed, tuple(timed[0]) if timed else (), empty="none")


@missions.command("start")
@click.argument("template")
@choice.governor
@click.option("--user", required=True, help="On whose behalf; this user's prompt it is.")
@click.option("--prompt-file", type=click.File(), help="File with the prompt; - is standard input.")
@choice.passphrase
@choice.as_json
def start_mission(
    template: str, bundle: Path, user: str, prompt_file: TextIO | None, as_json: bool
) -> None:
    """Start a mission from a template."""
    prompt = prompt_file.read() if prompt_file else ""
    with connected(bundle) as governor:
        mission = governor.start_mission(template, user=user, prompt=prompt).id
    if as_json:
        terminal.document({"id": mission})
    else:
        terminal.line(mission)


@missions.command("session")
@click.argument("mission")
@choice.governor
@click.option("--agent", required=True, help="Who will act.")
@click.option("--executor", default="", metavar="WORKLOAD", help="Who carries its actions out.")
@choice.as_user()
@choice.passphrase
@choice.as_json
def open_session(
    *, mission: str, bundle: Path, agent: str, executor: str, as_user: str, as_json: bool
) -> None:
    """Open a session for an agent and print its handle, to hand over to the agent's process.

    Whoever has the handle acts as that agent in that mission: treat it as a password. In Python:
    bridle.connect(SOCKETS, role="agent").attach(HANDLE, mission=MISSION, agent=AGENT).
    """
    with connected(bundle) as governor:
        session = Session(governor, mission, agent, executor=executor, as_user=as_user)
        handle = session.run.text()
    if as_json:
        terminal.document(
            {"handle": handle, "mission": mission, "agent": agent, "executor": executor}
        )
    else:
        terminal.line(handle)


def _verb(verb: str, help_text: str) -> None:
    @missions.command(verb, help=help_text)
    @click.argument("mission")
    @choice.governor
    @choice.as_user()
    @choice.passphrase
    @choice.as_json
    def change(mission: str, bundle: Path, as_user: str, as_json: bool) -> None:
        with connected(bundle) as governor:
            governor.done(MissionVerb(mission=mission, verb=verb, as_user=as_user))
        if as_json:
            terminal.document({"id": mission, "verb": verb})
        else:
            terminal.line(f"{verb} {terminal.visible(mission)}: done")


_verb("suspend", "Suspend a mission: nothing in it starts until it is resumed.")
_verb("resume", "Resume a suspended mission.")


@missions.command("close")
@click.argument("mission")
@choice.governor
@click.option("--anyway", is_flag=True, help="Although something in it is still open, on record.")
@choice.as_user()
@choice.passphrase
@choice.as_json
def close_mission(*, mission: str, bundle: Path, anyway: bool, as_user: str, as_json: bool) -> None:
    """Close a mission for good, unless a policy says that something in it is still open."""
    call = MissionVerb(mission=mission, verb="close", as_user=as_user, anyway=anyway)
    with connected(bundle) as governor:
        governor.done(call)
    if as_json:
        terminal.document({"id": mission, "verb": "close"})
    else:
        terminal.line(f"close {terminal.visible(mission)}: done")


@missions.command("attempts")
@choice.governor
@click.option("--state", default="unknown", show_default=True, help="In which state.")
@choice.as_json
def attempts(bundle: Path, state: str, as_json: bool) -> None:
    """List attempts whose end nobody knows (or those in another state)."""
    with connected(bundle) as governor:
        rows = governor.rows(Attempts(state=state))
    if as_json:
        terminal.document(rows)
        return
    columns = ("id", "mission", "agent", "tool", "state", "started")
    terminal.table([_timed(row, "started") for row in rows], columns, empty=f"none {state}")


@missions.command("settle")
@click.argument("attempt")
@click.argument("outcome", type=click.Choice(["ok", "error", "not_started"]))
@choice.governor
@click.option("--error", "error", default="settled", help="The error's code, where it is one.")
@choice.as_user()
@choice.passphrase
@choice.as_json
def settle(
    *, attempt: str, outcome: str, bundle: Path, error: str, as_user: str, as_json: bool
) -> None:
    """Say how an attempt ended that nobody heard of again."""
    kind = OutcomeKind(outcome)
    told = Outcome(kind=kind, error=error if kind is OutcomeKind.ERROR else "")
    with connected(bundle) as governor:
        governor.done(Settle(attempt=attempt, outcome=told, as_user=as_user))
    if as_json:
        terminal.document({"id": attempt, "outcome": outcome})
    else:
        terminal.line(f"{terminal.visible(attempt)} settled as {outcome}")


def _timed(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {
        name: terminal.time(value) if name in names and isinstance(value, int) else value
        for name, value in row.items()
    }
