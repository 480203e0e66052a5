"""Sealed secrets, as operators set, remove and list them. Nothing here shows a value again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bridle.brokers import sealed_file
from bridle.brokers.sealed_file import SealedFile
from bridle.bundle.bundle import Bundle
from bridle.governor.ground.core import Core
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.oversight import humans
from bridle.model.calls import Caller, SecretVerb
from bridle.model.credential import ExchangeCredential
from bridle.model.errors import BridleError, NotFoundError, RefusedError, UsageError
from bridle.model.record import SYSTEM_CHAIN, LeafKind

VERBS = ("set", "remove", "list")

Write = Callable[[Callable[[Turn], Any]], Any]
"""Runs a job in a turn of the caller's."""


def answer(core: Core, write: Write, caller: Caller, call: SecretVerb) -> list[dict[str, Any]]:
    """Do what is asked; return the rows of what it was about. Raises `BridleError`."""
    if call.verb not in VERBS:
        raise UsageError(f"unknown verb {call.verb[:40]!r}", hint="set, remove or list")
    if core.brokers is None:
        raise RefusedError(
            "a governor within the process that asks it keeps no secrets",
            code="no_secrets",
            hint="start one of its own: `bridle serve BUNDLE`",
        )
    secrets = core.brokers.secrets
    if call.verb == "list":
        return write(lambda turn: _rows(turn.bundle, secrets))  # type: ignore[no-any-return]
    return [_changed(secrets, write, caller, call)]


def _changed(secrets: SealedFile, write: Write, caller: Caller, call: SecretVerb) -> dict[str, Any]:
    setting = call.verb == "set"
    # Before anything of it is recorded: what is no name may be the secret itself.
    sealed_file.check(call.name, call.value if setting else None)
    if not setting and call.name not in secrets.names():
        raise NotFoundError("there is no such secret", hint="`bridle secrets list` shows them")
    # INVARIANT: on record first. What may have been changed is never unknown to the log, and who
    # may not change it never comes as far as the file.
    write(lambda turn: _record(turn, humans.operator(turn, caller, call.as_user), caller, call))
    try:
        known = secrets.set(call.name, call.value) if setting else secrets.remove(call.name)
    except BridleError as problem:
        code = problem.code
        write(lambda turn: _record_failure(turn, call, code))
        raise
    return {"name": call.name, "sealed": setting, "replaced": setting and known}


def _record(turn: Turn, who: str, caller: Caller, call: SecretVerb) -> None:
    _write_down(
        turn,
        {"by": who, "method": caller.method},
        {"what": call.verb, "secret": call.name},
    )


def _record_failure(turn: Turn, call: SecretVerb, code: str) -> None:
    _write_down(turn, {}, {"what": f"{call.verb}_failed", "secret": call.name, "code": code})


def _write_down(turn: Turn, ids: dict[str, str], body: dict[str, Any]) -> None:
    turn.record(
        Entry(
            kind=LeafKind.CREDENTIAL,
            chain=SYSTEM_CHAIN,
            ids={**ids, "level": turn.level},
            body=body,
        )
    )


def _rows(bundle: Bundle, secrets: SealedFile) -> list[dict[str, Any]]:
    """Return every secret that is sealed or named: `systems` are those that name it."""
    named: dict[str, list[str]] = {}
    for secret, system in _named(bundle):
        named.setdefault(secret, []).append(system)
    sealed = set(secrets.names())
    return [
        {"name": name, "sealed": name in sealed, "systems": sorted(set(named.get(name, ())))}
        for name in sorted(sealed | named.keys())
    ]


def _named(bundle: Bundle) -> Iterator[tuple[str, str]]:
    for system in bundle.systems.values():
        credential = system.credential
        if credential is None:
            continue
        yield credential.secret, system.id
        if isinstance(credential, ExchangeCredential) and credential.client_secret:
            yield credential.client_secret, system.id
