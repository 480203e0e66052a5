"""Tasks of somebody else's definition → the text of a plan, by a mapping that an operator wrote.

    [kinds."airflow.providers.http.operators.http.HttpOperator"]
    tool = "page.get"
    args = { endpoint = "path" }
    ignore = ["http_conn_id"]

Whatever the mapping does not speak of is refused where it stands: nothing is guessed or left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from bridle.bundle.parse.scenarios import json_text
from bridle.bundle.parse.table import Findings, Table
from bridle.bundle.parse.toml import parse
from bridle.engine.plans import reading
from bridle.language.errors import LanguageError
from bridle.language.plain import is_array, is_object
from bridle.model.errors import UsageError

CODE = "import_refused"
FILE = "map.toml"
MAX_MAP_BYTES = 262_144

_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,256}")
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
FROM, PATH = "$from", "path"


class Kind(Struct, frozen=True, kw_only=True):
    """What a kind of task becomes: an action with `tool`, or (`skip`) nothing but order.

    `args` maps the task's arguments to the tool's, `constants` are arguments of the tool that never
    differ. `takes` are arguments of the tool that come from the result of the one task before, and
    `result` is where in the tool's result lies what the task would have returned: JSON pointers.
    """

    tool: str = ""
    args: dict[str, str] = {}
    constants: dict[str, Any] = {}
    takes: dict[str, str] = {}
    ignore: frozenset[str] = frozenset()
    result: str = ""
    skip: bool = False


class Refusal(Struct, frozen=True):
    """Why an argument cannot be read, and where: that only counts where it is needed."""

    what: str
    place: str


class Task(Struct, frozen=True, kw_only=True):
    """A task as its definition has it. `after` are ids, `place` is where it stands.

    In `args` an object with the one key `$from` stands for what that task returns.
    """

    id: str
    kind: str
    place: str
    args: dict[str, Any]
    after: tuple[str, ...] = ()


def mapping(text: str) -> dict[str, Kind]:
    """Read a mapping. Raises `UsageError` (`import_refused`) with the place of what is wrong."""
    if len(text) > MAX_MAP_BYTES:
        raise refused(FILE, f"a mapping has {MAX_MAP_BYTES} characters at most")
    try:
        document = parse(FILE, text)
    except LanguageError as error:
        raise refused(str(error.finding.location), error.finding.message) from None
    findings = Findings()
    table = Table(document, findings, document.data)
    everywhere = frozenset(table.texts("ignore"))
    inner = table.table("kinds")
    kinds = {name: _kind(inner.table(name), everywhere) for name in inner.data}
    table.close()
    if findings.found:
        first = findings.found[0]
        raise refused(str(first.location), first.message)
    return kinds


def _kind(table: Table, everywhere: frozenset[str]) -> Kind:
    kind = Kind(
        tool=table.text("tool"),
        args=_words(table, "args"),
        constants=dict(table.table("constants").data) if table.has("constants") else {},
        takes=_words(table, "takes"),
        ignore=everywhere | frozenset(table.texts("ignore")),
        result=table.text("result"),
        skip=table.flag("skip"),
    )
    if bool(kind.tool) == kind.skip:
        table.bad("tool", "a kind has a `tool`, or is to be left out (`skip = true`)")
    ours = (*kind.args.values(), *kind.constants, *kind.takes)
    if len(set(ours)) != len(ours):
        table.bad("args", "an argument of the tool is given twice")
    if set(kind.args) & frozenset(table.texts("ignore")):
        table.bad("ignore", "an argument is both mapped and left out")
    if not all(map(_NAME.fullmatch, ours)):
        table.bad("args", "this is no name of an argument")
    for pointer in (kind.result, *kind.takes.values()):
        if not _POINTER.fullmatch(pointer):
            table.bad("result", "`result` and `takes` are JSON pointers, such as `/body`")
    table.close()
    return kind


def _words(table: Table, key: str) -> dict[str, str]:
    if not table.has(key):
        return {}
    inner = table.table(key)
    return {name: inner.text(name, required=True) for name in inner.data}


def drafted(tasks: Iterable[Task], kinds: Mapping[str, Kind]) -> str:
    """Return the text of the plan that these tasks are.

    Raises `UsageError` (`import_refused`) for the first thing that cannot be said so, with its
    place; `plan_invalid` where what comes of it is no plan.
    """
    steps = [_step(task, by, kinds) for task, by in _ordered(tasks, kinds)]
    try:
        text = json_text({"version": reading.VERSION, "steps": steps})
    except TypeError:
        raise refused(FILE, "a constant that JSON does not have") from None
    return reading.read(text).text


_Known = dict[str, Task]


def _ordered(tasks: Iterable[Task], kinds: Mapping[str, Kind]) -> Iterator[tuple[Task, _Known]]:
    """Yield what becomes a step, each after all that it needs, in the order written otherwise."""
    known: _Known = {}
    for task in tasks:
        if task.id in known:
            raise refused(task.place, f"a second task {_shown(task.id)}")
        if task.kind not in kinds:
            hint = f"[kinds.{json.dumps(task.kind[:200])}] says what it becomes"
            raise refused(task.place, f"no kind {_shown(task.kind)} is mapped", hint)
        known[task.id] = task
    needs = {name: _needs(task, known) for name, task in known.items()}
    done: set[str] = set()
    while waiting := [name for name in known if name not in done]:
        ready = [name for name in waiting if needs[name] <= done]
        if not ready:
            raise refused(known[waiting[0]].place, "these tasks come after one another in a circle")
        done.add(ready[0])
        if not kinds[known[ready[0]].kind].skip:
            yield known[ready[0]], known


def _needs(task: Task, known: _Known) -> set[str]:
    needs = {*task.after, *_sources(task.args)}
    for each in needs:
        if each not in known:
            raise refused(task.place, f"there is no task {_shown(each)}")
    return needs


def _sources(value: Any) -> Iterator[str]:
    if is_object(value):
        if set(value) == {FROM}:
            yield value[FROM]
            return
        for each in value.values():
            yield from _sources(each)
    elif is_array(value):
        for each in value:
            yield from _sources(each)


def _step(task: Task, known: _Known, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    kind = kinds[task.kind]
    before = _before(task, known, kinds)
    args: dict[str, Any] = dict(kind.constants)
    for name, value in task.args.items():
        if name in kind.args:
            args[kind.args[name]] = _value(task, value, known, kinds)
        elif name not in kind.ignore:
            hint = "map it with `args`, or leave it out with `ignore`"
            raise refused(task.place, f"the argument {_shown(name)} is mapped nowhere", hint)
    if kind.takes and len(before) != 1:
        raise refused(task.place, "it takes what the one task before it returns")
    for ours, path in kind.takes.items():
        args[ours] = {FROM: before[0], PATH: kinds[known[before[0]].kind].result + path}
    return {"id": task.id, "tool": kind.tool, "args": args, "after": before}


def _before(task: Task, known: _Known, kinds: Mapping[str, Kind]) -> list[str]:
    """Return the steps that a task comes after; through those that are left out."""
    found: dict[str, None] = {}
    left, seen = list(task.after), set[str]()
    while left:
        name = left.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if kinds[known[name].kind].skip:
            left += known[name].after
        else:
            found[name] = None
    return list(found)


def _value(task: Task, value: Any, known: _Known, kinds: Mapping[str, Kind]) -> Any:
    if isinstance(value, Refusal):
        raise refused(value.place, value.what)
    if is_array(value):
        return [_value(task, each, known, kinds) for each in value]
    if not is_object(value):
        return value
    if set(value) != {FROM}:
        return {key: _value(task, each, known, kinds) for key, each in value.items()}
    source = kinds[known[value[FROM]].kind]
    if source.skip:
        raise refused(task.place, f"{_shown(value[FROM])} is left out, and returns nothing")
    return {FROM: value[FROM], PATH: source.result}


def refused(place: str, what: str, hint: str = "") -> UsageError:
    """Return the error that says where an import ended, and why."""
    return UsageError(f"{place}: {what}", code=CODE, hint=hint)


def _shown(name: str) -> str:
    return repr(name[:80])
