"""Starter bundles of the five servers, each made once by `bridle init --mcp`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_servers.stage import ENVIRONMENT, PATIENCE, SOURCE, Stage, command

SERVERS = ("git", "sqlite", "time", "filesystem", "everything")


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the starter of a server, as `init` wrote it."""
    assert (ENVIRONMENT / "node" / ".done").exists(), "run `make mcp-servers` first"
    made: dict[str, Path] = {}

    def make(server: str) -> Path:
        if server not in made:
            folder = tmp_path_factory.mktemp(server)
            (folder / "home").mkdir()
            words = ["init", str(folder / "bundle"), "--system", server, "--mcp", "--"]
            subprocess.run(
                [sys.executable, "-P", "-m", "bridle", *words, *command(server, folder / "home")],
                env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": SOURCE},
                timeout=PATIENCE,
                check=True,
                capture_output=True,
            )
            made[server] = folder / "bundle"
        return made[server]

    return make


@pytest.fixture
def stage(starter: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Stage]:
    """Set a server up in a folder of the test's own."""
    return lambda server: Stage(server, tmp_path, starter(server))


@pytest.fixture(params=SERVERS)
def any_stage(request: pytest.FixtureRequest, stage: Callable[[str], Stage]) -> Stage:
    return stage(request.param)
