"""Which tool a request is a call of."""

import pytest

from bridle.brokers.performing.places import read
from bridle.jail.services.web.routes import tool_for


def row(name: str, *hosts: str, methods: tuple[str, ...] = ("GET",), url: str = "") -> dict:
    return {"name": name, "egress": {"hosts": list(hosts), "methods": list(methods), "url": url}}


ROWS = [
    {"name": "note.write", "egress": {}},
    row("all.read", "*.example.com"),
    row("wiki.read", "*.wiki.example.com"),
    row("docs.read", "docs.example.com"),
    row("docs.write", "docs.example.com", methods=("POST",)),
    row("api.read", url="https://api.example.com/v1"),
]


@pytest.mark.parametrize(
    ("method", "url", "tool"),
    [
        ("GET", "https://other.example.com/", "all.read"),
        ("GET", "https://a.wiki.example.com/", "wiki.read"),
        ("GET", "https://docs.example.com/", "docs.read"),
        ("POST", "https://docs.example.com/", "docs.write"),
        ("GET", "https://api.example.com/x", "api.read"),
        ("GET", "http://api.example.com/x", "all.read"),
        ("GET", "https://example.com/", ""),
        ("GET", "https://evilexample.com/", ""),
        ("GET", "https://docs.example.com.evil.example/", ""),
        ("GET", "https://docs.example.com:8443/", ""),
    ],
)
def test_the_most_exact_host_says_which_tool(method: str, url: str, tool: str):
    assert tool_for(ROWS, method, read(url)) == tool


def test_a_method_that_no_tool_of_the_host_has_goes_to_one_that_the_governor_will_refuse():
    assert tool_for(ROWS, "DELETE", read("https://docs.example.com/")).startswith("docs.")
