"""What `bridle mcp` adds to a tool call: an echo server directly, and behind the proxy.

The official client, one call at a time and 16 in flight, and a client of bare lines, which is
faster than any real one and so shows the proxy alone. In turn with the calls the store's own
commits are timed on the same file system, since a call's record costs two of them: what the proxy
takes beyond those is what the claims bound, as a multiple of the direct call.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
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
COMMITS = 2
"""Per call: the decision and the start are one commit, the outcome is another."""
BOUNDS = {"strict": 1.5, "relaxed": 1.4}

_TURN = 32  # calls of one side before the other's turn
_LEAST = 3
_DIRECT = "direct"

Side = Callable[[int, int], Awaitable[list[float]]]


def _commit(store: SqliteStore, *, relaxed: bool) -> None:
    """Append one leaf of a kilobyte: about what one of a call's commits holds."""

    def job(tx: Tx) -> None:
        data = b"x" * 1_000
        tx.append("bench", tx.head("bench").seq + 1, data, leaf_hash(data), b"")

    store.write(job, relaxed=relaxed)


def committing(store: SqliteStore, *, relaxed: bool) -> Side:
    """Return what times so many commits by so many threads."""

    async def take(count: int, flight: int) -> list[float]:
        taken: list[float] = []

        def work() -> None:
            for _ in range(max(1, count // flight)):
                began = time.perf_counter_ns()
                _commit(store, relaxed=relaxed)
                taken.append((time.perf_counter_ns() - began) / 1000)

        threads = [threading.Thread(target=work) for _ in range(flight)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return taken

    return take


def calling(session: ClientSession) -> Side:
    """Return what times so many calls of the official client, so many in flight."""

    async def take(count: int, flight: int) -> list[float]:
        taken: list[float] = []

        async def work() -> None:
            for _ in range(max(1, count // flight)):
                began = time.perf_counter_ns()
                result = await session.call_tool(front.CALL["name"], front.CALL["arguments"])
                taken.append((time.perf_counter_ns() - began) / 1000)
                front.check(result.model_dump(by_alias=True, exclude_none=True))

        await asyncio.gather(*(work() for _ in range(flight)))
        return taken

    return take


def raw(client: front.RawClient) -> Side:
    """Return what times so many calls of bare lines, one at a time."""

    async def take(count: int, flight: int) -> list[float]:
        del flight
        taken: list[float] = []
        for _ in range(count):
            began = time.perf_counter_ns()
            client.call()
            taken.append((time.perf_counter_ns() - began) / 1000)
        return taken

    return take


async def connected(stack: AsyncExitStack, command: list[str], folder: Path) -> ClientSession:
    """Start a server (or the proxy in front of it) and greet it with the official client."""
    parameters = StdioServerParameters(
        command=command[0], args=command[1:], env=front.environment(folder)
    )
    reading, writing = await stack.enter_async_context(stdio_client(parameters))
    session = await stack.enter_async_context(ClientSession(reading, writing))
    await session.initialize()
    return session


async def in_turn(sides: dict[str, Side], flight: int, seconds: float) -> harness.Samples:
    """Give each side its turn, `_TURN` calls or so, until the time is over; at least three turns.

    The first round only warms up.
    """
    taken: harness.Samples = {name: [] for name in sides}
    names = list(sides)
    done, end = -1, time.monotonic() + seconds
    while done < _LEAST or time.monotonic() < end:
        turn = done % len(names)
        for name in names[turn:] + names[:turn]:
            found = await sides[name](max(_TURN, 2 * flight), flight)
            if done >= 0:
                taken[name] += found
        done += 1
    return taken


async def _measure(report: harness.Report, folder: Path, *, seconds: float) -> None:
    async with AsyncExitStack() as stack:
        sync = stack.enter_context(ExitStack())
        commands = {_DIRECT: front.SERVER}
        for durability in BOUNDS:
            bundle = front.write_bundle(folder, durability)
            sync.enter_context(front.governor(folder, bundle))
            commands[durability] = front.command(bundle)
        store = sync.enter_context(closing(open_store(folder / "floor" / "store.db")))
        sides = {
            name: calling(await connected(stack, command, folder))
            for name, command in commands.items()
        }
        commits = {_of(name): committing(store, relaxed=name == "relaxed") for name in BOUNDS}
        for flight in IN_FLIGHT:
            told(report, "", flight, await in_turn(sides | commits, flight, seconds))
        lines = {
            name: raw(sync.enter_context(closing(front.RawClient(each, front.environment(folder)))))
            for name, each in commands.items()
        }
        told(report, "bare lines, ", 1, await in_turn(lines | commits, 1, seconds), claims=False)


def told(
    report: harness.Report,
    client: str,
    flight: int,
    taken: harness.Samples,
    *,
    claims: bool = True,
) -> None:
    """Add the rows of one client at one number in flight, and its claims."""
    p50 = {name: harness.percentile(samples, 0.5) for name, samples in taken.items()}
    case = {name: f"{client}{flight} in flight, {name}" for name in p50}
    over = (case[_DIRECT], p50[_DIRECT])
    for name, value in p50.items():
        report.add(case[name], "p50", value, "us", over if name in BOUNDS else None)
        report.add(case[name], "p99", harness.percentile(taken[name], 0.99), "us")
    for name, bound in BOUNDS.items():
        rest = p50[name] - COMMITS * p50[_of(name)]
        report.add(f"{case[name]}, without its commits", "p50", rest, "us", over)
        if claims:
            text = f"{case[name]}: p50 without its commits over the direct call"
            report.claims.append(harness.Claim(text, bound, rest / p50[_DIRECT], goal=True))


def _of(durability: str) -> str:
    return f"{durability} commit"


def measure(*, quick: bool) -> harness.Report:
    """Run everything. `quick` takes fewer rounds of the same calls."""
    report = harness.Report("mcp", harness.versions("bridle", "mcp", "cedarpy", "apsw"))
    seconds = 5 if quick else 60
    with tempfile.TemporaryDirectory(prefix="bench-mcp-") as name:
        asyncio.run(_measure(report, Path(name), seconds=seconds))
    report.notes.append(
        f"{seconds} s for each client and number in flight, about {_TURN} calls of each side in "
        f"turn. A call's record costs {COMMITS} commits; theirs are timed in the same turns."
    )
    return report


if __name__ == "__main__":
    harness.run(measure)
