"""A workload carries out what an agent decided in another process, and decides nothing."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.client.opening import connect
from bridle.client.transport.channel import ask
from bridle.client.worker import Worker
from bridle.model import calls
from bridle.trust import context, credential
from bridle.trust.holder import Holder
from server.carrying import FILES, SYSTEMS, Site, serving

WORKER, OTHER = credential.generate("workload", "worker"), credential.generate("workload", "other")
AGENTS = FILES["agents.toml"].replace(
    "[workloads.worker]",
    f'[workloads.worker]\nkey = "{WORKER.public}"\n[workloads.other]\nkey = "{OTHER.public}"\n'
    "[workloads.keyless]",
)
PLAIN = SYSTEMS.replace('http = { method = "GET", path = "/pages/{id}" }\n', "")
RULES = """
@id("short") @reason("pages above 100 are page 100") @modify("clamp input.id 0..100")
forbid (principal, action == Action::"page.get", resource) when { context.input.id > 100 };
@id("lead") @reason("a lead looks at it") @hold("leads")
forbid (principal, action == Action::"page.get", resource) when { context.input.id == 66 };
@id("none") @reason("no page 13")
forbid (principal, action == Action::"page.get", resource) when { context.input.id == 13 };
"""
PERMITS = """
@id("start") permit (principal, action == Action::"start_mission", resource);
@id("hand") permit (principal, action == Action::"delegate", resource)
when { !(context has workload) };
@id("dispatch") permit (principal == Agent::"clerk", action == Action::"delegate", resource)
when { context has workload && context.workload == Workload::"worker" && context.task };
"""
CHANGED = {
    "agents.toml": AGENTS,
    "missions.toml": FILES["missions.toml"] + "max_depth = 3\n",
    "policies/limits.dw": RULES,
    "governance/permits.dw": PERMITS,
}
PAGE = {"id": 7}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, "http://127.0.0.1:1", systems=PLAIN, files=CHANGED) as found:
        yield found


@pytest.fixture
def clerk(site: Site) -> bridle.Agent:
    return site.ana.start_mission("office", user="ana").agent("clerk")


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    with bridle.worker(tmp_path, credential=WORKER) as found:
        yield found


class Sink:
    """What was really done."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def __call__(self, **arguments: Any) -> str:
        self.seen.append(arguments)
        return "done"


@pytest.fixture
def sink() -> Sink:
    return Sink()


def dispatched(clerk: bridle.Agent, task: str = "t1", args: dict[str, Any] = PAGE) -> str:
    return clerk.dispatch("worker", task=task, tools={"page.get": bridle.exactly(args)})


def code_of(job: Callable[[], Any]) -> str:
    with pytest.raises(bridle.BridleError) as refused:
        job()
    return refused.value.code


def test_a_workload_carries_out_what_an_agent_decided(
    site: Site, clerk: bridle.Agent, worker: Worker, sink: Sink
) -> None:
    reference = dispatched(clerk)
    assert worker.take(reference, task="t1").call("page.get", PAGE, effect=sink, key="1") == "done"
    assert sink.seen == [PAGE]
    (row,) = site.ana.rows(calls.Delegations(grant=context.parse(reference).leaf))
    assert (row["agent"], row["workload"], row["state"]) == ("clerk", "worker", "dispatched")
    action = worker.take(reference).action_of("1")
    (explained,) = site.ana.rows(calls.Explain(action=action))
    assert (explained["agent"], explained["line"]) == ("clerk", "clerk>clerk")
    (attempt,) = site.ana.rows(calls.Attempts(state="ok"))
    assert attempt["executor"] == "worker"


def test_steps_of_tasks_whose_names_begin_alike_are_two(
    clerk: bridle.Agent, worker: Worker, sink: Sink
) -> None:
    for task, key in (("t", "u/1"), ("t/u", "1"), ("t%2Fu", "1")):
        taken = worker.take(dispatched(clerk, task), task=task)
        assert taken.call("page.get", PAGE, effect=sink, key=key) == "done"
    assert sink.seen == [PAGE] * 3


