"""Ctrl-C after any single step of a write: nobody is stranded, misled or robbed of the exception.

A profile function raises where a signal could: at the entry of a function and after each call
into C. It does so after the first such step, the second, and so on until a write gets through.
"""

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bridle.model.errors import StoreError
from bridle.store import combining
from bridle.store.base import Tx
from bridle.store.rows import KillRow
from bridle.store.sqlite import SqliteStore, open_store

PARTS = ("store/combining.py", "store/sqlite/store.py", "store/sqlite/transaction.py")
STEPS = 2_000


class Interrupter:
    """Raises KeyboardInterrupt in this thread after step `at` of the store's own code."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.fired = False

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        if event not in {"call", "c_return"} or not frame.f_code.co_filename.endswith(PARTS):
            return
        self.left -= 1
        if self.left == 0:
            self.fired = True
            raise KeyboardInterrupt


def put(name: str) -> Callable[[Tx], str]:
    def job(tx: Tx) -> str:
        tx.put(KillRow(id=name, scope="s", subject="", by="", reason="", time=0))
        return name

    return job


class Scene:
    """One store, callers in threads of their own, and what became of each."""

    def __init__(self) -> None:
        self.store: SqliteStore = open_store(None)
        self.found: dict[str, Any] = {}
        self.threads: list[threading.Thread] = []

    def caller(self, name: str, job: Callable[[Tx], str]) -> None:
        try:
            self.found[name] = self.store.write(job)
        except BaseException as problem:
            self.found[name] = problem

    def start(self, name: str, job: Callable[[Tx], str], *, queued: int = 0) -> None:
        thread = threading.Thread(target=self.caller, args=(name, job))
        thread.start()
        self.threads.append(thread)
        while len(self.store._combiner._queue) < queued:
            os.sched_yield()

    def main(self, job: Callable[[Tx], str], at: int) -> bool:
        """Write from this thread, interrupted after step `at`; False when it got through."""
        interrupter = Interrupter(at)
        sys.setprofile(interrupter)
        try:
            self.found["main"] = self.store.write(job)
        except BaseException as problem:
            self.found["main"] = problem
        finally:
            sys.setprofile(None)
        return interrupter.fired

    def judge(self, *, fired: bool) -> None:
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive(), "stranded"
        there = {row.id for row in self.store.write(lambda tx: tx.find(KillRow))}
        main = self.found.pop("main")
        assert isinstance(main, KeyboardInterrupt) == fired
        for name, found in self.found.items():
            if isinstance(found, StoreError):
                assert found.code == "store_interrupted"
                assert name not in there, "told that it failed, and it is there"
            else:
                assert found == name
                assert name in there, "told that it is there, and it is not"
        assert self.store.write(put("after")) == "after"
        self.store.close()


def lead(at: int) -> bool:
    """This thread leads; three others queue meanwhile, of which one fits into the batch."""
    scene = Scene()

    def job(tx: Tx) -> str:
        sys_profile = sys.getprofile()
        sys.setprofile(None)  # the scene's own steps are none of the store's
        for number in range(3):
            scene.start(f"o{number}", put(f"o{number}"), queued=number + 1)
        sys.setprofile(sys_profile)
        return put("main")(tx)

    fired = scene.main(job, at)
    scene.judge(fired=fired)
    return fired


def follow(at: int) -> bool:
    """Another leads; this thread waits and is taken into the batch, or becomes the next leader."""
    scene = Scene()
    inside = threading.Event()
    ready = threading.Event()

    def first(tx: Tx) -> str:
        inside.set()
        assert ready.wait(20)
        return put("o0")(tx)

    def release() -> None:
        while not scene.store._combiner._queue and "main" not in scene.found:
            os.sched_yield()
        ready.set()

    scene.start("o0", first)
    assert inside.wait(20)
    if at % 2:  # fills the batch, so that this thread becomes the heir
        scene.start("o1", put("o1"), queued=1)
    helper = threading.Thread(target=release)
    helper.start()
    scene.threads.append(helper)
    fired = scene.main(put("main"), (at + 1) // 2)
    scene.judge(fired=fired)
    return fired


@pytest.mark.parametrize("scene", [lead, follow])
def test_an_interruption_after_any_step_harms_nobody_else(
    scene: Callable[[int], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(combining, "BATCH", 2)
    through = 0
    for at in range(1, STEPS):
        through = 0 if scene(at) else through + 1
        if through == 4:
            break
    assert through == 4
    assert at > 30
