"""The recorded traces, as frozen structs; recorded anew when what they come from has changed.

`python -m bench.agentdojo.traces` says what there is. The records are AgentDojo's data and belong
to its environment: they are kept there, compressed, and never in the repository.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.agentdojo.split import Split, split_of

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-agentdojo"

Origin = Literal["user", "injected"]


class Call(msgspec.Struct, frozen=True):
    """One call of a trace.

    `output` is what the agent was shown where there is no `error`. `changed` says whether the
    environment differed afterwards, `changes` where: dotted paths of what differed.
    """

    tool: str
    args: dict[str, Any]
    output: str
    changed: bool
    origin: Origin
    error: str | None = None
    changes: tuple[str, ...] = ()


class Trace(msgspec.Struct, frozen=True, tag_field="kind", tag="trace"):
    """One run of a user task: benign, or hijacked by an injection task.

    `achieved` and `hijacked` are AgentDojo's own checks of the end: that the user's task is done,
    and (of a hijack) that the injection's is. `goal` is what the attacker asks for.
    """

    version: str
    suite: str
    user_task: str
    injection_task: str | None
    prompt: str
    calls: tuple[Call, ...]
    achieved: bool
    goal: str | None = None
    hijacked: bool | None = None

    @property
    def split(self) -> Split:
        """The half of the user tasks that it belongs to."""
        return split_of(self.suite, self.user_task)

    @property
    def injected(self) -> tuple[Call, ...]:
        """The calls that the attacker asked for."""
        return tuple(call for call in self.calls if call.origin == "injected")


class Tool(msgspec.Struct, frozen=True):
    """What a suite says of one tool; `parameters` is a JSON Schema."""

    name: str
    description: str
    docstring: str
    parameters: dict[str, Any]


class Tools(msgspec.Struct, frozen=True, tag_field="kind", tag="tools"):
    """The tools of a suite in one version."""

    version: str
    suite: str
    tools: tuple[Tool, ...]


class Omitted(msgspec.Struct, frozen=True, tag_field="kind", tag="omitted"):
    """A task (or a pair) of which there is no trace, and why."""

    version: str
    suite: str
    user_task: str | None
    injection_task: str | None
    reason: str


class Recorded(msgspec.Struct, frozen=True):
    """Everything that was recorded."""

    traces: tuple[Trace, ...]
    tools: tuple[Tools, ...]
    omitted: tuple[Omitted, ...]


class NotInstalled(Exception):  # noqa: N818 (said to a person, who is told what to do)
    """AgentDojo's environment is not there."""


def recorded(environment: Path = ENVIRONMENT) -> Recorded:
    """Return the records, made now (about a minute) unless they are there already.

    Raises `NotInstalled` where `make agentdojo` was not run.
    """
    python = environment / "bin" / "python"
    kept = environment / f"worlds-{_state()}.jsonl.gz"
    if not kept.exists():
        if not python.exists():
            raise NotInstalled("AgentDojo is not installed: make agentdojo")
        record(python, kept)
    return read(kept)


def _state() -> str:
    """Sixteen digits that change with the lock file and with what records."""
    sources = (
        ROOT / "requirements" / "agentdojo.lock",
        ROOT / "bench" / "agentdojo" / "suites.py",
        ROOT / "bench" / "agentdojo" / "worlds.py",
    )
    digest = hashlib.sha256()
    for source in sources:
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()[:16]


def record(python: Path, kept: Path) -> None:
    """Run `worlds` under that interpreter and keep what it prints, all of it or nothing."""
    command = [str(python), "-m", "bench.agentdojo.worlds"]
    # Some of its tools show the members of a set in the order of their hashes.
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        part = Path(folder) / kept.name
        # No time and no name in the file: the same records are the same bytes.
        with part.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as out:
            with subprocess.Popen(
                command, cwd=ROOT, env=environ, stdout=subprocess.PIPE
            ) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    out.write(line)
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, command)
        part.replace(kept)


_LINE = msgspec.json.Decoder(Trace | Tools | Omitted)


def read(kept: Path) -> Recorded:
    """Return what a compressed file of lines holds; raises `msgspec.DecodeError` on any other."""
    with gzip.open(kept) as lines:
        found = [_LINE.decode(line) for line in lines]
    return Recorded(
        traces=tuple(each for each in found if isinstance(each, Trace)),
        tools=tuple(each for each in found if isinstance(each, Tools)),
        omitted=tuple(each for each in found if isinstance(each, Omitted)),
    )


def summary(found: Recorded) -> str:
    """Text for a terminal: how many traces of which sort there are, and what was left out."""
    lines = [
        f"{'version':8} {'suite':10} {'split':6} {'tasks':>6} {'done':>6} {'pairs':>6} {'hit':>6}"
    ]
    for (version, suite, split), traces in sorted(_grouped(found.traces).items()):
        benign = [trace for trace in traces if trace.injection_task is None]
        pairs = [trace for trace in traces if trace.injection_task is not None]
        done = sum(trace.achieved for trace in benign)
        hit = sum(bool(trace.hijacked) for trace in pairs)
        lines.append(
            f"{version:8} {suite:10} {split:6} {len(benign):6} {done:6} {len(pairs):6} {hit:6}"
        )
    reasons = Counter((each.version, each.suite, each.reason) for each in found.omitted)
    lines += [f"left out: {' '.join(key)} ({count})" for key, count in sorted(reasons.items())]
    return "\n".join(lines)


def _grouped(traces: Iterable[Trace]) -> dict[tuple[str, str, str], list[Trace]]:
    groups: dict[tuple[str, str, str], list[Trace]] = {}
    for trace in traces:
        for suite in (trace.suite, "all"):
            for split in (trace.split, "all"):
                groups.setdefault((trace.version, suite, split), []).append(trace)
    return groups


if __name__ == "__main__":
    try:
        print(summary(recorded()))
    except NotInstalled as missing:
        raise SystemExit(str(missing)) from None
