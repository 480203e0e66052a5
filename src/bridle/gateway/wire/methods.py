"""Which methods pass, in which direction. What is not named here is refused.

`tools/call` is not among them: it is judged. What else would let a server's content or a client's
model be used past any policy passes only where an operator has said so (`--pass`).
"""

from __future__ import annotations

import unicodedata
from typing import Any

from bridle.gateway.wire.message import Kind, Message
from bridle.language.plain import is_object

CALL, LIST = "tools/call", "tools/list"
INITIALIZE, INITIALIZED = "initialize", "notifications/initialized"
CANCELLED, TOOLS_CHANGED = "notifications/cancelled", "notifications/tools/list_changed"
_LISTEN = "subscriptions/listen"
_NEWS = "notifications/"
_COMPLETE, _INPUT_REQUIRED = "complete", "input_required"
# Revision 2025-11-25: the error's data holds addresses that the user is asked to open.
_URL_ELICITATION_REQUIRED = -32_042

GROUPS = ("resources", "prompts", "completions", "sampling", "elicitation", "roots", "other")
"""What `--pass` takes."""

_FREE = frozenset(
    {
        INITIALIZE,
        "ping",
        LIST,
        "resources/list",
        "resources/templates/list",
        "prompts/list",
        "logging/setLevel",
        "server/discover",
        _LISTEN,
    }
)
_OF_CLIENT = {
    "resources/read": "resources",
    "resources/subscribe": "resources",
    "resources/unsubscribe": "resources",
    "prompts/get": "prompts",
    "completion/complete": "completions",
}
_OF_SERVER = {
    "sampling/createMessage": "sampling",
    "elicitation/create": "elicitation",
    "roots/list": "roots",
}
_NEWS_OF_CLIENT = frozenset(
    {INITIALIZED, CANCELLED, "notifications/progress", "notifications/roots/list_changed"}
)
_NEWS_OF_SERVER = frozenset(
    {
        CANCELLED,
        TOOLS_CHANGED,
        "notifications/progress",
        "notifications/message",
        "notifications/resources/updated",
        "notifications/resources/list_changed",
        "notifications/prompts/list_changed",
        "notifications/elicitation/complete",
        "notifications/subscriptions/acknowledged",
    }
)
# Judged, or not governed yet: no `--pass` lets them through, in whatever spelling.
_RESERVED = ("tools/", "tasks/")
_FOLDED = frozenset(name.casefold() for name in (*_FREE, *_OF_CLIENT, *_OF_SERVER))
_NEWS_FOLDED = frozenset(name.casefold() for name in (*_NEWS_OF_CLIENT, *_NEWS_OF_SERVER))
_LISTENED = frozenset({"toolsListChanged", "promptsListChanged", "resourcesListChanged"})
_OF_WISH = frozenset({"resultType", "inputRequests", "requestState", "_meta"})
_FOLDED_OF_WISH = frozenset(name.casefold() for name in _OF_WISH)


def needed_by_client(message: Message) -> str | None:
    """Return the group a client's request needs: empty when it passes, None when it never does."""
    if message.method in _FREE:
        return _listens_to(message) if message.method == _LISTEN else ""
    return _OF_CLIENT.get(message.method) or _unknown(message.method)


def needed_by_server(message: Message) -> str | None:
    """Return the group a server's request needs: empty when it passes, None when it never does."""
    if message.method == "ping":
        return ""
    return _OF_SERVER.get(message.method) or _unknown(message.method)


def needed_by_notification(message: Message, *, of_client: bool) -> str | None:
    """Return the group a message without an id needs: empty when it passes, None: it never does.

    One that is not called a notification may run as a request all the same. What a client does not
    know may be for its model: some clients show it what such notifications say.
    """
    if message.method in (_NEWS_OF_CLIENT if of_client else _NEWS_OF_SERVER):
        return ""
    if message.kind is not Kind.NOTIFICATION or not message.method.startswith(_NEWS):
        return None
    folded = _folded(message.method)
    about = folded.removeprefix(_NEWS).strip("./")
    return None if folded in _NEWS_FOLDED or about.startswith(("tools", "tasks")) else "other"


def needed_by_answer(answer: Message) -> frozenset[str] | None:
    """Return the groups an answer needs: empty for one that is complete, None when it never passes.

    An answer that wants input holds requests to the client, and passes where each of them would.
    """
    if "error" in answer.value:
        wants_user = answer.value["error"].get("code") == _URL_ELICITATION_REQUIRED
        return frozenset({"elicitation"}) if wants_user else frozenset()
    result: dict[str, Any] = answer.value["result"]
    if any(key not in _OF_WISH and key.casefold() in _FOLDED_OF_WISH for key in result):
        return None
    kind: Any = result.get("resultType", _COMPLETE)
    if kind == _COMPLETE:
        return None if "inputRequests" in result else frozenset()
    # INVARIANT: I2 — what stands beside a wish would reach the model as a result nobody judged.
    if kind != _INPUT_REQUIRED or not result.keys() <= _OF_WISH:
        return None
    return _wishes(result.get("inputRequests", {}))


def _wishes(requests: Any) -> frozenset[str] | None:
    wishes: list[Any] = list(requests.values()) if is_object(requests) else [None]
    groups = [
        _OF_SERVER.get(str(wish.get("method")))
        if is_object(wish) and wish.keys() <= {"method", "params"}
        else None
        for wish in wishes
    ]
    found = frozenset(group for group in groups if group is not None)
    return None if None in groups else found | {"elicitation"}


def _listens_to(message: Message) -> str | None:
    """News of resources is a subscription to them; news of lists is free."""
    wanted = message.params.get("notifications")
    if not is_object(wanted):
        return ""
    if not wanted.keys() <= _LISTENED | {"resourceSubscriptions"}:
        return None
    return "resources" if wanted.get("resourceSubscriptions") else ""


def _unknown(method: str) -> str | None:
    # INVARIANT: I2 — a server that is generous about spelling does not turn an unknown method into
    # a tool call.
    folded = _folded(method)
    if folded.startswith((*_RESERVED, _NEWS)) or folded in _FOLDED:
        return None
    return "other"


def _folded(method: str) -> str:
    return unicodedata.normalize("NFKC", method).strip(" ./").casefold()
