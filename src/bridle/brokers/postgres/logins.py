"""Roles at the database: who may hand them out, a login for one lease, and its end."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

from bridle.brokers.broker import BrokerError
from bridle.brokers.postgres.wire import RefusedError, Session

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,50}")
_GONE = "42704"  # undefined_object: somebody else has just dropped it
_NOT_ITS = "42501"  # insufficient_privilege
_BUSY_MS = 1_000

# Attributes do not come with membership, but `SET ROLE` takes them up; and roles that PostgreSQL
# has itself which reach its machine, or the sessions of others.
_POWERS = """
SELECT count(*) FROM pg_catalog.pg_roles r
WHERE pg_catalog.pg_has_role($1::text, r.oid, 'MEMBER') AND (
    r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
    OR r.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files',
                     'pg_signal_backend', 'pg_maintain', 'pg_create_subscription',
                     'pg_write_all_data', 'pg_checkpoint', 'pg_use_reserved_connections'))
"""
_OWN = """
SELECT rolsuper,
    rolsuper OR (rolcreaterole AND (rolinherit OR
        pg_catalog.current_setting('server_version_num')::int >= 160000)),
    rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls OR EXISTS (
        SELECT 1 FROM pg_catalog.pg_auth_members m
        JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
        WHERE m.member = r.oid AND (g.rolname <> $1 OR m.admin_option))
FROM pg_catalog.pg_roles r WHERE r.rolname = session_user
"""
_END = """
SELECT pg_catalog.pg_terminate_backend(pid, $2::bigint) FROM pg_catalog.pg_stat_activity
WHERE pid <> pg_catalog.pg_backend_pid() AND """
# Sessions that a login has opened; and those of the secret's own that are about a lease.
_ITS = _END + "usename = $1"
_ABOUT = _END + "usename = session_user AND application_name = $1"
# Who is let in already and not shown among the sessions yet holds this lock until it is.
_STARTING = """
SELECT l.pid FROM pg_catalog.pg_locks l
WHERE l.locktype = 'object' AND l.classid = 'pg_catalog.pg_database'::pg_catalog.regclass
    AND l.mode = 'RowExclusiveLock' AND l.pid <> pg_catalog.pg_backend_pid()
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity a WHERE a.pid = l.pid)
"""
_INHERITING = 160_000  # the first version that says of each grant whether it is inherited


def name_of(lease: str) -> str:
    """Return the role, and the name of sessions, that belong to a lease: from its id alone."""
    if _PLAIN.fullmatch(lease):
        return f"bridle_{lease}"
    return "bridle_" + hashlib.sha256(lease.encode("utf-8", "surrogatepass")).hexdigest()[:40]


class Standing:
    """What the login that the secret opens may do itself.

    `makes`: it may make roles. `plain`: it has no power but membership of the one role, so that
    who gets out of that role inside one of its sessions has won nothing.
    """

    def __init__(self, session: Session, role: str) -> None:
        powers = session.run(_POWERS, (role.encode(),)).rows[0][0]
        if powers != b"0":
            # INVARIANT: I9 — an action must not be able to make itself what it was not given.
            raise BrokerError("the declared role can become one that makes roles, or reaches files")
        self.superuser, self.makes, more = (
            cell == b"t" for cell in session.run(_OWN, (role.encode(),)).rows[0]
        )
        self.plain = not more


def create(  # noqa: PLR0913 - what makes a login
    session: Session,
    name: str,
    role: str,
    password: str,
    *,
    expires: int,
    limit: int,
    lease_ms: int,
) -> None:
    """Make a login that is `role` and nothing else, until `expires` at the latest."""
    login, as_role = session.identifier(name), session.identifier(role)
    verifier = session.literal(session.verifier(name, password))
    until = session.literal(datetime.fromtimestamp(expires / 1_000, UTC).isoformat())
    session.run("BEGIN")
    # By this `drop` finds it for as long as it might still be committed.
    session.run("SELECT pg_catalog.set_config('application_name', $1, true)", (name.encode(),))
    session.run(
        f"CREATE ROLE {login} LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
        f" NOBYPASSRLS CONNECTION LIMIT {limit} PASSWORD {verifier} VALID UNTIL {until}"
        f" IN ROLE {as_role}"
    )
    # What it makes belongs to the role from the start: nothing is left of the login at its end.
    session.run(f"ALTER ROLE {login} SET role = {session.literal(role)}")
    for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
        session.run(f"ALTER ROLE {login} SET {setting} = {max(1, lease_ms)}")
    # To end its sessions, and drop what it owns, whatever the secret's login inherits otherwise.
    inherited = " WITH INHERIT TRUE" if session.version >= _INHERITING else ""
    session.run(f"GRANT {login} TO CURRENT_USER{inherited}")
    session.run("COMMIT")


def close(session: Session, name: str) -> None:
    """Let nobody log in any more. Who is in stays in."""
    session.run(f"ALTER ROLE {session.identifier(name)} NOLOGIN CONNECTION LIMIT 0")


def drop(session: Session, name: str, role: str) -> None:
    """End a lease: no new session, none that goes on, no role. Fine where there is none."""
    # INVARIANT: I9 — before looking: what a governor that was killed had begun to make, and is not
    # there yet, comes no more once the session that makes it has ended.
    _end_sessions(session, _ABOUT, name)
    known = session.run("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", (name.encode(),))
    if not known.rows:
        return
    try:
        close(session, name)
        _end_all(session, name)
        _disown(session, session.identifier(name), session.identifier(role))
        # Once more, for who was between being let in and taking that lock.
        _end_all(session, name)
        session.run(f"DROP ROLE {session.identifier(name)}")
    except RefusedError as problem:
        if problem.state != _GONE:
            raise


def _end_all(session: Session, name: str) -> None:
    # INVARIANT: I4 — those that begin come first: `post_auth_delay`, which is anybody's to say,
    # keeps one out of sight for as long as it likes, and it would outlive its login.
    while _end_starting(session, name):
        pass
    _end_sessions(session, _ITS, name)


def _end_starting(session: Session, name: str) -> bool:
    """End the sessions of a login that have begun and are not shown; tell whether there were."""
    pids = [cell for (cell,) in session.run(_STARTING).rows]
    ended = [_ended(session, session.identifier(name), pid) for pid in pids]
    return any(ended)


def _ended(session: Session, login: str, pid: bytes | None) -> bool:
    """End one that is of this login, and nobody else's: whose it is, the server alone can say."""
    session.run("BEGIN")
    try:
        session.run(f"SET LOCAL ROLE {login}")
        end = "SELECT pg_catalog.pg_terminate_backend($1::int, $2::bigint)"
        session.run(end, (pid, str(_BUSY_MS).encode()))
    except RefusedError as problem:
        if problem.state != _NOT_ITS:
            raise
        session.run("ROLLBACK")
        return False
    session.run("COMMIT")
    return True


def _end_sessions(session: Session, which: str, name: str) -> None:
    """Return once none is left. The deadline of the session is what bounds it."""
    while session.run(which, (name.encode(), str(_BUSY_MS).encode())).rows:
        pass


def _disown(session: Session, login: str, role: str) -> None:
    session.run("BEGIN")
    session.run(f"REASSIGN OWNED BY {login} TO {role}")
    session.run(f"DROP OWNED BY {login}")
    session.run("COMMIT")
