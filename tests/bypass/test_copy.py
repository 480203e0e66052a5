"""The copied probes are the shared ones, and the bundle's patterns are the manifest's."""

import itertools
import json
import re
import tomllib

import jsonschema_rs
import pytest

from bypass.probes import BUNDLE, DATA, PROBES, SHARED, TESTS

ORIGIN = TESTS.parent.parent / "shared" / "vectors" / "bypass"
MANIFEST = json.loads((DATA / "manifest.json").read_bytes())
RULES = {tool["name"]: tool["rules"] for tool in MANIFEST["tools"]}
TOOLS = tomllib.loads((BUNDLE / "systems.toml").read_text("utf-8"))["tools"]


@pytest.mark.parametrize("name", ["manifest.json", "probes.jsonl"])
def test_the_copy_is_the_shared_file_byte_for_byte(name: str) -> None:
    if not ORIGIN.is_dir():
        pytest.skip(f"no shared vectors beside this checkout ({ORIGIN.name}/)")
    assert (DATA / name).read_bytes() == (ORIGIN / name).read_bytes()


def test_all_300_probes_are_there_under_their_own_id() -> None:
    effects = [probe.expect for probe in SHARED]
    assert {e: effects.count(e) for e in set(effects)} == {"allow": 29, "hold": 5, "deny": 266}
    assert len({probe.id for probe in PROBES}) == len(PROBES)


def test_the_bundle_declares_the_manifest_s_tools_and_limits() -> None:
    limits = tomllib.loads((BUNDLE / "bridle.toml").read_text("utf-8"))["limits"]
    assert set(TOOLS) == set(RULES)
    assert [limits[k] for k in ("args_bytes", "depth", "string", "items", "keys")] == [
        MANIFEST["limits"][k]
        for k in ("raw_bytes", "depth", "string_code_points", "array_items", "object_keys")
    ]


def test_every_argument_and_bound_of_the_manifest_is_in_the_bundle() -> None:
    for tool in MANIFEST["tools"]:
        assert loosened(tool["schema"], TOOLS[tool["name"]]["input"]) == []


def loosened(theirs: dict, ours: dict, place: str = "") -> list[str]:
    """Name what the manifest's schema demands and the bundle's does not."""
    found = []
    for key, value in theirs.items():
        if key == "properties":
            found += [f"{place} {name}" for name in set(value) ^ set(ours[key])]
            for name in set(value) & set(ours[key]):
                found += loosened(value[name], ours[key][name], f"{place}.{name}")
        elif key == "items":
            found += loosened(value, ours[key], f"{place}[]")
        elif (key, value) == ("additionalProperties", False):
            found += [place] * (ours.get(key, False) is not False)
        elif ours.get(key) != value:
            found.append(f"{place} {key}")
    return found


def pattern(tool: str, *path: str) -> str:
    node = TOOLS[tool]["input"]
    for name in path:
        node = node["items"] if name == "[]" else node["properties"][name]
    return node["pattern"]


@pytest.mark.parametrize(
    ("tool", "argument"),
    [
        ("read_file", "path"),
        ("write_file", "path"),
        ("http_get", "url"),
        ("grant_access", "user"),
        ("log_event", "name"),
        ("transfer", "to_account"),
    ],
)
def test_a_pattern_is_the_manifest_s_made_to_match_the_whole_value(
    tool: str, argument: str
) -> None:
    theirs = RULES[tool][0]["if"][argument]["pattern"]
    assert pattern(tool, argument) == f"^(?:{theirs})$"


def test_the_addresses_are_the_manifest_s_three_forms() -> None:
    forms = [rule["if"]["to[]"]["pattern"] for rule in RULES["send_email"]]
    assert pattern("send_email", "to", "[]") == f"^(?:{'|'.join(forms)})$"


def test_the_sql_keywords_are_spelt_out_in_both_cases_and_nothing_else_changed() -> None:
    def spelt(match: re.Match[str]) -> str:
        words = re.sub(r"[A-Z]", lambda c: f"[{c[0]}{c[0].lower()}]", match[1])
        return f"(?:{words})" if "|" in words else words

    theirs = RULES["run_sql"][0]["if"]["statement"]["pattern"]
    assert (
        pattern("run_sql", "statement")
        == f"^(?:{re.sub(r'[(][?]i:([A-Z |]+)[)]', spelt, theirs)})$"
    )


def test_the_command_pattern_without_look_ahead_accepts_exactly_the_same_words() -> None:
    schema = {"pattern": pattern("run_command", "argv", "[]")}
    ours = jsonschema_rs.Draft202012Validator(schema, pattern_options=jsonschema_rs.RegexOptions())
    theirs = re.compile(RULES["run_command"][0]["if"]["argv"]["rest"]["pattern"])
    words = ["--oneline", "--stat", "-n", "--oneline.", "-nn", "--", "--stat\n"]
    words += ["".join(w) for n in range(7) for w in itertools.product("a.-/ ", repeat=n)]
    assert [w for w in words if ours.is_valid(w) != bool(theirs.fullmatch(w))] == []
