"""`[systems.ID.credential]` → who makes the credential of a system, and where it is used."""

from __future__ import annotations

import re
from typing import Any

from bridle.bundle.parse import reached
from bridle.bundle.parse.table import Table
from bridle.model.credential import (
    AnyCredential,
    ExchangeCredential,
    HeaderCredential,
    PostgresCredential,
    SealedCredential,
    Use,
)

USES = {
    "sealed": (Use.WORKER, Use.MCP),
    "header": (Use.GOVERNOR,),
    "token_exchange": (Use.GOVERNOR, Use.WORKER, Use.MCP),
    "postgres": (Use.GOVERNOR, Use.WORKER),
}
"""Where the credentials of each broker can be used."""

_DEFAULTS = {"header": Use.GOVERNOR, "postgres": Use.GOVERNOR}
_LEASE_MS = (1_000, 600_000)
_WAIT_MS = (100, 30_000)
_PLACE = "{secret}"

_SECRET = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_FORM = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,254}[\x21-\x7e])?")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")
_META = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_TYPE = "urn:ietf:params:oauth:token-type:"
_TYPES = tuple(
    _TYPE + each for each in ("access_token", "refresh_token", "id_token", "jwt", "saml1", "saml2")
)

# Those of a connection, not of a request (RFC 9110, section 7.6.1), or of a request's own framing.
_RESERVED_HEADERS = frozenset(
    {
        "host", "connection", "keep-alive", "proxy-connection", "proxy-authenticate",
        "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "content-length",
        "content-type", "content-encoding", "accept-encoding", "expect", "via", "cookie",
    }
)  # fmt: skip

# Names that PostgreSQL gives a meaning of its own, and roles that reach its machine's files.
_RESERVED_ROLES = frozenset(
    {
        "none", "public", "current_role", "current_user", "session_user",
        "pg_execute_server_program", "pg_read_server_files", "pg_write_server_files",
    }
)  # fmt: skip


def read(system: Table, protocol: str) -> AnyCredential | None:
    """Read the credential that a system declares; None where it declares none, or a wrong one."""
    if not system.has("credential"):
        return None
    table = system.table("credential")
    broker = table.choice("broker", tuple(USES)) if table.has("broker") else ""
    if not broker:
        table.text("broker", required=True)
        return None
    common = _common(table, broker)
    if common["use"] is Use.MCP and protocol != "mcp":
        _misused(table, 'only a system with `protocol = "mcp"` has calls to put it into')
    reading = {
        "sealed": _sealed,
        "header": _header,
        "token_exchange": _exchange,
        "postgres": _postgres,
    }
    found = reading[broker](table, common)
    table.close()
    return found


def _common(table: Table, broker: str) -> dict[str, Any]:
    return {
        "use": _use(table, broker),
        "secret": _secret(table, "secret", required=True),
        "lease_ms": _within(table, "lease", 60_000, _LEASE_MS, "1s to 10m"),
        "wait_ms": _within(table, "wait", 5_000, _WAIT_MS, "100ms to 30s"),
    }


def _use(table: Table, broker: str) -> Use:
    allowed = USES[broker]
    default = _DEFAULTS.get(broker)
    if not table.has("use") and default is not None:
        return default
    use = Use(table.choice("use", tuple(each.value for each in Use)))
    if use not in allowed and table.has("use"):
        _misused(table, f"`{broker}` is for {', '.join(allowed)}")
        return allowed[0]
    return use


def _misused(table: Table, why: str) -> None:
    table.findings.error(
        table.at("use"),
        "wrong_use",
        f"the credential cannot be used there: {why}",
        "`governor`: the governor carries the action out; `worker`: a workload declared"
        " `separate`; `mcp`: the gateway puts it into calls of the server",
    )


def _within(table: Table, key: str, default: int, bounds: tuple[int, int], shown: str) -> int:
    found = table.duration(key, default)
    if not bounds[0] <= found <= bounds[1]:
        table.bad(key, f"`{key}` is a duration from {shown}")
        return default
    return found


