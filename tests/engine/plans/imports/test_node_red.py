"""Flows of Node-RED are data; what its nodes become is said by a mapping alone."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.plans.imports import drafting, node_red
from bridle.model.errors import UsageError

MAP = """
ignore = ["repeat", "once"]
[kinds.inject]
skip = true
[kinds."http request"]
tool = "page.get"
args = { url = "url" }
ignore = ["paytoqs"]
result = "/body"
[kinds."e-mail"]
tool = "mail.send"
args = { to = "to" }
takes = { body = "/text" }
"""
TAB = {"id": "t", "type": "tab", "label": "Flow"}
INJECT = {"id": "n1", "type": "inject", "z": "t", "repeat": "", "wires": [["n2"]], "x": 1, "y": 2}
GET = {"id": "n2", "type": "http request", "z": "t", "url": "https://x.example", "paytoqs": "q",
       "wires": [["n3"]]}  # fmt: skip
MAIL = {"id": "n3", "type": "e-mail", "z": "t", "to": "ana@x.example", "wires": []}


def planned(*nodes: dict[str, Any], mapping: str = MAP) -> list[dict[str, Any]]:
    found = node_red.tasks(json.dumps(nodes), "flows.json")
    steps: list[dict[str, Any]] = json.loads(drafting.drafted(found, drafting.mapping(mapping)))[
        "steps"
    ]
    return steps


def refused(*nodes: Any, mapping: str = MAP) -> str:
    with pytest.raises(UsageError) as problem:
        planned(*nodes, mapping=mapping)
    return problem.value.message


def but(node: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**node, **changes}


def test_flows_are_a_plan() -> None:
    assert planned(TAB, MAIL, GET, INJECT) == [
        {"id": "n2", "tool": "page.get", "args": {"url": "https://x.example"}},
        {
            "id": "n3",
            "tool": "mail.send",
            "after": ["n2"],
            "args": {"to": "ana@x.example", "body": {"$from": "n2", "path": "/body/text"}},
        },
    ]


@pytest.mark.parametrize(
    ("nodes", "what"),
    [
        ((INJECT, GET, MAIL, but(INJECT, id="n4")), "several wires lead to it"),
        ((but(INJECT, wires=[["n2"], ["n3"]]), GET, MAIL), "chooses between several outputs"),
        ((INJECT, but(GET, wires=[["n2"]])), "several wires"),
        ((but(GET, wires=[["n3"]]), but(MAIL, wires=[["n2"]])), "in a circle"),
        ((INJECT, but(GET, d=True), MAIL), "switched off"),
        ((but(TAB, disabled=True), INJECT, GET, but(MAIL, z="u")), "switched off"),
        ((but(INJECT, wires=[["gone"]]),), "leads to no node"),
        ((but(INJECT, wires="n2"),), "no list of lists"),
        ((but(INJECT, wires=[[1]]),), "leads to no node"),
        ((INJECT, but(GET, type="function", func="evil()"), MAIL), "no kind 'function' is mapped"),
        ((INJECT, but(GET, method="POST"), MAIL), "'method' is mapped nowhere"),
        ((INJECT, but(GET, url="https://{{payload}}"), MAIL), "messages fill in"),
        ((INJECT, but(GET, url={"$from": "n1"}), MAIL), "messages fill in"),
        ((INJECT, but(GET, url="${SECRET}"), MAIL), "messages fill in"),
        ((but(MAIL, wires=[]),), "what the one task before it returns"),
        (({"id": "s", "type": "subflow"},), "subflows"),
        (({"id": "s", "type": "subflow:1", "wires": []},), "subflows"),
        ((GET, GET), "same id"),
        ((1,), "an `id` and a `type`"),
        (({"id": 1, "type": "tab"},), "an `id` and a `type`"),
    ],
)
def test_what_is_no_row_of_steps_is_refused(nodes: tuple[Any, ...], what: str) -> None:
    assert what in refused(*nodes)


@pytest.mark.parametrize(
    "text", ["", "{}", "1", "[", "[]]", '[],"x":[]', '[{"id":"a","id":"b"}]', "[" * 100 + "]" * 100]
)
def test_what_are_no_flows_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        drafting.drafted(node_red.tasks(text, "flows.json"), drafting.mapping(MAP))


@pytest.mark.parametrize(
    ("mapping", "what"),
    [
        ("x", "map.toml: this is no TOML"),
        ("y = 1", "y"),
        ("[kinds.a]", "a kind has a `tool`"),
        ('[kinds.a]\ntool = "t"\nskip = true', "a kind has a `tool`"),
        ('[kinds.a]\ntool = "t"\nargs = { x = "y", z = "y" }', "given twice"),
        ('[kinds.a]\ntool = "t"\nargs = { x = "y" }\nignore = ["x"]', "both mapped and left out"),
        ('[kinds.a]\ntool = "t"\nargs = { x = "a\\nb" }', "no name of an argument"),
        ('[kinds.a]\ntool = "t"\nargs = { x = 1 }', "string"),
        ('[kinds.a]\ntool = "t"\nresult = "../../etc"', "JSON pointers"),
        ('[kinds.a]\ntool = "t"\ntakes = { x = "body" }', "JSON pointers"),
        ('[kinds.a]\ntool = "t"\nfile = "x"', "file"),
        ("[kinds]\na = 1", "table"),
        ('[kinds.a]\ntool = "t"\nconstants = { x = 2024-01-01 }', ""),
        ("#" + "x" * 300_000, "at most"),
    ],
)
def test_a_mapping_that_says_nothing_sensible_is_refused(mapping: str, what: str) -> None:
    node = {"id": "n", "type": "a", "wires": []}
    assert what in refused(node, mapping=mapping)


@pytest.mark.parametrize("tool", ["a b", "n\u043ete.read", "x" * 300])
def test_a_mapping_to_what_could_be_no_tool_makes_no_plan(tool: str) -> None:
    mapping = f'[kinds.a]\ntool = "{tool}"'
    assert ".tool:" in refused({"id": "n", "type": "a", "wires": []}, mapping=mapping)


def test_a_path_in_a_mapping_is_a_name_and_opens_nothing() -> None:
    mapping = '[kinds.a]\ntool = "../../etc/passwd"\nconstants = { "../x" = "../../y" }'
    [step] = planned({"id": "n", "type": "a", "wires": []}, mapping=mapping)
    assert (step["tool"], step["args"]) == ("../../etc/passwd", {"../x": "../../y"})


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["n1", "inject", "tab", "{{"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "type", "wires", "z", "d", "url", "$from"]), inner, max_size=5),
    max_leaves=15,
))  # fmt: skip
def test_no_flows_make_the_reader_fail(flows: Any) -> None:
    try:
        drafting.drafted(node_red.tasks(json.dumps(flows), "f"), drafting.mapping(MAP))
    except UsageError:
        return
