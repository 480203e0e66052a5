"""Reads the text of an Airflow DAG: standard input to one JSON document. Runs in a jail, by itself.

Nothing of the text is executed or imported: it is parsed, and of its syntax tree only what is named
here is understood. Anything else is refused with its place. Needs nothing but Python.

    {"tasks": [{"id", "kind", "line", "column", "args": {NAME: ARG}, "after": [ID]}], "defaults":
     {NAME: ARG}}, where ARG is {"value"} or {"refused", "line", "column"}; or one of the latter.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from itertools import pairwise
from typing import Any, NoReturn

DAGS = frozenset({"airflow.DAG", "airflow.models.DAG", "airflow.models.dag.DAG", "airflow.sdk.DAG"})
CHAINS = frozenset(
    {"airflow.models.baseoperator.chain", "airflow.sdk.chain", "airflow.utils.helpers.chain"}
)
# Arguments of a DAG that say when it runs and what it is called, not what is done.
WHEN = frozenset(
    {
        "dag_id", "description", "schedule", "schedule_interval", "start_date", "end_date",
        "catchup", "tags", "max_active_runs", "max_active_tasks", "dagrun_timeout", "doc_md",
        "is_paused_upon_creation", "default_args",
    }
)  # fmt: skip
# An argument that ends so may be the name of a file that is put in its place.
FILES = (".sh", ".bash", ".sql", ".hql", ".html", ".j2", ".jinja", ".jinja2", ".json", ".yaml")
MOST_TASKS = 200
# What may be called for a value that nobody asks for: moments and lengths of time.
TIMES = ("datetime.", "pendulum.", "airflow.utils.dates.")
# What such a value may be made of besides: it runs nothing, and hides no task and no order.
QUIET = (
    *(ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Name, ast.Attribute, ast.Load),
    *(ast.Subscript, ast.UnaryOp, ast.USub, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.keyword),
    *(ast.JoinedStr, ast.FormattedValue),
)
_PULL = re.compile(
    r"\{\{ *(?:ti|task_instance)\.xcom_pull\((?:task_ids *= *)?"
    r"(['\"])([A-Za-z0-9._-]{1,250})\1\) *\}\}"
)
_LONG = 2**63
_FRACTION = re.compile(r"-?[0-9]{1,18}\.[0-9]{1,4}")


class _RefusedError(Exception):
    """What cannot be read without running it, and where."""

    def __init__(self, node: Any, what: str) -> None:
        super().__init__(what)
        self.told = {
            "refused": what,
            "line": int(getattr(node, "lineno", 0)),
            "column": int(getattr(node, "col_offset", -1)) + 1,
        }


class _Reader:
    """One file: what its names stand for, the tasks of its DAG, and which comes after which."""

    def __init__(self) -> None:
        self.imported: dict[str, str] = {}
        self.constants: dict[str, ast.expr] = {}
        self.variables: dict[str, str] = {}
        self.dag: str | None = None
        self.inside = False
        self.defaults: dict[str, Any] = {}
        self.tasks: dict[str, dict[str, Any]] = {}

    def read(self, text: str) -> dict[str, Any]:
        for statement in ast.parse(text).body:
            self.statement(statement)
        if self.dag is None:
            raise _RefusedError(None, "there is no DAG in this file")
        return {"tasks": list(self.tasks.values()), "defaults": self.defaults}

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Expr(ast.Constant()) | ast.Pass():
                return
            case ast.Import():
                for alias in node.names:
                    first = alias.name.split(".")[0]
                    self.imports(node, alias.asname or first, alias.name if alias.asname else first)
            case ast.ImportFrom(module=str(module), level=0):
                for alias in node.names:
                    self.imports(node, alias.asname or alias.name, f"{module}.{alias.name}")
            case ast.With(items=[ast.withitem(ast.Call() as call, name)]) if not self.inside:
                self.opened(call, name)
                self.inside = True
                for each in node.body:
                    self.statement(each)
                self.inside = False
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.assigned(node, name, value)
            case ast.Expr(value):
                self.chained(value)
            case _:
                raise _RefusedError(node, f"{_named(node)} cannot be read without running it")

    def imports(self, node: ast.stmt, name: str, what: str) -> None:
        if name == "*" or self.imported.get(name, what) != what or self.known(name):
            raise _RefusedError(node, "this import hides what a name stands for")
        self.imported[name] = what

    def known(self, name: str) -> bool:
        return name in self.constants or name in self.variables or name == self.dag

    def opened(self, call: ast.Call, name: ast.expr | None) -> None:
        """Read `DAG(…)`; of what it is given only `default_args` says anything of tasks."""
        if self.kind(call.func) not in DAGS:
            raise _RefusedError(call, "this is no DAG")
        if self.dag is not None:
            raise _RefusedError(call, "a second DAG in one file")
        if name is not None and not isinstance(name, ast.Name):
            raise _RefusedError(name, "this is no name of a DAG")
        self.dag = name.id if isinstance(name, ast.Name) else ""
        for each in call.args:
            self.quiet(each)
        for given in call.keywords:
            if given.arg not in WHEN:
                raise _RefusedError(given.value, f"what a DAG does with {given.arg} is not known")
            self.quiet(given.value)
            if given.arg == "default_args":
                self.defaulted(given.value)

    def defaulted(self, node: ast.expr) -> None:
        node = self.constant(node)
        if not isinstance(node, ast.Dict):
            raise _RefusedError(node, "default_args that cannot be read")
        for key, value in zip(node.keys, node.values, strict=True):
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                raise _RefusedError(node, "default_args that cannot be read")
            self.defaults[key.value] = self.argument(value)

    def assigned(self, node: ast.Assign, name: str, value: ast.expr) -> None:
        if self.known(name) or name in self.imported:
            raise _RefusedError(node, "a name that stands for something already")
        if not isinstance(value, ast.Call):
            _plain(value)
            self.constants[name] = value
        elif not self.inside and self.kind(value.func) in DAGS:
            self.opened(value, node.targets[0])
        else:
            self.variables[name] = self.task(value)

    def chained(self, node: ast.expr) -> list[str]:
        """Read what stands on its own line: tasks, and the order between them."""
        match node:
            case ast.BinOp(left, ast.RShift() | ast.LShift() as way, right):
                first, second = self.chained(left), self.chained(right)
                if isinstance(way, ast.RShift):
                    return self.ordered(node, first, second)
                self.ordered(node, second, first)
                return second
            case ast.List(elements):
                return [name for each in elements for name in self.chained(each)]
            case ast.Name(id=name) if name in self.variables:
                return [self.variables[name]]
            case ast.Call():
                return self.called(node)
            case _:
                raise _RefusedError(node, f"{_named(node)} cannot be read without running it")

    def called(self, node: ast.Call) -> list[str]:
        match node:
            case ast.Call(ast.Attribute(owner, "set_downstream"), [other], []):
                return self.ordered(node, self.chained(owner), self.chained(other))
            case ast.Call(ast.Attribute(owner, "set_upstream"), [other], []):
                return self.ordered(node, self.chained(other), self.chained(owner))
            case ast.Call(func, items, []) if self.kind(func) in CHAINS:
                return self.row(node, items)
            case _:
                return [self.task(node)]

    def row(self, node: ast.Call, items: list[ast.expr]) -> list[str]:
        groups = [self.chained(each) for each in items]
        for before, after in pairwise(groups):
            if len(before) > 1 and len(after) > 1:
                raise _RefusedError(node, "a chain from one list to another")
            self.ordered(node, before, after)
        return []

    def ordered(self, node: ast.expr, before: list[str], after: list[str]) -> list[str]:
        if not before or not after:
            raise _RefusedError(node, "an order between nothing")
        for each in after:
            found = self.tasks[each]["after"]
            found += [name for name in before if name not in found]
        return after

    def task(self, call: ast.Call) -> str:
        kind = self.kind(call.func)
        if not kind or kind in DAGS or call.args:
            raise _RefusedError(call, "this is no operator with named arguments alone")
        given: dict[str, ast.expr] = {}
        for each in call.keywords:
            if each.arg is None:
                raise _RefusedError(each.value, "arguments that stand nowhere")
            given[each.arg] = each.value
        owner = given.pop("dag", None)
        whose = owner.id if isinstance(owner, ast.Name) else None
        if (
            self.dag is None
            or (owner is not None and whose != self.dag)
            or not (self.inside or whose)
        ):
            raise _RefusedError(call, "a task that is in no DAG of this file")
        name = self.argument(given.pop("task_id", call)).get("value")
        if not isinstance(name, str) or name in self.tasks or len(self.tasks) >= MOST_TASKS:
            raise _RefusedError(call, "a task without an id of its own, or too many of them")
        self.tasks[name] = {
            "id": name,
            "kind": kind,
            "line": call.lineno,
            "column": call.col_offset + 1,
            "args": {key: self.argument(value) for key, value in given.items()},
            "after": [],
        }
        return name

    def kind(self, node: ast.expr) -> str:
        """Return the dotted name of what is called; empty where that is nothing imported."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.imported or self.known(node.id):
            return ""
        return ".".join((self.imported[node.id], *reversed(parts)))

    def argument(self, node: ast.expr) -> dict[str, Any]:
        """Return the value of an argument, or why it has none here: it may not be needed."""
        try:
            return {"value": self.value(node)}
        except _RefusedError as problem:
            self.quiet(node)
            return problem.told

    def quiet(self, node: ast.expr) -> None:
        """Refuse what would do something by being there, even where nobody asks for its value."""
        for each in ast.walk(node):
            timed = isinstance(each, ast.Call) and self.kind(each.func).startswith(TIMES)
            if not timed and not isinstance(each, QUIET):
                place = each if isinstance(each, ast.expr) else node
                raise _RefusedError(place, f"{_named(each)} cannot be read without running it")

    def constant(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Name) and node.id in self.constants:
            return self.constants[node.id]
        return node

    def value(self, node: ast.expr) -> Any:
        match self.constant(node):
            case ast.List(items):
                return [self.value(each) for each in items]
            case ast.Dict(keys, values):
                return self.object(node, keys, values)
            case ast.Attribute(ast.Name(id=name), "output") if name in self.variables:
                return {"$from": self.variables[name]}
            case other:
                return _scalar(other)

    def object(self, node: ast.expr, keys: list[Any], values: list[ast.expr]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in zip(keys, values, strict=True):
            name = key.value if isinstance(key, ast.Constant) else None
            if not isinstance(name, str) or name in found or name == "$from":
                raise _RefusedError(node, "a key that is no text of its own")
            found[_text(node, name)] = self.value(value)
        return found


def _plain(node: ast.expr) -> None:
    """Refuse what is assigned to a name unless it is made of constants alone."""
    allowed = (ast.Constant, ast.List, ast.Dict, ast.UnaryOp, ast.USub, ast.Load)
    for each in ast.walk(node):
        if not isinstance(each, allowed):
            raise _RefusedError(each, f"{_named(each)} cannot be read without running it")


def _scalar(node: ast.expr) -> Any:
    match node:
        case ast.Constant(str() as text):
            return _text(node, text)
        case ast.Constant(bool() | None as plain):
            return plain
        case ast.Constant(int() | float() as number):
            return _number(node, number)
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as number)):
            return _number(node, -number)
        case _:
            raise _RefusedError(node, f"{_named(node)} is no plain value")


