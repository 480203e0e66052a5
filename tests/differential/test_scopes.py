"""A bundle with every scope: each condition as the reference has it, then joined by Cedar."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from dogwood import native
from msgspec import structs

from bridle.bundle.check import check_files
from bridle.engine.engine import Engine
from bridle.language.policy import Policy
from bridle.model.event import EventKind
from bridle.model.verdict import Effect
from differential import scopes
from differential.scopes import FOLDERS, JUDGED, Histories
from engine.kept import files

POLICIES = 1


def played(seed: int, tally: Counter[str]) -> None:
    """Make up a bundle and a history, and compare every condition at every judged request."""
    rnd = Random(seed)
    leaves = {
        f"{scope}-{n}": scopes.condition(rnd, scope) for scope in FOLDERS for n in range(POLICIES)
    }
    acts = scopes.acts(rnd, rnd.choice([10, 20, 30]))
    expected = {name: reference(name, leaf, acts) for name, leaf in leaves.items()}
    if any(told is None for told in expected.values()):
        tally["refused by the reference"] += 1
        return
    engine, named = bundle(leaves)
    history = Histories(engine)
    for point, act in enumerate(acts):
        case = scopes.case_of(engine, act, history)
        if judged(act):
            history.case, history.told = case, {}
            verdict = engine.judge(case)
            told = {name: history.told[named[name]] for name in leaves}
            wanted = {name: told_at[point] for name, told_at in expected.items()}
            assert told == wanted, f"seed {seed}, event {point}"
            forbidden = any(told.values())
            assert verdict.effect is (Effect.DENY if forbidden else Effect.ALLOW), f"seed {seed}"
            tally[f"forbidden: {forbidden}"] += 1
            tally.update(f"{name.partition('-')[0]}: {truth}" for name, truth in told.items())
        code = "failed" if act.kind is EventKind.ERROR else ""
        history.add(structs.replace(case, history=None), act.kind, code)


def judged(act: scopes.Act) -> bool:
    """Tell whether this is a request that only the rules of this test object to."""
    return act.kind is EventKind.REQUEST and act.tool == JUDGED and act.agent == "triage"


def reference(name: str, leaf, acts) -> dict[int, bool] | None:
    """Ask the reference for one condition, under the event schema of its scope."""
    scope = name.partition("-")[0]
    program, events = scopes.alone(leaf), scopes.event_schema(scope)
    try:
        if not native.validate_policy(program, scopes.SCHEMA, events)["passed"]:
            return None
    except RuntimeError:
        return None
    log = "\n".join(act.line(scope) for act in acts)
    lines = native.replay(program, scopes.SCHEMA, log, events).splitlines()
    told = {}
    for line in lines:
        place, _, verdict = line.rpartition(": ")
        told[int(place.partition("time point ")[2].rstrip(")"))] = verdict == "true"
    return told


def bundle(leaves) -> tuple[Engine, dict[str, str]]:
    """Put the policies into the desk's bundle; say under which name each condition is asked."""
    texts: dict[str, str] = {}
    for name, leaf in leaves.items():
        file = f"{FOLDERS[name.partition('-')[0]]}/new.dw"
        texts[file] = texts.get(file, "") + scopes.policy(name, leaf)
    made, found = check_files({**files(), **texts})
    assert made is not None, [str(f) for f in found]
    own: list[Policy] = [p for p in made.policies if p.id in leaves]
    return Engine(made), {p.id: p.leaves[0].name for p in own}


@pytest.mark.timeout(120)
def test_every_scope_sees_its_own_history_and_cedar_joins_them():
    tally = Counter[str]()
    for seed in range(16):
        played(seed, tally)
    assert tally["forbidden: True"] >= 10
    assert tally["forbidden: False"] >= 5
    for scope in FOLDERS:
        assert tally[f"{scope}: True"] >= 2
        assert tally[f"{scope}: False"] >= 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_scopes_at_length(count):
    tally = Counter[str]()
    for seed in range(1000, 1000 + count(150, 1_500)):
        played(seed, tally)
    assert tally["forbidden: False"] >= 10
    assert tally["refused by the reference"] * 20 < count(150, 1_500)
