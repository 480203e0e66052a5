"""Tools of MCP servers: pinned by their file or by hand, named once, their whole result typed."""

import json
from typing import Any

import pytest

from bridle.bundle.bundle import Bundle
from bridle.bundle.check import check_files
from bridle.bundle.definition import definition_digest
from bridle.engine.normalise import Normaliser
from bridle.model.finding import Finding, Severity

READ: dict[str, Any] = {
    "name": "read_file",
    "title": "Read",
    "description": "Reads a file.",
    "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}},
    "outputSchema": {
        "type": "object",
        "required": ["size"],
        "properties": {"size": {"type": "integer"}, "owner": {"$ref": "#/$defs/who"}},
        "$defs": {"who": {"type": "object", "properties": {"name": {"type": "string"}}}},
    },
    "annotations": {"readOnlyHint": True},
}
PING: dict[str, Any] = {"name": "ping", "inputSchema": {"type": "object"}}

SYSTEMS = """
[domains.house]
[systems.files]
domain = "house"
protocol = "mcp"
[tools."files.read"]
system = "files"
effect = "read"
wire = "read_file"
from = "tools/files.json"
[tools.ping]
system = "files"
effect = "read"
from = "tools/files.json"
"""

FILES = {
    "bridle.toml": 'format = 1\nname = "pins"\n',
    "systems.toml": SYSTEMS,
    "agents.toml": '[users.ana]\n[agents.clerk]\nowner = "ana"\n',
    "missions.toml": '[missions.m]\nagents = ["clerk"]\ntools = ["*"]\ndomains = ["house"]\n',
    "policies/all.dw": '@id("all") permit (principal, action in Action::"call", resource);',
    "tools/files.json": json.dumps({"tools": [READ, PING]}),
}


def check(**changed: str) -> tuple[Bundle | None, list[Finding]]:
    names = {"systems": "systems.toml", "tools": "tools/files.json", "rules": "policies/rules.dw"}
    files = FILES | {names[key]: text for key, text in changed.items()}
    bundle, found = check_files(files)
    return bundle, [f for f in found if f.severity is not Severity.INFO]


def codes(**changed: str) -> list[str]:
    return [f.code for f in check(**changed)[1]]


def loaded(**changed: str) -> Bundle:
    bundle, found = check(**changed)
    assert bundle is not None, found
    return bundle


def test_a_tool_from_a_file_is_pinned_by_its_whole_entry() -> None:
    bundle, found = check()
    assert bundle is not None
    assert found == []
    assert bundle.systems["files"].protocol == "mcp"
    assert bundle.tools["files.read"].pin == definition_digest(READ)
    assert bundle.tools["ping"].pin == definition_digest(PING)


@pytest.mark.parametrize("key", ["title", "description", "annotations", "_meta", "x-unknown"])
def test_what_the_bundle_does_not_read_changes_the_pin_all_the_same(key: str) -> None:
    changed = json.dumps({"tools": [{**READ, key: "other"}, PING]})
    assert loaded(tools=changed).tools["files.read"].pin != loaded().tools["files.read"].pin


def test_how_the_file_is_printed_does_not_change_the_pin() -> None:
    printed = json.dumps([PING, dict(reversed(READ.items()))], indent=4, ensure_ascii=False)
    assert loaded(tools=printed).tools["files.read"].pin == definition_digest(READ)


INLINE = SYSTEMS + '[tools.own]\nsystem = "files"\neffect = "read"\ninput = { type = "object" }\n'


def test_an_inline_tool_carries_its_pin() -> None:
    pin = "ab" * 32
    assert loaded(systems=f'{INLINE}pin = "{pin}"\n').tools["own"].pin == pin


def test_a_tool_without_a_pin_is_pointed_out_where_mcp_reaches_it() -> None:
    assert codes(systems=INLINE) == ["unpinned"]
    assert codes(systems=INLINE.replace('protocol = "mcp"', "")) == []


@pytest.mark.parametrize("pin", ["", "ab", "AB" * 32, "ab" * 32 + "\\n", "g" * 64, "\u0661" * 64])
def test_a_malformed_pin_is_refused(pin: str) -> None:
    assert "bad_value" in codes(systems=f'{INLINE}pin = "{pin}"\n')


