"""The benchmark of engines: what it calls governed is judged, what it calls ungoverned is not."""

from pathlib import Path

import pytest

pytest.importorskip("apscheduler", reason="not run: `make engines` brings APScheduler")

from adapters.conformance.sink import Sink
from adapters.conformance.trial import trial
from adapters.engines.apscheduler_.bench import make
from bench import engines
from bridle.adapters.engines import apscheduler as adapter

pytestmark = pytest.mark.engines


def test_an_open_gate_lets_steps_pass_unjudged_and_is_gone_afterwards(tmp_path: Path) -> None:
    before = adapter.carry_out
    with engines.gated(adapter) as gate, Sink() as sink, trial(tmp_path, make(tmp_path), sink) as t:
        reference = t.dispatched(engines.PAGE)
        with t.bench.running(t.carrier):
            for gate.open, judged in ((True, 0), (False, engines.BLOCK)):
                engines.block(t, reference)
                assert t.charged() == judged
        assert len(t.numbers()) == 2 * engines.BLOCK
    assert adapter.carry_out is before
