"""The page of the library names every rule, and what it shows can be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridle.language import program
from language.lib.desk import library
from language.lib.stories import STORIES

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "reference" / "history.md").read_text("utf-8")
GUIDE = (DOCS / "policy-guide.md").read_text("utf-8").split("## Conditions over history")[1]
BLOCKS = re.findall(r"```cedar\n(.*?)```", PAGE + GUIDE, re.DOTALL)


@pytest.mark.parametrize("name", STORIES)
def test_every_rule_has_a_place_in_the_table_and_what_keeps_and_breaks_it(name: str) -> None:
    assert re.search(rf"^\| \[?`{name}\(|, `{name}` \|", PAGE, re.MULTILINE)
    section = PAGE.split(f"### {name.removesuffix('_number')}\n")[1].split("\n##")[0]
    assert "Kept: " in section
    assert "Broken: " in section
    assert name in section


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_pages_show_is_read_and_its_macros_expanded(block: str) -> None:
    text = block if "forbid (" in block else f"forbid (principal, action, resource)\n{block};"
    rules, findings = program.read({"page.dw": text}, library())
    assert findings == ()
    assert sum(len(rule.lowered.leaves) for rule in rules.rules) >= 1


def test_the_table_has_the_parameters_of_the_definitions() -> None:
    defined = dict(re.findall(r"^def temporal (\w+)\(([^)]*)\)", library(), re.MULTILINE))
    shown = dict(re.findall(r"^\| \[`(\w+)\(([^)]*)\)`\]", PAGE, re.MULTILINE))
    assert shown.keys() == defined.keys() - {"open_close_number"}
    for name, given in shown.items():
        assert given.count(",") == defined[name].count(","), name
