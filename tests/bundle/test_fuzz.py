# ruff: noqa: E501, RUF001
"""Whatever a bundle's files hold, `check` answers with findings or a bundle, nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridle.bundle.bundle import Bundle
from bridle.bundle.check import check, check_files
from bridle.bundle.sentences import sentence
from bridle.model.finding import Finding, Severity

SPLICES = [
    "", " ", "\n", '"', "'", "\\", "\x00", "\ufeff", "\u202e", "\r", "é", "𝒳", "[", "]", "{", "}",
    "(", ")", ";", ",", ".", "=", "#", "//", "@", "$", "[[", "]]", "'''", '"""', "true", "-1", "nan",
    "9" * 400, "0.00001", "1e400", "1979-05-27", "null", "[" * 300, "{" * 300, "(" * 300, "a." * 300,
    "[]", "[].", "::", "?principal", "temporal", "when temporal { x }", "when { false }",
    "permit (principal, action, resource);", "__entity", "__cedar", "$ref", "#/$defs/address",
    '"$ref" = "#/$defs/x", ', "type = 5, ", "enum = [], ", "const = nan, ", "properties = 3, ",
    "items = false, ", "prefixItems = [1], ", "pattern = '(', ", "required = [1], ", "minimum = '', ",
    "anyOf = [], ", "allOf = [{}], ", "not = true, ", "additionalProperties = true, ",
    "formerly within 1h ", "since within 2s ", "previous within 1d ", "exists (x: Long). ", "count for ",
    "temporal { ", "def temporal ", "?w", "$x", "tp(t)", "_", "0s", "99999999999999999999h", "::request{}",
    "input.", "output.", "context.", "facts.", " has ", "&&", "release", "desk.search", "*", "ana",
]  # fmt: skip


def settled(result: tuple[Bundle | None, tuple[Finding, ...]]) -> None:
    """A bundle exactly when there is no error, and every finding has a file, a code, a message."""
    bundle, found = result
    assert (bundle is None) == any(f.severity is Severity.ERROR for f in found)
    for finding in found:
        assert finding.code
        assert finding.message
        assert finding.location.file
        assert len(str(finding)) < 5_000


@st.composite
def changes(draw: st.DrawFn, names: list[str]) -> tuple[str, list[tuple[float, float, str]]]:
    """Draw a file, and a few (where, how much is cut there, what is put in its place)."""
    edit = st.tuples(
        st.floats(0, 1), st.sampled_from([0, 0, 0.001, 0.01, 0.2]), st.sampled_from(SPLICES)
    )
    return draw(st.sampled_from(names)), draw(st.lists(edit, min_size=1, max_size=4))


def changed(text: str, edits: list[tuple[float, float, str]]) -> str:
    for where, cut, new in edits:
        start = int(where * len(text))
        text = text[:start] + new + text[start + int(cut * len(text)) :]
    return text


def run(files: dict[str, str], data: st.DataObject) -> None:
    name, edits = data.draw(changes(sorted(files)))
    settled(check_files({**files, name: changed(files[name], edits)}))


@given(data=st.data())
def test_a_spoilt_file_gives_findings_or_a_bundle(desk, data: st.DataObject) -> None:
    run(desk.files, data)


LOOKING_BACK = {
    "macros/asked.dw": """
def temporal asked(?w, ?p) { formerly within ?w ?p{ requestId: _ } };
def cedar small(?x) { ?x.input.id < 10 };
""",
    "policies/tenant/back.dw": """
@id("b1") @reason("r") @hold("finance")
forbid (principal, action == Action::"desk.comment", resource)
when { small(context) && temporal { !asked(1h, Action::"desk.search"::request{}) } }
unless temporal { at_most(3, 24h, Action::"desk.comment"::request{ input.id: context.input.id },
                          Action::"desk.comment"::error{}) };
@id("b2") @enforce("shadow")
forbid (principal, action, resource)
when temporal { exists (n: Long). ((sum a for (a: Long), (t: Timepoint). where formerly within 1h
    (Action::"desk.comment"::request{ input.id: a } && tp(t))) == n && n > 500) };
@id("b3")
forbid (principal, action == Action::"end_mission", resource)
when temporal { !Action::"desk.comment"::response{} since within 8h
                Action::"desk.read_ticket"::response{ output.customer.id: "c" } };
""",
}


