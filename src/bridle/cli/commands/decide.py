"""`bridle decide`: verdicts for actions on standard input, offline and deterministic."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from bridle.cli import choice, terminal
from bridle.cli.root import ENVIRONMENT, Command, report
from bridle.model.errors import BridleError

# What `Offline` reads at most; of a longer line it gets one byte more, and says so.
LINE_BYTES = 8_388_608


@click.command(cls=Command)
@choice.bundle
@click.option("--mission", default="", help="Mission template of actions that name no mission.")
@click.option("--user", default="", help="On whose behalf that mission is.")
@click.option("--agent", default="", help="Who acts where a line names no agent.")
@click.option("--executor", default="", help="The workload that would carry the actions out.")
@choice.as_json
@click.pass_context
def decide(
    ctx: click.Context,
    *,
    bundle: Path,
    mission: str,
    user: str,
    agent: str,
    executor: str,
    as_json: bool,
) -> None:
    """Judge actions from standard input: JSON lines in, one JSON line out for each.

    Nothing runs and nothing is kept. The output is JSON with or without --json. A denial is an
    answer, so the exit code stays 0; 3 says that the bundle cannot be used.
    """
    from bridle.governor.offline import Offline

    try:
        offline = Offline(bundle, mission=mission, user=user, agent=agent, executor=executor)
    except BridleError as error:
        report(error, as_json=as_json)
        ctx.exit(ENVIRONMENT)
    for line in lines(sys.stdin.buffer):
        terminal.document(offline.feed(line))


def lines(source: BinaryIO) -> Iterator[bytes]:
    """Yield lines without their end, each cut off after `LINE_BYTES` + 1."""
    while line := source.readline(LINE_BYTES + 1):
        rest = line
        while len(rest) > LINE_BYTES and not rest.endswith(b"\n"):
            rest = source.readline(LINE_BYTES + 1)
        yield line.rstrip(b"\r\n")
