"""`bridle approvals`: what waits for a human, shown so that a human can decide, and the votes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bridle.cli import choice, terminal
from bridle.cli.operator import connected, one
from bridle.cli.root import Group
from bridle.client.bridle import Bridle
from bridle.model.calls import Approvals
from bridle.model.errors import RefusedError

_COLUMNS = ("id", "status", "subject", "agent", "tool", "groups", "expires", "why")


@click.group(cls=Group, default="list")
def approvals() -> None:
    """See what waits for a human; approve or deny it.

    Without a subcommand: the list.
    """


@approvals.command("list")
@choice.governor
@click.option("--all", "every", is_flag=True, help="Those that were answered or expired as well.")
@choice.as_json
def list_approvals(bundle: Path, every: bool, as_json: bool) -> None:
    """List what waits for a human."""
    with connected(bundle) as governor:
        rows = governor.rows(Approvals(all=every))
    if as_json:
        terminal.document(rows)
        return
    shown = [
        {**row, "expires": terminal.time(row["expires"]), "why": _why(row), "groups": _need(row)}
        for row in rows
    ]
    terminal.table(shown, _COLUMNS, empty="nothing waits for a human")


@approvals.command("show")
@click.argument("approval", metavar="ID")
@choice.governor
@choice.as_json
def show_approval(approval: str, bundle: Path, as_json: bool) -> None:
    """Show what exactly would run, why it waits and who may release it."""
    with connected(bundle) as governor:
        row = _fetch(governor, approval)
    if as_json:
        terminal.document(row)
    else:
        _show(row)


@approvals.command("approve")
@click.argument("approval", metavar="ID")
@choice.governor
@click.option("--reason", default="", help="Why; stands in the record.")
@click.option("--digest", default="", help="Refuse unless it is still what `show` showed.")
@choice.as_user(required=True)
@choice.passphrase
@choice.as_json
def approve(
    *, approval: str, bundle: Path, reason: str, digest: str, as_user: str, as_json: bool
) -> None:
    """Approve a hold. What runs is what is shown here, bound by its digest."""
    _answer(approval, bundle, reason, digest, as_user, approve=True, as_json=as_json)


@approvals.command("deny")
@click.argument("approval", metavar="ID")
@choice.governor
@click.option("--reason", default="", help="Why; stands in the record.")
@choice.as_user(required=True)
@choice.passphrase
@choice.as_json
def deny(approval: str, bundle: Path, reason: str, as_user: str, as_json: bool) -> None:
    """Deny a hold."""
    _answer(approval, bundle, reason, "", as_user, approve=False, as_json=as_json)


def _answer(
    approval: str,
    bundle: Path,
    reason: str,
    digest: str,
    as_user: str,
    *,
    approve: bool,
    as_json: bool,
) -> None:
    with connected(bundle) as governor:
        row = _fetch(governor, approval)
        if digest and digest != row["digest"]:
            raise RefusedError(
                f"{approval} is bound to {row['digest']}, not to {digest}",
                code="approval_changed",
                hint=f"look again: bridle approvals show {approval}",
            )
        if not as_json:
            _show(row)
        # The vote names the digest of what was shown, so it can never count for anything else.
        vote = governor.approve if approve else governor.deny
        status = vote(approval, as_user=as_user, reason=reason, digest=row["digest"])
    if as_json:
        terminal.document({"id": approval, "approve": approve, "by": as_user, "status": status})
        return
    word = terminal.styled("approved" if approve else "denied", "allow" if approve else "deny")
    terminal.line()
    terminal.line(f"{word} as {terminal.visible(as_user)}; the hold is {status}")


def _fetch(governor: Bridle, approval: str) -> dict[str, Any]:
    return one(governor, Approvals(approval=approval), f"approval {approval!r}")


def _show(row: dict[str, Any]) -> None:
    plain = ("id", "status", "subject", "mission", "agent", "tool")
    terminal.pairs(
        {
            **{name: row.get(name) for name in plain},
            "created": terminal.time(row["created"]),
            "expires": terminal.time(row["expires"]),
            "why": _why(row),
            "causes": "; ".join(_cause(each) for each in row["causes"]),
            "needs": _need(row),
            "votes": "; ".join(_vote(each) for each in row["votes"]) or "none yet",
            "digest": row["digest"],
        }
    )
    if row["subject"] == "result":
        _json("the result that is withheld", row["output"])
        return
    _json("what would run", row["args"])
    if row["requested"] != row["args"]:
        _json("what was asked for", row["requested"])


def _json(title: str, text: str) -> None:
    terminal.line()
    terminal.line(terminal.styled(title, bold=True))
    for each in spelled_out(text).splitlines():
        terminal.line(f"  {each}")


def spelled_out(text: str) -> str:
    """Lay JSON text out for reading, with everything that cannot be seen spelled out."""
    try:
        value = json.loads(text)
    except ValueError:
        return terminal.visible(text, lines=True)
    return terminal.visible(json.dumps(value, indent=2, ensure_ascii=False), lines=True)


def _why(row: dict[str, Any]) -> str:
    return "; ".join(each.get("text") or each.get("code", "") for each in row["reasons"])


def _need(row: dict[str, Any]) -> str:
    return ", ".join(f"{need} of {group}" for group, need in row["groups"].items())


def _cause(cause: dict[str, Any]) -> str:
    return f"{cause.get('kind', '')} {cause.get('id', '')}".strip()


def _vote(vote: dict[str, Any]) -> str:
    word = "approved" if vote.get("approve") else "denied"
    reason = f" ({vote['reason']})" if vote.get("reason") else ""
    return f"{vote.get('user', '')} {word}{reason}"
