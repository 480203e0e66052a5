"""A process in which one module is not what it says: how many cases until that is seen.

`python -m differential.mutated NUMBER CORPUS` prints the number of the first case that shows a
difference (and the error, where it shows as one), or nothing. Number -1 is no fault at all.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import pickle
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from differential.mutants import ENGINE, INTERRUPTED, MUTANTS, SPECIFICATION, Mutant


class Finder(importlib.abc.MetaPathFinder):
    """Finds one module, and has its text changed before it is compiled."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module with a loader of ours, if it is the one."""
        if name != self._mutant.module:
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(self._mutant, name, spec.origin)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, mutant: Mutant, name: str, path: str) -> None:
        super().__init__(name, path)
        self._mutant = mutant

    def get_code(self, fullname: str):
        text = changed(self._mutant, Path(self.path).read_text("utf-8"))
        return compile(text, self.path, "exec")


def changed(mutant: Mutant, text: str) -> str:
    """Return the text of the module with the fault in it."""
    for old, new in mutant.changes:
        assert text.count(old) == 1, (
            f"{mutant.module}: {old!r} stands there {text.count(old)} times"
        )
        text = text.replace(old, new)
    return text


def main() -> None:
    """Compare case by case until a difference is seen."""
    number = int(sys.argv[1])
    ways: Sequence[str] = [SPECIFICATION, ENGINE, INTERRUPTED]
    if number >= 0:
        ways = [MUTANTS[number].way]
        sys.meta_path.insert(0, Finder(MUTANTS[number]))
    from differential import ours  # only now may the module be imported

    for number, (case, expected) in enumerate(pickle.loads(Path(sys.argv[2]).read_bytes())):
        try:
            told = ours.verdicts(case, ways)
        except Exception as error:
            print(number, type(error).__name__)
            return
        if told.disagreements or (told.ways and told.lines != expected):
            print(number)
            return


if __name__ == "__main__":
    main()
