"""Enforcement points that speak OpenID AuthZEN are answered with the governor's decisions."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.gateway.http.gate import Gate
from bridle.gateway.http.listening import HttpServer
from bridle.gateway.http.points import Points, digest_of
from bridle.model import calls
from gateway.http.asking import OTHER, TOKEN, Gateway
from server.carrying import Site, serving
from server.test_dispatching import WORKER

VECTORS = Path(__file__).parents[2] / "data" / "authzen"
KEYS = {
    name: f"CiRmZD{two}2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs"
    for name, two in (("rick", "A"), ("morty", "E"), ("summer", "I"), ("beth", "M"), ("jerry", "Q"))
}
TEAMS = {
    "rick": ["admins", "geniuses"],
    "morty": ["editors"],
    "summer": ["editors"],
    "beth": ["viewers"],
    "jerry": ["viewers"],
}
DOMAINS = {"rick": "the-citadel.com", "morty": "the-citadel.com"}
USERS = "".join(
    f"[users.{name}]\nteams = {json.dumps(TEAMS[name])}\n"
    f'attributes = {{ email = "{name}@{DOMAINS.get(name, "the-smiths.com")}" }}\n'
    for name in KEYS
)
TOOLS = {
    "user.read": [],
    "todos.read": [],
    "todo.create": [],
    "todo.update": ["ownerID"],
    "todo.delete": ["ownerID"],
    "route.get": [],
    "route.change": [],
    "todo.short": [],
}
SYSTEMS = '[domains.house]\n[systems.todo]\ndomain = "house"\n' + "".join(
    f'[tools."{name}"]\nsystem = "todo"\neffect = "write"\n[tools."{name}".input]\n'
    f'type = "object"\nrequired = ["id"]\nadditionalProperties = false\n'
    f'[tools."{name}".input.properties]\nid = {{ type = "string" }}\n'
    + "".join(f'{each} = {{ type = "string" }}\n' for each in more)
    for name, more in TOOLS.items()
)
POLICIES = """
@id("anyone") permit (principal, action in [
  Action::"user.read", Action::"todos.read", Action::"route.get", Action::"todo.short"
], resource);
@id("create") permit (principal, action == Action::"todo.create", resource)
when { context.user in Team::"admins" || context.user in Team::"geniuses"
  || context.user in Team::"editors" };
@id("geniuses-update") permit (principal, action == Action::"todo.update", resource)
when { context.user in Team::"geniuses" };
@id("admins-delete") permit (principal, action == Action::"todo.delete", resource)
when { context.user in Team::"admins" };
@id("own") permit (principal, action in [Action::"todo.update", Action::"todo.delete"], resource)
when { context.user in Team::"editors" && context.input has ownerID
  && context.input.ownerID == context.user.email };
