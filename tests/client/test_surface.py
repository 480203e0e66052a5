"""What `import bridle` gives and costs, and that one line of the package runs effects."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import bridle

SOURCE = Path(bridle.__file__).parent
EXPORTS = [
    "Agent",
    "Bridle",
    "BridleError",
    "Credential",
    "Denied",
    "Effect",
    "Forecast",
    "Held",
    "Invitation",
    "LeasedCredential",
    "Mission",
    "Offer",
    "Outcome",
    "PerformedError",
    "Provenance",
    "Revocation",
    "Terms",
    "Used",
    "Verdict",
    "Worker",
    "__version__",
    "acredential",
    "anything",
    "attach",
    "between",
    "check_plan",
    "cidr",
    "connect",
    "credential",
    "current",
    "definition",
    "eq",
    "exactly",
    "govern",
    "host",
    "matches",
    "on_stop",
    "one_of",
    "open",
    "path_under",
    "prefix",
    "same",
    "subset",
    "suffix",
    "unlock",
    "worker",
]
HEAVY = (
    "asyncio",
    "apsw",
    "cedarpy",
    "sqlite3",
    "bridle.governor",
    "bridle.store",
    "bridle.server",
)


def modules_after(code: str) -> list[str]:
    """The modules that a fresh interpreter has loaded after running `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(SOURCE.parent)},
    )
    return json.loads(done.stdout)


def test_the_exports_are_exactly_these() -> None:
    assert sorted(bridle.__all__) == sorted(EXPORTS)
    assert dir(bridle) == sorted(EXPORTS)
    for name in EXPORTS:
        assert getattr(bridle, name) is getattr(bridle, name)
    with pytest.raises(AttributeError):
        _ = bridle.nothing


def test_every_export_says_what_it_is() -> None:
    assert [
        name for name in EXPORTS[:-1] if not (getattr(bridle, name).__doc__ or "").strip()
    ] == []


@pytest.mark.parametrize(
    "code",
    ["import bridle", "from bridle import *", "import bridle; bridle.open; bridle.connect"],
)
def test_importing_bridle_loads_nothing_heavy(code: str) -> None:
    loaded = modules_after(code)
    assert "bridle" in loaded
    assert [m for m in loaded if m.startswith(HEAVY)] == []


def test_a_bare_import_loads_one_module_of_ours() -> None:
    assert [m for m in modules_after("import bridle") if m.startswith("bridle")] == ["bridle"]


def test_a_client_needs_no_event_loop_and_no_store() -> None:
    code = (
        "import bridle\n"
        "try: bridle.connect('/', role='agent')\n"
        "except bridle.BridleError: pass\n"
        "import bridle.client.agent, bridle.client.guard, bridle.client.transport.unix"
    )
    loaded = modules_after(code)
    assert [m for m in loaded if m.startswith(("asyncio", "apsw", "cedarpy", "bridle.gov"))] == []


def calls_of_effects() -> list[str]:
    """Every place that calls an `effect`, or in the client an `_effect` of an object."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                found += [
                    f"{path.relative_to(SOURCE)}:{getattr(node, 'name', 'lambda')}"
                    for call in ast.walk(node)
                    if isinstance(call, ast.Call) and is_effect(call.func, path)
                ]
    return found


def is_effect(node: ast.expr, path: Path) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "_effect" and (SOURCE / "client") in path.parents
    return isinstance(node, ast.Name) and node.id == "effect"


def name_of(node: ast.expr) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def test_one_line_of_the_package_runs_effects_and_it_is_the_guards() -> None:
    assert calls_of_effects() == ["client/guard.py:_run"]


def test_that_line_is_only_reached_with_a_started_attempt() -> None:
    """Each caller of `_run` in the guard gets its `Started` from `gate.admit`, or passes one on."""
    guard = ast.parse((SOURCE / "client" / "guard.py").read_text())
    callers = {
        node.name: ast.unparse(node)
        for node in guard.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(isinstance(n, ast.Call) and name_of(n.func) == "_run" for n in ast.walk(node))
    }
    assert set(callers) == {"guard", "stream", "astream", "_arun", "_run_whole"}
    for name, code in callers.items():
        assert ("gate.admit" in code) or ("started: Started" in code), name
