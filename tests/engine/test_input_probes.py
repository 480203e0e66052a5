"""The shared bypass probes, as far as reading alone decides them."""

import json

import pytest

from bridle.bundle.bundle import Bundle
from bridle.engine.case import Refusal
from bridle.engine.normalise import Normaliser
from bridle.model.tool import Argument, EffectClass, Tool
from bypass.probes import DATA, SHARED
from engine.reading import bundle

READ_HERE = {"string", "number", "raw-json", "nesting", "typed-forgery", "shape", "extra-args",
             "tool-name", "benign"}  # fmt: skip
# Denied by policy alone: their arguments are in order.
BY_POLICY = {"tool-name-016", "shape-007", "string-017", "string-019"}


def probe_bundle() -> Bundle:
    manifest = json.loads((DATA / "manifest.json").read_text("utf-8"))
    tools = []
    for declared in manifest["tools"]:
        inside = "fields." if declared["name"] == "update_record" else ""
        meanings = tuple(
            Argument(inside + path, "content" if rule == "text" else "selector")
            for path, rule in declared["string_rules"].items()
        )
        tools.append(
            Tool(
                declared["name"],
                "s",
                EffectClass.WRITE,
                input=declared["schema"],
                arguments=meanings,
            )
        )
    caps = manifest["limits"]
    return bundle(
        *tools,
        args_bytes=caps["raw_bytes"],
        depth=caps["depth"],
        string=caps["string_code_points"],
        items=caps["array_items"],
        keys=caps["object_keys"],
    )


@pytest.fixture(scope="module")
def probed() -> Normaliser:
    return Normaliser(probe_bundle())


@pytest.mark.parametrize(
    "probe", [p for p in SHARED if p.category in READ_HERE], ids=lambda p: p.id
)
def test_reading_alone_refuses_every_forged_argument(probed, probe):
    refused = isinstance(probed.normalise(probe.tool, probe.text), Refusal)
    assert refused == (probe.expect == "deny" and probe.id not in BY_POLICY), probe.note
