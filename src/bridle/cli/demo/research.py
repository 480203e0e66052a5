"""An agent that hands on part of its work: narrowly, then wider than it may, then no longer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import bridle
from bridle.cli.demo.office import Office
from bridle.model.outcome import OutcomeKind

_HELP = "http://help.shop.example"


def hand_on(triage: bridle.Agent) -> bridle.Agent:
    """Let a researcher read what the help site says on warranty, and nothing else."""
    pages = {"url": bridle.prefix(f"{_HELP}/warranty")}
    return triage.delegate(
        "researcher", tools={"web.get": pages}, expires="15m", executor="worker-1"
    )


def look_up(reader: bridle.Agent, office: Office) -> list[str]:
    """Read the page, and try what was not handed on: another page, a customer's account."""
    refused: list[str] = []
    attempts: tuple[tuple[str, dict[str, Any], Callable[..., Any]], ...] = (
        ("web.get", {"url": f"{_HELP}/warranty"}, office.site.get),
        ("web.get", {"url": f"{_HELP}/returns"}, office.site.get),
        ("orders.customer", {"customer": "C-20417"}, office.shop.customer),
    )
    for tool, args, effect in attempts:
        try:
            reader.call(tool, args, effect=effect)
        except bridle.Denied as denied:
            refused.append(denied.code)
    return refused


def hand_on_more(researcher: bridle.Agent) -> bridle.Agent:
    """Give a scout any page and any customer: more than the researcher itself was given.

    The key that signs this is the researcher's own, and so is the signature: it is in order.
    """
    everything = ["web.get", "orders.customer"]
    return researcher.delegate("scout", tools=everything, expires="15m", executor="worker-1")


def overtaken(scout: bridle.Agent, office: Office, revoke: Callable[[], None]) -> str:
    """Get leave to read one more page; `revoke` comes before the reading. Returns what was said."""
    allowed = scout.decide("web.get", {"url": f"{_HELP}/warranty/2"})
    revoke()
    try:
        started = scout.begin(allowed)
    except bridle.Denied as denied:
        return denied.code
    page = office.site.get(f"{_HELP}/warranty/2")
    scout.observe(started, bridle.Outcome(kind=OutcomeKind.OK, output=json.dumps(page)))
    return ""
