"""Finds the governor of a bundle: connects to it, starts one, or runs one in this process."""

from __future__ import annotations

import os
import stat
import threading
import time
import weakref
from pathlib import Path
from typing import Literal

from bridle.client.bridle import Bridle
from bridle.client.transport.channel import Channel
from bridle.client.transport.unix import UnixChannel
from bridle.model.calls import Call, Reply
from bridle.model.errors import BundleError, NotFoundError, RefusedError, UnreachableError

Role = Literal["operator", "agent"]

_OPERATOR = "operator.sock"
_AGENTS = "agents.sock"


def open_bundle(
    bundle: str | os.PathLike[str],
    *,
    embedded: bool = False,
    idle_exit: float = 30.0,
    timeout: float = 10.0,
) -> Bridle:
    """Return the governor of `bundle`, starting one in the background when none serves it.

    A governor that this started stops `idle_exit` seconds after its last client left. `timeout`
    (seconds) bounds the start and then every call. `embedded` runs it in this process instead: for
    tests, notebooks and demos, as the records then say. Raises `BundleError`, `StoreError`,
    `UnreachableError`.
    """
    root = _bundle(bundle)
    if embedded:
        return _embedded(root)
    try:
        return connect(root, timeout=timeout)
    except UnreachableError:
        from bridle.client.transport.launch import launch

        deadline = time.monotonic() + timeout
        launch(root, idle_exit=idle_exit, deadline=deadline)
        return connect(root, timeout=timeout)


def connect(
    bundle_or_socket: str | os.PathLike[str], *, role: Role = "operator", timeout: float = 10.0
) -> Bridle:
    """Connect to the governor of a bundle, or to the one whose socket (or their folder) is named.

    `role="agent"` asks for nothing an operator may do: agents are then attached by handles that an
    operator handed over. Raises `UnreachableError` when no governor answers.
    """
    folder = _sockets(Path(bundle_or_socket))
    agents = UnixChannel(folder / _AGENTS, role="agent", timeout=timeout)
    operator: Channel = _NoOperator()
    if role == "operator":
        operator = channel = UnixChannel(folder / _OPERATOR, role="operator", timeout=timeout)
    else:
        channel = agents
    try:
        channel.connect()
    except BaseException:
        channel.close()
        raise
    reference = str(Path(bundle_or_socket).absolute())
    return Bridle(operator, agents=agents, reference=reference)


def later(reference: str) -> Bridle:
    """Return a `Bridle` that connects to `reference` when it is first needed; one per process."""
    with _lock:
        found = _known.get(reference)
        if found is None:
            found = _known[reference] = Bridle(
                _LaterChannel(reference, _OPERATOR),
                agents=_LaterChannel(reference, _AGENTS),
                reference=reference,
            )
        return found


class _NoOperator:
    """Stands where a connection of role `agent` has no operator's side."""

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        del call, timeout
        raise RefusedError(
            "this connection has the role `agent`",
            code="operator_only",
            hint='connect with role="operator", as the user who owns the store',
        )

    def close(self) -> None:
        """Nothing to let go of."""


class _LaterChannel:
    """A channel to a governor that is looked for at the first call."""

    def __init__(self, reference: str, name: str) -> None:
        self._reference = reference
        self._name = name
        self._channel: UnixChannel | None = None

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        if self._channel is None:
            path = _sockets(Path(self._reference)) / self._name
            role = "operator" if self._name == _OPERATOR else "agent"
            self._channel = UnixChannel(path, role=role)
        return self._channel.send(call, timeout=timeout)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


_lock = threading.Lock()
_known: weakref.WeakValueDictionary[str, Bridle] = weakref.WeakValueDictionary()


def _bundle(bundle: str | os.PathLike[str]) -> Path:
    root = Path(bundle).resolve()
    if not (root / "bridle.toml").is_file():
        raise BundleError(
            f"{root} is no bundle: it has no bridle.toml",
            code="bundle_not_found",
            hint="name the bundle's folder; `bridle init DIR` makes one",
        )
    return root


def _sockets(path: Path) -> Path:
    """Return the folder that holds the governor's two sockets."""
    try:
        mode = path.stat().st_mode
    except OSError as problem:
        raise NotFoundError(
            f"{path}: {problem.strerror}", hint="name a bundle's folder or a governor's socket"
        ) from problem
    if stat.S_ISSOCK(mode):
        return path.absolute().parent
    if (path / _AGENTS).is_socket() and not (path / "bridle.toml").exists():
        return path.absolute()
    from bridle.store.place import place_of

    return place_of(_bundle(path)).runtime


def _embedded(root: Path) -> Bridle:
    from bridle.client.transport.embedded import EmbeddedChannel
    from bridle.governor.governor import Governor

    return Bridle(EmbeddedChannel(Governor.open(root, embedded=True)), reference=str(root))
