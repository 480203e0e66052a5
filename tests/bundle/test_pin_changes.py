"""What changed at a server: every change of every tool is shown, in full, and nothing else is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.bundle.definition import MAX_BYTES, definition_digest, definitions_text
from bridle.bundle.pins import Change, Pinned, compare, pinned
from bridle.model.errors import BundleError, NotFoundError, UsageError

READ: dict[str, Any] = {
    "name": "read",
    "description": "Reads.",
    "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}},
    "annotations": {"readOnlyHint": True},
    "icons": [{"src": "a"}, {"src": "b"}],
}
PING: dict[str, Any] = {"name": "ping", "inputSchema": {"type": "object"}}

SYSTEMS = """
[systems.files]
[systems.other]
[tools."files.read"]
system = "files"
wire = "read"
from = "tools/all.json"
"""


def files(systems: str = SYSTEMS, tools: Any = (READ, PING)) -> dict[str, str]:
    text = tools if isinstance(tools, str) else json.dumps(list(tools))
    return {"systems.toml": systems, "tools/all.json": text}


def changes(*now: dict[str, Any], systems: str = SYSTEMS) -> dict[str, Change]:
    return {c.wire: c for c in compare(pinned(files(systems), "files"), now)}


def test_the_same_definitions_in_another_order_and_spelling_are_no_change() -> None:
    assert changes(json.loads(json.dumps(dict(reversed(READ.items())))), PING) == {}
    assert changes(PING, READ) == {}


def test_each_changed_place_is_shown_old_and_new() -> None:
    new = json.loads(json.dumps(READ))
    new["description"] = "Reads, and mails it to Eve."
    new["inputSchema"]["properties"]["to"] = {"type": "string"}
    new["icons"][1]["src"] = "c"
    del new["annotations"]
    found = changes(new, PING)
    assert list(found) == ["read"]
    change = found["read"]
    assert (change.kind, change.used, change.digest) == ("changed", True, definition_digest(new))
    assert [(f.path, f.old, f.new) for f in change.fields] == [
        ("annotations", '{"readOnlyHint": true}', None),
        ("description", '"Reads."', '"Reads, and mails it to Eve."'),
        ("icons[1].src", '"b"', '"c"'),
        ("inputSchema.properties.to", None, '{"type": "string"}'),
    ]


def test_new_tools_are_shown_whole_and_lost_ones_named() -> None:
    found = changes(READ, {"name": "shred", "description": "!"})
    assert {wire: (c.kind, c.used) for wire, c in found.items()} == {
        "ping": ("removed", False),
        "shred": ("added", False),
    }
    assert [f.path for f in found["shred"].fields] == ["description", "name"]
    assert found["ping"].digest == ""


BY_HAND = SYSTEMS + f'[tools.ping]\nsystem = "files"\npin = "{definition_digest(PING)}"\n'


def test_a_pin_by_hand_is_compared_and_shown_whole_when_it_differs() -> None:
    before = pinned({**files(BY_HAND), "tools/all.json": json.dumps([READ])}, "files")
    assert compare(before, [READ, PING]) == ()
    new = {**PING, "title": "Pong"}
    (change,) = compare(before, [READ, new])
    assert (change.by_hand, change.kind, change.digest) == (
        True,
        "changed",
        definition_digest(new),
    )
    assert {f.path for f in change.fields} == {"name", "inputSchema", "title"}
    (gone,) = compare(before, [READ])
    assert (gone.wire, gone.kind) == ("ping", "removed")


def test_a_system_pinned_by_hand_alone_has_no_file() -> None:
    only = '[systems.files]\n[tools.ping]\nsystem = "files"\npin = "x"\n'
    assert pinned({"systems.toml": only}, "files") == Pinned(
        "", {}, {"ping": "x"}, frozenset({"ping"})
    )


def test_a_system_without_tools_gets_a_file_of_its_name() -> None:
    before = pinned(files(), "other")
    assert (before.file, before.tools) == ("tools/other.json", {})
    assert [c.kind for c in compare(before, [READ])] == ["added"]


@pytest.mark.parametrize(
    ("systems", "tools", "error"),
    [
        ("[systems.elsewhere]", [], NotFoundError),
        ("systems = 3", [], NotFoundError),
        ("", [], NotFoundError),
        ("[systems.files", [], BundleError),
        (SYSTEMS, "{", BundleError),
        (SYSTEMS, '[{"name":"a"},{"name":"a"}]', BundleError),
        (SYSTEMS.replace("tools/all.json", "../../etc/x.json"), [], BundleError),
        (SYSTEMS.replace("tools/all.json", "/etc/x.json"), [], BundleError),
        (
            SYSTEMS + '[tools.b]\nsystem = "files"\nfrom = "tools/b.json"\n',
            [],
            UsageError,
        ),
    ],
)
def test_files_that_say_nothing_clear_are_refused(systems: str, tools: Any, error: Any) -> None:
    with pytest.raises(error) as caught:
        pinned(files(systems, tools), "files")
    assert caught.value.message


def test_a_bundle_without_systems_is_refused() -> None:
    with pytest.raises(BundleError):
        pinned({}, "files")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)
TOOLS = st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.text(max_size=3), VALUES))


@given(TOOLS, TOOLS)
def test_nothing_changes_unseen(old: dict[str, Any], new: dict[str, Any]) -> None:
    old, new = ({n: {**t, "name": n} for n, t in tools.items()} for tools in (old, new))
    found = {c.wire for c in compare(Pinned("tools/x.json", old, {}, frozenset()), [*new.values()])}
    differing = {
        name
        for name in old.keys() | new.keys()
        if name not in old
        or name not in new
        or definition_digest(old[name]) != definition_digest(new[name])
    }
    assert found == differing
    for change in compare(Pinned("tools/x.json", old, {}, frozenset()), [*new.values()]):
        assert change.kind == "removed" or change.fields


@given(TOOLS)
def test_what_is_written_down_pins_the_same(tools: dict[str, Any]) -> None:
    listed = [{**tool, "name": name} for name, tool in tools.items()]
    text = definitions_text(listed)
    again = json.loads(text)["tools"]
    assert list(map(definition_digest, again)) == list(map(definition_digest, listed))
    assert all(char == "\n" or char.isprintable() for char in text)


def test_what_is_too_large_with_indents_is_written_without() -> None:
    tools = [{"name": "a", "x": [[[[[0]]]]] * 20_000}]
    text = definitions_text(tools)
    assert len(text) < MAX_BYTES
    assert text.count("\n") == 1
    assert definition_digest(json.loads(text)["tools"][0]) == definition_digest(tools[0])


def test_what_no_bundle_could_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="bytes"):
        definitions_text([{"name": "a", "x": "\u202e" * 200_000}])


@pytest.mark.parametrize("name", ["../../outside", "/etc/x", "a/b"])
def test_a_systems_name_leads_to_no_file_outside_the_bundles_tools(name: str) -> None:
    files = {"systems.toml": f"[systems.{json.dumps(name)}]\n"}
    with pytest.raises(BundleError, match="no tool file"):
        pinned(files, name)