def test_what_is_delivered_again_meets_its_own_steps(
    clerk: bridle.Agent, worker: Worker, sink: Sink, tmp_path: Path
) -> None:
    reference = dispatched(clerk)
    assert worker.take(reference).call("page.get", PAGE, effect=sink, key="1") == "done"
    assert worker.take(reference).call("page.get", PAGE, effect=sink, key="1") == "done"
    with bridle.worker(tmp_path, credential=WORKER) as another:
        assert another.take(reference).call("page.get", PAGE, effect=sink, key="1") == "done"
    assert sink.seen == [PAGE]


def test_many_threads_take_the_same_reference_up_at_once(
    clerk: bridle.Agent, tmp_path: Path, worker: Worker
) -> None:
    reference = dispatched(clerk)
    for _ in range(40):
        with bridle.worker(tmp_path, credential=WORKER) as busy, ThreadPoolExecutor(4) as threads:
            # One finds a connection, and has ended before the others have made theirs.
            busy.take(reference)
            together = threading.Barrier(4)

            def take(together: threading.Barrier = together, busy: Worker = busy) -> str:
                together.wait()
                return busy.take(reference).name

            assert [each.result() for each in [threads.submit(take) for _ in range(4)]] == [
                "clerk"
            ] * 4


def test_steps_of_two_tasks_never_meet(clerk: bridle.Agent, worker: Worker, sink: Sink) -> None:
    for task in ("t1", "t2"):
        agent = worker.take(dispatched(clerk, task))
        assert agent.call("page.get", PAGE, effect=sink, key="1") == "done"
    assert sink.seen == [PAGE, PAGE]


def test_a_step_under_a_key_of_another_task_is_refused(clerk: bridle.Agent, worker: Worker) -> None:
    agent = worker.take(dispatched(clerk))
    for key in ("t2/1", "1", "t1", "t1x/1", ""):
        call = calls.Decide(
            session=agent._session.handle, tool="page.get", args=json.dumps(PAGE), key=key
        )
        verdict = ask(agent._session.channel, call, calls.Judged).verdict
        assert [reason.code for reason in verdict.reasons] == ["malformed"], key


def test_nothing_but_what_was_dispatched_is_carried_out(
    clerk: bridle.Agent, worker: Worker, sink: Sink
) -> None:
    agent = worker.take(dispatched(clerk))
    for tool, args in (
        ("page.get", {"id": 8}),
        ("page.get", {}),
        ("page.get", {"id": 7, "more": 1}),
        ("note.read", {"id": 7}),
    ):
        assert code_of(lambda t=tool, a=args: agent.call(t, a, effect=sink)) in {
            "not_granted",
            "schema_mismatch",
            "malformed",
        }
    assert not sink.seen


def test_policy_judges_it_as_the_agents_own(
    site: Site, clerk: bridle.Agent, worker: Worker, sink: Sink
) -> None:
    denied = worker.take(dispatched(clerk, "no", {"id": 13}))
    assert code_of(lambda: denied.call("page.get", {"id": 13}, effect=sink)) == "forbidden"
    held = worker.take(dispatched(clerk, "ask", {"id": 66}))
    with pytest.raises(bridle.Held) as waiting:
        held.call("page.get", {"id": 66}, effect=sink, key="1")
    assert not sink.seen
    site.ana.done(calls.Answer(approval=waiting.value.approval_id, approve=True, as_user="ben"))
    again = worker.take(dispatched(clerk, "ask2", {"id": 66}))
    assert waiting.value.resume() == "done"
    assert sink.seen == [{"id": 66}]
    assert code_of(lambda: again.call("page.get", {"id": 66}, effect=sink)) == "held"


def test_what_policy_makes_of_it_runs_where_the_agent_itself_may(
    clerk: bridle.Agent, worker: Worker, sink: Sink
) -> None:
    agent = worker.take(dispatched(clerk, "big", {"id": 900}))
    assert agent.call("page.get", {"id": 900}, effect=sink) == "done"
    assert sink.seen == [{"id": 100}]


