"""Plans are read strictly: what is none is refused, with its place, and nothing of it is run."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.plans import reading
from bridle.engine.plans.reading import MAX_BYTES, MAX_STEPS, read
from bridle.model.errors import UsageError
from bridle.model.plan import Reference


def plan(*steps: dict[str, Any]) -> str:
    return json.dumps({"version": 1, "steps": list(steps)})


def step(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"id": name, "tool": "note.read", **more}


def refused(text: str) -> str:
    with pytest.raises(UsageError) as problem:
        read(text)
    assert problem.value.code == "plan_invalid"
    return problem.value.message


def test_a_plan_has_steps_arguments_references_and_an_order() -> None:
    found = read(
        plan(
            step("a", args={"id": 7}, task="look"),
            step("b", args={"to": {"$from": "a", "path": "/x~1y/~00"}, "n": [1, None]}),
            step("c", after=["b", "a", "b"]),
        )
    )
    a, b, c = found.steps
    assert (a.args, a.task, a.after, a.refers) == ({"id": 7}, "look", (), False)
    assert b.args == {"to": Reference("a", ("x/y", "~0")), "n": [1, None]}
    assert (b.after, b.refers) == (("a",), True)
    assert c.after == ("a", "b")
    assert found.step("b") is b
    assert found.step("z") is None


def test_the_canonical_text_is_the_plan_and_has_its_digest() -> None:
    one = read(plan(step("a", args={"x": 1, "y": "é"})))
    other = read('{ "steps": [ {"tool":"note.read","args":{"y":"é","x":1},"id":"a"} ],"version":1}')
    assert one.text == other.text
    assert one.digest == other.digest
    assert read(one.text) == one


@given(st.data())
def test_whatever_is_changed_in_a_plan_gives_another_digest(data: st.DataObject) -> None:
    base = [step("a", args={"x": 1}), step("b", args={"y": {"$from": "a", "path": "/p"}})]
    changes: list[tuple[int, str, Any]] = [
        (0, "id", "z"), (0, "tool", "note.write"), (0, "args", {"x": 2}), (0, "task", "t"),
        (1, "after", ["a"]), (1, "args", {"y": {"$from": "a", "path": "/q"}}), (1, "args", {}),
    ]  # fmt: skip
    at, key, value = data.draw(st.sampled_from(changes))
    changed = [dict(each) for each in base]
    changed[at][key] = value
    if key == "id":
        changed[1]["args"] = {"y": {"$from": "z", "path": "/p"}}
    # What a step refers to it comes after anyway: to say so again changes nothing.
    same = (at, key) == (1, "after")
    assert (read(plan(*changed)).digest == read(plan(*base)).digest) is same


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "the plan"),
        ("[]", "the plan"),
        ("{}", "the plan: `version`"),
        ('{"version":2,"steps":[]}', "version"),
        ('{"version":true,"steps":[]}', "version"),
        ('{"version":1.0,"steps":[]}', "version"),
        ('{"version":1,"steps":[]}', "steps"),
        ('{"version":1,"steps":{}}', "steps"),
        ('{"version":1,"steps":[1]}', "steps[0]"),
        ('{"version":1,"steps":[],"x":1}', "the plan: `x`"),
        ('{"version":1,"version":1,"steps":[]}', "the plan"),
        (plan({"id": "a"}), "steps[0]: `tool`"),
        (plan(step("a"), step("a")), "steps[1].id"),
        (plan(step("")), "steps[0].id"),
        (plan(step("a b")), "steps[0].id"),
        (plan(step("../a")), "steps[0].id"),
        (plan(step("\u0430")), "steps[0].id"),
        (plan(step("a\u200b")), "steps[0].id"),
        (plan(step("a\n")), "steps[0].id"),
        (plan(step("a" * 65)), "steps[0].id"),
        (plan({"id": "a", "tool": "n\u043ete.read"}), "steps[0].tool"),
        (plan({"id": "a", "tool": ""}), "steps[0].tool"),
        (plan({"id": "a", "tool": 7}), "steps[0].tool"),
        (plan(step("a", args=[])), "steps[0].args"),
        (plan(step("a", args={"x": {"$from": "a"}})), "steps[0].args.x.$from"),
        (plan(step("a", args={"x": {"$from": "b"}}), step("b")), "steps[0].args.x.$from"),
        (plan(step("a", after=["b"]), step("b", after=["a"])), "steps[0].after[0]"),
        (plan(step("a", after=["a"])), "steps[0].after[0]"),
        (plan(step("a", after="a")), "steps[0].after"),
        (plan(step("a"), step("b", after=[["a"]])), "steps[1].after[0]"),
        (plan(step("a"), step("b", args={"$from": "a"})), "steps[1].args"),
        (plan(step("a"), step("b", args={"x": {"$from": "a", "y": 1}})), "steps[1].args.x"),
        (plan(step("a"), step("b", args={"x": {"$from": 1}})), "steps[1].args.x.$from"),
        (plan(step("a"), step("b", args={"x": [{"$from": "a", "path": "x"}]})), "steps[1].args.x"),
        (plan(step("a"), step("b", args={"x": {"$from": "a", "path": "/~2"}})), "steps[1].args.x"),
        (plan(step("a", args={"x": {"__entity": 1}})), "the plan"),
        (plan(step("a", args={"x": 1e400})), "the plan"),
        (plan(step("a", run="x")), "steps[0]: `run`"),
        (plan(step("a", task=3)), "steps[0].task"),
        (plan(step("a", task="x" * 2_001)), "steps[0].task"),
        (plan(*(step(f"s{n}") for n in range(MAX_STEPS + 1))), "steps"),
        ('{"version":1,"steps":[' + "[" * 60 + "]" * 60 + "]}", "the plan"),
        (plan(step("a", args={"x": "y" * MAX_BYTES})), "the plan"),
        (plan(step("a", args={"x": "\ud800"})), "the plan"),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused_with_its_place(text: str, place: str) -> None:
    assert refused(text).startswith(place)


def test_a_refusal_does_not_repeat_what_the_sender_wrote() -> None:
    assert "\u202e" not in refused(plan(step("a", args={"x\u202e": {"$from": "q"}})))


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    with pytest.raises(UsageError):
        read(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["version", "steps", "id", "tool", "args", "after", "$from", "path"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_no_value_makes_the_reader_fail(value: Any) -> None:
    try:
        found = read(json.dumps({"version": 1, "steps": value}))
    except UsageError:
        return
    assert read(found.text) == found


def test_arguments_are_written_as_they_were_read() -> None:
    (found,) = read('{"version":1,"steps":[{"id":"a","tool":"t","args":{"x":1.50}}]}').steps
    assert reading.plain_args(found) == '{"x":1.50}'
