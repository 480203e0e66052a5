"""A path that could be read in two ways is the path of nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.gateway.http.messages import RequestError
from bridle.gateway.http.routes import RouteError, call_of, route

ROUTES = (
    route("GET", "/orders/{id:integer}", "order.read", ["page", "sort"]),
    route("GET", "/orders/new", "order.draft"),
    route("GET", "/orders/{name}", "order.find"),
    route("GET", "/files/{folder}/{name}", "file.read"),
    route("DELETE", "/orders/{id:integer}", "order.delete"),
    route("GET", "/", "home"),
    route("GET", "/list/", "list"),
)


@pytest.mark.parametrize(
    ("uri", "call"),
    [
        ("/orders/7", ("order.read", {"id": 7})),
        ("/orders/-7?page=2&sort=a%20b", ("order.read", {"id": -7, "page": "2", "sort": "a b"})),
        ("/orders/new", ("order.draft", {})),
        ("/orders/seven", ("order.find", {"name": "seven"})),
        ("/orders/%C3%A9", ("order.find", {"name": "é"})),
        ("/files/a/b.txt", ("file.read", {"folder": "a", "name": "b.txt"})),
        ("/", ("home", {})),
        ("/list/", ("list", {})),
    ],
)
def test_a_request_is_the_call_that_its_route_says(uri: str, call: tuple[str, Any]) -> None:
    assert call_of(ROUTES, "GET", uri) == call


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "orders/7",
        "http://elsewhere/orders/7",
        "/orders//7",
        "//orders/7",
        "/orders/7/",
        "/list",
        "/public/../orders/7",
        "/orders/./7",
        "/orders/%2e%2e",
        "/orders/..%2f7",
        "/orders/a%2fb",
        "/orders/a%5cb",
        "/orders/a\\b",
        "/orders/a%252fb",
        "/orders/7;x=1",
        "/orders/7%3bx",
        "/orders/a%00b",
        "/orders/a%0ab",
        "/orders/%ff",
        "/orders/%zz",
        "/orders/é",
        "/orders/7#a",
        "/orders/7?",
        "/orders/7?admin=1",
        "/orders/7?page=1&page=2",
        "/orders/7?page=%ff",
        "/orders/7?page=1&&sort=a",
        "/orders/7?id=8",
        "/orders/new?page=1",
        "/ORDERS/7",
        "/orders/" + "7" * 3_000,
        "/orders/7?page=" + "7" * 3_000,
        "*",
    ],
)
def test_every_other_is_none(uri: str) -> None:
    with pytest.raises(RequestError) as refused:
        call_of(ROUTES, "GET", uri)
    assert (refused.value.status, refused.value.code) == (403, "no_route")


def test_another_method_is_another_call() -> None:
    assert call_of(ROUTES, "DELETE", "/orders/7") == ("order.delete", {"id": 7})
    for method in ("get", "POST", "", "HEAD"):
        with pytest.raises(RequestError):
            call_of(ROUTES, method, "/orders/7")


@given(st.text(max_size=60))
def test_nothing_but_a_refusal_comes_of_any_text(uri: str) -> None:
    for text in (uri, "/orders/" + uri, "/orders/7?" + uri):
        try:
            tool, arguments = call_of(ROUTES, "GET", text)
        except RequestError:
            continue
        assert tool
        assert not any("/" in str(each) for each in arguments.values() if "?" not in text)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/a"),
        ("GET", "a"),
        ("GET", "/../a"),
        ("GET", "/a b"),
        ("GET", "/{a}{b}"),
        ("GET", "/{a:text}"),
        ("GET", "/{a}/{a}"),
        ("GET", "/a%20b"),
        ("GET", "/*"),
    ],
)
def test_what_is_no_route_is_refused_when_it_is_written(method: str, path: str) -> None:
    with pytest.raises(RouteError):
        route(method, path, "tool")
