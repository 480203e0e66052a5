"""What is known of a server's tools: asked for when it is needed, anew when it may have changed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from bridle.bundle.definition import definition_digest
from bridle.gateway.catalogue import Catalogue
from bridle.gateway.definitions import Definitions
from bridle.gateway.wire import message
from bridle.gateway.wire.message import Message

TOOLS: list[dict[str, Any]] = [{"name": "a", "inputSchema": {}}]


class Server:
    """Keeps what it is asked; answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, Any], Callable[[Message | None], None]]] = []

    def ask(self, params: bytes, then: Callable[[Message | None], None]) -> None:
        self.asked.append((json.loads(params), then))

    def answer(self, tools: Any = TOOLS, **more: Any) -> None:
        result = json.dumps({"tools": tools, **more}).encode()
        _, then = self.asked.pop(0)
        then(message.read(message.result(1, result), longest=10**6))


def request(method: str, **params: Any) -> Message:
    line = message.request(1, method, json.dumps(params).encode())
    return message.read(line, longest=10**6)


def test_the_server_is_asked_once_however_many_wait():
    server, catalogue = Server(), Catalogue()
    definitions = Definitions(catalogue, server.ask)
    for _ in range(3):
        assert not definitions.wait(0)
    server.answer()
    assert definitions.wait(0)
    assert catalogue.definition("a")
    assert server.asked == []


def test_what_is_old_is_asked_for_again():
    server = Server()
    definitions = Definitions(Catalogue(), server.ask, age=0.0)
    definitions.begin()
    server.answer()
    assert not definitions.wait(0), "nothing is judged by what may have changed"
    server.answer()
    assert server.asked == []


def test_a_list_that_changes_while_it_is_read_is_read_again():
    server, catalogue = Server(), Catalogue()
    definitions = Definitions(catalogue, server.ask)
    definitions.begin()
    definitions.changed()
    definitions.changed()
    server.answer([{"name": "old"}])
    assert not definitions.wait(0)
    assert catalogue.definition("old") == ""
    server.answer()
    assert definitions.wait(0)
    assert server.asked == []


def test_pages_are_followed_to_their_end_and_never_in_circles():
    server, catalogue = Server(), Catalogue()
    definitions = Definitions(catalogue, server.ask)
    definitions.begin()
    server.answer(nextCursor="2")
    assert server.asked[0][0] == {"cursor": "2"}
    server.answer([{"name": "b"}], nextCursor="2")
    assert definitions.wait(0)
    assert catalogue.definition("a") == "", "of a list without end nothing counts"


def test_the_client_is_presented_as_it_presents_itself_and_without_what_is_one_requests_own():
    server = Server()
    definitions = Definitions(Catalogue(), server.ask)
    who = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "progressToken": 1, "x/y": 2}
    definitions.spoken(request("server/discover", _meta=who))
    definitions.begin()
    assert server.asked[0][0] == {
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    }


def test_a_client_that_turns_to_the_older_revision_is_not_presented_as_newer():
    server = Server()
    definitions = Definitions(Catalogue(), server.ask)
    who = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    definitions.spoken(request("server/discover", _meta=who))
    definitions.spoken(request("initialize"))
    definitions.begin()
    assert server.asked[0][0] == {}


def test_a_server_that_announces_a_change_and_then_says_nothing_has_no_tools_left():
    server, catalogue = Server(), Catalogue()
    definitions = Definitions(catalogue, server.ask)
    definitions.begin()
    server.answer()
    assert catalogue.definition("a")
    definitions.changed()
    assert not definitions.wait(0)
    assert catalogue.definition("a") == "", "what held before the change holds no longer"
    server.answer()
    assert definitions.wait(0)
    assert catalogue.definition("a")


def page(**result: Any) -> Message:
    return message.read(message.result(1, json.dumps(result).encode()), longest=10**6)


def pinned(tool: dict[str, Any]) -> Catalogue:
    """A catalogue with one tool, pinned as it is."""
    catalogue = Catalogue("s")
    pin = definition_digest(tool)
    catalogue.reach([{"name": "s.a", "wire": tool["name"], "pin": pin, "system": "s"}])
    return catalogue


class Overtaken(Catalogue):
    """The server's own list, as it should be, arrives while a page for a client is looked at."""

    def amend(self, definitions: dict[str, str]) -> None:
        super().amend(definitions)
        self.define({"a": definition_digest(TOOLS[0])})


def test_a_page_is_shown_by_what_it_says_itself_not_by_a_list_that_overtook_it():
    catalogue = Overtaken("s")
    catalogue.reach(
        [{"name": "s.a", "wire": "a", "pin": definition_digest(TOOLS[0]), "system": "s"}]
    )
    definitions = Definitions(catalogue, Server().ask)
    assert b"inputSchema" in definitions.filtered(page(tools=TOOLS))
    assert b"evil" not in definitions.filtered(page(tools=[{"name": "a", "description": "evil"}]))


@pytest.mark.parametrize("key", ["Tools", "TOOLS", "tool\u017f"])
def test_a_second_list_in_another_spelling_is_not_shown(key: str):
    """To a reader that folds case, the later key counts."""
    definitions = Definitions(pinned(TOOLS[0]), Server().ask)
    evil = [{"name": "a", "description": "evil"}]
    for result in ({"tools": TOOLS, key: evil}, {key: evil}):
        with pytest.raises(ValueError, match="odd spelling"):
            definitions.filtered(page(**result))


def test_names_without_end_in_lists_for_clients_are_not_kept():
    catalogue = pinned(TOOLS[0])
    definitions = Definitions(catalogue, Server().ask)
    for number in range(100):
        definitions.filtered(page(tools=[{"name": f"n{number}"}]))
    assert not any(catalogue.definition(f"n{number}") for number in range(100))
