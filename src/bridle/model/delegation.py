"""What may be asked about identities, their keys, grants and revocations, and what is answered.

Part of `bridle.model.calls`. A grant is named by its digest: the SHA-256 (hex) of its link's
signing input.
"""

from __future__ import annotations

from bridle.model.call import AgentCall, Call, OperatorCall, Proof

# --- what an agent's process may ask -------------------------------------------------------------


class Offer(AgentCall, frozen=True, kw_only=True, tag="offer"):
    """Hand part of this session's task to another agent: a `delegate` action, judged by governance.

    `link` is the new link (a compact JWS), signed with the session's own key. Answers `Offered`.
    The receiver's `Accept` brings it to life.

    With a `workload` the work is dispatched to it: the link names this session's own agent and is
    bound to the workload's key (`WorkloadOf`), which takes it up as often as need be.
    """

    link: str
    workload: str = ""


class WorkloadOf(AgentCall, frozen=True, kw_only=True, tag="workload_of"):
    """Ask for the public key that a grant for a workload is bound to.

    Answers a listing of one row: `workload`, `key`.
    """

    workload: str


class Accept(Call, frozen=True, kw_only=True, tag="accept"):
    """Take up an offer, by whoever holds the key it is bound to. Needs no session: answers one.

    `certificate` is the receiving agent's signature over that key, where the agent has keys of its
    own (`bridle.trust.certificate`). `executor` is the workload that will carry out its actions.
    """

    grant: str
    proof: Proof
    executor: str = ""
    certificate: str = ""


class GrantOf(AgentCall, frozen=True, kw_only=True, tag="grant_of"):
    """Resolve a reference: a grant of this session's chain, or one below it (empty: its own).

    Answers a listing of one row.
    """

    grant: str = ""


class RevokeGrant(AgentCall, frozen=True, kw_only=True, tag="revoke_grant"):
    """Revoke a grant that this session's key, or one below it, has given. Answers `Fenced`."""

    grant: str
    reason: str = ""


# --- what an operator may ask --------------------------------------------------------------------


class Revoke(OperatorCall, frozen=True, kw_only=True, tag="revoke"):
    """Take trust back, for good: of a `grant`, `key`, `agent`, `mission` or `user`.

    For a key `subject` is its fingerprint. What an agent or a user was granted so far ends; what is
    granted later does not. With `preview` nothing is revoked. Answers `Fenced`.
    """

    kind: str
    subject: str
    reason: str = ""
    preview: bool = False


class Delegations(OperatorCall, frozen=True, kw_only=True, tag="delegations"):
    """List grants, parents before children, with their caveats and live use.

    Of one `mission`, or of all; one `grant` with all below it; with `all` those that ended, too.
    """

    mission: str = ""
    grant: str = ""
    all: bool = False
    limit: int = 1_000


class Agents(OperatorCall, frozen=True, kw_only=True, tag="agents"):
    """List identities of `kind` (`agent`, `user`, `workload`), or one, with status and spending."""

    kind: str = "agent"
    id: str = ""


class IdentityVerb(OperatorCall, frozen=True, kw_only=True, tag="identity_verb"):
    """`verb` is `suspend`, `resume` or `retire`."""

    kind: str
    id: str
    verb: str


class Keys(OperatorCall, frozen=True, kw_only=True, tag="keys"):
    """List public keys of identities (`governor`, `user`, `agent`, `workload`; empty: all)."""

    kind: str = ""
    name: str = ""


class KeyVerb(OperatorCall, frozen=True, kw_only=True, tag="key_verb"):
    """Change the keys of an identity: `verb` is `add`, `rotate` or `retire`.

    `rotate` adds `key` and ends the others after `overlap_ms`; `retire` ends `key` at once (its
    fingerprint will do). Of a `governor` the key is made here, and `key` is empty unless retired.
    Answered with a listing of the identity's keys.
    """

    verb: str
    kind: str
    name: str = ""
    key: str = ""
    overlap_ms: int = 0


class StatusSnapshot(OperatorCall, frozen=True, kw_only=True, tag="status_snapshot"):
    """Ask for the signed list of what is revoked, for offline verification.

    Answered with a listing of one row: `status` (a compact JWS), `version`, `expires`, `roots` (the
    governor's public keys for grants).
    """

    valid_ms: int = 300_000


AGENT_CALLS = Offer | WorkloadOf | GrantOf | RevokeGrant
OPERATOR_CALLS = Agents | IdentityVerb | Revoke | Delegations | Keys | KeyVerb | StatusSnapshot
