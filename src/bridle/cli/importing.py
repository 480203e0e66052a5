"""Plans in files: from an orchestrator's definition, and with a governor's word on them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bridle.cli import jailing
from bridle.engine.plans import reading
from bridle.engine.plans.imports import airflow, drafting, node_red
from bridle.engine.plans.imports.drafting import Task, refused
from bridle.trust import plan_word
from bridle.trust.grants.roots import Roots


def imported(file: Path, source: str, mapping: Path, account: str) -> str:
    """Return the canonical text of the plan that a file is.

    Raises `UsageError` (`import_refused`, `plan_invalid`), `JailError` where a DAG cannot be read
    in a jail.
    """
    kinds = drafting.mapping(_text(mapping, drafting.MAX_MAP_BYTES))
    read = _airflow if source == "airflow" else _node_red
    return drafting.drafted(read(file, account), kinds)


def vouched(text: str, word: str, roots: tuple[str, ...]) -> tuple[dict[str, Any], bool]:
    """Return what a governor's word says, and whether it says it of this plan.

    Raises `UsageError` for what is no plan, `GrantError` for a word that none of the keys signed.
    """
    said = plan_word.read(word, Roots(roots), int(time.time()))
    digest = reading.read(text).digest
    row = {
        "digest": digest,
        "governor": said.iss,
        "mission": said.mis,
        "agent": said.act,
        "bundle": said.bdl,
        "checked": said.iat * 1_000,
    }
    return row, digest == said.pln


def _node_red(file: Path, account: str) -> list[Task]:
    del account  # JSON is read by the one strict reader of everything
    return node_red.tasks(_text(file, node_red.MAX_BYTES), file.name)


def _airflow(file: Path, account: str) -> list[Task]:
    from bridle.engine.plans import imports
    from bridle.jail import reading as jailed

    data = _bytes(file, airflow.MAX_BYTES)
    source = (Path(next(iter(imports.__path__))) / "dag.py").read_text("utf-8")
    # INVARIANT: I9 — what an agent wrote is parsed where it can reach nothing, even if it breaks
    # the parser.
    user = jailing.identity(account)
    answer = jailed.answer(source, data, most=airflow.MAX_ANSWER, user=user)
    try:
        return airflow.tasks(answer.decode(), file.name)
    except UnicodeDecodeError:
        raise refused(file.name, "what was read of it cannot be used") from None


def _text(file: Path, most: int) -> str:
    try:
        return _bytes(file, most).decode()
    except UnicodeDecodeError:
        raise refused(file.name, "this is no UTF-8") from None


def _bytes(file: Path, most: int) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise refused(file.name, f"more than {most} bytes")
    return data
