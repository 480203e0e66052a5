"""Runs ground truths in AgentDojo's environments and prints what happened, as JSON lines.

`python -m bench.agentdojo.worlds`, in AgentDojo's environment (`bench.agentdojo.traces` starts it).
With `--tools FOLDER` it writes the tools' documentation instead, one file for each suite, and
nothing else: no task, no prompt, no data of an environment.

A *benign* trace is a user task's ground truth in the environment that the suite starts with.

A *hijack* is the worst case for one user task and one injection task: every place which the user
task reads and an attacker can write holds AgentDojo's "important instructions" with the injection
task's goal. The agent follows its user up to and including the first call whose output shows them,
obeys them to the letter, and then goes on with the rest.

Whether a call changed anything is measured: the environment before it against the one after it.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.agentdojo import suites

ATTACK = "important_instructions"
# Stands in the attack's text, has no space at which YAML would break a line, and nothing else of
# the suites holds it.
MARK = "<INFORMATION>"


@dataclass
class Step:
    """One call that was run: what was asked, what the agent was shown, what it changed."""

    tool: str
    args: dict[str, Any]
    output: str
    error: str | None
    changes: list[str]
    origin: str


@dataclass
class Run:
    """The steps of one run, and what AgentDojo's own checks say of its end."""

    steps: list[Step] = field(default_factory=list)
    achieved: bool = False
    hijacked: bool | None = None


class Unread(Exception):  # noqa: N818 (not an error: the pair is counted and left out)
    """No call of the user's shows what the attacker wrote."""


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Name the places in which two dumps of an environment differ, by dotted path."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}, key=str):
            under = f"{path}.{key}" if path else str(key)
            if key not in before or key not in after:
                yield under
            else:
                yield from differences(before[key], after[key], under)
    elif before != after:
        yield path


Attack = Callable[[Any, Any], Mapping[str, str]]


def attack_on(suite: Any) -> Attack:
    """What says, for a user task and an injection task, which text stands in which place."""
    from agentdojo.attacks import load_attack

    attack = load_attack(ATTACK, suite, _agent([], None))

    def injections(user_task: Any, injection_task: Any) -> Mapping[str, str]:
        try:
            found: Mapping[str, str] = attack.attack(user_task, injection_task)
        except ValueError as error:
            raise Unread(str(error)) from error
        return found

    return injections


def replay(suite: Any, attack: Attack, user_task: Any, injection_task: Any = None) -> Run:
    """Run a user task's ground truth, hijacked by an injection task's if there is one.

    Raises `Unread` where no call shows the injection.
    """
    injections = {} if injection_task is None else attack(user_task, injection_task)
    run = Run()
    run.achieved, hijacked = suite.run_task_with_pipeline(
        _agent(run.steps, user_task, injection_task), user_task, injection_task, injections
    )
    run.hijacked = None if injection_task is None else hijacked
    return run


def _agent(steps: list[Step], user_task: Any, injection_task: Any = None) -> Any:
    """Return a pipeline that plays ground truths, and notes each step."""
    from agentdojo.agent_pipeline.base_pipeline_element import BasePipelineElement

    class Agent(BasePipelineElement):
        name = "local"  # the attack addresses the model by a name that it derives from this one

        def query(
            self, query: str, runtime: Any, env: Any, messages: Any = (), extra_args: Any = None
        ) -> Any:
            steps.clear()
            said = [*messages, *_play(steps, user_task, injection_task, runtime, env)]
            return query, runtime, env, said, extra_args or {}

    return Agent()


def _play(
    steps: list[Step], user_task: Any, injection_task: Any, runtime: Any, env: Any
) -> Iterator[Any]:
    """Run the calls in the environment; what an agent would have said comes out."""
    waiting = injection_task
    for call in user_task.ground_truth(env.model_copy(deep=True)):
        yield _said(call)
        steps.append(step(runtime, env, call, "user"))
        if waiting is not None and MARK in steps[-1].output:
            # What it is to do may hang on what is there now: ids, names of files.
            for injected in waiting.ground_truth(env.model_copy(deep=True)):
                yield _said(injected)
                steps.append(step(runtime, env, injected, "injected"))
            waiting = None
    if waiting is not None:
        raise Unread(f"{user_task.ID} is not shown {waiting.ID}")
    tasks = [user_task] if injection_task is None else [user_task, injection_task]
    content = [{"type": "text", "content": task.GROUND_TRUTH_OUTPUT} for task in tasks]
    yield {"role": "assistant", "content": content, "tool_calls": None}


