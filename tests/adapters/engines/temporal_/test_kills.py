"""kill -9 of a worker or the governor: nothing ungoverned, nothing twice unseen."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("temporalio", reason="not run: `make engines` brings Temporal")

from adapters.engines.rig import Rig
from adapters.engines.temporal_.frontend import Frontend

pytestmark = pytest.mark.engines

KILLED = Path(__file__).with_name("killed.py")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("victim", ["worker", "governor"])
def test_whoever_is_killed_each_activity_is_carried_out_on_record_and_charged_once(
    victim: str, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    kills = count(4, 50)
    with Frontend().serving() as frontend:
        rig = Rig(tmp_path, [str(KILLED), str(tmp_path), frontend.address], victim)
        try:
            rig.run(kills, tasks=2 * kills)
            assert rig.wrong() == []
        finally:
            rig.close()