def test_the_policies_that_are_spoilt_below_are_good(desk) -> None:
    bundle, found = check_files({**desk.files, **LOOKING_BACK})
    assert bundle is not None, [str(f) for f in found]


@given(data=st.data())
def test_spoilt_policies_that_look_back_give_findings_or_a_bundle(
    desk, data: st.DataObject
) -> None:
    name, edits = data.draw(changes(sorted(LOOKING_BACK)))
    spoilt = {**LOOKING_BACK, name: changed(LOOKING_BACK[name], edits)}
    bundle, found = check_files({**desk.files, **spoilt})
    settled((bundle, found))
    for policy in bundle.policies if bundle else ():
        assert all(len(sentence(leaf)) < 500 for leaf in policy.leaves)


@pytest.mark.slow
def test_many_spoilt_files_give_findings_or_bundles(desk, count: Callable[[int, int], int]) -> None:
    @settings(max_examples=count(1_000, 20_000))
    @given(data=st.data())
    def spoil(data: st.DataObject) -> None:
        run({**desk.files, **LOOKING_BACK}, data)

    spoil()


@given(
    name=st.sampled_from(["systems.toml", "policies/x.dw", "macros/x.dw", "tools/mail.json"]),
    text=st.text(),
)
def test_any_text_in_any_file_gives_findings_or_a_bundle(desk, name: str, text: str) -> None:
    settled(check_files({**desk.files, name: text}))


@given(data=st.binary(max_size=200))
def test_any_bytes_in_a_folder_give_findings(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    root: Path = tmp_path_factory.mktemp("fuzz")
    for name in ("bridle.toml", "systems.toml", "agents.toml", "missions.toml"):
        (root / name).write_bytes(data)
    settled(check(root))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["type", "properties", "items", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "not",
             "required", "pattern", "additionalProperties", "minimum", "prefixItems", "a", "if"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(schema=PLAIN)
def test_any_json_as_a_tools_schema_gives_findings_or_a_bundle(desk, schema: Any) -> None:
    import json

    tools = json.dumps([{"name": "send_mail", "inputSchema": schema, "outputSchema": schema}])
    settled(check_files({**desk.files, "tools/mail.json": tools}))


@given(schema=PLAIN)
def test_any_property_schema_gives_findings_or_a_bundle(desk, schema: Any) -> None:
    import json

    whole = {"type": "object", "properties": {"to": schema, "a": {"type": "string"}}}
    tools = json.dumps([{"name": "send_mail", "inputSchema": whole, "outputSchema": whole}])
    settled(check_files({**desk.files, "tools/mail.json": tools}))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("policies/x.dw", "(" * 65_536),
        ("policies/x.dw", '@id("x") permit (principal, action, resource) when {' + "[" * 65_536),
        ("policies/x.dw", "".join(
            f'@id("p{i}") permit (principal, action, resource) when {{ context.x == {i} }};\n'
            for i in range(300))),
        ("policies/x.dw", '@id("x") forbid (principal, action, resource) when temporal { ' + "!" * 65_536),
        ("policies/x.dw", '@id("x") forbid (principal, action, resource) when temporal { '
            + "formerly within 1h (" * 30_000),
        ("policies/x.dw", '@id("x") forbid (principal, action, resource) when temporal { '
            + "tp(t) && " * 4_000 + "tp(t) };"),
        ("policies/x.dw", "".join(
            f'@id("p{i}") forbid (principal, action, resource) when temporal '
            f'{{ formerly within {i + 1}s Action::"no.tool"::request{{}} }};\n' for i in range(300))),
        ("macros/x.dw", "def temporal m(?a) { formerly " * 10_000),
        ("systems.toml", "[tools.x]\n" * 50_000),
        ("systems.toml", "".join(f"[tools.t{i}]\n" for i in range(5_000))),
        ("systems.toml", "a = " + "[" * 65_536),
        ("agents.toml", "[[users]]\n" * 50_000),
        ("tools/mail.json", "[" * 1_000_000),
        ("tools/mail.json", '{"a":' * 100_000),
        ("schema/extra.cedarschema", "entity User = {" * 60_000),
        ("schema/extra.cedarschema", "entity User = { a: " + "Set<" * 60_000),
        ("tests/desk.toml", "[[scenario]]\n" * 20_000),
    ],
)  # fmt: skip
def test_hostile_files_are_refused(desk, name: str, text: str) -> None:
    bundle, found = check_files({**desk.files, name: text})
    assert bundle is None
    assert any(name in str(f) for f in found)
