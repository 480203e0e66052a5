"""Carries one statement out in a system's database, as the role that its credential names.

A statement of the bundle runs in a pooled session, or in a login of its own where there is one; one
that an agent wrote only in a login of its own, that nobody can log in with again.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from psycopg import Error

from bridle.brokers.broker import Secret
from bridle.brokers.performing import values
from bridle.brokers.performing.failures import PerformError, UnreachedError
from bridle.brokers.performing.stopping import Stop
from bridle.brokers.postgres import logins
from bridle.brokers.postgres.pool import POOL
from bridle.brokers.postgres.wire import BrokenError, Cells, Outcome, RefusedError, Session
from bridle.brokers.scrubbing import Scrubber
from bridle.model.credential import PostgresCredential
from bridle.model.performing import SqlCall
from bridle.model.tool import System

MOST_BYTES = 1_000_000
"""The most that the cells of an answer have together."""

_LOCAL = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}


def call(  # noqa: PLR0913 - what performers share
    how: SqlCall,
    system: System,
    arguments: Mapping[str, Any],
    secret: Secret | None,
    stop: Stop,
    *,
    lease: str = "",
) -> dict[str, Any]:
    """Run the statement; return `{"columns", "rows", "count", "more"}`.

    `count` is how many rows it changed, or answered; `more`: there were more than `rows`, or than
    fit. Raises `UnreachedError` where nothing was run; `PerformError`: `statement_refused` (nothing
    of it is left), `timed_out`, `stopped`, `connection_broken`, `not_committed`.
    """
    credential = system.credential
    if secret is None or not isinstance(credential, PostgresCredential) or not lease:
        raise UnreachedError("the system has no login", code="credential_unusable")
    statement, given = _statement(how, arguments)
    fields = secret.reveal()
    if how.argument and "keeper" not in fields:
        # INVARIANT: I9 — what an agent wrote could leave the role of a session that is shared.
        text = "a statement of an agent needs a login of its own: the secret's may make none"
        raise UnreachedError(text, code="credential_unusable")
    name, began = logins.name_of(lease), _Began()
    with _errors(began), _session(fields, name, stop) as session:
        _begin(session, how, credential.role, name, stop)
        began.now = True
        answer = _run(session, how, statement, given)
    return Scrubber.of(fields).value(answer)  # type: ignore[no-any-return]


def _statement(how: SqlCall, arguments: Mapping[str, Any]) -> tuple[str, list[bytes | None]]:
    if not how.argument:
        statement, names = values.numbered(how.statement)
        return statement, values.parameters(names, arguments)
    text = arguments.get(how.argument)
    if not isinstance(text, str) or values.parameters((how.argument,), arguments) == [b""]:
        raise UnreachedError("the statement is no text", code="argument_refused")
    return text, []


@contextmanager
def _session(fields: dict[str, str], name: str, stop: Stop) -> Generator[Session]:
    if "keeper" not in fields:
        with POOL.session(fields["dsn"], stop) as session:
            yield session
        return
    session = Session(fields["dsn"], stop)
    with session.under(stop):
        # A statement may give its login a password that its writer knows: it opens nothing now.
        with POOL.session(fields["keeper"], stop) as keeper:
            logins.close(keeper, name)
        yield session
    session.close()


def _begin(session: Session, how: SqlCall, role: str, name: str, stop: Stop) -> None:
    session.run("BEGIN READ ONLY" if how.readonly else "BEGIN READ WRITE")
    session.run(f"SET LOCAL ROLE {session.identifier(role)}")
    left = str(max(1, int(stop.left() * 1_000)))
    local = {**_LOCAL, "application_name": name, "statement_timeout": left}
    local["idle_in_transaction_session_timeout"] = left
    given = [text.encode() for pair in local.items() for text in pair]
    calls = (f"pg_catalog.set_config(${i}, ${i + 1}, true)" for i in range(1, len(given), 2))
    # That it is a query matters: after one, a transaction that only reads cannot be made to write.
    session.run(f"SELECT {', '.join(calls)}", given)


def _run(
    session: Session, how: SqlCall, statement: str, given: list[bytes | None]
) -> dict[str, Any]:
    outcome, taken = Outcome(), _Taken(how)
    session.each(statement, given, outcome, taken.take)
    answer = taken.answer(outcome)
    if taken.cut:
        session.abandon()  # it only reads: there is nothing to commit
        return answer
    if not session.in_transaction:
        raise PerformError("the statement ended its transaction", code="statement_refused")
    if session.run("COMMIT").command != "COMMIT":
        raise PerformError("the database did not keep it", code="not_committed")
    return answer


class _Taken:
    """The rows of an answer, as many as it may have. `cut`: the rest was not even read."""

    def __init__(self, how: SqlCall) -> None:
        self._how = how
        self._rows: list[Cells] = []
        self._bytes = 0
        self._more = False
        self.cut = False

    def take(self, cells: Cells) -> bool:
        self._bytes += sum(len(cell or b"") for cell in cells)
        self._more = self._more or len(self._rows) >= self._how.rows or self._bytes > MOST_BYTES
        if not self._more:
            self._rows.append(cells)
        # What writes is read to its end: else it would not have ended.
        self.cut = self._more and self._how.readonly
        return not self.cut

    def answer(self, outcome: Outcome) -> dict[str, Any]:
        kinds = [kind for _, kind in outcome.columns]
        rows = [
            [values.cell(raw, kind) for raw, kind in zip(row, kinds, strict=True)]
            for row in self._rows
        ]
        count = len(rows) if self.cut or not outcome.count else outcome.count
        columns = [name for name, _ in outcome.columns]
        return {"columns": columns, "rows": rows, "count": count, "more": self._more}


class _Began:
    """Whether the statement itself was sent."""

    now = False


@contextmanager
def _errors(began: _Began) -> Generator[None]:
    # INVARIANT: I9 — of what the other side said only the SQLSTATE: the rest repeats what it knows.
    try:
        yield
    except PerformError as problem:
        if began.now:
            raise
        raise UnreachedError(problem.message, code=problem.code) from None
    except RefusedError as problem:
        code = "statement_refused" if began.now else "credential_unusable"
        raise _kind(began)(f"the database refused (SQLSTATE {problem.state})", code=code) from None
    except (BrokenError, Error):
        code = "connection_broken" if began.now else "connection_refused"
        raise _kind(began)("there is no connection to the database", code=code) from None


def _kind(began: _Began) -> type[PerformError]:
    return PerformError if began.now else UnreachedError
