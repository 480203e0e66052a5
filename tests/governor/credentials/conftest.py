"""A counter for each test; when the test is over, the ledger has to be whole."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from governor.credentials.counter import Counter, Valet

Opens = Callable[..., Counter]


@pytest.fixture
def opens(tmp_path: Path) -> Iterator[Opens]:
    opened: list[Counter] = []

    def one(*edits: tuple[str, str, str], **more: Any) -> Counter:
        opened.append(Counter(tmp_path, *edits, **more))
        return opened[-1]

    yield one
    for counter in opened:
        counter.verified()
        counter.governor.close()


@pytest.fixture
def counter(opens: Opens) -> Counter:
    return opens(valet=Valet())
