"""The same events make the same bytes and answers in every process."""

import os
import subprocess
import sys

TOLD = """
import hashlib
from engine.temporal.agreeing import Story

for seed in range(12):
    story = Story.of_shapes(seed) if seed % 2 else Story.of_any(seed)
    assert not story.play(10)
    print(hashlib.sha256(story.partition.save()).hexdigest(), story.truths)
"""


def told(hash_seed):
    environment = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    return subprocess.run(
        [sys.executable, "-c", TOLD], env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_neither_bytes_nor_answers_depend_on_the_process():
    first, second = told("1"), told("2")
    assert first == second
    assert len(set(first.split())) > 12
