"""What a governor answers: one tagged message per kind of answer. Part of `bridle.model.calls`."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from bridle.model.plan import Forecast
from bridle.model.verdict import Release, Verdict


class Reply(Struct, frozen=True, forbid_unknown_fields=True, tag_field="re", kw_only=True):
    """Base of all answers."""


class Judged(Reply, frozen=True, kw_only=True, tag="verdict"):
    """Answer to `Decide`, `Begin`, `Redeem` of an action."""

    verdict: Verdict


class Performed(Reply, frozen=True, kw_only=True, tag="performed"):
    """Answer to a `Decide` or `Redeem` with `perform` that was carried out by the governor's side.

    `verdict` let it start, `release` says what may be told of it, and holds the output wherever
    there is one to tell. `error` is the code of a failure (empty: none), `message` its text, and
    `reached` false where nothing has happened.
    """

    verdict: Verdict
    release: Release
    error: str = ""
    message: str = ""
    reached: bool = True


class Vended(Reply, frozen=True, kw_only=True, tag="vended"):
    """Answer to `Vend`: what opens the system, until `expires` (milliseconds since the epoch).

    `secret` maps a field (`secret`; `user`, `password`, `host`, …) to its value. It is not to be
    kept, and never shown.
    """

    lease: str
    system: str
    expires: int
    secret: dict[str, str]

    def __repr__(self) -> str:
        return f"Vended(lease={self.lease!r}, system={self.system!r}, secret=…)"


class Released(Reply, frozen=True, kw_only=True, tag="release"):
    """Answer to `Observe`, and to `Redeem` of a held result."""

    release: Release


class Opened(Reply, frozen=True, kw_only=True, tag="opened"):
    """Answer to `StartMission` (id), `OpenSession` and `Accept` (handle).

    `chain` are the links of the session's grant, root first, as compact JWS; they are no secret and
    no authority without the key. `grant` is the digest of the last.
    """

    id: str
    tools: dict[str, dict[str, Any]] = {}
    mission: str = ""
    agent: str = ""
    grant: str = ""
    chain: tuple[str, ...] = ()


class Planned(Reply, frozen=True, kw_only=True, tag="planned"):
    """Answer to `CheckPlan`."""

    forecast: Forecast


class Offered(Reply, frozen=True, kw_only=True, tag="offered"):
    """Answer to `Offer`. `notes` say what of the grant can have no effect, and why.

    `reference` is what may travel to the receiver: mission, task and digest, and no secret.
    """

    grant: str
    reference: str
    notes: tuple[str, ...] = ()


class Fenced(Reply, frozen=True, kw_only=True, tag="fenced"):
    """Answer to `Revoke` and `RevokeGrant`: from `epoch` on nothing it covers starts any more.

    `running` are the attempts that had started and not ended: only these may still take effect.
    `stopped` are grants, sessions and leases that it ends (of a preview: would end).
    """

    epoch: int
    running: list[dict[str, Any]] = []
    stopped: list[dict[str, Any]] = []


class Done(Reply, frozen=True, kw_only=True, tag="done"):
    """The operation happened."""

    note: str = ""


class Listing(Reply, frozen=True, kw_only=True, tag="listing"):
    """Rows for humans and `--json`: plain dictionaries whose keys the reference page lists."""

    rows: list[dict[str, Any]]


class Failed(Reply, frozen=True, kw_only=True, tag="failed"):
    """The operation did not happen. For an action this is never sent: a denial is a verdict.

    `about` says for machines what the code needs: for `key_needed` the `user`, the fingerprint
    (SHA-256, hex; empty where the user has none) of the newest `key`, and of all `keys` in force
    where there are several.
    """

    code: str
    message: str
    hint: str = ""
    about: dict[str, str] = {}


REPLIES = (
    Judged
    | Performed
    | Vended
    | Released
    | Opened
    | Planned
    | Offered
    | Fenced
    | Done
    | Listing
    | Failed
)
