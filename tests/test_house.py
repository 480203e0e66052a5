"""What holds for the repository as a whole: sizes, docstrings, exports, pins, nothing local."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "bridle"

BUILT = {"__pycache__", "build", "dist", "site", "node_modules", "htmlcov"}
DATA = {".dw", ".js", ".toml", ".sql", ".cedarschema", ".dwschema", ".typed"}

# Put together from halves, so that this file does not name what it looks for.
LOCAL = re.compile(
    "|".join(
        [
            "/work/" + r"(main|shared|steering|\.library|\.mirror)\b",
            "/far" + "m/",
            "/opt/" + "(pypi|wheels)",
            "py" + r"pi\.org",
            "python" + r"hosted\.org",
            "npm" + r"js\.(org|com)",
            *([re.escape(f"{ROOT}/")] if len(ROOT.parts) > 2 else []),
        ]
    )
)


def files() -> Iterator[Path]:
    """Walk what belongs to the repository; git is not asked, since it need not be there."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if name not in BUILT
            and not name.startswith((".venv", ".git", ".hypothesis"))
            and not name.endswith(("_cache", ".egg-info"))
        ]
        yield from (Path(folder, name) for name in names if not name.startswith(".coverage"))


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def parsed() -> Iterator[tuple[str, ast.Module]]:
    for path in sources():
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))


def test_no_file_names_a_local_path_or_a_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in files()
        if path.is_file() and (match := LOCAL.search(path.read_bytes().decode("utf-8", "replace")))
    ]
    assert found == []


def test_lock_files_hold_pins_and_hashes_and_no_address() -> None:
    locks = sorted((ROOT / "requirements").glob("*.lock"))
    assert locks
    line = re.compile(
        r"[a-z0-9][a-z0-9._-]*==[0-9][A-Za-z0-9.]*( ; [^/@:]+)? \\"
        r"|    --hash=sha256:[0-9a-f]{64}( \\)?"
    )
    odd = [
        f"{lock.name}: {text}"
        for lock in locks
        for text in lock.read_text("utf-8").splitlines()
        if not line.fullmatch(text)
    ]
    assert odd == []


def test_every_core_dependency_is_locked_and_capped() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    locked = (ROOT / "requirements" / "dev.lock").read_text("utf-8")
    names = []
    for requirement in project["dependencies"]:
        name, bounds = re.fullmatch(r"([a-z0-9-]+)(>=[^,]+,<.+)", requirement).groups()
        assert bounds
        assert re.search(rf"^{name}==", locked, re.MULTILINE), name
        names.append(name)
    # INVARIANT: at most seven; a new one is a decision record, not a line.
    assert names == [
        "apsw", "cedarpy", "click", "cryptography", "google-re2", "jsonschema-rs", "msgspec",
    ]  # fmt: skip


def test_no_source_file_reaches_500_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in sources()
        if (count := len(path.read_text("utf-8").splitlines())) >= 500
    }
    assert long == {}


def test_no_function_reaches_100_lines() -> None:
    long = {
        f"{name}:{node.lineno} {node.name}": count
        for name, module in parsed()
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (count := (node.end_lineno or 0) - node.lineno + 1) >= 100
    }
    assert long == {}


def test_every_module_says_its_job() -> None:
    assert [name for name, module in parsed() if not ast.get_docstring(module)] == []


def test_no_module_is_named_after_nothing() -> None:
    vague = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}
    assert [str(path) for path in PACKAGE.rglob("*") if path.stem.strip("_") in vague] == []


def test_types_are_published() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_the_two_commands_stand_in_the_readme() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    lines = {line.split("#")[0].strip() for block in blocks for line in block.splitlines()}
    assert {"make demo", "make test"} <= lines


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_between_files_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


@pytest.mark.slow
def test_the_wheel_carries_every_module_and_data_file(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if name.startswith("bridle/")}
        licences = {Path(name).name for name in archive.namelist() if "/licenses/" in name}
    wanted = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.suffix == ".py" or path.suffix in DATA or path.name == "py.typed"
    }
    assert wanted - shipped == set()
    assert licences == {"LICENSE", "NOTICE"}
