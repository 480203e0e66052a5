"""Which methods pass, in which direction. What is not named here is refused.

`tools/call` is not among them: it is judged. What else would let a server's content or a client's
model be used past any policy passes only where an operator has said so (`--pass`).
"""

from __future__ import annotations

import unicodedata

from bridle.gateway.wire.message import Kind, Message
from bridle.language.plain import is_object

CALL, LIST = "tools/call", "tools/list"
INITIALIZE, INITIALIZED = "initialize", "notifications/initialized"
CANCELLED, TOOLS_CHANGED = "notifications/cancelled", "notifications/tools/list_changed"
_LISTEN = "subscriptions/listen"

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
# Judged, or not governed yet: no `--pass` lets them through, in whatever spelling.
_RESERVED = ("tools/", "tasks/")
_FOLDED = frozenset(name.casefold() for name in (*_FREE, *_OF_CLIENT, *_OF_SERVER))


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


def is_notification(message: Message) -> bool:
    """Whether a message without an id is one. A request without an id may run all the same."""
    return message.kind is Kind.NOTIFICATION and message.method.startswith("notifications/")


def _listens_to(message: Message) -> str | None:
    """News of resources is a subscription to them; news of lists is free."""
    wanted = message.params.get("notifications")
    if not is_object(wanted):
        return ""
    if wanted.get("taskIds"):
        return None
    return "resources" if wanted.get("resourceSubscriptions") else ""


def _unknown(method: str) -> str | None:
    # INVARIANT: I2 — a server that is generous about spelling does not turn an unknown method into
    # a tool call.
    folded = unicodedata.normalize("NFKC", method).strip(" ./").casefold()
    if folded.startswith((*_RESERVED, "notifications/")) or folded in _FOLDED:
        return None
    return "other"
