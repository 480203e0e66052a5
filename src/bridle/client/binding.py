"""Governed twins of functions: arguments bound to names, and the kind of function kept.

A twin of a generator function is a generator function, of a coroutine function a coroutine
function, so frameworks that look find what they expect.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from bridle.client.attempt import results
from bridle.model.errors import UsageError

if TYPE_CHECKING:
    from bridle.client.agent import Agent

KeyFunction = Callable[..., str]

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


class Binding:
    """The parameters of a function, all of which can be given by name."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.signature = inspect.signature(function)
        for parameter in self.signature.parameters.values():
            if parameter.kind in _BY_POSITION:
                raise UsageError(
                    f"the parameter {parameter.name!r} can only be given by position",
                    hint="arguments of a tool have names: drop the `/` or the `*`",
                )

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return all arguments by name, defaults too: all are judged. Raises `TypeError`."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        found: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if self.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                found.update(value)
            else:
                found[name] = value
        return found


def governed(
    function: Callable[..., Any],
    tool: str,
    acting: Callable[[], Agent],
    key: KeyFunction | None = None,
    *,
    performed: bool = False,
) -> Callable[..., Any]:
    """Return the twin of `function` that acts with `tool` as the agent that `acting` returns.

    `key` makes the action's key from the bound arguments; without it each call is a new action.
    With `performed` the governor's side carries it out, and the function's body never runs. Raises
    `UsageError` for a function whose arguments have no names.
    """
    binding = Binding(function)
    build = _twin(function)
    twin = build(None if performed else function, tool, acting, _asked(binding, key))
    return functools.update_wrapper(twin, function)


Asked = Callable[[tuple[Any, ...], dict[str, Any]], tuple[dict[str, Any], str | None]]


def _asked(binding: Binding, key: KeyFunction | None) -> Asked:
    def asked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        found = binding.arguments(args, kwargs)
        return found, key(**found) if key else None

    return asked


def _twin(function: Callable[..., Any]) -> Callable[..., Callable[..., Any]]:
    if inspect.isasyncgenfunction(function):
        return _async_generator
    if inspect.iscoroutinefunction(function):
        return _coroutine
    if inspect.isgeneratorfunction(function):
        return _generator
    return _plain


def _plain(
    function: Callable[..., Any] | None, tool: str, acting: Callable[[], Agent], asked: Asked
) -> Callable[..., Any]:
    def twin(*args: Any, **kwargs: Any) -> Any:
        found, key = asked(args, kwargs)
        return acting().call(tool, found, effect=function, key=key)

    return twin


def _coroutine(
    function: Callable[..., Any] | None, tool: str, acting: Callable[[], Agent], asked: Asked
) -> Callable[..., Any]:
    async def twin(*args: Any, **kwargs: Any) -> Any:
        found, key = asked(args, kwargs)
        return await acting().acall(tool, found, effect=function, key=key)

    return twin


def _generator(
    function: Callable[..., Any] | None, tool: str, acting: Callable[[], Agent], asked: Asked
) -> Callable[..., Any]:
    def twin(*args: Any, **kwargs: Any) -> Iterator[Any]:
        found, key = asked(args, kwargs)
        yield from results.items_of(acting().call(tool, found, effect=function, key=key))

    return twin


def _async_generator(
    function: Callable[..., Any] | None, tool: str, acting: Callable[[], Agent], asked: Asked
) -> Callable[..., Any]:
    async def twin(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        found, key = asked(args, kwargs)
        for item in results.items_of(await acting().acall(tool, found, effect=function, key=key)):
            yield item

    return twin
