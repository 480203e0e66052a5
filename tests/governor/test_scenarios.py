"""Scenarios run on the governor itself; a failing step says where, what was due and what came."""

import pytest

from bridle.governor.scenarios import ScenarioResult, run_scenarios
from bridle.model.errors import BundleError
from governor.desk import FILES, bundle_of

HEAD = '[[scenario]]\nname = "one"\nmission = "office"\nuser = "ana"\n'


def run(*steps: str, head: str = HEAD, only: str = "") -> ScenarioResult:
    text = head + "".join(f"[[scenario.step]]\n{step}\n" for step in steps)
    [result] = run_scenarios(bundle_of({**FILES, "tests/t.toml": text}), only)
    return result


READ = 'agent = "clerk"\ntool = "note.read"\nargs = { id = 7 }\n'
PAY = 'agent = "clerk"\ntool = "bank.pay"\nargs = { amount = 60 }\n'
NOTE = 'agent = "clerk"\ntool = "note.write"\nargs = { text = "a long note indeed" }\n'
SAFE = 'agent = "clerk"\ntool = "safe.open"\nargs = { id = 1 }\n'

PASSING = [
    (READ + 'expect = "allow"',),
    (READ + 'expect = "allow"\noutput = { body = "b", pin = "1" }\nrelease = "modify"',),
    (READ + 'expect = "allow"\noutput = { body = "burnt" }\nrelease = "deny"',),
    (READ + 'expect = "allow"\nerror = "timeout"\nrelease = "allow"', READ + 'expect = "allow"'),
    (READ + 'expect = "allow"\nerror = "500"\noutput = { body = "no" }\nrelease = "allow"',),
    (READ + 'expect = "allow"\nerror = "500"\noutput = { body = "burnt" }\nrelease = "deny"',),
    ('prompt = "and now the other one"\nexpect = "allow"', READ + 'expect = "allow"'),
    ('prompt = "from somebody else"\nuser = "ben"\nexpect = "allow"',),
    ('prompt = "from nobody"\nuser = "zoe"\nexpect = "deny"',),
    (NOTE + 'expect = "modify"\nexpect_args = { text = "a long not" }\npolicy = "short-notes"',),
    (PAY + 'expect = "hold"\npolicy = "big-pay"\ncode = "held"',
     'approve = "cleo"\nexpect = "allow"'),
    (PAY + 'expect = "hold"', 'approve = "dora"\nexpect = "deny"'),
    (PAY + 'expect = "hold"', 'approve = "cleo"\nadvance = "1h"\nexpect = "hold"',
     'approve = "ben"\nexpect = "hold"', 'approve = "cleo"\nexpect = "hold"',
     'approve = "dora"\nexpect = "allow"'),
    (PAY + 'expect = "hold"', 'approve = "cleo"\nadvance = "2h"\nexpect = "deny"'),
    (SAFE + 'expect = "hold"', 'approve = "ben"\nexpect = "hold"',
     'approve = "ben"\nexpect = "hold"', 'approve = "dora"\nexpect = "allow"'),
    (READ + 'expect = "allow"\noutput = { body = "sealed", pin = "1" }\nrelease = "hold"',
     'approve = "ben"\nexpect = "modify"'),
    (READ.replace("clerk", "stranger") + 'expect = "deny"\ncode = "out_of_mission"',),
    (READ + 'advance = "8h"\nexpect = "deny"\ncode = "mission_not_active"',),
]  # fmt: skip


@pytest.mark.parametrize("steps", PASSING)
def test_what_goes_as_expected_passes(steps: tuple[str, ...]):
    result = run(*steps)
    assert [step.message for step in result.steps] == [""] * len(steps)
    assert result.passed


FAILING = [
    ((READ + 'expect = "deny"',), "expected deny, got allow"),
    ((PAY + 'expect = "allow"',), "expected allow, got hold (more than 50 needs a lead)"),
    ((PAY + 'expect = "hold"\npolicy = "two-keys"',), "policy 'two-keys' is not among the reasons"),
    ((PAY + 'expect = "hold"\ncode = "killed"',), "code 'killed' is not among the reasons"),
    ((NOTE + 'expect = "modify"\nexpect_args = { text = "short" }',), "the arguments are {"),
    (
        (READ + 'expect = "allow"\noutput = { body = "burnt" }',),
        "expected the result's release to be allow, got deny (this note is for nobody)",
    ),
    (
        (READ + 'expect = "allow"\noutput = { body = "b" }\nrelease = "hold"',),
        "expected the result's release to be hold, got allow",
    ),
    (('approve = "ben"\nexpect = "allow"',), "there is no hold to approve"),
    (('prompt = "more"\nexpect = "deny"',), "expected deny, got allow"),
    (
        (PAY + 'expect = "hold"', 'approve = "dora"\nexpect = "allow"'),
        "expected allow, got deny ('dora' may not answer this hold)",
    ),
]


@pytest.mark.parametrize(("steps", "message"), FAILING)
def test_what_does_not_points_at_its_step(steps: tuple[str, ...], message: str):
    result = run(*steps)
    assert not result.passed
    last = result.steps[-1]
    assert last.message.startswith(message)
    assert last.location.file == "tests/t.toml"
    line = (HEAD + "".join(f"[[scenario.step]]\n{step}\n" for step in steps[:-1])).count("\n") + 1
    assert last.location.line == line


def test_a_step_that_fails_does_not_hide_the_next():
    result = run(READ + 'expect = "deny"', READ + 'expect = "allow"', READ + 'expect = "hold"')
    assert [bool(step.message) for step in result.steps] == [True, False, True]


def test_a_mission_that_may_not_start_fails_the_scenario_where_it_stands():
    governance = {
        **FILES,
        "governance/none.dw": '@id("none") forbid (principal, action, resource);',
        "tests/t.toml": HEAD + "[[scenario.step]]\n" + READ + 'expect = "allow"',
    }
    [result] = run_scenarios(bundle_of(governance))
    assert not result.passed
    assert "the mission was refused" in result.steps[0].message
    assert result.steps[0].location.line == 1


def test_a_prompt_that_governance_forbids_is_denied():
    governance = {
        **FILES,
        "governance/start.dw": '@id("start") '
        'permit (principal, action == Action::"start_mission", resource);',
        "tests/t.toml": HEAD + '[[scenario.step]]\nprompt = "more"\nexpect = "deny"',
    }
    [result] = run_scenarios(bundle_of(governance))
    assert result.passed


def test_each_scenario_has_a_governor_of_its_own():
    text = "".join(
        HEAD.replace("one", name) + "[[scenario.step]]\n" + PAY + 'expect = "hold"\n'
        '[[scenario.step]]\napprove = "cleo"\nexpect = "allow"\n'
        for name in ("first", "second", "third")
    )
    bundle = bundle_of({**FILES, "tests/t.toml": text})
    assert [(r.name, r.passed) for r in run_scenarios(bundle)] == [
        ("first", True), ("second", True), ("third", True)]  # fmt: skip
    assert [r.name for r in run_scenarios(bundle, "sec")] == ["second"]


def test_scenarios_that_cannot_be_read_are_findings():
    with pytest.raises(BundleError) as refused:
        run('agent = "clerk"\nexpect = "allow"')
    assert refused.value.findings


def test_two_runs_of_a_scenario_are_the_same():
    steps = (PAY + 'expect = "allow"', READ + 'expect = "hold"')
    assert run(*steps) == run(*steps)
