"""Which user tasks bundles may be tuned on, and which they are tested on.

The half is a hash's parity, so that nobody chose it; it knows the suite and the task's name alone,
so that a task stays in its half in every version, with every injection and in every run.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Split = Literal["tune", "test"]


def split_of(suite: str, user_task: str) -> Split:
    """`tune` where the first byte of SHA-256 of `suite/user_task` (UTF-8) is even, else `test`."""
    first = hashlib.sha256(f"{suite}/{user_task}".encode()).digest()[0]
    return "test" if first % 2 else "tune"