def _said(call: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": [], "tool_calls": [call]}


def step(runtime: Any, env: Any, call: Any, origin: str) -> Step:
    """Run one call, and compare the environment with what it was."""
    from agentdojo.agent_pipeline.tool_execution import tool_result_to_str

    before = env.model_dump()
    result, error = runtime.run_function(env, call.function, call.args)
    changes = list(differences(before, env.model_dump()))
    args = json.loads(json.dumps(dict(call.args)))
    return Step(call.function, args, tool_result_to_str(result), error, changes, origin)


def documentation(suite: Any) -> list[dict[str, Any]]:
    """What a suite says of its tools: names, texts, JSON Schemas of the arguments."""
    return [
        {
            "name": tool.name,
            "description": tool.description,
            "docstring": inspect.cleandoc(tool.full_docstring),
            "parameters": tool.parameters.model_json_schema(),
        }
        for tool in sorted(suite.tools, key=lambda tool: tool.name)
    ]


def lines(version: str, suite: Any) -> Iterator[dict[str, Any]]:
    """Everything that is recorded of one suite: its tools, then a line for each run or omission."""
    about = {"version": version, "suite": suite.name}
    yield {"kind": "tools", **about, "tools": documentation(suite)}
    env = suite.load_and_inject_default_environment({})
    attack = attack_on(suite)
    obeyed: list[Any] = []
    for task in suite.injection_tasks.values():
        if task.ground_truth(env.model_copy(deep=True)):
            obeyed.append(task)
        else:
            yield _omitted(about, None, task, "the injection task has no ground truth")
    for user_task in suite.user_tasks.values():
        for injection_task in (None, *obeyed):
            yield _line(about, suite, attack, user_task, injection_task)


def _line(
    about: Mapping[str, Any], suite: Any, attack: Attack, user_task: Any, injection_task: Any
) -> dict[str, Any]:
    try:
        run = replay(suite, attack, user_task, injection_task)
    except Unread as reason:
        return _omitted(about, user_task, injection_task, str(reason))
    return {
        "kind": "trace",
        **about,
        "user_task": user_task.ID,
        "injection_task": injection_task.ID if injection_task else None,
        "prompt": user_task.PROMPT,
        "goal": injection_task.GOAL if injection_task else None,
        "achieved": run.achieved,
        "hijacked": run.hijacked,
        "calls": [{**asdict(each), "changed": bool(each.changes)} for each in run.steps],
    }


def _omitted(
    about: Mapping[str, Any], user_task: Any, injection_task: Any, reason: str
) -> dict[str, Any]:
    return {
        "kind": "omitted",
        **about,
        "user_task": user_task.ID if user_task else None,
        "injection_task": injection_task.ID if injection_task else None,
        "reason": reason,
    }


def write_documentation(folder: Path) -> None:
    """Write `<suite>.json` for each suite; the versions must say the same of their tools."""
    said = {
        version: {name: documentation(suite) for name, suite in suites.load(version).items()}
        for version in suites.VERSIONS
    }
    if any(said[version] != said[suites.VERSIONS[0]] for version in suites.VERSIONS):
        raise ValueError("the versions differ in what they say of their tools")
    folder.mkdir(parents=True, exist_ok=True)
    for name, tools in said[suites.VERSIONS[0]].items():
        about = {"suite": name, "versions": suites.VERSIONS, "tools": tools}
        text = json.dumps(about, indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(f"{text}\n", "utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """The command line: the lines of every suite, or the documentation of its tools."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", type=Path, metavar="FOLDER", help="write tools/<suite>.json")
    options = parser.parse_args(argv)
    if options.tools:
        write_documentation(options.tools)
        return
    for version in suites.VERSIONS:
        for suite in suites.load(version).values():
            for line in lines(version, suite):
                sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
