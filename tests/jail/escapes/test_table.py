"""The page of ways out is the suite's own table."""

from pathlib import Path

from jail.escapes.table import page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "jail-escapes.md"


def test_the_page_lists_what_is_tried() -> None:
    """`PYTHONPATH=tests python -m jail.escapes.table` writes it anew."""
    assert PAGE.read_text("utf-8") == page()