def test_a_pin_that_contradicts_its_file_is_refused() -> None:
    lines = SYSTEMS + f'pin = "{"ab" * 32}"\n'
    assert codes(systems=lines) == ["bad_value"]
    assert codes(systems=SYSTEMS + f'pin = "{definition_digest(PING)}"\n') == []


def test_two_tools_cannot_share_a_name_on_the_wire() -> None:
    twice = SYSTEMS + (
        '[tools.again]\nsystem = "files"\neffect = "write"\nwire = "ping"\n'
        'from = "tools/files.json"\n'
    )
    assert codes(systems=twice) == ["duplicate_wire"]
    apart = twice + '[systems.more]\ndomain = "house"\nprotocol = "mcp"\n'
    apart = apart.replace('[tools.again]\nsystem = "files"', '[tools.again]\nsystem = "more"')
    assert codes(systems=apart) == []


def test_an_unknown_protocol_is_refused() -> None:
    assert codes(systems=SYSTEMS.replace('"mcp"', '"smtp"', 1)) == ["bad_value"]


def test_a_definition_that_has_no_digest_is_refused() -> None:
    broken = FILES["tools/files.json"].replace('"Reads a file."', '"\\ud800"')
    assert "tool_file" in codes(tools=broken)


# --- results -------------------------------------------------------------------------------------


def fits(result: Any, tool: str = "files.read", **changed: str) -> bool:
    typed = Normaliser(loaded(**changed)).output(tool, json.dumps(result))
    return hasattr(typed, "value")


TEXT = {"type": "text", "text": "hello"}


@pytest.mark.parametrize(
    "result",
    [
        {"content": [TEXT]},
        {"content": [{**TEXT, "annotations": {"audience": ["user"]}}], "isError": False},
        {
            "content": [{"type": "image", "data": "aGk=", "mimeType": "image/png"}],
            "_meta": {"a": 1},
        },
        {"content": [], "structuredContent": {"size": 1, "owner": {"name": "ana"}}},
        {"content": [TEXT], "isError": True, "resultType": "complete"},
    ],
)
def test_every_kind_of_result_fits(result: Any) -> None:
    assert fits(result)


@pytest.mark.parametrize(
    "result",
    [
        [TEXT],
        {"content": "hello"},
        {"content": ["hello"]},
        {"content": [{"text": "hello"}]},
        {"content": [{"type": "text", "text": 1}]},
        {"content": [TEXT], "structuredContent": {"size": "1"}},
        {"content": [TEXT], "structuredContent": {"size": 1, "more": 2}},
        {"content": [TEXT], "smuggled": "4111 1111 1111 1111"},
        {"content": [TEXT], "isError": "no"},
    ],
)
def test_what_is_no_result_of_this_tool_does_not_fit(result: Any) -> None:
    assert not fits(result)


def test_a_tool_without_an_output_schema_may_structure_as_it_likes() -> None:
    assert fits({"content": [], "structuredContent": {"any": [1]}}, tool="ping")
    assert not fits({"content": [], "structuredContent": 3}, tool="ping")


RULES = """
@id("no-cards") @reason("no card numbers") @modify("redact output.content[].text: payment_card")
forbid (principal, action == Action::"files.read:result", resource)
when { context.facts has content && context.facts.content.found.contains("payment_card") };

@id("no-ana") @reason("not ana's")
forbid (principal, action == Action::"files.read:result", resource)
when { context.output has structuredContent && context.output.structuredContent has owner &&
       context.output.structuredContent.owner has name &&
       context.output.structuredContent.owner.name == "ana" };

@id("no-errors") @reason("no")
forbid (principal, action == Action::"ping:result", resource)
when { context.output has isError && context.output.isError };
"""


def test_release_rules_and_remedies_reach_into_a_result() -> None:
    assert codes(rules=RULES) == []
    assert codes(rules=RULES.replace("content[].text:", "content[].size:")) == ["remedy_path"]
