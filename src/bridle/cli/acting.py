"""Whose session a command acts in: the options that say it, and the workload it may prove to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridle.cli import choice

if TYPE_CHECKING:
    from bridle.trust.credential import Credential

Function = TypeVar("Function", bound=Callable[..., Any])

SESSION = "BRIDLE_SESSION"
"""The variable with a session that an operator has opened and handed over."""

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--mission", metavar="TEMPLATE", help="Start a mission from this template."),
    click.option(
        "--mission-id",
        metavar="MISSION",
        envvar="BRIDLE_MISSION",
        default="",
        help="Act in this mission, which has been started [env: BRIDLE_MISSION].",
    ),
    click.option("--user", help="On whose behalf the mission is."),
    click.option("--agent", envvar="BRIDLE_AGENT", help="Who acts [env: BRIDLE_AGENT]."),
    click.option("--executor", metavar="WORKLOAD", help="The workload that carries the calls out."),
    click.option(
        "--as-workload",
        "workload",
        metavar="WORKLOAD",
        help="Be this workload, proved with its key.",
    ),
    choice.passphrase,
    click.option("--prompt", default="", metavar="TEXT", help="What the user asked for."),
)


def options(function: Function) -> Function:
    """Add the options that say whose session it is to be."""
    for add in reversed(_OPTIONS):
        function = add(function)
    return function


def wait(what: str) -> Callable[[Function], Function]:
    """Add --wait: the seconds that `what` waits for its approval before it is answered."""
    return click.option(
        "--wait",
        type=click.FloatRange(min=0, max=86_400),
        default=0.0,
        metavar="SECONDS",
        help=f"Let {what} wait so long for its approval before it is answered.",
    )


def workload(name: str | None) -> Credential | None:
    """Unlock the key of the workload that this process is, if it is one. Raises `BridleError`."""
    if name is None:
        return None
    from bridle.cli import passphrase
    from bridle.trust import folder, keyfile

    file = folder.by_name(name).file
    if file.kind != "workload":
        raise click.UsageError(f"{name!r} is the key of a {file.kind}, and no workload's.")
    return passphrase.unlocked(f"{name}'s key", lambda text: keyfile.unseal(file, text))


def executor(said: dict[str, Any], default: str) -> str:
    """Return the workload that carries the calls out: as said, or the one this process is."""
    named: str | None = said["executor"]
    if named is not None:
        return named
    being: str | None = said["workload"]
    return being or default
