"""On a terminal there is colour, in a pipe there is none, and who wants none gets none."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest


def on_a_terminal(shell, *args: str | Path, **environ: str) -> str:
    """Run `bridle` with a pseudo-terminal as standard output and return what it printed."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bridle", *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=subprocess.PIPE,
        env={**shell.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environ},
    )
    os.close(follower)
    printed = b""
    try:
        while chunk := os.read(leader, 65_536):
            printed += chunk
    except OSError:  # Linux says so when the other side is closed
        pass
    os.close(leader)
    assert process.communicate(timeout=20)[1] == b""
    return printed.decode()


def test_findings_are_coloured_on_a_terminal(bridle_, starter: Path) -> None:
    (starter / "policies" / "desk.dw").write_text("permitt")
    assert "\x1b[31m" in on_a_terminal(bridle_, "check", starter)


@pytest.mark.parametrize("wish", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colour_gets_none(bridle_, starter: Path, wish: dict[str, str]) -> None:
    assert "\x1b" not in on_a_terminal(bridle_, "test", starter, **wish)


@pytest.mark.parametrize("rich", [True, False], ids=["rich", "no rich"])
def test_tables_are_coloured_with_rich_and_without(
    bridle_, starter: Path, serving, tmp_path: Path, rich: bool
) -> None:
    serving(starter)
    environ = {}
    if not rich:
        (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['rich'] = None\n")
        environ["PYTHONPATH"] = f"{tmp_path}:{bridle_.environ['PYTHONPATH']}"
    bridle_("agents", "suspend", "assistant", starter)
    shown = on_a_terminal(bridle_, "agents", starter, **environ)
    assert "assistant" in shown
    assert re.search(r"\x1b\[33m *suspended", shown)


def test_json_on_a_terminal_is_plain(bridle_, starter: Path) -> None:
    assert "\x1b" not in on_a_terminal(bridle_, "check", starter, "--json")


def test_a_demo_line_fits_a_narrow_terminal(bridle_) -> None:
    shown = on_a_terminal(bridle_, "demo", NO_COLOR="")
    assert "\x1b[32m" in shown
    assert "\x1b[33m" in shown
    reason = next(line for line in shown.splitlines() if "large-refund" in line)
    assert "payments.refund" not in reason, "the reason stands on a line of its own"
