"""What it costs to know where arguments came from.

Origins of 1 KB of arguments (an address, a subject, a text) that nobody has asked for before,
after 10 KB, 100 KB, 1 MB and 10 MB of earlier results, beside one bare `cedarpy.is_authorized` of
a sliced question, call by call in turn; the same for arguments that are copied out of a result;
what a governor's decision takes before anything was read, under a policy that asks and under one
that does not; what it takes to take results in; and what an index takes up at its caps, with texts
and with what takes the most room.

The texts are made: words by Zipf's law out of 20,000, with names, addresses, numbers and dates
among them, from a fixed seed.
"""

from __future__ import annotations

import itertools
import random
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import calls, harness, workload
from bridle.bundle.load import load
from bridle.engine.cedar.entities import entities
from bridle.engine.flow.arguments import Meanings, MissionFlow
from bridle.engine.flow.index import OTHERS_MOST, TRUSTED_MOST, Index
from bridle.engine.flow.reading import Reader, Reading
from bridle.engine.flow.source import Imprint, Origins, Source, SourceKind
from bridle.governor.governor import Governor
from bridle.model.tool import Argument, EffectClass, System, Tool

SIZES = {"10 KB": 10, "100 KB": 100, "1 MB": 1_000, "10 MB": 10_000}
"""Earlier results, in kilobytes."""

BARE, BOUND, FLAT, MOST = "bare cedarpy", 0.3, 1.3, 4.0
LEAST = 60.0
UNASKED, ASKED = "governor, nothing asked", "governor, origins of ten arguments"
GOVERNORS = {
    UNASKED: 'context.mission.labels.contains("secret")',
    ASKED: 'context.flow.any.labels.contains("secret")',
}
"""What one policy more of a bundle asks."""

_ASKING = """@id("asks")
forbid (principal, action in Action::"call", resource) when {{ {condition} }};
"""

_EACH = 10_000  # characters of one result
_TRUSTED = 20  # one result in so many is of a trusted tool
_WORDS, _POLICIES = 20_000, 100
_LABELS = frozenset(("internal", "pii"))
_TEXT = {"type": "string"}
_TOOL = Tool(
    name="send",
    system="mail",
    effect=EffectClass.WRITE,
    input={
        "type": "object",
        "properties": {"to": _TEXT, "subject": _TEXT, "body": _TEXT},
        "additionalProperties": False,
    },
    arguments=(
        Argument("to", "recipient"),
        Argument("subject", "content"),
        Argument("body", "content"),
    ),
)


class Writer:
    """Writes texts. One seed gives the same ones in the same order."""

    def __init__(self, seed: int) -> None:
        vocabulary = random.Random(0)
        letters = "etaoinshrdlucmfwypvbgk"
        self._words = [
            "".join(vocabulary.choices(letters, k=vocabulary.randint(2, 10))) for _ in range(_WORDS)
        ]
        weights = (1 / rank for rank in range(1, _WORDS + 1))
        self._weights = list(itertools.accumulate(weights))
        self._random = random.Random(seed)

    def text(self, length: int) -> str:
        """Return about so many characters of prose."""
        count = length // 6 + 1
        words = self._random.choices(self._words, cum_weights=self._weights, k=count)
        for place in range(0, count, 60):
            words[place] = self._data()
        for place in range(7, count, 12):
            words[place] += self._random.choice((",", ".", ".\n"))
        return " ".join(words)[:length]

    def arguments(self) -> dict[str, Any]:
        """Return 1 KB of arguments."""
        return {"to": self.address(), "subject": self.text(40), "body": self.text(950)}

    def address(self) -> str:
        """Return an address that is most likely a new one."""
        return f"{self._random.choice(self._words)}.{self._random.randrange(10**6)}@example.com"

    def _data(self) -> str:
        number = self._random.randrange(10**6)
        return self._random.choice(
            (self.address(), f"INV-{number}", f"{number / 100}", f"2026-05-{number % 28 + 1:02}")
        )


