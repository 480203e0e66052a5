"""A draft checks, its scenarios pass, its pins are the server's; whatever the server says."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.bundle.bundle import Bundle
from bridle.bundle.check import check_files
from bridle.bundle.definition import definition_digest
from bridle.gateway.draft.drafting import Draft, draft, system_name
from bridle.governor.scenarios import run_scenarios
from bridle.model.errors import BundleError
from bridle.model.finding import Severity
from bridle.model.tool import EffectClass


def tool(name: str = "put", schema: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": schema or {"type": "object"}, **more}


def taking(name: str, part: Any) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: part}}


def loaded(drafted: Draft, *, scenarios: bool = True) -> Bundle:
    """The bundle of a draft, once it is as good as a draft promises."""
    bundle, found = check_files(drafted.files)
    assert bundle is not None, [str(f) for f in found]
    assert {f.severity for f in found} <= {Severity.INFO}
    results = run_scenarios(bundle)
    assert [r.name for r in results if not r.passed] == []
    assert bool(results) is scenarios
    return bundle


def effects(drafted: Draft) -> dict[str, str]:
    return {each.wire: each.effect.value for each in drafted.tools}


READS = tool("look", annotations={"readOnlyHint": True})
WRITES = tool("put", annotations={"readOnlyHint": False, "destructiveHint": False})
WRECKS = tool("wipe", annotations={"destructiveHint": True})


def test_reads_run_writes_wait_and_the_rest_is_denied() -> None:
    bundle = loaded(draft("b", "s", "Server 1", [READS, WRITES, WRECKS]))
    assert {t.wire: t.effect.value for t in bundle.tools.values()} == {
        "look": "read", "put": "write", "wipe": "irreversible",
    }  # fmt: skip
    verdicts = {r.name: r.steps[0].effect for r in run_scenarios(bundle)}
    assert verdicts == {
        "s.look runs": "allow",
        "s.put waits for an owner": "hold",
        "s.wipe is denied": "deny",
    }


@pytest.mark.parametrize("tools", [[READS], [WRITES], [WRECKS], [READS, WRECKS]])
def test_a_server_without_some_effect_class_gives_a_clean_bundle_too(tools: list[Any]) -> None:
    loaded(draft("b", "s", "s", tools))


@pytest.mark.parametrize(
    ("name", "hints", "effect"),
    [
        ("list_files", {"readOnlyHint": True}, "read"),
        ("list_files", {}, "write"),
        ("list_files", {"readOnlyHint": False}, "irreversible"),
        ("read_query", {}, "write"),
        ("getUser", {}, "write"),
        ("forget", {}, "irreversible"),
        ("thread_delete", {}, "irreversible"),
        ("run", {}, "irreversible"),
        ("run", {"destructiveHint": False}, "write"),
        ("run", {"readOnlyHint": True, "destructiveHint": True}, "irreversible"),
        ("run", {"readOnlyHint": True, "destructiveHint": False}, "read"),
        ("run", {"readOnlyHint": "yes"}, "irreversible"),
        ("run", {"readOnlyHint": 1}, "irreversible"),
        ("run", {"idempotentHint": True}, "irreversible"),
        ("list", "readOnlyHint", "write"),
    ],
)
def test_what_is_not_said_counts_as_the_worst(name: str, hints: Any, effect: str) -> None:
    drafted = draft("b", "s", "s", [tool(name, annotations=hints)])
    assert effects(drafted) == {name: effect}
    text = drafted.files["systems.toml"]
    assert f'effect = "{effect}" # guessed: ' in text


def test_only_what_reads_is_taken_for_idempotent() -> None:
    hints = {"destructiveHint": False, "idempotentHint": True}
    bundle = loaded(draft("b", "s", "s", [READS, tool("put", annotations=hints)]))
    assert {t.wire: t.idempotent for t in bundle.tools.values()} == {"look": True, "put": False}


def test_meanings_of_arguments_are_guessed_and_marked() -> None:
    schema = {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "newText": {"type": "string"},
            "message": {"type": "string", "pattern": "^[a-z]+$"},
            "text_file": {"type": "string"},
            "count": {"type": "integer"},
            "api_token": {"type": "string"},
            "edits": {
                "type": "array",
                "items": {"type": "object", "properties": {"body": {"type": "string"}}},
            },
            "odd.name": {"type": "string"},
            "topic": {"type": "string"},
        },
    }
    drafted = draft("b", "s", "s", [tool(schema=schema)])
    bundle = loaded(drafted)
    assert {a.path: a.sink for a in bundle.tools["s.put"].arguments} == {
        "path": "locator",
        "newText": "content",
        "text_file": "locator",
        "api_token": "credential",
        "edits[].body": "content",
    }
    marked = [t for t in drafted.files["systems.toml"].splitlines() if ".sink" in t]
    assert len(marked) == 5
    assert all(" # guessed: " in line for line in marked)


def test_pins_are_those_of_the_servers_own_objects() -> None:
    tools = [tool("a", x=[1.0, 1e300, None, "\u202e"], title="ü"), tool("b", _meta={"v": 2**70})]
    drafted = draft("b", "s", "s", tools)
    pins = {t.wire: t.pin for t in loaded(drafted).tools.values()}
    assert pins == {each["name"]: definition_digest(each) for each in tools}
    assert "\u202e" not in drafted.files["tools/s.json"]
    assert "ü" in drafted.files["tools/s.json"]


BAD = {
    "old draft": {"type": "object", "definitions": {}},
    "remote": taking("x", {"$ref": "https://example.com/s.json"}),
    "look-around": taking("x", {"type": "string", "pattern": "(?=a)b"}),
    "no object": {"type": "string"},
    "reserved": taking("__entity", {"type": "string"}),
    "not a schema": {"type": "object", "properties": 3},
    "nothing": None,
    "a text": "object",
    "deep": taking("x", {"type": "array", "items": {"not": {"misspelt": 1}}}),
}


@pytest.mark.parametrize("schema", BAD.values(), ids=BAD)
def test_a_tool_that_cannot_be_validated_is_left_out_and_said(schema: Any) -> None:
    bad = {"name": "bad", "inputSchema": schema}
    drafted = draft("b", "s", "s", [READS, bad])
    assert [t.wire for t in loaded(drafted).tools.values()] == ["look"]
    assert list(drafted.left_out) == ["bad"]
    assert drafted.left_out["bad"]
    assert "# bad: " in drafted.files["systems.toml"]


def test_an_output_schema_that_cannot_be_used_costs_only_the_typing() -> None:
    bad = tool("put", outputSchema={"type": "object", "definitions": {}})
    bundle = loaded(draft("b", "s", "s", [bad]))
    assert bundle.tools["s.put"].pin == definition_digest(bad)


def test_a_server_without_any_tool_to_govern_is_refused() -> None:
    for tools in ([], [tool("bad", {"type": "array"})]):
        with pytest.raises(BundleError) as caught:
            draft("b", "s", "s", tools)
        assert caught.value.code == "no_tools"


LARGE = "\u202e" * 100_000  # 300 KB on the wire, 600 KB where it can be seen


def test_definitions_that_fit_alone_and_not_together_are_refused() -> None:
    tools = [tool(name, description=LARGE) for name in "ab"]
    loaded(draft("b", "s", "s", tools[:1]))
    with pytest.raises(BundleError, match="do not fit into a bundle"):
        draft("b", "s", "s", tools)


def test_a_definition_that_does_not_fit_at_all_is_left_out() -> None:
    drafted = draft("b", "s", "s", [READS, tool("huge", description=LARGE * 2)])
    assert "bytes" in drafted.left_out["huge"]
    loaded(drafted)


def test_names_that_a_bundle_does_not_allow_are_made_over_and_kept_apart() -> None:
    names = ["a b", "a/b", "a_b", "ä", "x" * 300, "y" * 300, "", "delegate"]
    bundle = loaded(draft("b", "s", "s", [tool(name) for name in names]))
    assert sorted(t.wire for t in bundle.tools.values()) == sorted(names)
    assert len(bundle.tools) == len(names)


@pytest.mark.parametrize(
    ("server", "system"),
    [
        ("mcp-git", "git"),
        ("acme/mcp-server-lister", "lister"),
        ("secure-filesystem-server", "secure-filesystem"),
        ("Ünïcode Wörld", "n-code-w-rld"),
        ("", "server"),
        ("../..", "server"),
        ('x"]\n[evil', "x-evil"),
        ("a" * 100, "a" * 40),
    ],
)
def test_a_system_gets_a_plain_name(server: str, system: str) -> None:
    assert system_name(server) == system


# --- hostile servers -----------------------------------------------------------------------------

BREAKING = st.text(
    st.sampled_from("\"'\\]}[{#=\n\r\t\x00\x7f\u2028\u202e\ufeff\U000e0041.üa b*:${}"), max_size=12
) | st.text(st.characters(codec="utf-8"), max_size=12)


@given(
    tools=st.lists(
        st.builds(
            lambda name, words, argument, part: {
                "name": name,
                "title": words,
                "description": words,
                "inputSchema": taking(argument, {"type": "string", "description": words, **part}),
                "annotations": {"title": words, "readOnlyHint": True},
            },
            BREAKING,
            BREAKING,
            BREAKING,
            st.sampled_from([{}, {"enum": ["a"]}, {"minLength": 3}, {"maxLength": 0}]),
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda tool: tool["name"],
    ),
    server=BREAKING,
)
def test_nothing_a_server_says_breaks_out_of_the_files(tools: list[Any], server: str) -> None:
    try:
        drafted = draft("b", system_name(server), server, tools)
    except BundleError:
        return
    bundle, found = check_files(drafted.files)
    assert bundle is not None, [str(f) for f in found]
    assert {t.wire for t in bundle.tools.values()} | set(drafted.left_out) == {
        each["name"] for each in tools
    }
    assert {t.effect for t in bundle.tools.values()} == {EffectClass.READ}
    assert [r.name for r in run_scenarios(bundle) if not r.passed] == []
    for name, text in drafted.files.items():
        if name.endswith(".toml"):
            tomllib.loads(text)
            assert all(c == "\n" or c.isprintable() for c in text), name
