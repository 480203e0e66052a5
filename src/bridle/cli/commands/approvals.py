"""`bridle approvals`: what waits for a human, shown so that a human can decide, and the votes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from bridle.cli import choice, proposals, spending, terminal
from bridle.cli.operator import connected, one
from bridle.cli.root import Group
from bridle.client.bridle import Bridle
from bridle.model.calls import Answer, Approvals, Exceptions
from bridle.model.errors import NotFoundError, RefusedError

_COLUMNS = ("id", "card", "status", "subject", "agent", "tool", "groups", "expires", "why")
_CARD = "card_"
_EXCEPTIONS = ("id", "status", "agent", "tool", "policies", "used", "expires", "but", "args")


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
        {
            **row,
            "agent": row.get("line") or row["agent"],
            "expires": terminal.time(row["expires"]),
            "why": _why(row),
            "groups": _need(row),
            "card": row["card"] if _shared(row, rows) else "",
        }
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
@proposals.options
@choice.as_user(required=True)
@choice.passphrase
@choice.as_json
def approve(
    *,
    approval: str,
    bundle: Path,
    reason: str,
    digest: str,
    as_user: str,
    as_json: bool,
    **how: Any,
) -> None:
    """Approve a hold, as it is shown here, with other arguments, or for its mission.

    With a card's ID: everything on it, as it is shown, all or none.

    The vote is bound to the digest of what is shown. What other humans have written is approved
    only by its --digest, or by an answer at the terminal.
    """
    wanted = proposals.Wanted(**how)
    if approval.startswith(_CARD):
        if digest or any(how.values()):
            raise click.UsageError("A card is approved as it is shown: no --digest, no edits.")
        _answer_card(bundle, approval, as_user, reason, approve=True, as_json=as_json)
        return
    with connected(bundle) as governor:
        row = _fetch(governor, approval)
        _same(row, digest)
        if not as_json:
            _show(row)
        proposal = wanted.proposal(row)
        if not proposal.args and (row["edited"] or row["terms"]) and not digest:
            _look_first(row)
        call = Answer(
            approval=approval,
            approve=True,
            reason=reason,
            digest=row["digest"],
            as_user=as_user,
            args=proposal.args,
            terms=proposal.terms,
        )
        status = governor.done(call)
        row = _fetch(governor, approval)
    if not as_json and (proposal.args or proposal.terms):
        _what(row)
    _told(row, as_user, status, approve=True, as_json=as_json)


@approvals.command("deny")
@click.argument("approval", metavar="ID")
@choice.governor
@click.option("--reason", default="", help="Why; stands in the record.")
@choice.as_user(required=True)
@choice.passphrase
@choice.as_json
def deny(approval: str, bundle: Path, reason: str, as_user: str, as_json: bool) -> None:
    """Deny a hold or, with a card's ID, everything on it."""
    if approval.startswith(_CARD):
        _answer_card(bundle, approval, as_user, reason, approve=False, as_json=as_json)
        return
    with connected(bundle) as governor:
        row = _fetch(governor, approval)
        if not as_json:
            _show(row)
        status = governor.deny(approval, as_user=as_user, reason=reason, digest=row["digest"])
    _told(row, as_user, status, approve=False, as_json=as_json)


@approvals.command("exceptions")
@choice.governor
@click.option("--mission", default="", metavar="ID", help="Those of one mission.")
@click.option("--all", "every", is_flag=True, help="Those that have ended as well.")
@choice.as_json
def list_exceptions(bundle: Path, mission: str, every: bool, as_json: bool) -> None:
    """List what humans approved for the rest of a mission."""
    with connected(bundle) as governor:
        rows = governor.rows(Exceptions(mission=mission, all=every))
    if as_json:
        terminal.document(rows)
        return
    shown = [
        {
            **row,
            "policies": sorted(row["policies"]),
            "used": f"{row['used']} of {row['count']}",
            "expires": terminal.time(row["expires"]),
            "but": proposals.reach(row),
        }
        for row in rows
    ]
    terminal.table(shown, _EXCEPTIONS, empty="nothing is excepted")


@approvals.command("end")
@click.argument("exception", metavar="ID")
@choice.governor
@choice.as_user(required=True)
@choice.passphrase
@choice.as_json
def end_exception(exception: str, bundle: Path, as_user: str, as_json: bool) -> None:
    """End an exception before its time; nothing that runs is stopped by it."""
    with connected(bundle) as governor:
        governor.end_exception(exception, as_user=as_user)
    if as_json:
        terminal.document({"id": exception, "by": as_user, "status": "ended"})
    else:
        terminal.line(f"ended as {terminal.visible(as_user)}: {terminal.visible(exception)}")


