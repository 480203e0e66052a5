"""The tutorial is run as it stands, block by block, and prints what it says it prints."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"


def blocks() -> list[tuple[str, str]]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [block for block in found if not block[1].startswith("pip install")]


def pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, line.split("…"))))


def test_the_tutorial_does_what_it_says(bridle_, tmp_path: Path) -> None:
    shims = tmp_path / "bin"
    shims.mkdir()
    for name, command in (("bridle", "-m bridle"), ("python", "")):
        shim = shims / name
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        shim.chmod(0o755)
    programs = [text for kind, text in blocks() if kind == "python"]
    (tmp_path / "refund.py").write_text(programs[0])
    script = "set -e\n" + "".join(text for kind, text in blocks() if kind == "sh")
    environ = {**bridle_.environ, "PATH": f"{shims}:{bridle_.environ['PATH']}"}
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    printed = ran.stdout.splitlines()
    wanted = [line for kind, text in blocks() if kind == "text" for line in text.splitlines()]
    assert len(wanted) > 12
    missing = [w for w in wanted if not any(pattern(w).fullmatch(line) for line in printed)]
    assert missing == [], ran.stdout
    assert ran.stdout.count("paying back") == 1
