"""Benches of secrets that stay as they are, in front of an HTTP server that knows one."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bridle.brokers.broker import Broker, Secret
from bridle.brokers.header import HeaderBroker, header_of
from bridle.brokers.sealed import SealedBroker
from bridle.model.credential import HeaderCredential, SealedCredential, Use
from brokers.conformance.bench import Bench, sealed_in

SECRET = "s3cret-of-the-house-4711"


class _Door(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == f"Bearer {SECRET}"
        self.send_response(200 if known else 401)
        self.end_headers()

    def log_message(self, *said: object) -> None:
        """Say nothing."""


class _Static(Bench):
    gaps = frozenset({"not_revoked", "not_expired", "shared", "no_source"})
    texts = (SECRET,)

    def __init__(self, folder: Path, kind: str, port: int) -> None:
        self.secrets = sealed_in(folder, house=SECRET)
        self.broker: Broker
        if kind == "sealed":
            self.broker = SealedBroker(self.secrets)
            self.credential = SealedCredential(use=Use.WORKER, secret="house")
        else:
            self.broker = HeaderBroker(self.secrets)
            self.credential = HeaderCredential(use=Use.GOVERNOR, secret="house")
        self.port = port

    def opens(self, secret: Secret) -> bool:
        if isinstance(self.credential, HeaderCredential):
            name, value = header_of(self.credential, secret)
        else:
            name, value = "Authorization", f"Bearer {secret.reveal()['secret']}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/", headers={name: value})
            return connection.getresponse().status == 200
        finally:
            connection.close()


@contextmanager
def _static(folder: Path, kind: str) -> Generator[Bench]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Door)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield _Static(folder, kind, server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


BENCHES = {kind: partial(_static, kind=kind) for kind in ("sealed", "header")}
