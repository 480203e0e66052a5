"""What may be asked of a governor, and what it answers. One tagged message per operation.

These are the only ways in: the socket, the embedded client and the command line all send them to
`Governor.handle`. Two families: `AgentCall` is what an agent's process may send, `OperatorCall`
needs the operator's connection. Times are milliseconds since the epoch, durations milliseconds.
"""

from __future__ import annotations

from msgspec import Struct, field

from bridle.model import delegation, plan, vending
from bridle.model.call import AgentCall, Call, OperatorCall, Proof
from bridle.model.delegation import (
    Accept,
    Agents,
    Delegations,
    GrantOf,
    IdentityVerb,
    Keys,
    KeyVerb,
    Offer,
    Revoke,
    RevokeGrant,
    StatusSnapshot,
    WorkloadOf,
)
from bridle.model.outcome import Outcome
from bridle.model.pipeline import OpenRun, Pipelines, PipelineVerb
from bridle.model.plan import CheckPlan
from bridle.model.replies import (
    REPLIES,
    Done,
    Failed,
    Fenced,
    Judged,
    Listing,
    Offered,
    Opened,
    Performed,
    Planned,
    Released,
    Reply,
    Vended,
)
from bridle.model.vending import Leases, SecretVerb, Vend

__all__ = [
    "AGENT_CALLS",
    "OPERATOR_CALLS",
    "REPLIES",
    "Accept",
    "Activate",
    "AddPrompt",
    "AgentCall",
    "Agents",
    "Answer",
    "ApprovalOf",
    "Approvals",
    "Attempts",
    "Beat",
    "Begin",
    "Call",
    "Caller",
    "CheckPlan",
    "CloseSession",
    "Decide",
    "Delegations",
    "Done",
    "EndException",
    "Exceptions",
    "Explain",
    "Failed",
    "Fenced",
    "GrantOf",
    "IdentityVerb",
    "Judged",
    "KeyVerb",
    "Keys",
    "Kill",
    "Leases",
    "Listing",
    "Login",
    "MissionVerb",
    "Missions",
    "Observe",
    "Offer",
    "Offered",
    "OpenRun",
    "OpenSession",
    "Opened",
    "OperatorCall",
    "Performed",
    "PipelineVerb",
    "Pipelines",
    "Planned",
    "Proof",
    "Redact",
    "Redeem",
    "Released",
    "Reply",
    "Revoke",
    "RevokeGrant",
    "RotateLogKey",
    "SecretVerb",
    "Settle",
    "StartMission",
    "Status",
    "StatusSnapshot",
    "Terms",
    "ToolsOf",
    "Unkill",
    "Vend",
    "Vended",
    "WorkloadOf",
]


class Login(Call, frozen=True, kw_only=True, tag="login"):
    """Prove who is on the other end of a connection. The first call of it, or none.

    `kind` is `user` (operator's socket) or `workload` (agents' socket), `key` the public key as
    agents.toml has it, `signature` the proof (`bridle.trust.proof`) in base64.
    """

    kind: str
    name: str
    key: str
    signature: str


# --- what an agent's process may ask -------------------------------------------------------------


class Decide(AgentCall, frozen=True, kw_only=True, tag="decide"):
    """Judge an action. With `start`, an allow or modify is also started in the same transaction.

    `args` is the exact JSON text of the arguments. `definition` is the SHA-256 (hex) of the tool's
    definition as the adapter sees it now (empty: it sees none). One that is not the tool's pin
    denies `tool_changed`, as does a tool without a pin; the adapter `mcp` always has to see one.
    `requester` is the grant (its digest) of the agent that this one serves: then both must allow.
    `perform` asks the governor's side to carry the action out as well, for tools that say how
    (`http`, `sql`): it is started with it, and answered `Performed` once it has ended.
    `provenance` is JSON: of arguments, by name, what the adapter knows of where they came from (see
    `bridle.model.provenance.Provenance`). `plan` (its digest) and `step` (its id) say of which step
    of a plan that was checked in this mission this is meant to be; both or neither.
    """

    tool: str
    args: str
    key: str
    adapter: str = "python"
    start: bool = False
    definition: str = ""
    requester: str = ""
    perform: bool = False
    provenance: str = ""
    plan: str = ""
    step: str = ""


class Begin(AgentCall, frozen=True, kw_only=True, tag="begin"):
    """The gate: start a decided action. Answers a verdict with `attempt` set, or a denial.

    `definition` as in `Decide`; an action that was decided with one starts only with one.
    """

    action: str
    definition: str = ""


