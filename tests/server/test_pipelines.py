"""A human-authored pipeline decides as its author, by a definition that they have registered."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.bundle.load import load
from bridle.client.opening import connect
from bridle.client.transport.channel import ask
from bridle.client.worker import Worker
from bridle.governor.scenarios import run_scenarios
from bridle.model import calls
from bridle.trust import credential
from bridle.trust.holder import Holder
from server.carrying import SYSTEMS, Site, serving, written

BEN, EVE = credential.generate("user", "ben"), credential.generate("user", "eve")
RUNNER = credential.generate("workload", "runner")
OTHER = credential.generate("workload", "other")
AGENTS = f"""
[users.ana]
[users.ben]
key = "{BEN.public}"
[users.eve]
key = "{EVE.public}"
[agents.clerk]
owner = "ana"
[agents.scout]
owner = "ana"
[pipelines.nightly]
author = "ben"
workloads = ["runner"]
[pipelines.weekly]
author = "eve"
workloads = ["other"]
[workloads.runner]
key = "{RUNNER.public}"
[workloads.other]
key = "{OTHER.public}"
[approvers.leads]
users = ["ana"]
"""
MISSIONS = (
    '[missions.office]\nagents = ["clerk", "scout", "nightly", "weekly"]\ntools = ["*"]\n'
    'domains = ["saas", "house"]\nexpires = "8h"\nmax_depth = 3\n'
    '[missions.other]\nagents = ["clerk"]\ntools = ["*"]\ndomains = ["saas"]\n'
)
RULES = """
@id("none") @reason("no page 13")
forbid (principal, action == Action::"page.get", resource) when { context.input.id == 13 };
@id("bens") @reason("pipelines of ben's read no page 14")
forbid (principal, action == Action::"page.get", resource)
when { principal has author && principal.author == User::"ben" && context.input.id == 14 };
@id("lead") @reason("a lead looks at it") @hold("leads")
forbid (principal, action == Action::"page.get", resource) when { context.input.id == 66 };
"""
CHANGED = {
    "agents.toml": AGENTS,
    "missions.toml": MISSIONS,
    "policies/limits.dw": RULES,
}
PLAIN = SYSTEMS.replace('http = { method = "GET", path = "/pages/{id}" }\n', "")
PAGE = {"id": 7}
FIRST, SECOND = "a" * 64, "b" * 64


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    url = "http://127.0.0.1:1"
    with serving(tmp_path, url, sealed={}, systems=PLAIN, files=CHANGED) as found:
        yield found


@pytest.fixture
def ben(site: Site, tmp_path: Path) -> Iterator[bridle.Bridle]:
    assert site.ana
    with connect(tmp_path, credential=BEN) as found:
        yield found


@pytest.fixture
def eve(site: Site, tmp_path: Path) -> Iterator[bridle.Bridle]:
    assert site.ana
    with connect(tmp_path, credential=EVE) as found:
        yield found


@pytest.fixture
def runner(site: Site, tmp_path: Path) -> Iterator[Worker]:
    assert site.ana
    with bridle.worker(tmp_path, credential=RUNNER) as found:
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


def register(who: bridle.Bridle, digest: str = FIRST, pipeline: str = "nightly") -> dict[str, Any]:
    call = calls.PipelineVerb(verb="register", pipeline=pipeline, digest=digest)
    return next(row for row in who.rows(call) if row["digest"] == digest)


def withdraw(who: bridle.Bridle, digest: str = FIRST, as_user: str = "") -> None:
    who.rows(
        calls.PipelineVerb(verb="withdraw", pipeline="nightly", digest=digest, as_user=as_user)
    )


def opened(worker: Worker, run: str = "r1", **changed: str) -> bridle.Agent:
    given = {"name": "nightly", "definition": FIRST, "mission": "office", **changed}
    return worker.pipeline(run=run, **given)


def code_of(job: Callable[[], Any]) -> str:
    with pytest.raises(bridle.BridleError) as refused:
        job()
    return refused.value.code


def refusal_of(agent: bridle.Agent, sink: Sink, key: str, args: dict[str, Any] = PAGE) -> str:
    before = len(sink.seen)
    code = code_of(lambda: agent.call("page.get", args, effect=sink, key=key))
    assert len(sink.seen) == before
    return code


def records(site: Site, kind: str) -> list[dict[str, Any]]:
    return [leaf for leaf in all_records(site) if leaf["kind"] == kind]


def all_records(site: Site) -> list[dict[str, Any]]:
    def read(turn: Any) -> list[Any]:
        size = turn.tx.frontier().size
        return [json.loads(leaf.data) for leaf in turn.tx.leaves(0, size)]

    found: list[dict[str, Any]] = site.governor.core.write(read)
    return found


def test_a_registered_definition_decides_as_its_author(
    site: Site, ben: bridle.Bridle, runner: Worker, sink: Sink
) -> None:
    row = register(ben)
    assert (row["author"], row["counts"]) == ("ben", True)
    assert row["method"].startswith("key:")
    nightly = opened(runner)
    assert nightly.call("page.get", PAGE, effect=sink, key="1") == "done"
    (explained,) = site.ana.rows(calls.Explain(action=nightly.action_of("1")))
    found = {name: explained[name] for name in ("agent", "author", "executor", "definition")}
    assert found == {
        "agent": "nightly", "author": "ben", "executor": "runner",
        "definition": FIRST,
    }  # fmt: skip
    (mission,) = site.ana.missions()
    assert (mission["user"], mission["pipeline"], mission["definition"]) == (
        "ben",
        "nightly",
        FIRST,
    )


def test_a_changed_definition_decides_as_nobody_until_it_is_registered(
    ben: bridle.Bridle, runner: Worker, sink: Sink
) -> None:
    assert code_of(lambda: opened(runner)) == "definition_unknown"
    register(ben)
    with pytest.raises(bridle.BridleError) as refused:
        opened(runner, definition=SECOND)
    assert refused.value.code == "definition_unknown"
    assert f"register nightly --digest {SECOND} --as ben" in refused.value.hint
    register(ben, SECOND)
    assert opened(runner, definition=SECOND).call("page.get", PAGE, effect=sink, key="1") == "done"
    # A roll-out: the one there was goes on.
    assert opened(runner, run="r2").call("page.get", PAGE, effect=sink, key="1") == "done"


def test_policies_judge_a_pipeline_as_an_agent_with_an_author(
    ben: bridle.Bridle, runner: Worker, sink: Sink
) -> None:
    register(ben)
    nightly = opened(runner)
    assert refusal_of(nightly, sink, "1", {"id": 13}) == "forbidden"
    assert refusal_of(nightly, sink, "2", {"id": 14}) == "forbidden"


def test_the_runs_of_a_withdrawn_definition_stop_for_good(
    ben: bridle.Bridle, runner: Worker, sink: Sink
) -> None:
    register(ben)
    nightly = opened(runner)
    assert nightly.call("page.get", PAGE, effect=sink, key="1") == "done"
    withdraw(ben)
    assert refusal_of(nightly, sink, "2") == "definition_withdrawn"
    assert refusal_of(nightly, sink, "1") == "definition_withdrawn"
    assert code_of(lambda: opened(runner)) == "definition_withdrawn"
    register(ben)
    assert refusal_of(nightly, sink, "3") == "definition_withdrawn"
    assert code_of(lambda: opened(runner)) == "definition_withdrawn"
    assert opened(runner, run="r2").call("page.get", PAGE, effect=sink, key="1") == "done"


def test_what_was_decided_before_a_withdrawal_does_not_start_after_it(
    ben: bridle.Bridle, runner: Worker
) -> None:
    register(ben)
    nightly = opened(runner)
    verdict = nightly.decide("page.get", PAGE, key="1")
    assert verdict.effect is bridle.Effect.ALLOW
    withdraw(ben)
    assert code_of(lambda: nightly.begin(verdict)) == "definition_withdrawn"


def test_a_human_approves_and_a_withdrawal_still_stops_it(
    site: Site, ben: bridle.Bridle, runner: Worker, sink: Sink
) -> None:
    register(ben)
    nightly = opened(runner)
    with pytest.raises(bridle.Held) as held:
        nightly.call("page.get", {"id": 66}, effect=sink, key="1")
    site.ana.approve(held.value.approval_id, as_user="ana")
    withdraw(ben)
    assert code_of(lambda: held.value.resume(sink)) == "approval_void"
    assert sink.seen == []


def test_agent_steps_inside_decide_as_the_agent(
    site: Site, ben: bridle.Bridle, runner: Worker, sink: Sink
) -> None:
    register(ben)
    nightly = opened(runner)
    clerk = nightly.delegate("clerk", tools=["page.get"])
    assert clerk.call("page.get", PAGE, effect=sink, key="1") == "done"
    # What is forbidden to the pipeline is forbidden to whoever it hands work on to.
    assert refusal_of(clerk, sink, "14", {"id": 14}) == "forbidden"
    (explained,) = site.ana.rows(calls.Explain(action=clerk.action_of("1")))
    assert (explained["agent"], explained["line"]) == ("clerk", "nightly>clerk")
    assert (explained["pipeline"], explained["definition"]) == ("nightly", FIRST)
    assert explained["author"] == ""
    withdraw(ben)
    assert refusal_of(clerk, sink, "2") == "definition_withdrawn"


def test_what_a_pipeline_has_carried_out_elsewhere_stops_with_it(
    ben: bridle.Bridle, runner: Worker, sink: Sink, tmp_path: Path
) -> None:
    register(ben)
    nightly = opened(runner)
    reference = nightly.dispatch("other", task="t1", tools={"page.get": bridle.exactly(PAGE)})
    with bridle.worker(tmp_path, credential=OTHER) as other:
        taken = other.take(reference)
        assert taken.call("page.get", PAGE, effect=sink, key="1") == "done"
        withdraw(ben)
        assert refusal_of(taken, sink, "2") == "definition_withdrawn"


def test_the_same_run_is_one_mission_and_meets_its_own_steps(
    site: Site, ben: bridle.Bridle, runner: Worker, sink: Sink, tmp_path: Path
) -> None:
    register(ben)
    first = opened(runner)
    assert first.call("page.get", PAGE, effect=sink, key="1") == "done"
    with bridle.worker(tmp_path, credential=RUNNER) as again:
        second = opened(again)
        assert second.mission.id == first.mission.id
        assert second.call("page.get", PAGE, effect=sink, key="1") == "done"
    assert sink.seen == [PAGE]
    assert len(site.ana.missions()) == 1
    assert opened(runner, run="r2").mission.id != first.mission.id


def test_many_workers_open_the_same_run_at_once(
    site: Site, ben: bridle.Bridle, tmp_path: Path
) -> None:
    register(ben)
    together = threading.Barrier(8)

    def one(_: int) -> str:
        with bridle.worker(tmp_path, credential=RUNNER) as worker:
            together.wait()
            return opened(worker).mission.id

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(one, range(8)))) == 1
    assert len(site.ana.missions()) == 1


def test_a_run_is_of_one_definition_and_one_template(ben: bridle.Bridle, runner: Worker) -> None:
    register(ben)
    register(ben, SECOND)
    opened(runner)
    assert code_of(lambda: opened(runner, definition=SECOND)) == "run_differs"
    assert code_of(lambda: opened(runner, mission="other")) == "run_differs"


def test_a_pipeline_runs_only_in_missions_that_name_it(ben: bridle.Bridle, runner: Worker) -> None:
    register(ben)
    assert code_of(lambda: opened(runner, mission="other")) == "out_of_mission"
    assert code_of(lambda: opened(runner, mission="none")) == "not_found"


def test_a_mission_that_has_ended_is_not_begun_again(
    site: Site, ben: bridle.Bridle, runner: Worker
) -> None:
    register(ben)
    site.ana.mission(opened(runner).mission.id).close()
    assert code_of(lambda: opened(runner)) == "mission_not_active"


def test_a_deputy_serves_no_run_whose_definition_was_withdrawn(
    site: Site, ben: bridle.Bridle, runner: Worker, sink: Sink
) -> None:
    register(ben)
    nightly = opened(runner)
    clerk = site.ana.start_mission("office", user="ana").agent("clerk").serving(nightly.context)
    assert clerk.call("page.get", PAGE, effect=sink, key="1") == "done"
    withdraw(ben)
    assert refusal_of(clerk, sink, "2") == "definition_withdrawn"


def listed(site: Site) -> set[str]:
    """What the signed list for offline verifiers says is revoked."""
    (row,) = site.ana.rows(calls.StatusSnapshot())
    payload = row["status"].split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return set(said["revoked"])


def test_who_verifies_offline_learns_of_a_withdrawal(
    site: Site, ben: bridle.Bridle, runner: Worker
) -> None:
    register(ben)
    register(ben, SECOND)
    run = opened(runner)
    opened(runner, run="r2", definition=SECOND)
    withdraw(ben)
    assert listed(site) == {f"mission:{run.mission.id}"}


def test_revoking_the_key_that_registered_ends_its_runs_for_everybody(
    site: Site, ben: bridle.Bridle, runner: Worker
) -> None:
    register(ben)
    run = opened(runner)
    started = run.begin(run.decide("page.get", PAGE, key="1"))
    missed = site.ana.start_mission("office", user="ana").agent("clerk")
    missed.begin(missed.decide("page.get", PAGE, key="1"))
    fenced = site.ana.revoke(BEN.fingerprint, kind="key", as_user="ana")
    assert [each["id"] for each in fenced.running] == [started.attempt]
    assert listed(site) == {f"key:{BEN.fingerprint}", f"mission:{run.mission.id}"}
    (row,) = site.ana.rows(calls.Delegations(mission=run.mission.id, all=True))
    assert row["revoked"]


def test_a_run_of_an_unknown_definition_is_refused_on_record(site: Site, runner: Worker) -> None:
    assert code_of(lambda: opened(runner)) == "definition_unknown"
    (leaf,) = [each for each in records(site, "identity") if each["body"]["kind"] == "pipeline"]
    assert leaf["body"]["codes"] == ["definition_unknown"]
    assert leaf["body"]["definition"] == FIRST
    assert leaf["ids"]["executor"] == "runner"
    assert site.ana.missions() == []


def test_scenarios_try_what_policies_say_of_a_pipeline(tmp_path: Path) -> None:
    scenario = """
