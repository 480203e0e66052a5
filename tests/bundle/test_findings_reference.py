"""Every finding has a code, and every code stands in the reference."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "findings.md"
REPORTING = {"error", "warning", "info", "_error", "fault", "_fault", "report", "fail", "bad"}
REPORTING |= {"add"}


def documented() -> dict[str, str]:
    rows = re.findall(
        r"^\| `([a-z0-9_]+)` \| (\w+) \| (.+?) \| (.+?) \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) == len({code for code, *_ in rows})
    return {code: level for code, level, meaning, way_out in rows if meaning and way_out}


def modules() -> Iterator[ast.Module]:
    for package in ("language", "bundle"):
        for path in (ROOT / "src" / "bridle" / package).rglob("*.py"):
            yield ast.parse(path.read_text("utf-8"))


def words(call: ast.Call) -> list[str]:
    texts = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return [t for t in texts if re.fullmatch(r"[a-z0-9_]+", t)]


def reported() -> set[str]:
    found = set()
    for module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in REPORTING - {"bad"}:
                    found.update(words(node)[:1])
    return found


def test_every_code_that_the_source_reports_is_documented_with_a_way_out() -> None:
    found = reported()
    assert len(found) > 50
    assert found - documented().keys() == set()


def test_every_documented_code_is_one_that_the_source_can_report() -> None:
    constants = {
        node.value
        for module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert documented().keys() - constants == set()