class Beat(AgentCall, frozen=True, kw_only=True, tag="beat"):
    """Renew a started attempt's lease. Answers `Done`, or a refusal once it has lapsed."""

    attempt: str


class Observe(AgentCall, frozen=True, kw_only=True, tag="observe"):
    """Report the outcome of an attempt. Answers the release verdict.

    `used` maps a budget's name to what the attempt really used (a decimal number, as text). It
    lowers the reservation where the executor is trusted to say so, and never raises it.
    """

    attempt: str
    outcome: Outcome
    used: dict[str, str] = field(default_factory=dict[str, str])


class ApprovalOf(AgentCall, frozen=True, kw_only=True, tag="approval_of"):
    """Ask how a hold of this session's agent stands. `wait_ms` long-polls, at most 20,000."""

    approval: str
    wait_ms: int = 0


class Redeem(AgentCall, frozen=True, kw_only=True, tag="redeem"):
    """Judge a held action again after its approval (with `start`: and start it).

    For a held result, answers the stored result's release instead. Calls with the same arguments
    share a hold: `action` says which of them is meant (empty: the one that opened it).
    `definition` as in `Decide`; an action that was decided with one is judged only with one.
    `perform` as in `Decide`.
    """

    approval: str
    action: str = ""
    start: bool = False
    definition: str = ""
    perform: bool = False


class ToolsOf(AgentCall, frozen=True, kw_only=True, tag="tools_of"):
    """List the tools this session's mission can ever use."""


# --- what an operator may ask --------------------------------------------------------------------


class StartMission(OperatorCall, frozen=True, kw_only=True, tag="start_mission"):
    """Start a mission from a template, on behalf of `user`. The prompt enters here."""

    template: str
    user: str
    prompt: str = ""


class MissionVerb(OperatorCall, frozen=True, kw_only=True, tag="mission_verb"):
    """`verb` is `suspend`, `resume` or `close`.

    With `anyway` a mission is closed although policies say that something in it is still open:
    otherwise that is refused (`obligations_open`).
    """

    mission: str
    verb: str
    anyway: bool = False


class AddPrompt(OperatorCall, frozen=True, kw_only=True, tag="add_prompt"):
    """Add what the user said next."""

    mission: str
    user: str
    prompt: str


class OpenSession(OperatorCall, frozen=True, kw_only=True, tag="open_session"):
    """Open an agent session in a mission. Answers a random handle, stored only as its hash.

    `holder` is the public key of this run of the agent: the mission's root grant is bound to it,
    and what the run asks for is proved with it. Without one nothing can be handed on, and nothing
    irreversible started. `certificate` as in `Accept`.
    """

    mission: str
    agent: str
    executor: str = ""
    holder: str = ""
    certificate: str = ""
    jailed: bool = False


class CloseSession(OperatorCall, frozen=True, kw_only=True, tag="close_session"):
    """Make a handle worthless."""

    session: str


class Missions(OperatorCall, frozen=True, kw_only=True, tag="missions"):
    """List missions, newest first; with `mission`, that one with all that belongs to it.

    `before` (a time, 0: now) lists those that started earlier only.
    """

    mission: str = ""
    limit: int = 100
    before: int = 0


class Approvals(OperatorCall, frozen=True, kw_only=True, tag="approvals"):
    """List holds (`pending` only unless `all`), or one with everything a human needs to decide."""

    approval: str = ""
    all: bool = False
    limit: int = 100