[[scenario]]
name = "ben's"
mission = "office"
user = "ben"
[[scenario.step]]
agent = "nightly"
tool = "page.get"
args = { id = 14 }
expect = "deny"
policy = "bens"
[[scenario.step]]
agent = "nightly"
tool = "page.get"
args = { id = 7 }
expect = "allow"
"""
    folder = written(tmp_path, "http://127.0.0.1:1", PLAIN, {**CHANGED, "tests/ben.toml": scenario})
    (result,) = run_scenarios(load(folder))
    assert [step.message for step in result.steps] == ["", ""]


def test_only_the_workloads_of_a_pipeline_open_its_runs(ben: bridle.Bridle, tmp_path: Path) -> None:
    register(ben)
    with bridle.worker(tmp_path, credential=OTHER) as other:
        assert code_of(lambda: opened(other)) == "not_for_workload"
        assert code_of(lambda: opened(other, name="clerk")) == "not_for_workload"
        assert code_of(lambda: opened(other, name="nobody")) == "not_for_workload"
    call = calls.OpenRun(
        pipeline="nightly",
        definition=FIRST,
        run="r1",
        mission="office",
        holder=Holder.generate().public,
    )
    with connect(tmp_path, role="agent") as nobody:
        assert code_of(lambda: ask(nobody.agents, call, calls.Opened)) == "not_for_workload"
    # An operator is no workload either.
    assert code_of(lambda: ask(ben.operator, call, calls.Opened)) == "not_for_workload"


def test_only_the_author_registers_and_with_their_own_key(
    site: Site, eve: bridle.Bridle, runner: Worker
) -> None:
    call = calls.PipelineVerb(verb="register", pipeline="nightly", digest=FIRST, as_user="ben")
    for who in (site.ana, eve):
        assert code_of(lambda who=who: who.rows(call)) == "key_needed"
        assert code_of(lambda who=who: register(who)) == "key_needed"
    assert eve.rows(calls.Pipelines()) == []
    assert code_of(lambda: opened(runner)) == "definition_unknown"


def test_what_was_injected_into_an_agent_registers_nothing(
    site: Site, ben: bridle.Bridle, runner: Worker, tmp_path: Path
) -> None:
    register(ben)
    assert site.ana
    call = calls.PipelineVerb(verb="register", pipeline="nightly", digest=SECOND, as_user="ben")
    with connect(tmp_path, role="agent") as agent:
        assert code_of(lambda: ask(agent.agents, call, calls.Listing)) in (
            "protocol",
            "operator_only",
            "protocol_error",
        )
    assert code_of(lambda: runner.governor.rows(call)) == "operator_only"


class Recorded:
    """A credential that shows again what another connection once saw."""

    kind, name = "user", "ben"

    def __init__(self) -> None:
        self.said: calls.Login | None = None

    def login(self, challenge: Any) -> calls.Login:
        if self.said is None:
            self.said = BEN.login(challenge)
        return self.said


def test_a_registration_is_not_replayed(site: Site, tmp_path: Path) -> None:
    recorded: Any = Recorded()
    with connect(tmp_path, credential=recorded) as first:
        register(first)
    withdraw(site.ana, as_user="ana")
    assert code_of(lambda: connect(tmp_path, credential=recorded)) == "not_proven"
    call = calls.PipelineVerb(verb="register", pipeline="nightly", digest=FIRST, as_user="ben")
    assert code_of(lambda: site.ana.rows(call)) == "key_needed"
    assert [row["counts"] for row in site.ana.rows(calls.Pipelines())] == [False]


def test_nothing_of_a_run_starts_after_its_definition_was_withdrawn(
    site: Site, ben: bridle.Bridle, runner: Worker, tmp_path: Path
) -> None:
    register(ben)
    opened(runner)
    enough = threading.Barrier(5)

    def busy(number: int) -> str:
        with bridle.worker(tmp_path, credential=RUNNER) as worker:
            acting = opened(worker)
            enough.wait()
            for step in range(1_000):
                try:
                    acting.call("page.get", PAGE, effect=dict, key=f"{number}/{step}")
                except bridle.Denied as denied:
                    return denied.code
        return "never"

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(busy, number) for number in range(4)]
        enough.wait()
        time.sleep(0.05)
        withdraw(ben)
        assert [each.result() for each in running] == ["definition_withdrawn"] * 4
    kinds = [
        (leaf["kind"], leaf["body"].get("what"))
        for leaf in all_records(site)
        if leaf["kind"] == "started" or leaf["body"].get("what") == "definition_withdraw"
    ]
    assert len(kinds) > 1
    assert kinds[-1] == ("identity", "definition_withdraw")


def test_a_definition_of_another_pipeline_is_none_of_this(
    eve: bridle.Bridle, runner: Worker
) -> None:
    register(eve, FIRST, "weekly")
    assert code_of(lambda: opened(runner)) == "definition_unknown"


def test_nobody_else_acts_as_a_pipeline(
    site: Site, ben: bridle.Bridle, runner: Worker, sink: Sink
) -> None:
    register(ben)
    mission = site.ana.start_mission("office", user="ana")
    assert code_of(lambda: mission.agent("nightly")) == "definition_unknown"
    clerk = mission.agent("clerk")
    assert code_of(lambda: clerk.delegate("nightly", tools=["page.get"])) == "definition_unknown"
    run = opened(runner)
    assert code_of(lambda: run.delegate("nightly", tools=["page.get"])) == "definition_unknown"
    assert code_of(lambda: run.delegate("weekly", tools=["page.get"])) == "definition_unknown"
    assert sink.seen == []


def test_any_operator_withdraws_and_no_other_human_does(
    site: Site, ben: bridle.Bridle, eve: bridle.Bridle, runner: Worker, sink: Sink
) -> None:
    register(ben)
    nightly = opened(runner)
    assert code_of(lambda: withdraw(eve)) == "not_an_operator"
    assert nightly.call("page.get", PAGE, effect=sink, key="1") == "done"
    withdraw(site.ana, as_user="ana")
    assert refusal_of(nightly, sink, "2") == "definition_withdrawn"
    assert code_of(lambda: withdraw(site.ana, as_user="ana")) == "not_found"


def test_an_author_who_is_suspended_decides_nothing(
    site: Site, ben: bridle.Bridle, runner: Worker, sink: Sink
) -> None:
    register(ben)
    nightly = opened(runner)
    site.ana.done(calls.IdentityVerb(kind="user", id="ben", verb="suspend", as_user="ana"))
    assert refusal_of(nightly, sink, "1") == "suspended"
    assert code_of(lambda: opened(runner, run="r2")) == "suspended"
    assert code_of(lambda: register(ben, SECOND)) == "suspended"


@pytest.mark.parametrize(
    ("kind", "subject"),
    [("key", BEN.fingerprint), ("user", "ben"), ("agent", "nightly")],
    ids=["key", "user", "pipeline"],
)
def test_what_is_revoked_ends_what_it_had_registered(  # noqa: PLR0917 - fixtures
    site: Site, ben: bridle.Bridle, runner: Worker, sink: Sink, kind: str, subject: str
) -> None:
    register(ben)
    nightly = opened(runner)
    site.ana.revoke(subject, kind=kind, as_user="ana")
    assert refusal_of(nightly, sink, "1") in ("definition_withdrawn", "revoked")
    assert code_of(lambda: opened(runner, run="r2")) == "definition_unknown"


def changed(site: Site, tmp_path: Path, agents: str, missions: str = MISSIONS) -> None:
    files = {**CHANGED, "agents.toml": agents, "missions.toml": missions}
    written(tmp_path, "http://127.0.0.1:1", PLAIN, files)
    site.ana.activate(as_user="ana")


def test_a_pipeline_that_leaves_the_bundle_stays_stopped_when_it_comes_back(
    site: Site, ben: bridle.Bridle, runner: Worker, sink: Sink, tmp_path: Path
) -> None:
    register(ben)
    nightly = opened(runner)
    without = AGENTS.replace("[pipelines.nightly]", "[pipelines.hourly]")
    changed(site, tmp_path, without, MISSIONS.replace("nightly", "hourly"))
    assert refusal_of(nightly, sink, "1") == "definition_withdrawn"
    changed(site, tmp_path, AGENTS)
    assert refusal_of(nightly, sink, "2") == "definition_withdrawn"
    assert code_of(lambda: opened(runner, run="r2")) == "definition_unknown"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('author = "ben"', 'author = "eve"'),
        (BEN.public, credential.generate("user", "ben").public),
    ],
    ids=["another author", "another key"],
)
def test_another_author_or_another_key_of_theirs_ends_what_was_registered(  # noqa: PLR0917
    site: Site, ben: bridle.Bridle, runner: Worker, sink: Sink, tmp_path: Path, old: str, new: str
) -> None:
    register(ben)
    nightly = opened(runner)
    changed(site, tmp_path, AGENTS.replace(old, new))
    assert refusal_of(nightly, sink, "1") == "definition_withdrawn"
    assert code_of(lambda: opened(runner, run="r2")) == "definition_unknown"


def test_an_author_who_may_start_no_mission_has_no_runs(
    site: Site, ben: bridle.Bridle, runner: Worker, tmp_path: Path
) -> None:
    register(ben)
    rule = '@id("not-ben") forbid (principal == User::"ben", action, resource);\n'
    files = {**CHANGED, "governance/limits.dw": rule}
    written(tmp_path, "http://127.0.0.1:1", PLAIN, files)
    site.ana.activate(as_user="ana")
    assert code_of(lambda: opened(runner)) == "governance_denied"
    assert site.ana.missions() == []


def test_a_workload_that_is_named_no_more_runs_nothing(
    site: Site, ben: bridle.Bridle, runner: Worker, sink: Sink, tmp_path: Path
) -> None:
    register(ben)
    nightly = opened(runner)
    changed(site, tmp_path, AGENTS.replace('workloads = ["runner"]', 'workloads = ["other"]'))
    assert refusal_of(nightly, sink, "1") == "out_of_mission"
    assert code_of(lambda: opened(runner)) == "not_for_workload"


def test_an_agent_that_becomes_a_pipeline_decides_nothing_in_its_old_sessions(
    site: Site, sink: Sink, tmp_path: Path
) -> None:
    scout = site.ana.start_mission("office", user="ana").agent("scout")
    assert scout.call("page.get", PAGE, effect=sink, key="1") == "done"
    agents = AGENTS.replace(
        '[agents.scout]\nowner = "ana"', '[pipelines.scout]\nauthor = "ben"\nworkloads = ["runner"]'
    )
    changed(site, tmp_path, agents)
    assert refusal_of(scout, sink, "2") == "definition_unknown"


def test_what_started_a_run_is_vouched_for_by_nobody(
    site: Site, ben: bridle.Bridle, runner: Worker
) -> None:
    register(ben)
    plain, told = opened(runner), opened(runner, run="r2", given='{"customer": "mira"}')
    untrusted = {row["id"]: row["untrusted"] for row in site.ana.missions()}
    assert untrusted == {plain.mission.id: False, told.mission.id: True}


def test_registrations_and_withdrawals_stand_on_record(site: Site, ben: bridle.Bridle) -> None:
    register(ben)
    register(ben)
    withdraw(site.ana, as_user="ana")
    kept = [leaf for leaf in records(site, "identity") if leaf["body"].get("kind") == "pipeline"]
    assert [leaf["body"]["what"] for leaf in kept] == [
        "definition_register",
        "definition_withdraw",
    ]
    assert [leaf["ids"]["by"] for leaf in kept] == ["ben", "ana"]
    assert kept[0]["ids"]["method"].startswith("key:")
    assert {leaf["body"]["definition"] for leaf in kept} == {FIRST}


@pytest.mark.parametrize("digest", ["", "A" * 64, "a" * 63, "a" * 64 + "\n", "é" * 64])
def test_what_is_no_digest_is_refused(ben: bridle.Bridle, runner: Worker, digest: str) -> None:
    assert code_of(lambda: register(ben, digest)) == "definition_malformed"
    assert code_of(lambda: opened(runner, definition=digest)) == "definition_malformed"


@pytest.mark.parametrize("run", ["", "r" * 513])
def test_a_run_has_an_id_of_its_own(ben: bridle.Bridle, runner: Worker, run: str) -> None:
    register(ben)
    assert code_of(lambda: opened(runner, run=run)) == "usage"
