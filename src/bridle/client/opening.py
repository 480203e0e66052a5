"""Finds the governor of a bundle: connects to it, starts one, or runs one in this process."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bridle.client.bridle import Bridle
from bridle.client.transport.channel import Channel
from bridle.client.transport.limited import Asserting, NoOperator
from bridle.client.transport.unix import UnixChannel
from bridle.model.calls import Call, Reply
from bridle.model.errors import (
    BundleError,
    NotFoundError,
    UnreachableError,
    UsageError,
)

if TYPE_CHECKING:
    from bridle.trust.credential import Credential

Role = Literal["operator", "agent"]

_OPERATOR = "operator.sock"
_AGENTS = "agents.sock"


def open_bundle(
    bundle: str | os.PathLike[str],
    *,
    embedded: bool = False,
    idle_exit: float = 30.0,
    timeout: float = 10.0,
    credential: Credential | None = None,
) -> Bridle:
    """Return the governor of `bundle`, starting one in the background when none serves it.

    A governor that this started stops `idle_exit` seconds after its last client left. `timeout`
    (seconds) bounds the start and then every call. `embedded` runs it in this process instead: for
    tests, notebooks and demos, as the records then say. A governor that was set up with a uid of
    its own (or whose sockets are named instead of a bundle) is only connected to.
    `credential` as in `connect`. Raises `BundleError`, `StoreError`, `UnreachableError`.
    """
    role: Role = "agent" if credential is not None and _is_workload(credential) else "operator"
    if not embedded and (sockets_at(Path(bundle)) or installed_sockets(Path(bundle))):
        # Whoever set that governor up starts it, too: another one would have another store.
        return connect(bundle, role=role, timeout=timeout, credential=credential)
    root = _bundle(bundle)
    if embedded:
        return _embedded(root, credential)
    try:
        return connect(root, role=role, timeout=timeout, credential=credential)
    except UnreachableError:
        from bridle.client.transport.launch import launch

        deadline = time.monotonic() + timeout
        launch(root, idle_exit=idle_exit, deadline=deadline)
        return connect(root, role=role, timeout=timeout, credential=credential)


def connect(
    bundle_or_socket: str | os.PathLike[str] = "",
    *,
    role: Role = "operator",
    timeout: float = 10.0,
    credential: Credential | None = None,
) -> Bridle:
    """Connect to the governor of a bundle, or to the one whose socket (or their folder) is named.

    Where nothing is named, `BRIDLE_SOCKETS` in the environment says it. `role="agent"` asks for
    nothing an operator may do: agents are then attached by handles that an operator handed over.
    `credential` (`unlock`) proves on every connection who is there: a user with a key acts only so.
    A workload's goes with `role="agent"`; where the bundle lets it speak for users, it can then
    start missions, add prompts and open sessions. Raises `UnreachableError` when no governor
    answers, `RefusedError` (`not_proven`) when the credential proves nothing to it.
    """
    named = os.fspath(bundle_or_socket) or _default()
    folder = _sockets(Path(named))
    agents, operator, channel = _channels(folder, role, timeout, credential)
    try:
        channel.connect()
    except BaseException:
        channel.close()
        raise
    reference = str(Path(named).absolute())
    return Bridle(operator, agents=agents, reference=reference)


def _channels(
    folder: Path, role: Role, timeout: float, credential: Credential | None
) -> tuple[Channel, Channel, UnixChannel]:
    """Return the agents' way, the operator's, and the one that has to answer at once."""
    path = folder / _AGENTS
    if role == "operator":
        if credential is not None and _is_workload(credential):
            raise UsageError("a workload's credential goes with role='agent'")
        operator = UnixChannel(
            _operator_socket(folder), role="operator", timeout=timeout, credential=credential
        )
        return UnixChannel(path, role="agent", timeout=timeout), operator, operator
    if credential is None:
        agents = UnixChannel(path, role="agent", timeout=timeout)
        return agents, NoOperator(), agents
    if not _is_workload(credential):
        raise UsageError("a user's credential goes with role='operator'")
    agents = UnixChannel(path, role="agent", timeout=timeout, credential=credential)
    speaking = UnixChannel(path, role="agent", timeout=timeout, credential=credential)
    return agents, Asserting(speaking), agents


def _is_workload(credential: Credential) -> bool:
    return credential.kind == "workload"


def unlock(key: str | os.PathLike[str], passphrase: str) -> Credential:
    """Open a key with its passphrase and return what proves its owner, for this process only.

    `key` is a key file, or the user or workload whose only key it is in `$BRIDLE_KEYS` or else
    `~/.config/bridle/keys`. Raises `BridleError`: `key_missing`, `key_exposed` when others can
    read the file, `passphrase_wrong`.
    """
    from bridle.trust import folder, keyfile

    named = os.fspath(key)
    by_path = isinstance(key, Path) or os.sep in named or Path(named).is_file()
    found = folder.read(Path(named)) if by_path else folder.by_name(named)
    return keyfile.unseal(found.file, passphrase)


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


class _LaterChannel:
    """A channel to a governor that is looked for at the first call."""

    def __init__(self, reference: str, name: str) -> None:
        self._reference = reference
        self._name = name
        self._channel: UnixChannel | None = None

    @property
    def store(self) -> str:
        return self._found().store

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        return self._found().send(call, timeout=timeout)

    def _found(self) -> UnixChannel:
        if self._channel is None:
            folder = _sockets(Path(self._reference))
            role = "operator" if self._name == _OPERATOR else "agent"
            path = _operator_socket(folder) if role == "operator" else folder / _AGENTS
            self._channel = UnixChannel(path, role=role)
        return self._channel

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


def sockets_at(path: Path) -> Path | None:
    """Return the folder of a governor's sockets where `path` is it, or one of them; else None.

    Nothing of a bundle is read: who may connect need not be able to.
    """
    with contextlib.suppress(OSError):
        if path.is_socket():
            return path.absolute().parent
        names = (_AGENTS, _OPERATOR, _mine())
        # A socket in a bundle's folder was put there by whoever can write it, not by its governor.
        bundle = (path / "bridle.toml").exists()
        if not bundle and any((path / name).is_socket() for name in names):
            return path.absolute()
    return None


def installed_sockets(bundle: Path) -> Path | None:
    """Return the sockets of a governor with a uid of its own that is set up for this bundle."""
    from bridle.store.place import installed_runtime

    return sockets_at(installed_runtime(bundle))


def _sockets(path: Path) -> Path:
    """Return the folder that holds the governor's sockets."""
    found = sockets_at(path) or installed_sockets(path)
    if found is not None:
        return found
    try:
        path.stat()
    except OSError as problem:
        raise NotFoundError(
            f"{path}: {problem.strerror}", hint="name a bundle's folder or a governor's socket"
        ) from problem
    from bridle.store.place import place_of

    return place_of(_bundle(path)).runtime


def _mine() -> str:
    """The operator's socket of this very user, where there are several operators."""
    return f"operator-{os.geteuid()}.sock"


def _operator_socket(folder: Path) -> Path:
    mine = folder / _mine()
    return mine if mine.is_socket() else folder / _OPERATOR


def _default() -> str:
    """Where to look when nothing is named."""
    named = os.environ.get("BRIDLE_SOCKETS", "")
    if not named:
        raise UsageError(
            "no governor is named",
            hint="name a bundle, a socket or the folder of sockets, or set BRIDLE_SOCKETS",
        )
    return named


def _embedded(root: Path, credential: Credential | None) -> Bridle:
    from bridle.client.transport.embedded import EmbeddedChannel
    from bridle.governor.governor import Governor

    governor = Governor.open(root, embedded=True)
    try:
        channel = EmbeddedChannel(governor, credential=credential)
    except BaseException:
        governor.close()
        raise
    return Bridle(channel, reference=str(root))
