"""`bridle run`: an agent's process in a jail, whose only way out is its governor."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import click

from bridle.cli import acting, choice, jailing, terminal
from bridle.cli.leading import Leading
from bridle.cli.unlocking import with_key

if TYPE_CHECKING:
    from bridle.client.access import Access
    from bridle.jail.profile import Profile
    from bridle.jail.running import Ended, Jail
    from bridle.jail.tally import Tally
    from bridle.jail.warden import Service

# What a session that was handed over has been opened with.
_OPERATORS = ("mission", "user", "executor", "prompt")
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Seconds for the command to end once it is asked to.
_GRACE = 2.0


@click.command(cls=Leading, follows="COMMAND")
@choice.governor
@acting.options
@click.option(
    "--session-file",
    type=click.File(),
    help="File with a session that an operator has opened; BRIDLE_SESSION does as well.",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="The one folder it can write to; left out, the current one.",
)
@click.option(
    "--read",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="A file or folder it can read besides. Repeatable.",
)
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="A variable of its environment, which is empty otherwise. Repeatable.",
)
@click.option(
    "--mcp",
    "servers",
    multiple=True,
    metavar="NAME=COMMAND",
    help="An MCP server outside, behind Bridle. Repeatable.",
)
@click.option("--as", "account", default="", metavar="USER", help="Root runs it as this user.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=AMOUNT",
    help="A limit: memory, processes, cpu, time, files, file_size, scratch, entries. Repeatable.",
)
@acting.wait("a held request (HTTP, MCP)")
@click.option("--explain", is_flag=True, help="Say what it could reach, and start nothing.")
@choice.as_json
def run(*, bundle: Path, **options: Any) -> None:
    """Run an agent (a command, after --) in a jail whose only way out is the governor.

    Without network, with an environment of its own and one folder to write to. Connects to the
    governor of the bundle or starts one, starts a mission and opens a session in it; what is left
    out is what the bundle's [defaults] say. Ends with the command's own exit code. Where the
    machine cannot give such a jail, nothing is started.
    """
    context = click.get_current_context()
    profile = _profile(bundle, context.meta["command"], options)
    if options["explain"]:
        _explain(profile, as_json=options["as_json"])
        return
    if not profile.command:
        raise click.UsageError("No agent: give its command after --.")
    options["servers"] = jailing.servers(options["servers"])
    if options["servers"] and options["workload"]:
        jailing.require_passphrase_file()
    _require_a_jail(profile)
    access = _access(bundle, options)
    try:
        ended, tally = _jailed(bundle, access, profile, options)
    finally:
        access.close()
    _summary(access, ended, tally, as_json=options["as_json"])
    context.exit(ended.status)


def _profile(bundle: Path, command: tuple[str, ...], options: dict[str, Any]) -> Profile:
    """Return the jail that the options describe, as far as it is known before a session is."""
    from bridle.jail.profile import SOCKET, Profile

    return Profile(
        command=command,
        work=options["work"].absolute(),
        read=tuple(path.absolute() for path in options["read"]),
        environ=jailing.environ(options["variables"]),
        limits=jailing.limits(options["limits"]),
        user=jailing.identity(options["account"]),
        kept=jailing.kept(bundle),
        socket=SOCKET,
    )


def _require_a_jail(profile: Profile) -> None:
    """Refuse before a mission is started what no jail could be."""
    from bridle.jail import support
    from bridle.jail.places import folders

    support.require(profile.user)
    work, read = folders.opened(profile)
    for seen in (work, *read):
        os.close(seen.descriptor)


def _explain(profile: Profile, *, as_json: bool) -> None:
    from bridle.jail import explain

    rows = explain.rows(profile)
    if as_json:
        shown = [{"what": row.what, "reach": row.reach, "how": row.how} for row in rows]
        terminal.document({"rows": shown})
    else:
        terminal.line(explain.text(rows))


def _access(bundle: Path, options: dict[str, Any]) -> Access:
    """Open the session that the jail acts in, or take the one that was handed over."""
    from bridle.client import access

    file: TextIO | None = options["session_file"]
    handle = os.environ.pop(acting.SESSION, "") or (file.read(4_096).strip() if file else "")
    wanted = _wanted(bundle, options)
    said = [name for name in _OPERATORS if options[name]]
    if handle and said:
        raise click.UsageError(f"The session that was handed over was opened without --{said[0]}.")
    workload = acting.workload(options["workload"])
    if handle:
        return access.attached(bundle, handle, wanted, workload=workload)
    return access.opened(bundle, wanted, human=with_key, workload=workload)


def _wanted(bundle: Path, options: dict[str, Any]) -> Any:
    from bridle.client.access import Wanted, defaults_of

    defaults = defaults_of(bundle)
    return Wanted(
        mission=options["mission"] or defaults.mission,
        mission_id=options["mission_id"],
        user=options["user"] or defaults.user,
        agent=options["agent"] or defaults.agent,
        executor=acting.executor(options, defaults.executor),
        prompt=options["prompt"],
        jailed=True,
    )


def _jailed(
    bundle: Path, access: Access, profile: Profile, options: dict[str, Any]
) -> tuple[Ended, Tally]:
    """Run the command in its jail, with its socket kept outside; return how it ended."""
    from msgspec import structs

    from bridle.jail.launch import launch
    from bridle.jail.services.governor import GovernorService
    from bridle.jail.services.web.service import WebService
    from bridle.jail.tally import Tally
    from bridle.jail.warden import Warden

    tally = Tally()
    named: dict[str, tuple[str, ...]] = options["servers"]
    # INVARIANT: handle and key stay with these, outside; none of it goes into the profile.
    services: dict[str, Service] = {
        "governor": GovernorService(access.channel, access.session, tally),
        "http": WebService(access.acting(), tally, wait=options["wait"]),
    }
    with ExitStack() as ours:
        for name, server in named.items():
            behind = jailing.proxied(
                bundle, access, name, server, wait=options["wait"], workload=options["workload"]
            )
            ours.callback(behind.close)
            services[f"mcp {name}"] = behind
        uid = profile.user.uid if profile.user else os.getuid()
        warden = ours.enter_context(Warden(services, uid=uid))
        profile = structs.replace(
            profile,
            command=(*jailing.relay(), "run", *profile.command),
            environ=profile.environ | jailing.told(access, named),
            socket=warden.path,
        )
        jail = ours.enter_context(launch(profile))
        ours.enter_context(_Ending(jail))
        _ready(access, as_json=options["as_json"])
        return jail.wait(), tally


class _Ending:
    """While it is entered, a signal to us asks the command to end; a second one does not ask."""

    def __init__(self, jail: Jail) -> None:
        self._jail = jail
        self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        self._before = {number: signal.signal(number, self._end) for number in _SIGNALS}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._asked:
            self._jail.kill()
            return
        self._asked = True
        self._jail.signal(number)
        clock = threading.Timer(_GRACE, self._jail.kill)
        clock.daemon = True
        clock.start()


def _ready(access: Access, *, as_json: bool) -> None:
    """Say on standard error that the command runs. Standard output is the command's."""
    if as_json:
        _tell({"ready": True, "mission": access.mission})


def _summary(access: Access, ended: Ended, tally: Tally, *, as_json: bool) -> None:
    counts = tally.totals()
    if as_json:
        told = {"ended": True, "status": ended.status, "excess": ended.excess}
        _tell({**told, "mission": access.mission, "verdicts": counts})
        return
    words = ", ".join(f"{number} {name}" for name, number in counts.items())
    why = f"; ended by its limit on {ended.excess}" if ended.excess else ""
    sys.stderr.write(f"bridle run: mission {access.mission}: {words}{why}\n")


def _tell(document: dict[str, Any]) -> None:
    sys.stderr.write(json.dumps(document) + "\n")
    sys.stderr.flush()
