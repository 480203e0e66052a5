"""The first process of a jail: starts the command, and offers the socket to what knows only TCP.

It holds no secret and decides nothing: what it does, anything in the jail could do. Plain standard
library, run as a file by `python -I -S`, so that nothing of the jail's own is imported.

    relay.py run COMMAND…      as the first process: HTTP proxy on a loopback port, then COMMAND
    relay.py connect SERVICE…  a service of the socket on standard input and output
"""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading

_SOCKET = "BRIDLE_SOCKET"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
_DIRECT = ("NO_PROXY", "no_proxy")
_CHUNK = 65_536
_MOST_CONNECTIONS = 48
# Passed on to the command. What stops or ends this process itself is not among them.
_FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
_NOT_FOUND, _NOT_RUN, _UNKEPT = 127, 126, 125


def main(words: list[str]) -> int:
    """Do what the words say; return the exit status."""
    if len(words) > 1 and words[0] == "run":
        return run(words[1:])
    if len(words) > 1 and words[0] == "connect":
        return connect(" ".join(words[1:]))
    sys.stderr.write("usage: relay.py run COMMAND... | connect SERVICE...\n")
    return 2


def run(command: list[str]) -> int:
    """Run a command behind a proxy; return its status, 128 + n for a signal."""
    # INVARIANT: nothing starts in a jail that nobody outside keeps any more.
    try:
        with _reached("ready") as far:
            kept = far.recv(3) == b"ok\n"
    except OSError:
        kept = False
    if not kept:
        sys.stderr.write("the jail's socket does not answer: nothing is started\n")
        return _UNKEPT
    listener = socket.create_server(("127.0.0.1", 0), backlog=_MOST_CONNECTIONS)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    environ = {**os.environ, **dict.fromkeys(_PROXIES, url)}
    environ |= dict.fromkeys(_DIRECT, "localhost,127.0.0.1,::1")
    # Signals that come before there is a command wait for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    try:
        child = _started(command, environ)
    except OSError as problem:
        sys.stderr.write(f"{command[0]}: {problem.strerror}\n")
        return _NOT_FOUND if problem.errno == errno.ENOENT else _NOT_RUN
    for number in _FORWARDED:
        signal.signal(number, lambda signum, _frame: _tell(child, signum))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
    # Connections made so far wait in its queue.
    threading.Thread(target=_serve, args=(listener,), daemon=True).start()
    return _reaped(child)


def _started(command: list[str], environ: dict[str, str]) -> int:
    process = subprocess.Popen(  # noqa: S603 - what the jail is for
        command,
        env=environ,
        # There is no other thread yet.
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, ()),  # noqa: PLW1509
    )
    # It is waited for with all others, by `_reaped`.
    process.returncode = 0
    return process.pid


def _tell(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _reaped(child: int) -> int:
    """Wait for every process that ends here, as the first process has to, until the child has."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def connect(service: str) -> int:
    """Be a service of the socket on standard input and output until it ends."""
    try:
        far = _reached(service)
    except OSError as problem:
        sys.stderr.write(f"the jail's socket does not answer: {problem.strerror}\n")
        return 3
    threading.Thread(target=_from_input, args=(far,), daemon=True).start()
    answered = False
    while data := far.recv(_CHUNK):
        answered = True
        with open(1, "wb", buffering=0, closefd=False) as out:
            view = memoryview(data)
            while view:
                view = view[out.write(view) or 0 :]
    if not answered:
        sys.stderr.write(f"the jail's socket has no service {service!r}, or it ended at once\n")
    return 0 if answered else 3


def _from_input(far: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := os.read(0, _CHUNK):
            far.sendall(data)
    with contextlib.suppress(OSError):
        far.shutdown(socket.SHUT_WR)


def _serve(listener: socket.socket) -> None:
    room = threading.BoundedSemaphore(_MOST_CONNECTIONS)
    while True:
        room.acquire()
        try:
            near, _ = listener.accept()
            threading.Thread(target=_carry, args=(near, room), daemon=True).start()
        except (OSError, RuntimeError):
            room.release()


def _carry(near: socket.socket, room: threading.BoundedSemaphore) -> None:
    """Carry one connection to the proxy outside and back."""
    try:
        with near, _reached("http") as far:
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            back.join()
    except (OSError, RuntimeError):
        pass
    finally:
        room.release()


def _reached(service: str) -> socket.socket:
    far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        far.connect(os.environ.get(_SOCKET, "/run/bridle/socket"))
        far.sendall(f"{service}\n".encode())
    except BaseException:
        far.close()
        raise
    return far


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
