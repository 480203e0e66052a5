"""Chains of grants as files: read in the forms that people keep them in, and shown link by link."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bridle.cli import grants, terminal
from bridle.cli.texts import Texts
from bridle.model.errors import UsageError
from bridle.trust.grants.chain import MAX_CHAIN_BYTES, Chain, Link
from bridle.trust.grants.wording import caveats

_MILLISECONDS = 1_000

# A chain at its largest, as JSON, with white space.
_LONGEST = 4 * MAX_CHAIN_BYTES


class _Kept(msgspec.Struct):
    chain: list[str]


def texts_of(path: Path, texts: Texts) -> list[str]:
    """Return the links in a file (`-`: standard input), root first, as they stand in it.

    One link on each line, or a JSON array of them, or an object that has one as `chain`, as
    `bridle grant export --json` prints it. Raises `UsageError` for anything else.
    """
    name, text = texts.read(path)
    if len(text) > _LONGEST:
        raise UsageError(f"{name} is larger than any chain", code="chain_too_large")
    stripped = text.strip()
    if stripped[:1] not in ("[", "{"):
        return stripped.split()
    try:
        found = msgspec.json.decode(stripped, type=list[str] | _Kept)
    except (ValueError, RecursionError):
        raise UsageError(
            f"{name} holds no chain",
            hint="one link on each line, or a JSON array of links, root first",
        ) from None
    return found.chain if isinstance(found, _Kept) else found


def row(link: Link) -> dict[str, Any]:
    """Return what a link says as one object. Times in milliseconds."""
    claims = link.claims
    return {
        "grant": link.digest,
        "parent": claims.par_hash,
        "depth": claims.del_depth,
        "max_depth": claims.del_max_depth,
        "issuer": claims.iss,
        "audience": claims.aud,
        "mission": claims.mis,
        "task": claims.task,
        "user": claims.sub,
        "agent": claims.agent,
        "key": link.fingerprint,
        "issued": claims.iat * _MILLISECONDS,
        "expires": claims.exp * _MILLISECONDS,
        "details": msgspec.to_builtins(claims.authorization_details),
        "budgets": dict(claims.bud),
        "labels": None if claims.lbl is None else list(claims.lbl),
        "caveats": list(caveats(claims)),
    }


def show(chain: Chain, now_ms: int | None = None) -> None:
    """Print a chain: what it is for, then each link with what it allows."""
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    root = chain.links[0].claims
    terminal.pairs({"mission": root.mis, "for": root.sub, "audience": root.aud})
    for index, link in enumerate(chain.links):
        terminal.line()
        _show(index, link, now)


def _show(index: int, link: Link, now: int) -> None:
    told = row(link)
    what = "root" if index == 0 else f"link {index}"
    agent = terminal.styled(terminal.visible(told["agent"]), bold=True)
    terminal.line(f"{what}: {agent}  {grants.expiry(told['expires'], now)}")
    terminal.pairs(
        {
            "  grant": told["grant"],
            "  signed by": _signer(index, told["issuer"]),
            "  bound to": f"key {told['key'][: grants.SHORT]}…",
            "  issued": terminal.time(told["issued"]),
            "  expires": terminal.time(told["expires"]),
        }
    )
    for each in told["caveats"]:
        terminal.line(f"    {terminal.visible(each)}")


def _signer(index: int, issuer: str) -> str:
    return f"{issuer} (it says)" if index == 0 else f"key {issuer[: grants.SHORT]}… (it says)"


def fault(links: Sequence[str], link: int) -> str:
    """Return which link a refusal is about, in words."""
    if not 0 <= link < len(links):
        return ""
    return "the root" if link == 0 else f"link {link} of {len(links) - 1}"
