"""`bridle.govern`: a function becomes a tool call of whichever agent acts at the time.

The tool's definition (name, description, JSON Schema of the arguments) is taken from the function's
signature and docstring, in the form that models and MCP clients expect.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any, overload

import msgspec

from bridle.client import agent, binding
from bridle.model.errors import UsageError

Function = Callable[..., Any]


@overload
def govern(fn: Function, *, tool: str | None = None, performed: bool = False) -> Any: ...
@overload
def govern(
    fn: None = None, *, tool: str | None = None, performed: bool = False
) -> Callable[[Function], Any]: ...
def govern(fn: Function | None = None, *, tool: str | None = None, performed: bool = False) -> Any:
    """Return the governed twin of `fn`: each call acts with `tool` as `bridle.current()`.

    `tool` is the function's own name unless given. The twin is of the same kind (sync, async,
    generator), its `definition` is `{"name", "description", "inputSchema"}`. With `performed` the
    governor's side carries it out, and the body of `fn` never runs. Raises `UsageError`
    for a function whose arguments have no names or whose annotations have no JSON Schema; the twin
    raises it outside an agent's context.
    """
    if fn is None:
        return functools.partial(govern, tool=tool, performed=performed)
    name = tool if tool is not None else getattr(fn, "__name__", "")
    if not name:
        raise UsageError("this callable has no name", hint="say which tool it is: tool=…")
    twin: Any = binding.governed(fn, name, agent.current, performed=performed)
    twin.definition = definition(fn, name)
    return twin


def definition(fn: Function, name: str) -> dict[str, Any]:
    """Return what a model needs to know of `fn` to call it as the tool `name`."""
    return {
        "name": name,
        "description": inspect.getdoc(fn) or "",
        "inputSchema": _schema(fn),
    }


def _schema(fn: Function) -> dict[str, Any]:
    hints = _hints(fn)
    parameters = inspect.signature(fn).parameters.values()
    named = [p for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
    try:
        properties, components = msgspec.json.schema_components(
            [hints.get(p.name, Any) for p in named], ref_template="#/$defs/{name}"
        )
    except TypeError as problem:
        raise UsageError(
            f"an argument of {getattr(fn, '__name__', 'this function')!r} has no JSON Schema",
            hint=str(problem),
        ) from problem
    schema: dict[str, Any] = {
        "type": "object",
        "properties": dict(zip((p.name for p in named), properties, strict=True)),
        "required": [p.name for p in named if p.default is inspect.Parameter.empty],
        "additionalProperties": len(named) != len(parameters),
    }
    if components:
        schema["$defs"] = components
    return schema


def _hints(fn: Function) -> dict[str, Any]:
    try:
        return typing.get_type_hints(fn, include_extras=True)
    except (NameError, TypeError):
        # Annotations that only a type checker can resolve say nothing at run time.
        return {}
