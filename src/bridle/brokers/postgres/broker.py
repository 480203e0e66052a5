"""The broker of PostgreSQL: a login of its own for each action, or a pooled session as a role.

`secret` is the connection string of a login. May it make roles (`CREATEROLE`, and `ADMIN OPTION` on
the declared role), each action gets a login that ends with it. May it do nothing but act as the
declared role, statements of the bundle run in its own pooled sessions (`SET LOCAL ROLE`); workers,
and statements that an agent writes, get nothing from it.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Generator
from contextlib import contextmanager

from psycopg import Error
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bridle.brokers.broker import BrokerError, Made, Order, Secret
from bridle.brokers.performing.failures import PerformError
from bridle.brokers.performing.stopping import Stop
from bridle.brokers.postgres import logins
from bridle.brokers.postgres.pool import POOL
from bridle.brokers.postgres.wire import BrokenError, RefusedError, Session
from bridle.brokers.sealed_file import SealedFile
from bridle.model.credential import AnyCredential, PostgresCredential, Use

_WORKER_SESSIONS = 5
_LEAST_REVOKE_S = 5.0

# What names the server and how to be sure of it; the rest of a connection string is its login's.
_PLACE = (
    "host", "hostaddr", "port", "dbname", "sslmode", "sslrootcert", "sslcrl", "sslcrldir",
    "sslsni", "sslnegotiation", "ssl_min_protocol_version", "channel_binding", "require_auth",
    "target_session_attrs", "load_balance_hosts", "tcp_user_timeout", "connect_timeout",
)  # fmt: skip


class PostgresBroker:
    """Makes logins. Safe for use by many threads.

    The secret of a worker has `host`, `port`, `dbname`, `user`, `password`, `sslmode` and `dsn`,
    all of these in one. That of the governor's side has `dsn` (and `keeper`, the connection string
    of who closes the login behind it, where one was made), for the performer of SQL, and the
    passwords in them, so that they are found in what a database answers.
    """

    def __init__(self, secrets: SealedFile) -> None:
        self._secrets = secrets
        self._closed = False
        POOL.enter()

    def vend(self, order: Order) -> Made:
        """Make a login, or see that there is one. Raises `BrokerError`."""
        credential = order.credential
        if not isinstance(credential, PostgresCredential) or credential.use is Use.MCP:
            raise BrokerError("this is no order for a database")
        keeper = self._keeper(credential)
        with self._session(keeper, credential.wait_ms / 1_000) as session:
            standing = logins.Standing(session, credential.role)
            if standing.makes:
                secret = self._login(session, order, credential, keeper)
            elif standing.plain and credential.use is Use.GOVERNOR:
                password = keeper.get("password", "")
                secret = Secret(dsn=make_conninfo("", **keeper), password=password)
            else:
                raise BrokerError(
                    "the login of the secret may neither make roles nor is it the role alone",
                    hint="give it CREATEROLE and ADMIN OPTION on the role, or membership of nothing"
                    " else and no attribute",
                )
        return Made(secret=secret, handle=order.lease.encode(), expires=order.expires)

    def revoke(self, credential: AnyCredential, handle: bytes) -> None:
        """Return once nobody can log in, no session goes on, and the login is gone.

        Raises `BrokerError`. `handle` is the lease's id.
        """
        if not isinstance(credential, PostgresCredential):
            raise BrokerError("this is no declaration of a database")
        name = logins.name_of(handle.decode("utf-8", "surrogateescape"))
        seconds = max(_LEAST_REVOKE_S, credential.wait_ms / 1_000)
        with self._session(self._keeper(credential), seconds) as session:
            logins.drop(session, name, credential.role)

    def close(self) -> None:
        """Let go of connections."""
        if not self._closed:
            self._closed = True
            POOL.leave()

    def _login(
        self, session: Session, order: Order, credential: PostgresCredential, keeper: dict[str, str]
    ) -> Secret:
        name, password = logins.name_of(order.lease), random.token_urlsafe(32)
        alone = credential.use is Use.GOVERNOR
        logins.create(
            session,
            name,
            credential.role,
            password,
            expires=order.expires,
            limit=1 if alone else _WORKER_SESSIONS,
            lease_ms=credential.lease_ms,
        )
        place = {key: keeper[key] for key in _PLACE if key in keeper}
        fields = {**place, "user": name, "password": password}
        dsn = make_conninfo("", **fields)
        if alone:
            return Secret(
                dsn=dsn,
                password=password,
                keeper=make_conninfo("", **keeper),
                keeper_password=keeper.get("password", ""),
            )
        told = {key: fields.get(key, "") for key in ("host", "port", "dbname", "user", "password")}
        return Secret(**told, sslmode=fields.get("sslmode", ""), dsn=dsn)

    def _keeper(self, credential: PostgresCredential) -> dict[str, str]:
        """Read the sealed connection string; what it does not say is not taken from elsewhere."""
        text = self._secrets.get(credential.secret)
        try:
            said = {key: str(value) for key, value in conninfo_to_dict(text).items() if value}
        except (Error, ValueError):
            said = {}
        if not {"host", "user", "dbname"} <= said.keys() or "service" in said:
            raise BrokerError(
                "the secret is no connection string that says host, user and dbname",
                code="secret_unusable",
                hint="like postgresql://user:password@host:5432/dbname?sslmode=verify-full",
            )
        return {"port": "5432", "client_encoding": "UTF8", "passfile": "/dev/null", **said}

    @contextmanager
    def _session(self, keeper: dict[str, str], seconds: float) -> Generator[Session]:
        # INVARIANT: I9 — what libpq and the server say repeats hosts, names and statements.
        try:
            with POOL.session(make_conninfo("", **keeper), Stop(seconds)) as session:
                yield session
        except PerformError:
            raise BrokerError("the database took too long", code="broker_slow") from None
        except (BrokenError, Error):
            raise BrokerError(
                "the database does not answer, or lets nobody in", code="broker_unreachable"
            ) from None
        except RefusedError as problem:
            raise BrokerError(f"the database refused it (SQLSTATE {problem.state})") from None
