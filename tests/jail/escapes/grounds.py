"""What lies outside a jail, where an escape would be seen: services, a process, files, queues."""

import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from jail.yard import Yard

PROBES = Path(__file__).parent / "probes"
_BOOT = (
    "import sys, runpy; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module('probes', run_name='__main__')"
)


class Grounds:
    """The host of one module's jails. `touched` holds the names of what was reached from inside."""

    def __init__(self, yard: Yard, open_until_over: ExitStack) -> None:
        self.yard = yard
        self.over = open_until_over
        self.touched: set[str] = set()
        self.marker = f"canary-{secrets.token_hex(8)}"
        self.outer = yard.made("outer")
        self.programs = yard.folder / "programs"
        shutil.copytree(PROBES, self.programs / "probes")
        if yard.user:
            os.chown(self.programs, yard.user.uid, yard.user.gid)
        self.credential = self._file("credential", self.marker)
        self.services: dict[str, tuple[str, Any]] = {}
        self._serve()
        self.victim = self._victim()
        self.key = self._queue()

    def command(self, probe: str, *arguments: str) -> tuple[str, ...]:
        """How a probe is started; its arguments are JSON."""
        return (self.yard.python, "-I", "-S", "-B", "-c", _BOOT, str(self.programs), probe,
                *arguments)  # fmt: skip

    def _file(self, name: str, text: str) -> Path:
        path = self.outer / name
        path.write_text(text)
        if self.yard.user:
            os.chown(path, self.yard.user.uid, self.yard.user.gid)
        return path

    def _serve(self) -> None:
        runtime = self.yard.made("runtime")
        path = str(runtime / "operator.sock")
        self._stream("tcp", socket.AF_INET, ("127.0.0.1", 0))
        self._stream("tcp6", socket.AF_INET6, ("::1", 0))
        self._stream("path", socket.AF_UNIX, path)
        self._stream("abstract", socket.AF_UNIX, f"\0{self.marker}")
        self._datagram("udp", ("127.0.0.1", 0))
        Path(path).chmod(0o777)

    def _stream(self, name: str, family: socket.AddressFamily, address: Any) -> None:
        listener = self.over.enter_context(socket.socket(family))
        listener.bind(address)
        listener.listen(8)
        self.services[name] = (family.name, listener.getsockname())
        if family == socket.AF_UNIX:
            self.services[name] = (family.name, address)

        def one() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(5)
                with suppress(OSError):
                    # A jail's own listener would not say this.
                    self.touched.add(name)
                    peer.recv(9)
                    peer.sendall(b"outside")

        self._answering(one, listener)

    def _datagram(self, name: str, address: tuple[str, int]) -> None:
        bound = self.over.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        bound.bind(address)
        self.services[name] = ("AF_INET", bound.getsockname())

        def one() -> None:
            _, peer = bound.recvfrom(9)
            if peer is None:
                raise OSError("shut down")
            self.touched.add(name)
            bound.sendto(b"outside", peer)

        self._answering(one, bound)

    def _answering(self, one: Callable[[], None], listener: socket.socket) -> None:
        def forever() -> None:
            with suppress(OSError):
                while True:
                    one()

        thread = threading.Thread(target=forever, daemon=True)
        thread.start()
        self.over.callback(thread.join, 5)
        # Whoever waits in accept or recvfrom wakes up only by this.
        self.over.callback(_shut, listener)

    def _victim(self) -> subprocess.Popen[bytes]:
        user = self.yard.user
        process = subprocess.Popen(
            ["/bin/sh", "-c", "echo there; read line", self.marker],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=() if user else None,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        self.over.callback(_end, process)
        return process

    def renew(self) -> None:
        """Put another process where one was ended."""
        self.victim = self._victim()

    def _queue(self) -> int:
        library = ctypes.CDLL(None)
        key = secrets.randbelow(1 << 30) + 1
        queue = library.msgget(key, 0o1666)
        memory = library.shmget(key, 4096, 0o1666)
        assert queue >= 0
        assert memory >= 0
        self.over.callback(library.msgctl, queue, 0, None)
        self.over.callback(library.shmctl, memory, 0, None)
        return key


def _shut(listener: socket.socket) -> None:
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()
