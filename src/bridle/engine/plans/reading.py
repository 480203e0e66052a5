"""Plan text → a plan, or the first thing that is wrong with it and where. Executes nothing.

{"version": 1, "steps": [{"id": "s1", "tool": "desk.read_ticket", "args": {"id": 7}},
{"id": "s2", "tool": "mail.send", "args": {"to": {"$from": "s1", "path": "/customer"}}}]}
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from bridle.engine.case import Refusal
from bridle.engine.strict_json import parse_arguments
from bridle.language.plain import is_array, is_object
from bridle.model.errors import UsageError
from bridle.model.plan import Plan, PlanStep, Reference

VERSION = 1
MAX_BYTES = 262_144
MAX_STEPS = 100
MAX_DEPTH = 32
MAX_AFTER = 100
"""Steps that one step may name; there are not more in a plan."""

FROM, PATH = "$from", "path"
CODE = "plan_invalid"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOOL = re.compile(r"[!-~]{1,256}")
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_LONGEST_POINTER = 512
_LONGEST_TASK = 2_000
# What a canonical form begins with: its digest is none of anything else.
_DOMAIN = b"bridle plan 1\n"

_encode = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode


def read(text: str) -> Plan:
    """Read a plan. Raises `UsageError` (`plan_invalid`), whose message begins with the place.

    A step names only steps that stand before it, so no plan goes in a circle.
    """
    found = parse_arguments(text, size=MAX_BYTES, depth=MAX_DEPTH)
    if isinstance(found, Refusal):
        raise _wrong("the plan", found.text)
    _only(found, "the plan", required=("version", "steps"))
    if type(found["version"]) is not int or found["version"] != VERSION:
        raise _wrong("version", f"this reads version {VERSION}")
    steps = _steps(found["steps"])
    canonical = _encode({"version": VERSION, "steps": [_written(step) for step in steps]})
    digest = hashlib.sha256(_DOMAIN + canonical).hexdigest()
    return Plan(steps, canonical.decode(), digest)


def plain_args(step: PlanStep) -> str:
    """Return the JSON text of a step's arguments, references as they are written in a plan."""
    return _encode(_spelt(step.args)).decode()


def sources(value: Any) -> Iterator[str]:
    """Yield the steps whose results a value refers to, each as often as it does."""
    if isinstance(value, Reference):
        yield value.step
    elif is_object(value):
        for each in value.values():
            yield from sources(each)
    elif is_array(value):
        for each in value:
            yield from sources(each)


def _steps(raw: Any) -> tuple[PlanStep, ...]:
    if not is_array(raw) or not raw:
        raise _wrong("steps", "a plan is a list of at least one step")
    if len(raw) > MAX_STEPS:
        raise _wrong("steps", f"more than {MAX_STEPS} steps")
    known: dict[str, PlanStep] = {}
    for number, each in enumerate(raw):
        step = _step(each, f"steps[{number}]", known)
        known[step.id] = step
    return tuple(known.values())


def _step(raw: Any, at: str, known: Mapping[str, PlanStep]) -> PlanStep:
    if not is_object(raw):
        raise _wrong(at, "a step is an object")
    _only(raw, at, required=("id", "tool"), optional=("args", "after", "task"))
    name = _text(raw["id"], f"{at}.id", _ID.fullmatch, "letters, digits, `.`, `_`, `-`, at most 64")
    if name in known:
        raise _wrong(f"{at}.id", "another step has this id")
    tool = _text(raw["tool"], f"{at}.tool", _TOOL.fullmatch, "the name of a tool")
    given = raw.get("args", {})
    if not is_object(given):
        raise _wrong(f"{at}.args", "arguments are an object")
    met: list[str] = []
    args = {k: _value(v, f"{at}.args.{_shown(k)}", known, met) for k, v in given.items()}
    if FROM in args:
        raise _wrong(f"{at}.args", f"`{FROM}` stands for one value, not for all arguments")
    after = _after(raw.get("after", []), f"{at}.after", known)
    task = _text(raw.get("task", ""), f"{at}.task", _is_task, f"at most {_LONGEST_TASK} characters")
    needs = tuple(sorted({*after, *met}))
    return PlanStep(id=name, tool=tool, args=args, after=needs, refers=bool(met), task=task)


def _after(raw: Any, at: str, known: Mapping[str, PlanStep]) -> list[str]:
    if not is_array(raw) or len(raw) > MAX_AFTER:
        raise _wrong(at, f"a list of at most {MAX_AFTER} steps")
    return [_earlier(each, f"{at}[{n}]", known) for n, each in enumerate(raw)]


def _earlier(raw: Any, at: str, known: Mapping[str, PlanStep]) -> str:
    # INVARIANT: what is named stands before, so that references and order never form a circle.
    if not isinstance(raw, str) or raw not in known:
        raise _wrong(at, "no step before this one has this id")
    return raw


def _value(raw: Any, at: str, known: Mapping[str, PlanStep], met: list[str]) -> Any:
    if is_array(raw):
        return [_value(each, f"{at}[{n}]", known, met) for n, each in enumerate(raw)]
    if not is_object(raw):
        return raw
    if FROM not in raw:
        return {k: _value(v, f"{at}.{_shown(k)}", known, met) for k, v in raw.items()}
    _only(raw, at, required=(FROM,), optional=(PATH,))
    step = _earlier(raw[FROM], f"{at}.{FROM}", known)
    path = _text(raw.get(PATH, ""), f"{at}.{PATH}", _is_pointer, "a JSON pointer, such as `/id`")
    met.append(step)
    return Reference(step, tuple(map(_unescaped, path.split("/")[1:])))


def _only(
    raw: Mapping[str, Any], at: str, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> None:
    for key in required:
        if key not in raw:
            raise _wrong(at, f"`{key}` is missing")
    for key in raw:
        if key not in (*required, *optional):
            raise _wrong(at, f"`{_shown(key)}` has no meaning here")


def _text(raw: Any, at: str, fits: Callable[[str], object], wanted: str) -> str:
    if not isinstance(raw, str) or not fits(raw):
        raise _wrong(at, f"this has to be {wanted}")
    return raw


def _is_pointer(text: str) -> bool:
    return len(text) <= _LONGEST_POINTER and _POINTER.fullmatch(text) is not None


def _is_task(text: str) -> bool:
    return len(text) <= _LONGEST_TASK


def _unescaped(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")


def _escaped(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1")


def _written(step: PlanStep) -> dict[str, Any]:
    found: dict[str, Any] = {"id": step.id, "tool": step.tool, "args": _spelt(step.args)}
    if step.after:
        found["after"] = step.after
    return found | ({"task": step.task} if step.task else {})


def _spelt(value: Any) -> Any:
    if isinstance(value, Reference):
        return {FROM: value.step, PATH: "".join(f"/{_escaped(token)}" for token in value.path)}
    if is_object(value):
        return {key: _spelt(each) for key, each in value.items()}
    return [_spelt(each) for each in value] if is_array(value) else value


def _shown(key: str) -> str:
    """A key as a place names it: what is no plain word is the sender's, and is not repeated."""
    return key if _ID.fullmatch(key) or key == FROM else "*"


def _wrong(at: str, what: str) -> UsageError:
    return UsageError(f"{at}: {what}", code=CODE, hint="docs/plans.md describes the format")
