"""Pipelines in agents.toml: agents with an author, refused where nobody could prove anything."""

import pytest

from bridle.bundle.check import check_files
from bridle.engine.cedar.entities import entities
from bridle.model import public_key


def key(seed: int) -> str:
    return public_key.written(bytes([seed, 9] * 16))


DECLARED = f"""
[pipelines.nightly]
author = "dora"
workloads = ["engine"]
tags = {{ tier = "2" }}
[pipelines.nightly.budgets.calls]
limit = 5
[users.dora]
key = "{key(1)}"
[workloads.engine]
key = "{key(2)}"
"""


def files(desk, text: str = DECLARED, mission: str = '"nightly", ') -> dict[str, str]:
    named = desk.with_text("missions.toml", "agents = [", f"agents = [{mission}")
    return {**named.files, "agents.toml": desk.files["agents.toml"] + text}


def errors(desk, text: str, mission: str = '"nightly", ') -> list[str]:
    found = check_files(files(desk, text, mission))[1]
    return [f.code for f in found if f.severity.value == "error"]


def test_a_pipeline_is_an_agent_with_an_author(desk) -> None:
    assert errors(desk, DECLARED) == []
    bundle, _ = check_files(files(desk))
    assert bundle is not None
    nightly = bundle.agents["nightly"]
    assert (nightly.author, nightly.owner, nightly.workloads) == ("dora", "dora", ("engine",))
    assert (nightly.tags, [b.name for b in nightly.budgets]) == ({"tier": "2"}, ["calls"])
    (entity,) = [e for e in entities(bundle) if e["uid"] == {"type": "Agent", "id": "nightly"}]
    assert entity["attrs"]["author"] == {"type": "User", "id": "dora"}
    others = [e for e in entities(bundle) if "author" in e["attrs"]]
    assert others == [entity]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('author = "dora"\n', "", "missing_key"),
        ('author = "dora"', 'author = "nobody"', "unknown_reference"),
        ('workloads = ["engine"]', 'workloads = ["nothing"]', "unknown_reference"),
        (f'key = "{key(1)}"', "", "pipeline_without_key"),
        (f'key = "{key(2)}"', "", "pipeline_without_key"),
        ("tags =", "deputy = true\ntags =", "unknown_key"),
        ("tags =", f'key = "{key(3)}"\ntags =', "unknown_key"),
        ("tags =", 'owner = "dora"\ntags =', "unknown_key"),
        ("tags =", 'team = "none"\ntags =', "unknown_reference"),
        ("[pipelines.nightly]", '[pipelines."a>b"]', "bad_name"),
    ],
)
def test_what_nobody_could_register_or_run_is_refused(desk, old: str, new: str, code: str) -> None:
    assert old in DECLARED
    assert code in errors(desk, DECLARED.replace(old, new))


def test_a_pipeline_never_has_the_name_of_an_agent(desk) -> None:
    clash = DECLARED + '[agents.nightly]\nowner = "dora"\n'
    assert errors(desk, clash) == ["name_clash"]


def test_no_bundle_gives_agents_an_author_of_its_own(desk) -> None:
    extra = 'entity Agent = { "author"?: User };\n'
    found = desk.with_file("schema/extra.cedarschema", extra).check()[1]
    assert "extra_schema" in [f.code for f in found]


def test_a_policy_may_ask_for_the_author(policy) -> None:
    text = (
        '@id("p") forbid (principal, action in Action::"call", resource)\n'
        'when { principal has author && principal.author == User::"ana" };\n'
    )
    assert [f for f in policy(text).check()[1] if f.severity.value == "error"] == []
