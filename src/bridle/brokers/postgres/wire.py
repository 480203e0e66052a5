"""One connection to a PostgreSQL server: every wait has an end, and nothing it says gets out.

Statements go by the extended protocol, so each is one statement and its parameters are no text of
it. Of a refusal only the SQLSTATE is kept: messages repeat names, values and parts of statements.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress

from psycopg import OperationalError as _Fault
from psycopg import pq

from bridle.brokers.performing.stopping import Stop

Cells = tuple[bytes | None, ...]
Parameters = Sequence[bytes | None]

_ROWS = frozenset({pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_OK})
_FINE = _ROWS | {pq.ExecStatus.COMMAND_OK}
_FAILED = frozenset({pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE})


class RefusedError(Exception):
    """The server refused a statement. `state` is its SQLSTATE."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class BrokenError(Exception):
    """There is no connection, or none any more."""


class Outcome:
    """What a statement answered. `command` is its tag, `count` how many rows it touched."""

    def __init__(self) -> None:
        self.columns: tuple[tuple[str, int], ...] = ()
        self.rows: list[Cells] = []
        self.command = ""
        self.count = 0


class Session:
    """A connection, used by one thread at a time. Errors: `RefusedError`, `BrokenError`.

    What takes too long or is stopped raises what the `Stop` raises that it is `under`.
    """

    def __init__(self, conninfo: str, stop: Stop) -> None:
        self._ear, self._bell = socket.socketpair()
        self._stop = stop
        self._pg = pq.PGconn.connect_start(conninfo.encode())
        try:
            with stop.closing(self._ring):
                self._connect()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def under(self, stop: Stop) -> Generator[None]:
        """Let everything in the block end when `stop` does. It is closed then, not to be reused."""
        self._stop = stop
        try:
            with stop.closing(self._ring):
                yield
        except BaseException:
            self.abandon()
            raise

    def run(self, statement: str, parameters: Parameters = ()) -> Outcome:
        """Run one statement and return all of what it answers."""
        outcome = Outcome()

        def keep(cells: Cells) -> bool:
            outcome.rows.append(cells)
            return True

        return self.each(statement, parameters, outcome, keep)

    def each(
        self,
        statement: str,
        parameters: Parameters,
        outcome: Outcome,
        row: Callable[[Cells], bool],
    ) -> Outcome:
        """Run one statement, `row` called for each of its rows as it comes; False: no more."""
        self._send(statement, parameters)
        self._pg.set_single_row_mode()
        state = ""
        while (result := self._next()) is not None:
            if result.status not in _FINE:
                # A COPY would wait for us: what is no rows and no count is none of our statements.
                state = _state(result)
                if result.status not in _FAILED:
                    raise RefusedError(state)
                continue
            if result.status in _ROWS and not self._take(result, outcome, row):
                return outcome
            outcome.command = (result.command_status or b"").decode("ascii", "replace")
            outcome.count = result.command_tuples or 0
        if state:
            raise RefusedError(state)
        return outcome

    @property
    def in_transaction(self) -> bool:
        """Tell whether the transaction that was begun is still on, and sound."""
        return self._pg.transaction_status == pq.TransactionStatus.INTRANS

    @property
    def idle(self) -> bool:
        """Tell whether nothing is on."""
        return self._pg.transaction_status == pq.TransactionStatus.IDLE

    @property
    def pid(self) -> int:
        """The server's process of this connection."""
        return self._pg.backend_pid

    @property
    def version(self) -> int:
        """The server's, as a number: 160_014 is 16.14."""
        return self._pg.server_version

    def identifier(self, name: str) -> str:
        """Quote a name."""
        return pq.Escaping(self._pg).escape_identifier(name.encode()).decode()

    def literal(self, value: str) -> str:
        """Quote a value where no parameter can stand."""
        return pq.Escaping(self._pg).escape_literal(value.encode()).decode()

    def verifier(self, user: str, password: str) -> str:
        """Return what a server keeps of a password (SCRAM), so that it never sees the password."""
        raw = self._pg.encrypt_password(password.encode(), user.encode(), b"scram-sha-256")
        return raw.decode()

    def abandon(self) -> None:
        """End what runs, as far as the server still listens, and close. Never raises."""
        with suppress(Exception):
            busy = self._pg.transaction_status == pq.TransactionStatus.ACTIVE
            if busy and self._pg.status == pq.ConnStatus.OK:
                cancel = self._pg.get_cancel()
                # It connects anew and cannot be bounded: it may take as long as it likes there.
                thread = threading.Thread(target=_quietly(cancel.cancel), daemon=True)
                thread.start()
                thread.join(1.0)
        self.close()

    def close(self) -> None:
        """Close the connection: a transaction that is not committed is rolled back."""
        self._pg.finish()
        self._ear.close()
        self._bell.close()

    def _ring(self) -> None:
        # Another thread's: the connection itself is only ever touched by its own.
        self._bell.send(b"!")

    def _connect(self) -> None:
        while True:
            if self._pg.status == pq.ConnStatus.BAD:
                raise BrokenError
            polled = self._pg.connect_poll()
            if polled == pq.PollingStatus.OK:
                break
            if polled == pq.PollingStatus.FAILED:
                raise BrokenError
            self._wait(writing=polled == pq.PollingStatus.WRITING)
        self._pg.nonblocking = 1

    def _send(self, statement: str, parameters: Parameters) -> None:
        try:
            self._pg.send_query_params(statement.encode(), list(parameters))
            while self._pg.flush():
                self._wait(writing=True)
                self._pg.consume_input()
        except _Fault:
            raise BrokenError from None

    def _next(self) -> pq.abc.PGresult | None:
        try:
            while self._pg.is_busy():
                self._wait(writing=False)
                self._pg.consume_input()
            return self._pg.get_result()
        except _Fault:
            raise BrokenError from None

    def _take(
        self, result: pq.abc.PGresult, outcome: Outcome, row: Callable[[Cells], bool]
    ) -> bool:
        fields = range(result.nfields)
        if not outcome.columns:
            outcome.columns = tuple(
                ((result.fname(i) or b"").decode("utf-8", "replace"), result.ftype(i))
                for i in fields
            )
        for index in range(result.ntuples):
            if not row(tuple(result.get_value(index, i) for i in fields)):
                return False
        return True

    def _wait(self, *, writing: bool) -> None:
        poll = select.poll()
        poll.register(self._pg.socket, select.POLLIN | (select.POLLOUT if writing else 0))
        poll.register(self._ear, select.POLLIN)
        poll.poll(max(1, int(self._stop.left() * 1_000)))
        self._stop.left()


def _state(result: pq.abc.PGresult) -> str:
    raw = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
    state = raw.decode("ascii", "replace")
    if not state and result.status in _FAILED:
        # What libpq says of itself, not the server: the connection is gone.
        raise BrokenError
    return state if len(state) == 5 and state.isalnum() else "0A000"


def _quietly(call: Callable[[], object]) -> Callable[[], None]:
    def quiet() -> None:
        with suppress(Exception):
            call()

    return quiet