def _secret(table: Table, key: str, *, required: bool = False) -> str:
    name = table.text(key, required=required)
    if isinstance(table.data.get(key), str) and not _SECRET.fullmatch(name):
        # It is not repeated: somebody may have put the secret itself here.
        table.findings.error(
            table.at(key),
            "bad_secret_name",
            f"`{key}` names a sealed secret, and this is no name of one",
            "1 to 64 letters a-z, digits and `. _ -`; the secret itself is set with"
            " `bridle secrets set NAME`. If it stands here, change it: others may have read it",
        )
        return ""
    return name


def _sealed(table: Table, common: dict[str, Any]) -> AnyCredential:
    return SealedCredential(**common, meta=_meta(table, common["use"]))


def _header(table: Table, common: dict[str, Any]) -> AnyCredential:
    return HeaderCredential(**common, header=_name(table), form=_form(table))


def _exchange(table: Table, common: dict[str, Any]) -> AnyCredential:
    private = table.flag("private")
    if common["use"] is not Use.MCP:  # there it stands in no header, and the keys are unknown
        common |= {"header": _name(table), "form": _form(table)}
    client = table.text("client_id")
    if table.has("client_secret") and not client:
        table.bad("client_secret", "a `client_secret` needs its `client_id`")
    return ExchangeCredential(
        **common,
        endpoint=reached.url(table, "endpoint", private=private, required=True),
        client_id=client,
        client_secret=_secret(table, "client_secret"),
        revocation=reached.url(table, "revocation", private=private),
        audience=_parameter(table, "audience"),
        resource=_parameter(table, "resource"),
        scope=_scope(table),
        subject_type=table.choice("subject_type", _TYPES, _TYPES[0]),
        meta=_meta(table, common["use"]),
        private=private,
    )


def _postgres(table: Table, common: dict[str, Any]) -> AnyCredential:
    role = table.text("role", required=True)
    if isinstance(table.data.get("role"), str):
        bytes_ = len(role.encode("utf-8", "surrogatepass"))
        if not 0 < bytes_ < 64 or not role.isprintable():
            table.bad("role", "a role has a name of 1 to 63 bytes")
        elif role.lower() in _RESERVED_ROLES:
            table.bad("role", f"{role!r} is no role that an action may run as")
    return PostgresCredential(**common, role=role)


def _name(table: Table) -> str:
    name = table.text("header", "Authorization")
    if not _TOKEN.fullmatch(name) or name.lower() in _RESERVED_HEADERS:
        table.bad(
            "header",
            "this is no header that a credential can stand in",
            "one token (RFC 9110), and none that belongs to the connection or the body",
        )
    return name


def _form(table: Table) -> str:
    form = table.text("form", f"Bearer {_PLACE}")
    if form.count(_PLACE) != 1 or not _FORM.fullmatch(form):
        # Not repeated either: a form without a place for the secret is likely to be one.
        table.bad("form", f"`form` is visible ASCII with {_PLACE} in it once")
    return form


def _meta(table: Table, use: Use) -> str:
    if use is not Use.MCP:
        return ""  # asked for by nobody: `meta` is an unknown key then
    key = table.text("meta", required=True)
    prefix, slash, _ = key.rpartition("/")
    labels = prefix.split(".") if slash else []
    reserved = key == "progressToken" or {"mcp", "modelcontextprotocol"} & set(labels)
    written = isinstance(table.data.get("meta"), str)
    if written and (len(key) > 128 or not _META.fullmatch(key) or reserved):
        table.bad(
            "meta",
            "`meta` is a key of `_meta` of your own, such as example.com/token",
            "those of MCP itself are not yours to give",
        )
    return key


def _parameter(table: Table, key: str) -> str:
    text = table.text(key)
    if len(text) > 1_000 or not text.isascii() or not text.isprintable() or " " in text:
        table.bad(key, f"`{key}` is a name or URI: visible ASCII, at most 1,000 characters")
    elif key == "resource" and text and (":" not in text or "#" in text):
        table.bad(key, "`resource` is an absolute URI without a fragment (RFC 8693, section 2.1)")
    return text


def _scope(table: Table) -> str:
    text = table.text("scope")
    if text and (len(text) > 1_000 or not _SCOPE.fullmatch(text)):
        table.bad("scope", "`scope` is a list of names with single spaces between (RFC 6749)")
    return text
