"""What travels between agents' processes: a reference to a grant, and W3C trace context.

`Bridle-Context: v1; mission=…; task=…; leaf=…` names a mission, a task and the digest of a grant.
None of it is a secret and none is authority: who holds the text can do nothing without the key the
grant is bound to, so that it may stand in an orchestrator's history. Trace context is read as
<https://www.w3.org/TR/trace-context-1/> says, passed on unchanged, and means nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping

from msgspec import Struct

from bridle.trust.grants.codes import GrantCode, GrantError

HEADER = "Bridle-Context"
MAX_CHARACTERS = 2_048
LONGEST_TASK = 256
LONGEST_STATE = 512
"""Characters of a `tracestate` that are passed on (§3.3.1.5 of trace context)."""

_NAME = re.compile(r"[A-Za-z0-9._:@+-]{1,128}")
_LEAF = re.compile(r"[0-9a-f]{64}")
_REFERENCE = re.compile(
    r"v1; mission=([A-Za-z0-9._:@+-]{1,128}); task=([^;]{0,2048}); leaf=([0-9a-f]{64})"
)
# What stands for itself in a task: the unreserved characters of RFC 3986 §2.3.
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPE = re.compile(rb"%([0-9A-F]{2})")

# §3.2: version 00 has exactly these four fields; ids of zeros are invalid, and `ff` is no version.
_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]{0,400})?")
_MEMBER = re.compile(
    r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)
_MOST_MEMBERS = 32


class Reference(Struct, frozen=True):
    """A grant by its name: the `mission` (its id), the `task` and the `leaf` (digest, 64 hex)."""

    mission: str
    task: str
    leaf: str


class Carrier(Struct, frozen=True):
    """What one message carries: a reference, and the trace it belongs to (each may be missing)."""

    reference: Reference | None = None
    traceparent: str = ""
    tracestate: str = ""

    def inject(self, headers: MutableMapping[str, str]) -> None:
        """Set the headers of a message, in place of any it has. Raises `GrantError`."""
        for name in [each for each in headers if each.lower() in _NAMES]:
            del headers[name]
        if self.reference is not None:
            headers[HEADER] = format(self.reference)
        if parent := _parent(self.traceparent):
            headers["traceparent"] = parent
            if state := _state([self.tracestate]):
                headers["tracestate"] = state


_NAMES = frozenset({HEADER.lower(), "traceparent", "tracestate"})


def extract(headers: Mapping[str, str]) -> Carrier:
    """Return what the headers of a message carry; names count whatever their case.

    Raises `GrantError` (`context_malformed`) for a reference that is none, or several. A trace that
    is ill-formed is dropped, as trace context asks (§3.2.2, §3.3.1.1), with its state.
    """
    return extract_pairs(headers.items())


def extract_pairs(headers: Iterable[tuple[str, str]]) -> Carrier:
    """Return the same of headers as a list, in which a name may stand more than once."""
    found: dict[str, list[str]] = {name: [] for name in _NAMES}
    for name, value in headers:
        if name.lower() in found:
            found[name.lower()].append(value)
    given = found[HEADER.lower()]
    if len(given) > 1:
        raise _malformed("a message has one reference at most")
    parents = found["traceparent"]
    parent = _parent(parents[0]) if len(parents) == 1 else ""
    return Carrier(
        reference=parse(given[0]) if given else None,
        traceparent=parent,
        tracestate=_state(found["tracestate"]) if parent else "",
    )


def format(reference: Reference) -> str:  # noqa: A001
    """Return the value of the header. Raises `GrantError` (`context_malformed`)."""
    text = (
        f"v1; mission={reference.mission}; task={_escaped(reference.task)}; leaf={reference.leaf}"
    )
    if not _NAME.fullmatch(reference.mission) or not _LEAF.fullmatch(reference.leaf):
        raise _malformed("a reference has a mission's id and a digest of 64 hex digits")
    if len(text) > MAX_CHARACTERS:
        raise _malformed(f"a reference has {MAX_CHARACTERS} characters at most")
    return text


def steps_of(task: str) -> str:
    """Return what the keys of a task's steps begin with, which those of no other task do.

    It ends in the one slash of its own: step `1` of the task `t/u` is not step `u/1` of `t`.
    """
    return task.replace("%", "%25").replace("/", "%2F") + "/"


def parse(text: str) -> Reference:
    """Read the value of the header: exactly one text stands for a reference.

    Raises `GrantError` (`context_malformed`) for every other.
    """
    found = _REFERENCE.fullmatch(text) if len(text) <= MAX_CHARACTERS else None
    if found is None:
        raise _malformed("this is no reference of version 1")
    reference = Reference(found[1], _unescaped(found[2]), found[3])
    if format(reference) != text:
        raise _malformed("this is not the one text of its reference")
    return reference


def _escaped(task: str) -> str:
    if len(task) > LONGEST_TASK or not (task.isprintable() or not task):
        raise _malformed(f"a task has {LONGEST_TASK} characters at most, all of which print")
    raw = task.encode()
    return "".join(chr(each) if each in _PLAIN else f"%{each:02X}" for each in raw)


def _unescaped(text: str) -> str:
    try:
        raw = text.encode("ascii")
        return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), raw).decode()
    except UnicodeError:
        raise _malformed("a task is UTF-8, percent-encoded") from None


def _parent(text: str) -> str:
    found = _PARENT.fullmatch(text)
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5] is not None):
        return ""
    return "" if not int(found[2], 16) or not int(found[3], 16) else text


def _state(texts: list[str]) -> str:
    """Return the members of a `tracestate` in order, or nothing where one is ill-formed."""
    whole = ",".join(texts)
    members = [each.strip(" \t") for each in whole.split(",")] if len(whole) <= 8_192 else []
    members = [each for each in members if each]
    keys = {each.partition("=")[0] for each in members}
    if len(members) > _MOST_MEMBERS or len(keys) != len(members):
        return ""
    if not all(map(_MEMBER.fullmatch, members)):
        return ""
    # §3.3.1.5: members are dropped whole, from the end.
    while len(",".join(members)) > LONGEST_STATE:
        members.pop()
    return ",".join(members)


def _malformed(message: str) -> GrantError:
    return GrantError(GrantCode.CONTEXT, message)