@id("change") permit (principal, action == Action::"route.change", resource)
when { context.user in Team::"admins" || context.user in Team::"editors" };
@id("short") @reason("ids are short") @modify("truncate input.id 4")
forbid (principal, action == Action::"todo.short", resource)
when { context.input.id == "much too long" };
@id("look") @reason("a lead looks at it") @hold("leads")
forbid (principal, action == Action::"todo.short", resource) when { context.input.id == "held" };
"""
FILES = {
    "bridle.toml": 'format = 1\nname = "todo"\noperators = ["rick"]\n',
    "agents.toml": USERS
    + "".join(f"[teams.{name}]\n" for name in ("admins", "geniuses", "editors", "viewers"))
    + '[agents.gatekeeper]\nowner = "rick"\n[approvers.leads]\nusers = ["rick"]\n'
    + f'[workloads.worker]\nkey = "{WORKER.public}"\nmay_assert_user = true\n',
    "missions.toml": '[missions.todo]\nagents = ["gatekeeper"]\ntools = ["*"]\n'
    'domains = ["house"]\nexpires = "8h"\n',
    "policies/permits.dw": POLICIES,
    "policies/limits.dw": "",
    "schema/extra.cedarschema": "entity User = { email: String };\n",
}
CONFIG = f"""
format = 1
[points.pep]
token = "sha256:{digest_of(TOKEN)}"
may = ["evaluate"]
[points.other]
token = "sha256:{digest_of(OTHER)}"
may = ["act"]
[authzen]
mission = "todo"
agent = "gatekeeper"
[authzen.subjects.user]
USERS
[authzen.subjects.identity]
USERS
[authzen.tools]
"user/can_read_user" = "user.read"
"todo/can_read_todos" = "todos.read"
"todo/can_create_todo" = "todo.create"
"todo/can_update_todo" = "todo.update"
"todo/can_delete_todo" = "todo.delete"
"todo/short" = "todo.short"
"route/GET" = "route.get"
"route/POST" = "route.change"
"route/PUT" = "route.change"
"route/DELETE" = "route.change"
""".replace("USERS", "\n".join(f'"{key}" = "{name}"' for name, key in KEYS.items()))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, "http://127.0.0.1:1", systems=SYSTEMS, files=FILES, sealed={}) as found:
        yield found


@pytest.fixture
def pdp(site: Site, tmp_path: Path, serve: Callable[..., HttpServer]) -> Iterator[Gateway]:
    config = tmp_path / "http.toml"
    config.write_text(CONFIG)
    with bridle.worker(tmp_path, credential=WORKER) as worker:
        gate = Gate(worker, Points(config))
        server = serve(gate.handle)
        gate.answer_to("{}:{}".format(*server.address))
        yield Gateway(server, config)


def question(id: str = "x", action: str = "short", **more: Any) -> dict[str, Any]:  # noqa: A002
    return {
        "subject": {"type": "user", "id": KEYS["beth"]},
        "action": {"name": action},
        "resource": {"type": "todo", "id": id},
        **more,
    }


@pytest.mark.parametrize("name", ["todo/01", "todo/02", "gateways/decisions"])
def test_the_vectors_of_the_interoperability_harnesses(name: str, pdp: Gateway) -> None:
    cases = json.loads((VECTORS / f"{name}.json").read_text())
    wrong, count = [], 0
    for case in cases["evaluation"]:
        said = pdp.ask("/access/v1/evaluation", case["request"])
        count += 1
        if (said.status, said.body.get("decision")) != (200, case["expected"]):
            wrong.append((case, said))
    for case in cases.get("evaluations", []):
        said = pdp.ask("/access/v1/evaluations", case["request"])
        count += 1
        found = [{"decision": each["decision"]} for each in said.body["evaluations"]]
        if (said.status, found) != (200, case["expected"]):
            wrong.append((case, said))
    assert wrong == []
    assert count >= 25


def test_each_user_has_a_mission_of_their_own(site: Site, pdp: Gateway) -> None:
    for user in ("beth", "rick", "beth"):
        asked = question(subject={"type": "user", "id": KEYS[user]})
        assert pdp.ask("/access/v1/evaluation", asked).body["decision"] is True
    assert sorted(row["user"] for row in site.ana.rows(calls.Missions())) == ["beth", "rick"]


def test_nothing_is_begun(site: Site, pdp: Gateway) -> None:
    said = pdp.ask("/access/v1/evaluation", question())
    (explained,) = site.ana.rows(calls.Explain(action=said.body["context"]["action"]))
    assert explained["agent"] == "gatekeeper"
    assert site.ana.rows(calls.Attempts(state="started")) == []


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (question("much too long"), "modified"),
        (question("held"), "held"),
        (question(action="can_delete_todo"), "no_permit"),
        (question(subject={"type": "user", "id": "nobody"}), "unknown_subject"),
        (question(subject={"type": "robot", "id": KEYS["rick"]}), "unknown_subject"),
        (question(action="drop"), "unknown_action"),
        (question(resource={"type": "user", "id": "x"}), "unknown_action"),
        (question(context={"id": "y"}), "ambiguous"),
        (question(context={"more": "y"}), "schema_mismatch"),
        (question(action="can_delete_todo", context={"ownerID": ["x"]}), "schema_mismatch"),
    ],
)
def test_whatever_is_not_allowed_as_it_is_is_no(
    asked: dict[str, Any], code: str, pdp: Gateway
) -> None:
    said = pdp.ask("/access/v1/evaluation", asked)
    assert said.status == 200
    assert said.body["decision"] is False
    assert said.body["context"]["code"] == code


@pytest.mark.parametrize(
    ("semantic", "decisions"),
    [
        ("execute_all", [True, False, True]),
        ("deny_on_first_deny", [True, False]),
        ("permit_on_first_permit", [True]),
    ],
)
def test_a_batch_is_answered_as_its_options_say(
    semantic: str, decisions: list[bool], pdp: Gateway
) -> None:
    batch = {
        "subject": {"type": "user", "id": KEYS["beth"]},
        "action": {"name": "short"},
        "evaluations": [{"resource": {"type": "todo", "id": each}} for each in ("a", "held", "b")],
        "options": {"evaluations_semantic": semantic},
    }
    said = pdp.ask("/access/v1/evaluations", batch)
    assert [each["decision"] for each in said.body["evaluations"]] == decisions


def test_a_batch_without_a_list_is_one_question(pdp: Gateway) -> None:
    assert pdp.ask("/access/v1/evaluations", question()).body["decision"] is True


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"subject": {"type": "user", "id": "x"}},
        question(subject="beth"),
        question(resource={"type": "todo"}),
        question(action={"name": 7}),
        {**question(), "evaluations": [{}], "options": {"evaluations_semantic": "guess"}},
        {**question(), "evaluations": [{}] * 101},
        {"evaluations": [{}]},
    ],
)
def test_half_a_question_is_an_error(asked: Any, pdp: Gateway) -> None:
    assert pdp.ask("/access/v1/evaluations", asked).status == 400


def test_who_may_ask(pdp: Gateway) -> None:
    for path in ("/access/v1/evaluation", "/access/v1/evaluations"):
        assert pdp.ask(path, question(), token="").status == 401
        assert pdp.code(path, question(), token=OTHER) == (403, "point_may_not")


def test_a_governor_that_is_gone_is_an_error_and_no_decision(site: Site, pdp: Gateway) -> None:
    assert pdp.ask("/access/v1/evaluation", question()).status == 200
    site.stop()
    said = pdp.ask("/access/v1/evaluation", question())
    assert (said.status, said.body["error"]["code"]) == (503, "governor_unreachable")
    assert said.body.get("decision") is not True


def test_a_mission_that_has_ended_is_begun_anew(site: Site, pdp: Gateway) -> None:
    assert pdp.ask("/access/v1/evaluation", question()).body["decision"] is True
    (row,) = site.ana.rows(calls.Missions())
    site.ana.rows(calls.Missions())
    site.ana.mission(row["id"]).close()
    assert pdp.ask("/access/v1/evaluation", question()).body["decision"] is True
    assert len(site.ana.rows(calls.Missions())) == 2


def test_metadata_says_where_to_ask(pdp: Gateway) -> None:
    said = pdp.ask("/.well-known/authzen-configuration", method="GET", token="")
    url = "http://{}:{}".format(*pdp.address)
    assert said.body == {
        "policy_decision_point": url,
        "access_evaluation_endpoint": f"{url}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{url}/access/v1/evaluations",
    }


def test_the_id_of_a_request_comes_back(pdp: Gateway) -> None:
    said = pdp.ask("/access/v1/evaluation", question(), headers={"X-Request-ID": "r-7"})
    assert said.headers["X-Request-ID"] == "r-7"


def test_without_a_configuration_there_is_nothing(gateway: Gateway) -> None:
    said = gateway.ask("/.well-known/authzen-configuration", method="GET", token="")
    assert said.status == 404
