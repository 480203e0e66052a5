"""`/authz`: what may pass a reverse proxy, of an agent whose token the governor's side has made."""

import time
from typing import Any

import pytest

import bridle
from bridle.gateway.http import points
from bridle.model import calls
from gateway.http.asking import CONFIG, OTHER, TOKEN, Gateway
from server.carrying import Site


@pytest.fixture
def token(gateway: Gateway, reference: str) -> str:
    return made(gateway, reference)


def made(gateway: Gateway, reference: str, **more: Any) -> str:
    said = gateway.ask("/v1/token", {"reference": reference, **more}, token=OTHER)
    assert said.status == 200, said
    return said.body["token"]


def passes(gateway: Gateway, token: str, uri: str = "/pages/7", method: str = "GET") -> Any:
    headers = {"X-Original-Method": method, "X-Original-URI": uri}
    return gateway.ask("/authz", method="GET", token=token, headers=headers)


def test_what_is_allowed_passes_with_the_name_of_who_decided(
    site: Site, gateway: Gateway, token: str, clerk: bridle.Agent
) -> None:
    said = passes(gateway, token)
    assert (said.status, said.body) == (204, None)
    assert (said.headers["Bridle-Agent"], said.headers["Bridle-Mission"]) == (
        "clerk",
        clerk.mission.id,
    )
    (row,) = site.ana.rows(calls.Attempts(state="unknown"))
    assert (row["tool"], row["executor"]) == ("page.get", "worker")
    assert row["action"] == said.headers["Bridle-Action"]


@pytest.mark.parametrize(
    ("uri", "method", "code"),
    [
        ("/pages/13", "GET", "forbidden"),
        ("/pages/66", "GET", "held"),
        ("/pages/700", "GET", "not_applied"),
        ("/pages/7", "DELETE", "no_route"),
        ("/pages/x", "GET", "no_route"),
        ("/other", "GET", "no_route"),
        ("/pages/7?more=1", "GET", "no_route"),
        ("", "GET", "no_route"),
        ("/pages/7", "", "no_route"),
    ],
)
def test_everything_else_does_not(
    *, uri: str, method: str, code: str, site: Site, gateway: Gateway, token: str
) -> None:
    said = passes(gateway, token, uri, method)
    assert (said.status, said.body["error"]["code"]) == (403, code)
    assert site.ana.rows(calls.Attempts(state="unknown")) == []
    assert site.ana.rows(calls.Attempts(state="started")) == []


def test_a_reference_is_no_token(gateway: Gateway, token: str, reference: str) -> None:
    for known in (TOKEN, OTHER, reference, "", points.new_token()):
        assert passes(gateway, known).status == 401


def test_a_token_is_for_what_its_reference_is_for(gateway: Gateway, clerk: bridle.Agent) -> None:
    narrow = clerk.dispatch("worker", task="t9", tools={"page.get": bridle.exactly({"id": 8})})
    token = made(gateway, narrow)
    assert passes(gateway, token, "/pages/8").status == 204
    assert passes(gateway, token, "/pages/7").body["error"]["code"] == "not_granted"


def test_a_token_ends_with_its_time(gateway: Gateway, reference: str) -> None:
    token = made(gateway, reference, seconds=1)
    time.sleep(1.1)
    said = passes(gateway, token)
    assert (said.status, said.body["error"]["code"]) == (401, "token_expired")


@pytest.mark.parametrize("seconds", [0, -1, 86_401, "900", 1.5])
def test_it_lasts_a_day_at_most(seconds: Any, gateway: Gateway, reference: str) -> None:
    body = {"reference": reference, "seconds": seconds}
    assert gateway.ask("/v1/token", body, token=OTHER).status == 400


def test_a_token_ends_with_the_point_that_had_it_made(gateway: Gateway, token: str) -> None:
    assert passes(gateway, token).status == 204
    gateway.config.write_text(CONFIG.replace("points.edge", "points.other"))
    assert passes(gateway, token).status == 401


def test_a_token_ends_with_its_mission(
    site: Site, gateway: Gateway, token: str, clerk: bridle.Agent
) -> None:
    assert passes(gateway, token).status == 204
    site.ana.revoke(clerk, as_user="ana")
    assert passes(gateway, token).status == 403


def test_nobody_gets_a_token_for_what_cannot_be_taken_up(
    site: Site, gateway: Gateway, reference: str, clerk: bridle.Agent
) -> None:
    assert gateway.ask("/v1/token", {"reference": "x"}, token=OTHER).status == 403
    site.ana.revoke(clerk, as_user="ana")
    assert gateway.ask("/v1/token", {"reference": reference}, token=OTHER).status == 403


def test_tokens_have_an_end_in_number(
    gateway: Gateway, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points, "_MOST_PASSES", 3)
    made(gateway, reference, seconds=1)
    for _ in range(2):
        made(gateway, reference)
    said = gateway.ask("/v1/token", {"reference": reference}, token=OTHER)
    assert (said.status, said.body["error"]["code"]) == (429, "limit_exceeded")
    time.sleep(1.1)
    made(gateway, reference)


def test_a_governor_that_is_gone_lets_nothing_pass(
    site: Site, gateway: Gateway, token: str
) -> None:
    site.stop()
    assert passes(gateway, token).status == 503


def test_who_asks_for_another_method_is_refused(gateway: Gateway, token: str) -> None:
    assert gateway.ask("/authz", {}, token=token).status == 405
    headers = {"X-Original-Method": "GET", "X-Original-URI": "/pages/7"}
    assert gateway.ask("/authz", method="HEAD", token=token, headers=headers).status == 204
