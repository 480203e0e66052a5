"""What the documentation promises to list, it lists."""

from __future__ import annotations

import re
from pathlib import Path

from bridle.model.reason import ReasonCode

ROOT = Path(__file__).parents[1]


def test_every_reason_code_is_documented_with_cause_and_way_out() -> None:
    page = (ROOT / "docs/reference/reason-codes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+?) \| (.+?) \|$", page, re.MULTILINE)
    documented = {code for code, cause, way_out in rows if cause.strip() and way_out.strip()}
    assert documented == {code.value for code in ReasonCode}