def test_a_narrowed_agent_dispatches_no_more_than_it_has(
    site: Site, worker: Worker, sink: Sink, clerk: bridle.Agent
) -> None:
    other = site.ana.start_mission("office", user="ana").agent("clerk")
    narrowed = other.delegate("clerk", tools={"page.get": {"id": bridle.between(800, 950)}})
    agent = worker.take(dispatched(narrowed, "t", {"id": 900}))
    # Clamped to 100, which the grant above does not reach.
    assert code_of(lambda: agent.call("page.get", {"id": 900}, effect=sink)) == "not_granted"
    assert not sink.seen


def test_another_workload_takes_nothing_up(
    clerk: bridle.Agent, tmp_path: Path, worker: Worker
) -> None:
    reference = dispatched(clerk)
    with bridle.worker(tmp_path, credential=OTHER) as other:
        assert code_of(lambda: other.take(reference)) == "proof_invalid"
    # Nor does whoever has the key, but not the name, or the name alone.
    stolen = Worker(connect(tmp_path, role="agent"), WORKER)
    try:
        assert code_of(lambda: stolen.take(reference)) == "executor_not_proven"
    finally:
        stolen.close()


def test_it_is_taken_up_as_nobody_but_the_workload(clerk: bridle.Agent, worker: Worker) -> None:
    from bridle.client.delegating import taken_up

    wanted = context.parse(dispatched(clerk))
    for executor in ("", "keyless", "other"):
        job = lambda name=executor: taken_up(worker.governor, WORKER.holder(), wanted, name)  # noqa: E731
        assert code_of(job) == "not_for_workload"


def test_a_forged_reference_is_worth_nothing(clerk: bridle.Agent, worker: Worker) -> None:
    real = context.parse(dispatched(clerk))
    forged = context.format(context.Reference(real.mission, real.task, "0" * 64))
    assert code_of(lambda: worker.take(forged)) == "no_offer"
    renamed = context.format(context.Reference(real.mission, "t2", real.leaf))
    agent = worker.take(renamed)
    assert code_of(lambda: agent.call("page.get", PAGE, effect=Sink())) == "malformed"
    assert code_of(lambda: worker.take(dispatched(clerk), task="t9")) == "task_mismatch"
    own = clerk.context
    assert code_of(lambda: worker.take(own)) == "task_mismatch"


def test_what_is_revoked_while_it_waits_never_starts(
    site: Site, clerk: bridle.Agent, worker: Worker, sink: Sink
) -> None:
    reference = dispatched(clerk)
    agent = worker.take(reference)
    clerk.revoke(context.parse(reference).leaf)
    assert code_of(lambda: worker.take(reference)) == "revoked"
    assert code_of(lambda: agent.call("page.get", PAGE, effect=sink)) == "revoked"
    later = dispatched(clerk, "t2")
    site.ana.revoke(clerk.grant, as_user="ana")
    assert code_of(lambda: worker.take(later)) == "revoked"
    assert not sink.seen


def test_what_stops_agent_workload_or_mission_stops_it(
    site: Site, clerk: bridle.Agent, worker: Worker, sink: Sink
) -> None:
    waiting = dispatched(clerk)
    agent = worker.take(waiting)
    for kind, name in (("agent", "clerk"), ("workload", "worker")):
        site.ana.done(calls.IdentityVerb(kind=kind, id=name, verb="suspend", as_user="ana"))
        # A workload that is suspended proves nothing any more.
        stopped = {"agent": "suspended", "workload": "executor_not_proven"}[kind]
        assert code_of(lambda: agent.call("page.get", PAGE, effect=sink)) == stopped
        assert code_of(lambda: worker.take(waiting)) in {"suspended", stopped}
        assert code_of(lambda: dispatched(clerk, "t2")) == "suspended"
        site.ana.done(calls.IdentityVerb(kind=kind, id=name, verb="resume", as_user="ana"))
    clerk.mission.suspend()
    assert code_of(lambda: agent.call("page.get", PAGE, effect=sink)) == "mission_not_active"
    assert not sink.seen


