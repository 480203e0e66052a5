"""`serve`: opens the governor of a bundle, opens its doors, and runs until told to stop."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from msgspec import Struct

from bridle.emit.targets import FORMATS, Emission, Target
from bridle.governor.ground.opening import Site
from bridle.model.errors import RefusedError, StoreError
from bridle.server import confine, installing
from bridle.server.acceptor import Server
from bridle.server.listening import Door, Listener, agents_door, operator_door
from bridle.store.place import installed_runtime, installed_state, place_of

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Settings(Struct, frozen=True, kw_only=True):
    """How to serve a bundle; what is left out is as for a governor that its own user starts.

    `user` (root only) is whom the governor becomes, `operators` and `agents_group` are who may
    connect; `state` and `runtime` are the folders of store and sockets. Every checkpoint that is
    signed is put into each file of `copies` as well, by the governor's user. With `idle_exit` it
    ends once nobody has been connected for so many seconds; `as_json` is for the line that says it
    serves. `emit` are the receivers that are told of each record.
    """

    user: str = ""
    operators: tuple[str, ...] = ()
    agents_group: str = ""
    state: Path | None = None
    runtime: Path | None = None
    copies: tuple[Path, ...] = ()
    idle_exit: float | None = None
    as_json: bool = False
    emit: tuple[Target, ...] = ()


def serve(bundle: str | os.PathLike[str], settings: Settings = Settings()) -> None:  # noqa: B008 - frozen
    """Run the governor of `bundle` until SIGTERM or SIGINT.

    One line on stdout says that it serves. Raises `BundleError`; `StoreError` (`store_locked` where
    another governor serves the store); `UsageError` and `RefusedError` for accounts and folders
    that cannot be used.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    root = Path(bundle).resolve()
    if settings.user and os.geteuid() == 0:
        _serve_as(root, settings)
    else:
        _assert_own(settings)
        confine.harden()
        _serve_own(root, settings)


def _serve_as(root: Path, settings: Settings) -> None:
    """As root: make ready what only root can, then be the governor's user for good."""
    os.umask(0o077)
    governor = installing.account(settings.user)
    operators = tuple(installing.account(name) for name in settings.operators)
    agents = installing.group(settings.agents_group) if settings.agents_group else -1
    state = Path(os.path.realpath(settings.state or installed_state(root)))
    runtime = Path(os.path.realpath(settings.runtime or installed_runtime(root)))
    wanted = installing.doors(runtime, governor.uid, operators, agents)
    copies = _resolved(settings.copies)
    installed = installing.install(governor, state, runtime, wanted)
    os.chdir("/")
    confine.become(governor)
    site = Site(
        state=state,
        runtime=runtime,
        operators=tuple(each.uid for each in operators),
        agents_apart=bool(settings.agents_group),
        copies=copies,
        told=_files(settings.emit),
    )
    # The lock on the runtime folder is held by the open file until this process ends.
    _run(root, site, settings, opened=installed.doors)


def _serve_own(root: Path, settings: Settings) -> None:
    """As the governor's own user, who makes store and sockets where that user may."""
    apart = bool(settings.agents_group)
    state = settings.state
    if state is None and settings.runtime is not None:
        state = place_of(root).folder
    group = installing.group(settings.agents_group) if apart else -1
    site = Site(
        state=state,
        runtime=settings.runtime,
        agents_apart=apart,
        copies=_resolved(settings.copies),
        told=_files(settings.emit),
    )
    _run(root, site, settings, group=group)


def _resolved(copies: tuple[Path, ...]) -> tuple[Path, ...]:
    """Name files by where they lie, whatever folder is the current one later."""
    return tuple(Path(os.path.realpath(each.parent)) / each.name for each in copies)


def _files(emit: tuple[Target, ...]) -> tuple[Path, ...]:
    """Return those of the receivers that are files."""
    return tuple(Path(each.where) for each in emit if each.kind in FORMATS)


def _assert_own(settings: Settings) -> None:
    """Refuse what only root can do."""
    mine = os.geteuid()
    others = [
        name
        for name in (settings.user, *settings.operators)
        if name and installing.account(name).uid != mine
    ]
    if others:
        raise RefusedError(
            f"only root can serve as {others[0]!r} or give them a socket",
            code="not_root",
            hint="run it with sudo or as a system service",
        )


def _run(
    root: Path,
    site: Site,
    settings: Settings,
    *,
    opened: tuple[Listener, ...] = (),
    group: int = -1,
) -> None:
    from bridle import __version__
    from bridle.governor.governor import Governor

    # INVARIANT: one governor per store — opening takes the store's lock, so whatever sockets lie
    # there after this line are nobody's. Where root has made them, a lock of root's stood before.
    governor = Governor.open(root, site=site)
    emission = Emission()
    try:
        # A bundle's objects stay for good: the collector need not go through them at every turn.
        gc.collect()
        gc.freeze()
        place = site.place(root)
        emission.start(place.folder, settings.emit)
        made = (
            agents_door(place.agents_socket, group=group),
            operator_door(place.operator_socket),
        )
        doors = tuple(door for door, _ in opened) or made
        server = Server(
            governor, doors, store=place.id, version=__version__, idle_exit=settings.idle_exit
        )
        with _signals(server):
            try:
                server.listen(opened)
            except OSError as problem:
                raise StoreError(
                    f"the sockets in {place.runtime} cannot be made: {problem.strerror}",
                    code="no_sockets",
                ) from problem
            _ready(place.id, doors, as_json=settings.as_json)
            governor.start_keeping()
            server.run()
    finally:
        try:
            governor.close()
        finally:
            emission.close()  # after it: what a governor records last is told, too


@contextmanager
def _signals(server: Server) -> Generator[None]:
    """Stop the server in order on SIGTERM and SIGINT (where this is the main thread)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        server.stop()

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ready(store: str, doors: tuple[Door, ...], *, as_json: bool) -> None:
    agents = next(door.path for door in doors if not door.operator)
    operators = [door.path for door in doors if door.operator]
    if as_json:
        line = json.dumps(
            {
                "ready": True,
                "store": store,
                "agents": str(agents),
                "operator": str(operators[0]),
                "operators": [str(path) for path in operators],
                "pid": os.getpid(),
                "uid": os.geteuid(),
            }
        )
    else:
        line = "\n  operator  ".join(
            [f"governing store {store}\n  agents    {agents}", *map(str, operators)]
        )
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    _notify()


def _notify() -> None:
    """Tell a service manager that asked for it that we serve (sd_notify(3))."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager,
    ):
        manager.connect("\0" + address[1:] if address[0] == "@" else address)
        manager.send(b"READY=1")
