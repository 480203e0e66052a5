"""How the demo is printed: a line for each judgement, then what the sinks really saw."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from bridle.cli import terminal
from bridle.cli.demo.narrator import Told
from bridle.model.verdict import Effect

_WIDE = 136
_ARGUMENT = 36


def judgement(told: Told) -> None:
    """Print one judgement: verdict, agent, tool, short argument, reason and policy."""
    if told.of == "handover":
        _handover(told)
        return
    effect = told.effect.value
    verdict = terminal.styled(f"{terminal.ICONS[effect]} {effect:<6}", effect, bold=True)
    tool = told.tool if told.of == "action" else f"{told.tool}:result"
    argument = short(told.args) if told.of == "action" else ""
    where = f"{told.agent:<10} {tool:<22} {terminal.visible(argument):<{_ARGUMENT}}"
    why = because(told)
    if not why:
        terminal.line(f"  {verdict}  {where}".rstrip())
    elif terminal.colours() and shutil.get_terminal_size().columns < _WIDE:
        terminal.line(f"  {verdict}  {where}".rstrip())
        terminal.line(f"            {why}")
    else:
        terminal.line(f"  {verdict}  {where}  {why}")
    _notes(told)


def _handover(told: Told) -> None:
    """Print what was handed to whom, each thing it allows, and what of it has no effect."""
    verdict = terminal.styled(f"{terminal.ICONS['allow']} {'allow':<6}", "allow", bold=True)
    terminal.line(f"  {verdict}  {told.agent:<10} {told.tool:<22} {told.args['to']}")
    for text in told.args["allows"]:
        terminal.line(f"              {terminal.styled(terminal.visible(text), dim=True)}")
    _notes(told)


def _notes(told: Told) -> None:
    for text in told.notes:
        terminal.line(f"            {terminal.styled('!', 'warning')} {terminal.visible(text)}")


def because(told: Told) -> str:
    """Return the reasons of a judgement with their policies (or codes, where no policy spoke)."""
    texts: list[str] = []
    for reason in told.reasons:
        source = terminal.styled(f"[{reason.policy or reason.code.value}]", dim=True)
        texts.append(f"{terminal.styled(reason.text)} {source}".strip())
    if told.again and not texts:
        return terminal.styled("runs as it was approved", dim=True)
    return "; ".join(texts)


def short(args: dict[str, Any]) -> str:
    """Return the arguments' values on one line, cut where it gets long."""
    text = ", ".join(str(value) for value in args.values())
    return terminal.shortened(text, _ARGUMENT)


def heading(text: str) -> None:
    """Print what happens next in the story."""
    terminal.line()
    terminal.line(terminal.styled(text, bold=True))


def seen(what: dict[str, Any]) -> None:
    """Print what the mail server, the database, the site and the folders saw."""
    heading("What really happened, as the sinks saw it")
    for mail in what["mails"]:
        terminal.line(
            f"  mail to {terminal.styled(mail['to'])}: {terminal.styled(mail['subject'])}"
        )
        for text in mail["body"].splitlines():
            terminal.line(terminal.styled(f"    | {text}", dim=True).rstrip())
    refunds = [f"{each['eur']:.2f} EUR on order {each['order']}" for each in what["refunds"]]
    for name, told in (
        ("refunds paid", refunds),
        ("tables", [f"{table} ({rows} rows)" for table, rows in what["tables"].items()]),
        ("pages fetched", what["pages"]),
        ("asked of a lead", what["questions"]),
        ("on the help site", what["help"]),
        ("notes written", [f"{name}: {text}" for name, text in what["notes"].items()]),
        ("volumes", what["volumes"]),
    ):
        terminal.line(f"  {name:<17}{terminal.visible(', '.join(told)) or 'none'}")


def summary(told: Sequence[Told]) -> dict[str, int]:
    """Count how actions and results were judged.

    `approved` are held ones that then ran, `overtaken` allowed ones that then could not start.
    """
    counts = Counter(each.effect for each in told if each.of == "action" and not each.again)
    return {
        "actions": counts.total(),
        **{effect.value: counts[effect] for effect in Effect},
        "approved": sum(each.again and each.effect.runs for each in told),
        "overtaken": sum(each.again and each.effect is Effect.DENY for each in told),
        "results_rewritten": sum(each.of == "result" for each in told),
    }


def counted(counts: dict[str, int]) -> str:
    """Return the summary as a sentence."""
    allowed = f"{counts['allow']} allowed ({counts['overtaken']} stopped before its start)"
    parts = [
        f"{terminal.counted(counts['actions'], 'action')}: {allowed}",
        f"{counts['modify']} modified",
        f"{counts['hold']} held ({counts['approved']} approved and run)",
        f"{counts['deny']} denied",
        f"{terminal.counted(counts['results_rewritten'], 'result')} rewritten",
    ]
    return ", ".join(parts)


def entry(told: Told) -> dict[str, Any]:
    """Return a judgement as the object that --json prints."""
    plain: dict[str, Any] = msgspec.to_builtins(told)
    return {"type": "judgement", **plain}
