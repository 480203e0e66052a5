"""The desk bundle as texts, and a way to check changed copies of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridle.bundle.bundle import Bundle
from bridle.bundle.check import check_files
from bridle.bundle.folder import is_bundle_file
from bridle.model.finding import Finding

DESK = Path(__file__).parents[1] / "bundles" / "desk"

Files = dict[str, str]


class Desk:
    """The texts of the desk bundle, and changes to them."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def with_text(self, name: str, old: str, new: str) -> Desk:
        """Replace a text that must be there."""
        assert old in self.files[name], old
        return Desk({**self.files, name: self.files[name].replace(old, new, 1)})

    def with_file(self, name: str, text: str) -> Desk:
        return Desk({**self.files, name: text})

    def without(self, name: str) -> Desk:
        return Desk({n: t for n, t in self.files.items() if n != name})

    def check(self) -> tuple[Bundle | None, tuple[Finding, ...]]:
        return check_files(self.files)

    def findings(self, code: str) -> list[Finding]:
        return [f for f in self.check()[1] if f.code == code]

    def only(self, code: str) -> Finding:
        """Return the one finding of that code."""
        found = self.findings(code)
        assert len(found) == 1, [str(f) for f in self.check()[1]]
        return found[0]


@pytest.fixture(scope="session")
def desk() -> Desk:
    names = [p.relative_to(DESK).as_posix() for p in DESK.rglob("*") if p.is_file()]
    return Desk({n: (DESK / n).read_text("utf-8") for n in names if is_bundle_file(n)})


@pytest.fixture
def policy(desk: Desk) -> Callable[[str], Desk]:
    """Return the desk with one more policy file, policies/new.dw."""
    return lambda text: desk.with_file("policies/new.dw", text)
