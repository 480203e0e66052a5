"""What `bridle mcp` adds to a tool call: an echo server directly, and behind the proxy.

The official client, one call at a time and 16 in flight, and a client of bare lines, which is
faster than any real one and so shows the proxy alone. A call's record costs two commits: those are
timed on the same file system in turn with the calls, one before and one after a direct call, since
a commit that follows another at once takes another time than one that does not. What the proxy
takes beyond them is what the claims bound, as a multiple of the direct call.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, closing
from pathlib import Path

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from bench import front, harness
from bridle.ledger.tree import leaf_hash
from bridle.store.base import Tx
from bridle.store.sqlite import open_store
from bridle.store.sqlite.store import SqliteStore

IN_FLIGHT = (1, 16)
BOUNDS = {"strict": 1.5, "relaxed": 1.4}

_TURN = 32  # calls of one side before the other's turn
_LEAST = 3
_DIRECT = "direct"

Check = Callable[[], None]
Call = Callable[[], Awaitable[Check]]
"""Makes a call; what it returns raises unless the answer is right, and is not timed."""
Side = Callable[[], Awaitable[float]]
"""Does its work once and returns how many microseconds of it count."""


def calling(call: Call) -> Side:
    """Return what times a call."""

    async def timed() -> float:
        began = time.perf_counter_ns()
        check = await call()
        taken = (time.perf_counter_ns() - began) / 1000
        check()
        return taken

    return timed


def committing(call: Call, store: SqliteStore, *, relaxed: bool) -> Side:
    """Return what times the commits of a call: of decision and start, and of the outcome.

    `call` is made between them, and does not count.
    """

    def commit() -> float:
        began = time.perf_counter_ns()
        _commit(store, relaxed=relaxed)
        return (time.perf_counter_ns() - began) / 1000

    async def timed() -> float:
        before = await asyncio.to_thread(commit)
        await call()
        return before + await asyncio.to_thread(commit)

    return timed


def _commit(store: SqliteStore, *, relaxed: bool) -> None:
    """Append one leaf of a kilobyte: about what one of a call's commits holds."""

    def job(tx: Tx) -> None:
        data = b"x" * 1_000
        tx.append("bench", tx.head("bench").seq + 1, data, leaf_hash(data), b"")

    store.write(job, relaxed=relaxed)


def official(session: ClientSession) -> Call:
    """Return a call by the official client."""

    async def call() -> Check:
        result = await session.call_tool(front.CALL["name"], front.CALL["arguments"])
        return lambda: front.check(result.model_dump(by_alias=True, exclude_none=True))

    return call


def raw(client: front.RawClient) -> Call:
    """Return a call by bare lines, one at a time."""

    async def call() -> Check:
        result = client.ask("tools/call", front.CALL)
        return lambda: front.check(result)

    return call


async def connected(stack: AsyncExitStack, command: list[str], folder: Path) -> ClientSession:
    """Start a server (or the proxy in front of it) and greet it with the official client."""
    parameters = StdioServerParameters(
        command=command[0], args=command[1:], env=front.environment(folder)
    )
    reading, writing = await stack.enter_async_context(stdio_client(parameters))
    session = await stack.enter_async_context(ClientSession(reading, writing))
    await session.initialize()
    return session


async def in_turn(sides: dict[str, Side], flight: int, seconds: float) -> list[harness.Samples]:
    """Give each side its turn, `_TURN` calls or so, until the time is over; at least three turns.

    Returns the rounds. There was one before them, which only warmed up.
    """
    names = list(sides)
    rounds: list[harness.Samples] = []
    end = time.monotonic() + seconds
    while len(rounds) <= _LEAST or time.monotonic() < end:
        turn = len(rounds) % len(names)
        taken: harness.Samples = {name: [] for name in names}
        for name in names[turn:] + names[:turn]:
            taken[name] = await _take(sides[name], flight)
        rounds.append(taken)
    return rounds[1:]


async def _take(side: Side, flight: int) -> list[float]:
    """Let so many work at once, each several times."""

    async def work() -> list[float]:
        return [await side() for _ in range(max(2, _TURN // flight))]

    workers = await asyncio.gather(*(work() for _ in range(flight)))
    return [sample for taken in workers for sample in taken]


async def _measure(report: harness.Report, folder: Path, *, seconds: float) -> None:
    async with AsyncExitStack() as stack:
        sync = stack.enter_context(ExitStack())
        commands = {_DIRECT: front.SERVER}
        for durability in BOUNDS:
            bundle = front.write_bundle(folder, durability)
            sync.enter_context(front.governor(folder, bundle))
            commands[durability] = front.command(bundle)
        store = sync.enter_context(closing(open_store(folder / "floor" / "store.db")))
        calls = {
            name: official(await connected(stack, command, folder))
            for name, command in commands.items()
        }
        for flight in IN_FLIGHT:
            told(report, "", flight, await in_turn(_sides(calls, store), flight, seconds))
        lines = {
            name: raw(sync.enter_context(closing(front.RawClient(each, front.environment(folder)))))
            for name, each in commands.items()
        }
        rounds = await in_turn(_sides(lines, store), 1, seconds)
        told(report, "bare lines, ", 1, rounds, claims=False)


def _sides(calls: dict[str, Call], store: SqliteStore) -> dict[str, Side]:
    """Return the calls, and beside them the commits that the records of each need."""
    commits = {
        _of(name): committing(calls[_DIRECT], store, relaxed=name == "relaxed") for name in BOUNDS
    }
    return {name: calling(call) for name, call in calls.items()} | commits


def told(
    report: harness.Report,
    client: str,
    flight: int,
    rounds: list[harness.Samples],
    *,
    claims: bool = True,
) -> None:
    """Add the rows of one client at one number in flight, and its claims.

    What is compared is compared within a round; the figure is the median of the rounds.
    """
    p50s = [
        {name: harness.percentile(each, 0.5) for name, each in taken.items()} for taken in rounds
    ]
    case = {name: f"{client}{flight} in flight, {name}" for name in rounds[0]}
    over = (case[_DIRECT], harness.percentile([p50[_DIRECT] for p50 in p50s], 0.5))
    for name, of in case.items():
        value = harness.percentile([p50[name] for p50 in p50s], 0.5)
        report.add(of, "p50", value, "us", over if name in BOUNDS else None)
        pooled = [sample for taken in rounds for sample in taken[name]]
        report.add(of, "p99", harness.percentile(pooled, 0.99), "us")
    for name, bound in BOUNDS.items():
        ratios = [(p50[name] - p50[_of(name)]) / p50[_DIRECT] for p50 in p50s]
        figure = harness.percentile(ratios, 0.5)
        rest = f"{case[name]}, without its commits"
        report.add(rest, "p50", figure * over[1], "us", over)
        if claims:
            text = f"{case[name]}: p50 without its commits over the direct call"
            report.claims.append(harness.Claim(text, bound, figure, goal=True))


def _of(durability: str) -> str:
    return f"{durability} commits"


def measure(*, quick: bool) -> harness.Report:
    """Run everything. `quick` takes fewer rounds of the same calls."""
    report = harness.Report("mcp", harness.versions("bridle", "mcp", "cedarpy", "apsw"))
    seconds = 5 if quick else 60
    with tempfile.TemporaryDirectory(prefix="bench-mcp-") as name:
        asyncio.run(_measure(report, Path(name), seconds=seconds))
    report.notes.append(
        f"{seconds} s for each client and number in flight, about {_TURN} calls of each side in "
        "turn. Figures are medians of the rounds; commits are the two that a call's record costs."
    )
    return report


if __name__ == "__main__":
    harness.run(measure)
