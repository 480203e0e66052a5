"""`serve`: opens the governor of a bundle, opens its doors, and runs until told to stop."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from bridle.model.errors import StoreError
from bridle.server.acceptor import Server
from bridle.server.listening import agents_door, operator_door

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(
    bundle: str | os.PathLike[str],
    *,
    idle_exit: float | None = None,
    as_json: bool = False,
    state: Path | None = None,
) -> None:
    """Run the governor of `bundle` until SIGTERM or SIGINT.

    With `idle_exit`, also until nobody has been connected for so many seconds. One line on stdout
    says that it serves, with `as_json` as JSON. `state` overrides the folder of the store. Raises
    `BundleError`; `StoreError` (`store_locked` where another governor serves the store).
    """
    from bridle import __version__
    from bridle.governor.governor import Governor
    from bridle.store.place import place_at, place_of

    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    root = Path(bundle).resolve()
    # INVARIANT: one governor per store — opening takes the store's lock, so whatever sockets lie
    # there after this line are nobody's.
    governor = Governor.open(root, state=state)
    try:
        place = place_at(state) if state is not None else place_of(root)
        doors = (agents_door(place.agents_socket), operator_door(place.operator_socket))
        server = Server(governor, doors, store=place.id, version=__version__, idle_exit=idle_exit)
        with _signals(server):
            try:
                server.listen()
            except OSError as problem:
                raise StoreError(
                    f"the sockets in {place.runtime} cannot be made: {problem.strerror}",
                    code="no_sockets",
                ) from problem
            _ready(place.id, place.agents_socket, place.operator_socket, as_json=as_json)
            server.run()
    finally:
        governor.close()


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


def _ready(store: str, agents: Path, operator: Path, *, as_json: bool) -> None:
    if as_json:
        line = json.dumps(
            {
                "ready": True,
                "store": store,
                "agents": str(agents),
                "operator": str(operator),
                "pid": os.getpid(),
            }
        )
    else:
        line = f"governing store {store}\n  agents    {agents}\n  operator  {operator}"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
