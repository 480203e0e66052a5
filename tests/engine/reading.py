"""Small bundles around a tool's schema, to read arguments and results with."""

import json
from typing import Any

from bridle.bundle.bundle import Bundle, Detector, Limits, Manifest, Schemas
from bridle.engine.case import Refusal, Typed
from bridle.engine.detect import Detectors
from bridle.engine.normalise import Normaliser
from bridle.model.tool import Argument, EffectClass, Tool


def tool(schema=None, *, name="t", output=None, detect_output=None, **arguments) -> Tool:
    """Return a tool; keyword arguments declare meanings, `fields__note` for `fields.note`."""
    declared = tuple(
        Argument(path.replace("__", "."), **({"sink": m} if isinstance(m, str) else m))
        for path, m in arguments.items()
    )
    return Tool(
        name,
        "system",
        EffectClass.WRITE,
        input=schema or closed(),
        output=output,
        arguments=declared,
        detect_output=detect_output,
    )


def closed(*required: str, **properties: Any) -> dict[str, Any]:
    """Return the schema of a closed object; a bare string names a type."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": {k: {"type": v} if isinstance(v, str) else v for k, v in properties.items()},
    }


def bundle(*tools: Tool, detectors: dict[str, str] | None = None, **limits: int) -> Bundle:
    own = tuple(Detector(n, p) for n, p in (detectors or {}).items())
    manifest = Manifest("small", limits=Limits(**limits), detectors=own)
    return Bundle(
        digest="",
        root="",
        files={},
        manifest=manifest,
        domains={},
        systems={},
        tools={t.name: t for t in tools},
        teams={},
        users={},
        agents={},
        workloads={},
        approvers={},
        missions={},
        policies=(),
        schemas=Schemas("", "", ""),
    )


def normaliser(*tools: Tool, **limits: int) -> Normaliser:
    return Normaliser(bundle(*tools, **limits))


def detectors(*tools: Tool, **own: str) -> Detectors:
    return Detectors(bundle(*tools, detectors=own))


def read(one: Tool, value: Any, **limits: int) -> Typed | Refusal:
    """Read arguments, given as a value or as the exact text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return normaliser(one, **limits).normalise(one.name, text)


def code(result: Typed | Refusal) -> str:
    """Return the code of a refusal, or `ok`."""
    return result.code.value if isinstance(result, Refusal) else "ok"
