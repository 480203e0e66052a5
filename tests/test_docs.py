"""What the documentation promises to list, it lists; what it shows, runs."""

from __future__ import annotations

import re
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.model.reason import ReasonCode

ROOT = Path(__file__).parents[1]
BACK_OFFICE = ROOT / "src" / "bridle" / "cli" / "demo" / "bundle"
PARSERS = ROOT / "src" / "bridle" / "bundle" / "parse"


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_every_reason_code_is_documented_with_cause_and_way_out() -> None:
    rows = re.findall(
        r"^\| `([a-z_]+)` \| (.+?) \| (.+?) \|$", page("reference/reason-codes.md"), re.MULTILINE
    )
    documented = {code for code, cause, way_out in rows if cause.strip() and way_out.strip()}
    assert documented == {code.value for code in ReasonCode}


def test_every_key_of_a_bundle_is_documented() -> None:
    read = re.compile(r"\.(?:text|texts|integer|flag|duration|choice|table|tables|array|has|raw)"
                      r"\(\s*\"([a-z_0-9]+)\"")  # fmt: skip
    keys = {key for path in PARSERS.glob("*.py") for key in read.findall(path.read_text("utf-8"))}
    assert {"format", "need", "idempotent", "advance"} <= keys
    text = page("reference/bundle.md")
    named = set(re.findall(r"`([a-z_0-9]+)`", text)) | set(re.findall(r"\[+([a-z]+)[.\]]", text))
    named |= set(re.findall(r"\.([a-z]+)\.(?:NAME|\"PATH\")", text)) | {"step"}
    assert keys - named == set()


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    shutil.copytree(BACK_OFFICE, home / "bundle")
    monkeypatch.chdir(home)
    return home


def approve_what_comes(governor: bridle.Bridle, approved: list[str]) -> None:
    """Be the human: approve the first hold that appears."""
    end = time.monotonic() + 20
    while not approved and time.monotonic() < end:
        for row in governor.approvals():
            governor.approve(row["id"], as_user="ben")
            approved.append(row["id"])


@pytest.mark.usefixtures("office")
def test_the_python_page_runs_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page("python.md"), re.DOTALL)
    real = bridle.open
    monkeypatch.setattr(bridle, "open", lambda bundle: real(bundle, embedded=True))
    ran: list[str] = []
    names: dict[str, Any] = {
        "read_ticket": lambda **given: {**given, "from": "a", "subject": "b", "body": "c"},
        "refund": lambda order, customer, amount: ran.append("refund"),
        "send_mail": lambda to, subject, body: ran.append("mail"),
        "orders": {
            42: {"order": 42, "customer": "C-1", "item": "cup", "total": 9.5, "state": "sent"}
        },
        "mail": {"to": "mira@customers.example", "subject": "Hello", "body": "Hello"},
    }
    approved: list[str] = []
    exec(blocks[0], names)
    with names["gov"] as governor:
        human = threading.Thread(target=approve_what_comes, args=(governor, approved))
        human.start()
        for block in blocks[1:]:
            names["approval_id"] = approved[0] if approved else ""
            exec(_runnable(block), names)
        human.join()
    assert ran == ["refund", "mail"]


def _runnable(block: str) -> str:
    """The oversight block answers a hold that has been answered already; the rest runs as it is."""
    return block.replace('gov.approve(approval_id, as_user="ben")\n', "")