class Terms(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far an approval is to reach within its mission: an exception from what held the action.

    It holds for the same tool and agent while every argument that steers the effect equals that of
    the held action, except those named in `free` (any value) and `most` (up to so much, a decimal
    number as text). `count` is how often it may be used (1 or more), `expires_ms` for how long
    (0: until the mission ends). `labels` are the most that the mission may carry (None: any).
    """

    count: int
    expires_ms: int = 0
    free: tuple[str, ...] = ()
    most: dict[str, str] = {}
    labels: tuple[str, ...] | None = None


class Answer(OperatorCall, frozen=True, kw_only=True, tag="answer"):
    """Approve or deny a hold as the human `as_user`. The vote names the digest that was shown.

    `args` (exact JSON text) approves with edits: these arguments instead of those shown. `terms`
    approves more than this one action. `card` answers every hold of the card that this one is on,
    all or none, as they are: it is the name of the card that was shown, and goes with none of the
    other three.
    """

    approval: str
    approve: bool
    reason: str = ""
    digest: str = ""
    args: str = ""
    terms: Terms | None = None
    card: str = ""


class Exceptions(OperatorCall, frozen=True, kw_only=True, tag="exceptions"):
    """List exceptions in force, newest first; with `all`, those that ended as well."""

    mission: str = ""
    all: bool = False
    limit: int = 100


class EndException(OperatorCall, frozen=True, kw_only=True, tag="end_exception"):
    """End an exception before its time."""

    exception: str


class Kill(OperatorCall, frozen=True, kw_only=True, tag="kill"):
    """Stop a scope: `all`, or `tool`, `agent`, `mission`, `grant` with their `subject`.

    A grant is stopped with everything below it.
    """

    scope: str
    subject: str = ""
    reason: str = ""


class Unkill(OperatorCall, frozen=True, kw_only=True, tag="unkill"):
    """Lift a kill: by a human other than the one who pulled it, where there are two operators."""

    scope: str
    subject: str = ""


class Settle(OperatorCall, frozen=True, kw_only=True, tag="settle"):
    """A human says how an `unknown` attempt ended."""

    attempt: str
    outcome: Outcome


class Attempts(OperatorCall, frozen=True, kw_only=True, tag="attempts"):
    """List attempts in a state (`started`, `unknown`, …)."""

    state: str = "unknown"
    limit: int = 100


class Activate(OperatorCall, frozen=True, kw_only=True, tag="activate"):
    """Make the bundle as it lies on disk the active one. `digest` must be the one the human saw."""

    digest: str


class Redact(OperatorCall, frozen=True, kw_only=True, tag="redact"):
    """Erase sealed values for good: of a `mission` that is over, or of one `record` of the log.

    `fields` names those of the record (empty: all). `basis` says why, and stands on record.
    `record` is its index, -1 where a mission is named. With `preview` nothing is erased: the answer
    says what would be. Without `scrub` the store's files are scrubbed a little later, not before
    the answer: for all but the last of many. Answered with a listing of one row.
    """

    mission: str = ""
    record: int = -1
    fields: tuple[str, ...] = ()
    basis: str = ""
    preview: bool = False
    scrub: bool = True


class RotateLogKey(OperatorCall, frozen=True, kw_only=True, tag="rotate_log_key"):
    """Have one more key sign checkpoints; or, with the ID (hex) of one in `retire`, one less.

    Answered with a listing of all keys.
    """

    retire: str = ""


class Explain(OperatorCall, frozen=True, kw_only=True, tag="explain"):
    """Say which past events decided: `action` is an action's id, or the number of its record."""

    action: str


class Status(OperatorCall, frozen=True, kw_only=True, tag="status"):
    """State of the governor: active bundle, kills, pending counts, ledger size, level."""


AGENT_CALLS = (
    Decide
    | Begin
    | Beat
    | Observe
    | ApprovalOf
    | Redeem
    | ToolsOf
    | plan.AGENT_CALLS
    | delegation.AGENT_CALLS
    | vending.AGENT_CALLS
)
OPERATOR_CALLS = (
    StartMission
    | MissionVerb
    | AddPrompt
    | OpenSession
    | CloseSession
    | Missions
    | Approvals
    | Answer
    | Exceptions
    | EndException
    | Kill
    | Unkill
    | Settle
    | Attempts
    | Activate
    | Redact
    | RotateLogKey
    | Explain
    | Status
    | delegation.OPERATOR_CALLS
    | PipelineVerb
    | Pipelines
    | vending.OPERATOR_CALLS
)


class Caller(Struct, frozen=True, forbid_unknown_fields=True):
    """Who is on the other end of a connection, as the transport authenticated it.

    `operator` is true on the operator's socket (and embedded). `method` says how it was
    established, for the record: `embedded`, `peer:<uid>`, `key:<fingerprint>` or `offline`. `uid`
    is the peer's (-1: unknown). `user` or `workload` is whom the peer has proved to be, by the key
    whose SHA-256 (hex) is `key`; all are empty where nothing was proved. `acted` says that an
    agent's calls came over this connection too. `performing` says that the governor's own side
    carries out what is asked for here; no connection is ever that.
    """

    operator: bool
    method: str
    uid: int = -1
    user: str = ""
    workload: str = ""
    key: str = ""
    acted: bool = False
    performing: bool = False
