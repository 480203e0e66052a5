"""Scenarios have a plan, and actions in them that cite its steps."""

import pytest

from bridle.governor.scenarios import ScenarioResult, run_scenarios
from bridle.model.errors import BundleError
from governor.desk import bundle_of
from governor.planning.planned import PLAN_ONLY, step, taken, text

PLAN = text(
    step("read", "note.read", id=7), step("write", "note.write", text=taken("read", "/body"))
)
HEAD = '[[scenario]]\nname = "one"\nmission = "office"\nuser = "ana"\n'
READ = 'agent = "clerk"\ntool = "note.read"\nargs = { id = 7 }\noutput = { body = "hi" }\n'
WRITE = 'agent = "clerk"\ntool = "note.write"\nargs = { text = "hi" }\ncites = "write"\n'
DENIED = 'expect = "deny"\npolicy = "boundary.plan_only"'


def run(*steps: str, plan: str = PLAN) -> ScenarioResult:
    head = HEAD + (f"plan = '''{plan}'''\n" if plan else "")
    body = "".join(f"[[scenario.step]]\n{each}\n" for each in steps)
    [result] = run_scenarios(bundle_of({**PLAN_ONLY, "tests/t.toml": head + body}))
    return result


def test_actions_cite_the_steps_of_the_scenarios_plan() -> None:
    result = run(
        WRITE + DENIED,
        READ.replace('output = { body = "hi" }\n', "") + DENIED,
        READ + 'cites = "read"\nexpect = "allow"',
        WRITE.replace('"hi"', '"ho"') + DENIED,
        WRITE + 'expect = "allow"',
        WRITE + DENIED,
    )
    assert [each.message for each in result.steps] == [""] * 6


def test_what_is_no_plan_fails_its_scenario() -> None:
    [only] = run(READ + 'cites = "read"\nexpect = "allow"', plan="{}").steps
    assert only.message.startswith("the plan was refused: the plan: `version`")


@pytest.mark.parametrize(
    ("steps", "plan"),
    [
        ((WRITE + 'expect = "allow"',), ""),
        ((READ + 'expect = "allow"', 'prompt = "x"\ncites = "read"\nexpect = "allow"'), PLAN),
    ],
)
def test_only_an_action_cites_and_only_what_is_there(steps: tuple[str, ...], plan: str) -> None:
    with pytest.raises(BundleError) as problem:
        run(*steps, plan=plan)
    assert problem.value.findings[-1].code == "bad_value"
