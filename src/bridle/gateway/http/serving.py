"""`bridle http`: opens the workload's connection and the port, and runs until told to stop."""

from __future__ import annotations

import ipaddress
import logging
import signal
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from bridle.client.worker import worker
from bridle.gateway.http.gate import Gate
from bridle.gateway.http.listening import HttpServer
from bridle.gateway.http.messages import Answer, Request
from bridle.gateway.http.points import Points
from bridle.model.errors import RefusedError, UsageError
from bridle.trust.credential import Credential

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(  # noqa: PLR0913 - all but two by name
    bundle: Path,
    credential: Credential,
    *,
    config: Path,
    address: tuple[str, int],
    hosts: Iterable[str] = (),
    beyond: bool = False,
    ready: Callable[[str], None],
) -> None:
    """Answer over HTTP as the workload of `credential`, until SIGTERM or SIGINT.

    `hosts` are names under which it is called besides its address. `ready` is told the URL once
    requests are answered. `beyond` says that others than this machine may reach the address, which
    speaks no TLS. Call from the main thread. Raises `RefusedError` (`beyond_loopback`),
    `BundleError` (`http_invalid`), `UnreachableError`, `UsageError` where the address is taken.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    _assert_near(address[0], beyond=beyond)
    points = Points(config)
    with worker(bundle, credential=credential) as acting:
        gate = Gate(acting, points)
        server = _listening(gate.handle, address)
        host, port = server.address
        shown = f"[{host}]" if ":" in host else host
        known = (shown, *(("localhost",) if _is_near(host) else ()), *hosts)
        gate.answer_to(*known, *(f"{each}:{port}" for each in known))
        with _signals(server):
            ready(f"http://{shown}:{port}")
            server.run()


def _listening(handler: Callable[[Request], Answer], address: tuple[str, int]) -> HttpServer:
    try:
        return HttpServer(handler, address)
    except OSError as problem:
        raise UsageError(
            f"{address[0]} port {address[1]} cannot be listened on: {problem.strerror}",
            code="no_address",
        ) from problem


def _assert_near(host: str, *, beyond: bool) -> None:
    if not beyond and not _is_near(host):
        raise RefusedError(
            f"{host} is not this machine alone, and what is said here is not encrypted",
            code="beyond_loopback",
            hint="listen on 127.0.0.1 behind a proxy that speaks TLS, or say --beyond-loopback",
        )


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _signals(server: HttpServer) -> Generator[None]:
    """Stop the server in order on SIGTERM and SIGINT."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        server.stop()

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