def _shared(row: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Whether a hold is on a card with others: one alone is answered by its own id."""
    return bool(row["card"]) and [each["card"] for each in rows].count(row["card"]) > 1


def _answer_card(
    bundle: Path, card: str, as_user: str, reason: str, *, approve: bool, as_json: bool
) -> None:
    """Show everything on a card, and answer it as a whole."""
    with connected(bundle) as governor:
        ids = [row["id"] for row in governor.rows(Approvals()) if row["card"] == card]
        if not ids:
            raise NotFoundError(f"no card {card!r}", hint="it has changed: `bridle approvals`")
        rows = [_fetch(governor, each) for each in ids]
        if not as_json:
            for row in rows:
                _show(row)
                terminal.line()
        answer = governor.approve if approve else governor.deny
        answer(ids[0], as_user=as_user, reason=reason, card=card)
        rows = [_fetch(governor, each) for each in ids]
    said = {"card": card, "approve": approve, "by": as_user}
    statuses = [{"id": row["id"], "status": row["status"]} for row in rows]
    if as_json:
        terminal.document({**said, "holds": statuses})
        return
    word = terminal.styled("approved" if approve else "denied", "allow" if approve else "deny")
    terminal.line(f"{word} as {terminal.visible(as_user)}: {len(rows)} on the card")
    for each in statuses:
        terminal.line(f"  {each['id']} is {each['status']}")


def _same(row: dict[str, Any], digest: str) -> None:
    if digest and digest != row["digest"]:
        raise RefusedError(
            f"{row['id']} is bound to {row['digest']}, not to {digest}",
            code="approval_changed",
            hint=f"look again: bridle approvals show {row['id']}",
        )


def _look_first(row: dict[str, Any]) -> None:
    """What other humans wrote is not approved in the same breath as it is first seen."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        click.confirm("Other humans have changed this. Approve what is shown?", abort=True)
        return
    raise RefusedError(
        "other humans have changed what this hold is about",
        code="digest_missing",
        hint=f"look at it: bridle approvals show {row['id']}; then approve it by its --digest",
    )


def _told(row: dict[str, Any], user: str, status: str, *, approve: bool, as_json: bool) -> None:
    if as_json:
        more = {name: row[name] for name in ("digest", "edited", "terms")}
        said = {"id": row["id"], "approve": approve, "by": user, "status": status}
        terminal.document(said | more if approve else said)
        return
    word = terminal.styled("approved" if approve else "denied", "allow" if approve else "deny")
    terminal.line()
    terminal.line(f"{word} as {terminal.visible(user)}; the hold is {status}")


def _fetch(governor: Bridle, approval: str) -> dict[str, Any]:
    return one(governor, Approvals(approval=approval), f"approval {approval!r}")


def _show(row: dict[str, Any]) -> None:
    plain = ("id", "status", "subject", "mission", "agent", "tool")
    terminal.pairs(
        {
            **{name: row.get(name) for name in plain},
            **({"came through": row["line"].replace(">", " → ")} if row.get("line") else {}),
            "created": terminal.time(row["created"]),
            "expires": terminal.time(row["expires"]),
            "why": _why(row),
            "causes": "; ".join(_cause(each) for each in row["causes"]),
            "needs": _need(row),
            "votes": "; ".join(_vote(each) for each in row["votes"]) or "none yet",
            "digest": row["digest"],
            **({"for the mission": proposals.reach(row["terms"])} if row["terms"] else {}),
        }
    )
    _what(row)


def _what(row: dict[str, Any]) -> None:
    if row["subject"] == "result":
        _json("the result that is withheld", row["output"])
        return
    written = ", as a human wrote it" if row["edited"] else ""
    _json(f"what would run{written}", row["args"])
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
    shown = f"{cause.get('kind', '')} {cause.get('id', '')}".strip()
    over = cause.get("amount", 0)
    return f"{shown} (overdrawn by {spending.plain(over)})" if over else shown


def _vote(vote: dict[str, Any]) -> str:
    word = "approved" if vote.get("approve") else "denied"
    reason = f" ({vote['reason']})" if vote.get("reason") else ""
    other = "" if vote.get("counts", True) else " something else"
    return f"{vote.get('user', '')} {word}{other}{reason}"
