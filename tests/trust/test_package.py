"""`bridle.trust` is a library of its own: every name is there, and no governor comes with it."""

from __future__ import annotations

import subprocess
import sys

from bridle import trust

OFFLINE = """
import sys
from bridle import trust
for name in trust.__all__:
    getattr(trust, name)
loaded = {name.split(".")[1] for name in sys.modules if name.startswith("bridle.")}
print(*sorted(loaded - {"trust", "model"}))
"""


def test_every_name_is_there_and_the_list_of_them_is_whole() -> None:
    assert set(trust.__all__) == set(dir(trust)) == set(trust._FROM)
    for name in trust.__all__:
        assert getattr(trust, name) is not None


def test_verifying_offline_loads_neither_governor_nor_store() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == ""