def _text(node: ast.expr, text: str) -> Any:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _RefusedError(node, "text that is no Unicode") from None
    if pulled := _PULL.fullmatch(text):
        return {"$from": pulled[2]}
    if "{{" in text or "{%" in text or "{#" in text:
        raise _RefusedError(node, "a template")
    if text.rstrip().lower().endswith(FILES):
        raise _RefusedError(node, "what may be the name of a template's file")
    return text


def _number(node: ast.expr, number: float) -> float:
    if isinstance(number, int):
        fits = -_LONG <= number < _LONG
    else:
        fits = _FRACTION.fullmatch(repr(number)) is not None and bool(number)
    if not fits:
        raise _RefusedError(node, "a number that no argument can carry exactly")
    return number


def _named(node: object) -> str:
    return type(node).__name__


def main(text: str) -> dict[str, Any]:
    """Return what is told of a file, whatever stands in it."""
    try:
        return _Reader().read(text)
    except _RefusedError as problem:
        return problem.told
    except SyntaxError as problem:
        what = {"refused": "this is no Python", "line": problem.lineno or 0}
        return {**what, "column": problem.offset or 0}
    except (ValueError, RecursionError, MemoryError):
        return {"refused": "this cannot be parsed", "line": 0, "column": 0}


def _run() -> NoReturn:
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        found: dict[str, Any] = {"refused": "this is no UTF-8", "line": 0, "column": 0}
    else:
        found = main(text)
    sys.stdout.write(json.dumps(found, allow_nan=False))
    sys.stdout.flush()
    raise SystemExit(0)


if __name__ == "__main__":
    _run()
