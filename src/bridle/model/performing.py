"""How the governor's side carries out a tool itself: its `http`, `egress` or `sql`."""

from __future__ import annotations

from msgspec import Struct

EGRESS_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class HttpCall(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="http"):
    """One request to the system's `url`.

    `path` is appended to it; `{name}` in it is an argument, percent-encoded as one segment. Of the
    other arguments, those in `query` go into the query, the rest into a JSON body (into the query,
    where the method has no body). `answer_bytes` is the most an answer may have.
    """

    method: str
    path: str = ""
    query: tuple[str, ...] = ()
    answer_bytes: int = 1_000_000


class Egress(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="egress"):
    """Any request to one of the system's `hosts`: what a jailed process reaches the web by.

    Its arguments are `method`, `url`, `headers` and `body`; `methods` are those it may use.
    """

    methods: tuple[str, ...] = ("GET", "HEAD")
    answer_bytes: int = 1_000_000


class SqlCall(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="sql"):
    """One statement in the system's database, in a transaction of its own.

    Either `statement`, with arguments as `%(name)s`, which are sent as parameters; or `argument`
    names the one that is the statement. `rows` is the most that it may answer.
    """

    statement: str = ""
    argument: str = ""
    readonly: bool = True
    rows: int = 1_000


Performance = HttpCall | Egress | SqlCall
