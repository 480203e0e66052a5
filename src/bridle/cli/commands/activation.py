"""`bridle activate`: a human makes the bundle on disk the active one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bridle.cli import choice, terminal
from bridle.cli.commands.bundles import describe
from bridle.cli.operator import connected, connected_or_opened
from bridle.cli.root import Command
from bridle.client.bridle import Bridle
from bridle.client.opening import installed_sockets, sockets_at
from bridle.model.errors import BundleError, RefusedError, UsageError

_MARKS = {"added": ("+", "ok"), "changed": ("~", "warning"), "removed": ("-", "error")}


@click.command(cls=Command)
@choice.governor
@click.option("--yes", is_flag=True, help="Do not ask.")
@choice.as_user()
@choice.passphrase
@choice.as_json
def activate(bundle: Path, yes: bool, as_user: str, as_json: bool) -> None:
    """Make the bundle on disk the active one: what it says counts from then on.

    Shows its digest and which files differ from the active one, checks it and runs its
    scenarios, then asks. Works through the governor that serves the bundle, or on its store where
    none does. Where that governor is named by its sockets, it does all of that itself.
    """
    from bridle.bundle.load import load

    if sockets_at(bundle) is not None:
        _by_digest(bundle, yes=yes, as_user=as_user, as_json=as_json)
        return
    loaded = load(bundle)
    _require_scenarios(loaded)
    # Looked at before anything is opened, so that no lock is held while a human thinks.
    digest, files = _active(bundle)
    changes = differences(files, loaded.files) if files is not None else {}
    already = digest == loaded.digest
    history: list[dict[str, Any]] = []
    if not as_json:
        terminal.line(describe(loaded))
        terminal.line(f"digest {loaded.digest}")
        _show(changes, known=files is not None)
    if not already:
        if not (yes or _agreed()):
            raise click.Abort
        with connected_or_opened(bundle) as governor:
            governor.activate(loaded.digest, as_user=as_user)
            history = _history(governor)
    _done(loaded.digest, already=already, changes=changes, history=history, as_json=as_json)


def _history(governor: Bridle) -> list[dict[str, Any]]:
    """What the bundle that was just activated knows of the past, where we may still ask."""
    try:
        return list(governor.status()["history"])
    except RefusedError as refused:
        # The new bundle names another key, or none, for whoever proved one: the activation stands.
        if refused.code == "key_changed":
            return []
        raise


def _by_digest(sockets: Path, *, yes: bool, as_user: str, as_json: bool) -> None:
    """Have a governor activate what lies on its disk, of which we may read nothing."""
    with connected(sockets) as governor:
        status = governor.status()
        digest, already = str(status["on_disk"]), not status["changed"]
        history: list[dict[str, Any]] = []
        if not digest:
            raise BundleError("the governor cannot read its bundle", code="bundle_not_found")
        if not as_json:
            terminal.line(terminal.visible(str(status["bundle"])))
            terminal.line(f"digest {digest}")
        if not already:
            if not (yes or _agreed()):
                raise click.Abort
            governor.activate(digest, as_user=as_user)
            history = _history(governor)
    _done(digest, already=already, changes={}, history=history, as_json=as_json)


def _done(
    digest: str,
    *,
    already: bool,
    changes: Mapping[str, list[str]],
    history: list[dict[str, Any]],
    as_json: bool,
) -> None:
    if as_json:
        terminal.document(
            {
                "digest": digest,
                "activated": not already,
                "changes": changes,
                "history": history,
            }
        )
        return
    for scope in history:
        terminal.line(f"  {scope_line(scope)}")
    word = "is active already" if already else "is active"
    terminal.line(f"{terminal.styled('✓', 'ok')} {digest[:12]} {word}")


def scope_line(scope: Mapping[str, Any]) -> str:
    """Return what is known of a scope's past, in words."""
    known = f"history of the {scope['scope']}: {terminal.counted(scope['events'], 'event')}"
    if not scope["answerable"]:
        return f"{known}, reaching back as far as the policies do"
    moment = terminal.time(scope["answerable"])
    return f"{known}; rules that need more than is known deny until {moment}"


def _active(bundle: Path) -> tuple[str, dict[str, str] | None]:
    """Return digest and files of the active bundle, empty where no store was made yet.

    The files are None where the store is another user's.
    """
    if installed_sockets(bundle) is not None:
        with connected(bundle) as governor:
            return str(governor.status()["active"]), None
    from bridle.store.place import place_of
    from bridle.store.rows import BundleRow, GlobalRow
    from bridle.store.sqlite.reading import snapshot

    database = place_of(bundle).database
    if not database.exists():
        return "", {}
    with snapshot(database) as tx:
        active = (tx.get(GlobalRow, "global") or GlobalRow()).active
        row = tx.get(BundleRow, active)
    return active, row.files if row else {}


def differences(active: Mapping[str, str], disk: Mapping[str, str]) -> dict[str, list[str]]:
    """Return which files were added, changed and removed since the active bundle."""
    return {
        "added": sorted(disk.keys() - active.keys()),
        "changed": sorted(
            name for name in disk.keys() & active.keys() if disk[name] != active[name]
        ),
        "removed": sorted(active.keys() - disk.keys()),
    }


def _show(changes: Mapping[str, list[str]], *, known: bool) -> None:
    for what, names in changes.items():
        mark, style = _MARKS[what]
        for name in names:
            terminal.line(f"  {terminal.styled(mark, style)} {terminal.visible(name)}")
    if not known:
        terminal.line("  which files differ is not known here: the store is another user's")
    elif not any(changes.values()):
        terminal.line("  no file differs from the active bundle")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody is there to say yes", hint="look at `bridle check`, then pass --yes"
        )
    return click.confirm("Activate it?")


def _require_scenarios(loaded: Any) -> None:
    from bridle.governor.scenarios import run_scenarios

    failed = [each.name for each in run_scenarios(loaded) if not each.passed]
    if failed:
        raise BundleError(
            f"{len(failed)} scenarios of the bundle fail: {', '.join(failed[:5])}",
            code="scenarios_fail",
            hint="`bridle test` shows where",
        )