class Mission:
    """A mission that has read so many kilobytes, and what it is asked."""

    def __init__(self, kilobytes: int, seed: int) -> None:
        self.reader, self.writer = Reader(b"bench"), Writer(seed)
        self.index = Index()
        said = "Write to bob@example.com about lunch, and settle what is due."
        prompt = Source(id="prompt", kind=SourceKind.PROMPT, trusted=True)
        self.index.add(1, prompt, self.reader.imprint([said]))
        self.reading = self.taking = 0.0
        for number in range(kilobytes * 1_000 // _EACH):
            self.last = self.writer.text(_EACH)
            self._read(number)
        systems = {"mail": System("mail", "internet")}
        self._flow = MissionFlow(
            self.index, self.reader, Meanings({"send": _TOOL}, systems), _LABELS, lambda _: iter(())
        )

    def _read(self, number: int) -> None:
        began = time.thread_time_ns()
        imprint = self.reader.imprint([self.last])
        read = time.thread_time_ns()
        self.index.add(number + 2, _result(number), imprint)
        self.reading += read - began
        self.taking += time.thread_time_ns() - read

    def asking(self, count: int) -> Callable[[], Origins]:
        """Return a call that asks for the origins of new arguments, up to so many times."""
        return self._call(iter([self.writer.arguments() for _ in range(count)]))

    def only_reading(self, count: int) -> Callable[[], object]:
        """Return a call that makes fingerprints of new arguments, and looks for nothing."""
        asked = iter([self.writer.arguments() for _ in range(count)])
        return lambda: [_read(self.reader.read(text)) for text in next(asked).values()]

    def copying(self, count: int) -> Callable[[], Origins]:
        """Return a call that asks for arguments that are copied out of the last result."""
        words = self.last.split(" ")
        bodies = [" ".join(words[start : start + 150]) for start in range(len(words) - 150)]
        return self._call(
            {**self.writer.arguments(), "body": body}
            for _, body in zip(range(count), itertools.cycle(bodies), strict=False)
        )

    def _call(self, asked: Iterator[dict[str, Any]]) -> Callable[[], Origins]:
        return lambda: self._flow.origins("send", next(asked))


def _read(reading: Reading) -> object:
    return reading.exact, reading.whole, reading.parts


def _result(number: int) -> Source:
    system = f"system-{number % 8}"
    return Source(
        id=f"act_{number}",
        kind=SourceKind.RESULT,
        tool="read",
        system=system,
        domain=f"domain-{number % 3}",
        labels=("internal",),
        trusted=number % _TRUSTED == 0,
    )


def origins(report: harness.Report, folder: Path, *, rounds: int) -> None:
    """Time origins at growing histories, and what it took to take those in."""
    bundle = load(workload.write_bundle(folder / "bundle", _POLICIES))
    bare = workload.Bare(_POLICIES, bundle.schemas.tools, list(entities(bundle)))
    missions = {size: Mission(count, seed) for seed, (size, count) in enumerate(SIZES.items())}
    asked = rounds + 20
    made: dict[str, Callable[[], object]] = {BARE: bare}
    made |= {f"origins after {size}": m.asking(asked) for size, m in missions.items()}
    made["origins after a prompt alone"] = Mission(0, len(SIZES)).asking(asked)
    made["copied, after 1 MB"] = missions["1 MB"].copying(asked)
    made["read only, after 1 MB"] = missions["1 MB"].only_reading(asked)
    taken = harness.interleave(made, seconds=0, least=rounds)
    p50 = {name: harness.percentile(samples, 0.5) for name, samples in taken.items()}
    for name, value in p50.items():
        report.add(name, "p50", value, "us", None if name == BARE else (BARE, p50[BARE]))
    _taken_in(report, missions)
    ratio = p50["origins after 1 MB"] / p50[BARE]
    flat = p50["origins after 10 MB"] / p50["origins after 1 MB"]
    report.claims += [
        harness.Claim(
            "provenance_cost: origins of 1 KB after 1 MB, over one bare sliced cedarpy call",
            BOUND,
            ratio,
            goal=True,
        ),
        harness.Claim("provenance_flat: origins after 10 MB over those after 1 MB", FLAT, flat),
    ]
    report.notes.append(f"origins: {rounds} rounds in turn, no arguments asked for twice")


def nothing_read(report: harness.Report, folder: Path, *, rounds: int) -> None:
    """Time a governor's decisions before anything was read, with and without a question of it."""
    with ExitStack() as stack:
        made: dict[str, Callable[[], object]] = {}
        for name, condition in GOVERNORS.items():
            root = workload.write_bundle(folder / name.replace(" ", "-"), _POLICIES)
            policy = _ASKING.format(condition=condition)
            (root / "policies" / "asks.cedar").write_text(policy, "utf-8")
            governor = Governor.open(root, state=folder / f"state-{len(made)}", embedded=True)
            stack.callback(governor.close)
            made[name] = calls.governor_call(governor, calls.Ask())
        taken = harness.interleave(made, seconds=0, least=rounds)
    p50 = {name: harness.percentile(samples, 0.5) for name, samples in taken.items()}
    for name, value in p50.items():
        report.add(name, "p50", value, "us", None if name == UNASKED else (UNASKED, p50[UNASKED]))
    added = p50[ASKED] - p50[UNASKED]
    claim = "provenance_nothing: us that origins add to a decision before anything is read"
    report.claims.append(harness.Claim(claim, LEAST, added, goal=True))


def _taken_in(report: harness.Report, missions: dict[str, Mission]) -> None:
    for size, mission in missions.items():
        report.add(
            f"a result read, up to {size}", "per KB", mission.reading / SIZES[size] / 1e3, "us"
        )
        report.add(
            f"a result taken in, up to {size}", "per KB", mission.taking / SIZES[size] / 1e3, "us"
        )


def state(report: harness.Report) -> None:
    """Fill indexes to their caps, and say the most that they took on the way."""
    octets = weight = 0
    hostile, marks = Index(), itertools.count(1)
    room = (TRUSTED_MOST + 2 * OTHERS_MOST) // 60_000
    for number in range(room):
        # Until the one half is full, then the other.
        trusted = not hostile.full
        hostile.add(number + 1, _of(number, trusted=trusted), _worst(marks, 60_000))
        octets, weight = max(octets, hostile.octets), max(weight, hostile.weight)
    report.add("state, nothing twice", "arrays", octets / 1e6, "MB")
    report.add("state, nothing twice", "imprints", weight / 1e6, "MB")
    largest = max(octets, weight) / 1e6
    report.claims.append(
        harness.Claim("provenance_state: MB of a mission at its caps", MOST, largest)
    )


def _of(number: int, *, trusted: bool) -> Source:
    system = f"system-{number % 8}"
    return Source(id=f"act_{number}", kind=SourceKind.RESULT, system=system, trusted=trusted)


def _worst(marks: Iterator[int], octets: int) -> Imprint:
    """Return an imprint in which no fingerprint stands twice, and none that stood before."""
    found = array("Q", [next(marks) * 0x9E3779B97F4A7C15 % 2**64 for _ in range(octets // 8)])
    half = len(found) // 2
    return Imprint(chunks=found[:half].tobytes(), parts=found[half:].tobytes())


def measure(*, quick: bool) -> harness.Report:
    """Measure all of it."""
    report = harness.Report("provenance", harness.versions("bridle", "cedarpy"))
    with tempfile.TemporaryDirectory(prefix="bench-provenance-") as folder:
        origins(report, Path(folder), rounds=400 if quick else 3_000)
        nothing_read(report, Path(folder), rounds=400 if quick else 3_000)
    state(report)
    return report


if __name__ == "__main__":
    harness.run(measure)
