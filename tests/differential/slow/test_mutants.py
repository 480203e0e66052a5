"""The comparison with the reference finds every fault that is put into the evaluators."""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from differential import comparing
from differential.mutants import MUTANTS

TESTS = Path(__file__).resolve().parents[2]
CASES = 4000

pytestmark = pytest.mark.slow


def test_there_are_enough_faults():
    assert len(MUTANTS) >= 30
    assert len({(m.name, m.module) for m in MUTANTS}) == len(MUTANTS)


@pytest.mark.timeout(1800)
def test_every_fault_is_found(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.write_bytes(pickle.dumps(comparing.corpus(itertools.count(), CASES)))

    def found(number: int) -> str:
        command = [sys.executable, "-m", "differential.mutated", str(number), str(corpus)]
        path = os.pathsep.join([str(TESTS), *sys.path])
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert done.returncode == 0, f"{MUTANTS[number].name}: {done.stderr}"
        return done.stdout.strip()

    assert not found(-1), "without a fault there is no difference"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        after = list(pool.map(found, range(len(MUTANTS))))
    told = {
        f"{m.module.rpartition('.')[2]}: {m.name}": n for m, n in zip(MUTANTS, after, strict=True)
    }
    print(*(f"{n:>16} {name}" for name, n in told.items()), sep="\n")
    assert [name for name, n in told.items() if not n] == []
