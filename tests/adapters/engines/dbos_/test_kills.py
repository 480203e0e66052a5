"""kill -9 of worker or governor at any moment: nothing ungoverned, nothing twice unseen."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("dbos", reason="not run: `make engines` brings DBOS")

from adapters.engines.rig import Rig

pytestmark = pytest.mark.engines

KILLED = Path(__file__).with_name("killed.py")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("victim", ["worker", "governor"])
def test_whoever_is_killed_each_step_happens_on_record_and_is_charged_once(
    victim: str, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    kills = count(4, 50)
    rig = Rig(tmp_path, [str(KILLED), str(tmp_path), f"sqlite:///{tmp_path}/dbos.sqlite"], victim)
    try:
        rig.run(kills, tasks=3 * kills)
        assert rig.wrong() == []
    finally:
        rig.close()
