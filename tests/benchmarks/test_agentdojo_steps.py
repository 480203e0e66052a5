"""Steps hold what one turn could have planned, and nothing that needs what another shows."""

from bench.agentdojo.steps import steps
from bench.agentdojo.traces import Call, Origin, Trace


def call(tool: str, output: str = "done", origin: Origin = "user", **args: str) -> Call:
    return Call(tool, args, output, changed=True, origin=origin)


def sizes(*calls: Call) -> list[int]:
    made = Trace("v1", "office", "user_task_0", None, "Do it.", calls, achieved=True)
    return [len(step) for step in steps(made, {"look"})]


def test_calls_that_need_nothing_of_each_other_are_one_step() -> None:
    assert sizes(call("send", to="ana"), call("send", to="ben"), call("add", user="cy")) == [3]


def test_a_call_that_needs_a_result_is_of_a_later_step() -> None:
    made = call("make", "file report-9 made", name="x")
    assert sizes(made, call("share", file="Report-9"), call("send", to="ana")) == [1, 2]


def test_nothing_but_a_read_stands_beside_a_read_before_it() -> None:
    look = call("look", page="one"), call("look", page="two")
    assert sizes(*look, call("send", to="ana"), call("look", page="three")) == [2, 2]


def test_a_read_that_another_read_led_to_is_of_a_later_step() -> None:
    assert sizes(call("look", "see two", page="one"), call("look", page="two")) == [1, 1]


def test_no_step_holds_calls_of_the_user_and_of_an_attacker() -> None:
    bad = call("send", origin="injected", to="eve")
    assert sizes(call("send", to="ana"), bad, call("send", to="ben")) == [1, 1, 1]


def test_no_call_stands_twice_in_a_step() -> None:
    assert sizes(call("send", to="ana"), call("send", to="ana")) == [1, 1]


def test_no_trace_has_no_step() -> None:
    assert sizes() == []
