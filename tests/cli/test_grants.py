"""`bridle grant`: what a chain says and whether it holds, without a governor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridle.trust.grants.claims import Predicate, ToolGrant
from cli.handed import MISSION, Handed


@pytest.fixture
def handed() -> Handed:
    return Handed()


FORMS = {
    "lines": "\n".join,
    "array": json.dumps,
    "export": lambda links: json.dumps({"grant": "x", "chain": links}),
}


@pytest.mark.parametrize("form", FORMS)
def test_inspect_says_what_each_link_allows_and_that_nothing_is_verified(
    bridle_, handed: Handed, form: str
) -> None:
    shown = bridle_("grant", "inspect", "-", stdin=FORMS[form](handed.links))
    assert shown.code == 0, shown.err
    assert shown.out.startswith("! not verified")
    for text in (
        f"mission   {MISSION}",
        "root: triage  expires in 59m",
        "    web.*, desk.read",
        "link 1: researcher  expires in 14m",
        '    web.get where url begins with "https://docs.example/"',
        "    at most 5 of budget calls",
        "    may be handed on 7 times more",
        handed.leaf,
    ):
        assert text in shown.out


def test_inspect_as_json_has_every_claim_and_no_verdict(
    bridle_, handed: Handed, tmp_path: Path
) -> None:
    file = tmp_path / "chain"
    file.write_text("\n".join(handed.links))
    told = bridle_("grant", "inspect", file, "--json").json
    assert told["verified"] is False
    root, child = told["links"]
    assert (root["agent"], root["parent"], root["depth"]) == ("triage", "", 0)
    assert child["parent"] == root["grant"]
    assert child["issuer"] == root["key"]
    assert child["expires"] - child["issued"] == 930_000
    assert child["budgets"] == {"calls": "5"}
    (detail,) = child["details"]
    assert detail["tools"]["web.get"]["args"] == {"url": {"prefix": "https://docs.example/"}}
    page = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"
    section = page.read_text("utf-8").split("### `bridle grant inspect FILE`")[1].split("\n###")[0]
    assert all(f"`{name}`" in section for name in (*told, *root))


def test_what_a_link_hides_is_spelled_out(bridle_) -> None:
    handed = Handed(ToolGrant({"url": Predicate(prefix="https://docs\u202e.example/")}))
    shown = bridle_("grant", "inspect", "-", stdin="\n".join(handed.links))
    assert "docs<U+202E>.example" in shown.out
    assert "\u202e" not in shown.out


@pytest.mark.parametrize(
    ("spoil", "code", "where"),
    [
        (lambda links: [links[0], "a.b.c"], "header_invalid", "link 1 of 1"),
        (lambda links: [links[0][:-2], links[1]], "signature_invalid", "the root"),
        (lambda links: [], "chain_empty", ""),
        (lambda links: links * 5, "chain_too_deep", ""),
    ],
    ids=["other header", "short signature", "empty", "too deep"],
)
def test_a_chain_that_cannot_be_read_is_refused_with_its_link(
    bridle_, handed: Handed, spoil: Any, code: str, where: str
) -> None:
    links = spoil(handed.links)
    refused = bridle_("grant", "inspect", "-", stdin="\n".join(links))
    assert refused.code == 1
    assert f"[{code}]" in refused.err
    assert where in refused.err
    assert refused.out == ""
    told = bridle_("grant", "inspect", "-", "--json", stdin="\n".join(links)).json["error"]
    assert told["code"] == code


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", "[" * 100_000, '{"chain": "x"}', "[\ud800"])
def test_a_file_that_holds_no_chain_is_told_so(bridle_, text: str) -> None:
    refused = bridle_("grant", "inspect", "-", stdin=text.encode("utf-8", "surrogatepass"))
    assert refused.code in (1, 3)
    assert refused.err.startswith("bridle: ")