def test_a_workload_hands_nothing_on(clerk: bridle.Agent, worker: Worker) -> None:
    agent = worker.take(dispatched(clerk))
    for job in (
        lambda: agent.delegate("scout", tools=["page.get"]),
        lambda: agent.dispatch("worker", task="t1", tools=["page.get"]),
    ):
        assert code_of(job) in {"grant_invalid", "depth_exceeded"}


def test_governance_says_who_dispatches_what_to_whom(site: Site, clerk: bridle.Agent) -> None:
    with pytest.raises(bridle.BridleError) as refused:
        clerk.dispatch("other", task="t", tools=["page.get"])
    assert refused.value.code == "governance_denied"
    assert "context has workload" in str(refused.value)
    scout = clerk.mission.agent("scout")
    assert code_of(lambda: dispatched(scout)) == "governance_denied"
    for workload in ("keyless", "nobody"):
        job = lambda name=workload: clerk.dispatch(name, task="t", tools=["page.get"])  # noqa: E731
        assert code_of(job) == "not_found"


def test_an_offer_that_is_no_dispatch_is_not_taken_for_one(clerk: bridle.Agent) -> None:
    from bridle.client import delegating

    def offered(agent: str = "clerk", key: str = WORKER.public, **changes: Any) -> str:
        terms = {"tools": ["page.get"], "expires": "1h", "task": "t", "max_depth": 1, **changes}
        session = clerk._session
        return code_of(
            lambda: delegating.offer(
                session, agent, key, delegating.Terms(**terms), workload="worker"
            )
        )

    assert offered(agent="scout") == "grant_invalid"
    assert offered(task="") == "grant_invalid"
    assert offered(max_depth=2) == "grant_invalid"
    assert offered(key=Holder.generate().public) == "key_unknown"
    assert offered(key=OTHER.public) == "key_unknown"


def test_the_credential_of_a_user_makes_no_worker(tmp_path: Path) -> None:
    ana = credential.generate("user", "ana")
    assert code_of(lambda: bridle.worker(tmp_path, credential=ana)) == "usage"
    assert code_of(ana.holder) == "usage"


PLAN = {
    "version": 1,
    "steps": [
        {"id": "one", "tool": "page.get", "args": PAGE},
        {"id": "two", "tool": "page.get", "args": {"id": 8}, "after": ["one"]},
    ],
}


@pytest.fixture
def planned(tmp_path: Path) -> Iterator[Site]:
    files = {**CHANGED, "bridle.toml": FILES["bridle.toml"] + "[boundaries]\nplan_only = true\n"}
    with serving(tmp_path, "http://127.0.0.1:1", systems=PLAIN, files=files) as found:
        yield found


def test_a_workload_carries_out_the_plan_of_the_agent_that_dispatched_it(
    planned: Site, worker: Worker, sink: Sink
) -> None:
    clerk = planned.ana.start_mission("office", user="ana").agent("clerk")
    plan = clerk.check_plan(PLAN)
    first = worker.take(dispatched(clerk))
    assert first.call("page.get", PAGE, effect=sink, plan=plan.reference, step="one") == "done"
    # Delivered again, it is the same step: done once. As another action it is none.
    again = worker.take(dispatched(clerk))
    assert again.call("page.get", PAGE, effect=sink, plan=plan, step="one") == "done"
    with pytest.raises(bridle.Denied):
        again.call("page.get", PAGE, effect=sink, plan=plan, step="one", key="other")
    assert clerk.call("page.get", {"id": 8}, effect=sink, plan=plan, step="two") == "done"
    assert sink.seen == [PAGE, {"id": 8}]


def test_a_workload_makes_no_plans(planned: Site, worker: Worker) -> None:
    clerk = planned.ana.start_mission("office", user="ana").agent("clerk")
    assert code_of(lambda: worker.take(dispatched(clerk)).check_plan(PLAN)) == "grant_invalid"
