"""Grants come to be: a mission's root with its session, and what one agent hands on to another.

Handing on takes two: the giver's offer, which its own key has signed and governance permits, and
the receiver's acceptance, which proves the key that the offer is bound to. Both are on record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from bridle.bundle.bundle import Bundle
from bridle.engine.case import GovernanceCase, Handover
from bridle.governor.action import standing
from bridle.governor.action.standing import Standing
from bridle.governor.delegation import (
    authority,
    dispatching,
    grants,
    lineage,
    roots,
    shares,
    showing,
)
from bridle.governor.ground.records import Entry
from bridle.governor.identity import executors, identities, proofs, registrations
from bridle.governor.provenance import seeing
from bridle.model import public_key
from bridle.model.calls import Accept, GrantOf, Offer, Offered, Opened
from bridle.model.errors import NotFoundError, RefusedError
from bridle.model.identity import Status
from bridle.model.mission import MissionStatus, MissionTemplate, matches
from bridle.model.reason import Reason
from bridle.model.record import LeafKind
from bridle.model.tool import Tool
from bridle.model.verdict import Effect
from bridle.store.rows import GrantRow, MissionRow, SessionRow
from bridle.trust import context
from bridle.trust.context import Reference
from bridle.trust.grants import issue, reach
from bridle.trust.grants.chain import Chain
from bridle.trust.grants.claims import DETAIL_TYPE, Claims, Detail, ToolGrant
from bridle.trust.grants.codes import GrantError

if TYPE_CHECKING:
    from bridle.governor.ground.turn import Turn

# What one mission may have waiting, and have given in all: nobody fills the store with offers.
MOST_OFFERED, MOST_GRANTS = 256, 16_384

_NAMED = 16
_TO = ('context.to == Agent::"…"', 'context has workload && context.workload == Workload::"…"')


class Refusal(Struct, frozen=True):
    """An offer that was turned down, on record."""

    problem: RefusedError


# --- the root ------------------------------------------------------------------------------------


def root(turn: Turn, session: SessionRow, certified: str) -> SessionRow:
    """Issue the mission's root grant to a session's key. Raises `GrantError`, `UsageError`."""
    mission = turn.tx.get(MissionRow, session.mission)
    template = turn.bundle.missions.get(mission.template) if mission is not None else None
    if mission is None or template is None:
        raise RefusedError("the session's mission does not exist", code="not_found")
    text = _root_text(turn, session, mission, template)
    chain = grants.verifier(turn).chain([text], grants.now_s(turn))
    grants.put(turn, chain.leaf, state=grants.ACTIVE, chain=chain, certified=certified)
    _record(turn, "root", chain, {"agent": session.agent, "user": mission.user})
    return structs.replace(session, grant=chain.digest)


def _root_text(
    turn: Turn, session: SessionRow, mission: MissionRow, template: MissionTemplate
) -> str:
    private = roots.signer(turn)
    now = grants.now_s(turn)

    def issued(tools: tuple[str, ...], domains: tuple[str, ...] | None) -> str:
        detail = Detail(DETAIL_TYPE, {name: ToolGrant() for name in tools}, domains)
        return issue.issue_root(
            private,
            issuer=roots.name_of(turn),
            audience=roots.name_of(turn),
            user=mission.user,
            agent=session.agent,
            holder=session.holder,
            mission=mission.id,
            details=(detail,),
            issued=now,
            # A mission ends by its own clock, in milliseconds: never after its grant.
            expires=max(now + 1, -(-mission.expires // 1_000)),
            max_depth=template.max_depth,
        )

    try:
        return issued(tuple(sorted(set(template.tools))), tuple(sorted(set(template.domains))))
    except GrantError:
        # More than a link holds: the mission's own scope is asked about at every action anyway.
        return issued(("*",), None)


# --- offers --------------------------------------------------------------------------------------


def offer(turn: Turn, call: Offer) -> Offered | Refusal:
    """Put an offer on record, if its link holds and governance permits it.

    A refusal is on record too, once it is known who asks. The same link offered again is answered
    the same. Raises `RefusedError` for no session, or one that can hand on nothing.
    """
    at = standing.find(turn, call.session)
    if isinstance(at, Reason):
        raise RefusedError(at.text, code=at.code)
    if not at.session.grant:
        raise RefusedError(
            "this session has no key, so it can hand nothing on",
            code="no_grant",
            hint="open it with `holder`; the Python client does",
        )
    try:
        return _offered(at, call.link, call.workload)
    except GrantError as problem:
        found = authority.reason_of(problem)
        refused = RefusedError(problem.message, code=found.code, hint=problem.hint)
    except RefusedError as problem:
        refused = problem
    _record_refusal(at, refused)
    return Refusal(refused)


def _offered(at: Standing, link: str, workload: str) -> Offered:
    turn = at.turn
    stop = standing.hindered(at)
    if stop is not None:
        raise RefusedError(stop.text, code=stop.code)
    above = authority.in_force(turn, at.session.grant)
    verifier = grants.verifier(turn)
    chain = verifier.extend(above, link, grants.now_s(turn))
    verifier.current(chain, grants.now_s(turn))
    known = turn.tx.get(GrantRow, chain.digest)
    if known is None:
        dispatching.assert_hands_on(at)
        if workload:
            dispatching.assert_may(at, chain, workload)
            _assert_active(turn, "workload", workload)
        elif registrations.pipeline(turn.bundle, chain.leaf.claims.agent) is not None:
            # INVARIANT: I9 — a pipeline decides by its definition, which no grant names.
            raise RefusedError("nothing is handed on to a pipeline", code="definition_unknown")
        tools = _assert_may(at, above, chain)
        _governed(turn, at.mission, chain, tools, workload)
        grants.put(
            turn,
            chain.leaf,
            state=grants.DISPATCHED if workload else grants.OFFERED,
            chain=chain,
            executor=at.session.executor,
            workload=workload,
        )
        _record(turn, "dispatch" if workload else "offer", chain, at.ids(), workload)
    claims = chain.leaf.claims
    notes = reach.unreachable([each.claims for each in above.links], claims, turn.bundle.tools)
    reference = Reference(mission=claims.mis, task=claims.task, leaf=chain.digest)
    return Offered(grant=chain.digest, reference=context.format(reference), notes=tuple(notes))


def _assert_may(at: Standing, above: Chain, chain: Chain) -> tuple[str, ...]:
    """Refuse what could never be taken up. Returns the tools that the grant reaches."""
    claims, turn, template = chain.leaf.claims, at.turn, at.template
    if template is None or claims.agent not in template.agents:
        raise RefusedError(
            f"agent {claims.agent!r} has no part in this mission",
            code="out_of_mission",
            hint="missions.toml says who takes part",
        )
    _assert_active(turn, "agent", claims.agent)
    if claims.del_depth > template.max_depth:
        raise RefusedError("this mission is not handed on so far", code="grant_invalid")
    if any(each.key == chain.leaf.key for each in above.links):
        raise RefusedError("this key holds a grant of the chain already", code="key_known")
    if identities.revoked(turn, chain.leaf.fingerprint):
        raise RefusedError("the key that this grant is for is revoked", code="revoked")
    for name in claims.bud:
        if not shares.known(template, name):
            raise RefusedError(f"the mission has no budget {name!r}", code="unknown_budget")
    waiting = turn.tx.count(GrantRow, mission=claims.mis, state=grants.OFFERED)
    if waiting >= MOST_OFFERED or turn.tx.count(GrantRow, mission=claims.mis) >= MOST_GRANTS:
        raise RefusedError("this mission has given too many grants", code="limit_exceeded")
    tools = reachable(turn.bundle, template, chain)
    if not tools:
        raise RefusedError(
            "this grant allows nothing that the one above it allows",
            code="grants_nothing",
            hint="`agent.grant` names what may be handed on; compare the tools",
        )
    return tools


def _reached(turn: Turn, mission: MissionRow, chain: Chain) -> tuple[str, ...]:
    template = turn.bundle.missions.get(mission.template)
    return reachable(turn.bundle, template, chain) if template is not None else ()


def reachable(bundle: Bundle, template: MissionTemplate, chain: Chain) -> tuple[str, ...]:
    """Return the declared tools that every link of a chain names, whatever it says of arguments."""
    return tuple(
        name
        for name, tool in bundle.tools.items()
        if standing.in_scope(bundle, template, tool)
        and all(_names(link.claims, bundle, name) for link in chain.links)
    )


def within_reach(at: Standing) -> list[Tool]:
    """Return the tools that a session can ever use, by its mission and its chain."""
    template, tools = at.template, at.bundle.tools
    if template is None:
        return []
    if not at.session.grant:
        return [t for t in tools.values() if standing.in_scope(at.bundle, template, t)]
    try:
        chain = grants.chain_of(at.turn, at.session.grant)
    except GrantError:
        return []
    return [tools[name] for name in reachable(at.bundle, template, chain)]


def _names(claims: Claims, bundle: Bundle, name: str) -> bool:
    tool = bundle.tools[name]
    domain = bundle.systems[tool.system].domain
    return any(
        matches(tuple(detail.tools), name)
        and (detail.domains is None or domain in detail.domains)
        and (detail.effects is None or tool.effect.value in detail.effects)
        for detail in claims.authorization_details
    )


def _governed(
    turn: Turn, mission: MissionRow, chain: Chain, tools: tuple[str, ...], workload: str
) -> None:
    claims = chain.leaf.claims
    *above, giver, _ = chain.agents
    view = seeing.view(turn.bundle, mission)
    given = Handover(
        agent=giver,
        to=claims.agent,
        depth=claims.del_depth,
        tools=tools,
        effects=tuple(sorted({turn.bundle.tools[name].effect.value for name in tools})),
        expires_ms=max(0, claims.exp * 1_000 - turn.now),
        task=bool(claims.task),
        chain=tuple(above),
        workload=workload,
    )
    case = GovernanceCase(
        action="delegate", user=mission.user, mission=view, now=turn.now, handover=given
    )
    judged = turn.engine.governance(case)
    if judged.effect is not Effect.ALLOW:
        text = "; ".join(r.text or r.code.value for r in judged.reasons) or "not permitted"
        raise RefusedError(
            f"governance refuses to let {given.agent!r} hand this on to "
            f"{workload or given.to!r}: {text}",
            code="governance_denied",
            hint='permit it in governance/: permit (principal == Agent::"…", '
            f'action == Action::"delegate", resource) when {{ {_TO[bool(workload)]} }};',
        )


# --- acceptance ----------------------------------------------------------------------------------


def accept(turn: Turn, call: Accept) -> Opened:
    """Take an offer up: once, by whoever proves the key that it is bound to. Opens a session.

    Raises `RefusedError`.
    """
    row = turn.tx.get(GrantRow, call.grant)
    if row is None or row.state not in (grants.OFFERED, grants.DISPATCHED):
        raise RefusedError(
            "there is no such offer, or it was taken up already",
            code="no_offer",
            hint="an offer is good once; ask for a new one",
        )
    try:
        chain = authority.in_force(turn, row.id)
        key = public_key.written(chain.leaf.key)
        # INVARIANT: I5 — a reference is no authority: only the key that the offer is bound to is.
        proofs.verify(turn, call, key, row.id)
    except GrantError as problem:
        found = authority.reason_of(problem)
        raise RefusedError(problem.message, code=found.code, hint=problem.hint) from problem
    if row.workload:
        dispatching.assert_taker(row, call.executor)
    mission = _assert_open(turn, row, chain, call.executor)
    # INVARIANT: I5 — an offer that was made under other policies is judged by those in force now.
    _governed(turn, mission, chain, _reached(turn, mission, chain), row.workload)
    if not row.workload:
        certified = identities.certified(turn, row.agent, key, call.certificate)
        row = structs.replace(row, state=grants.ACTIVE, accepted=turn.now, certified=certified)
        turn.tx.put(row)
    handle = turn.core.handle()
    session = _session(turn, row, call, (handle, key))
    turn.tx.put(session)
    at = Standing(turn, session, mission, turn.globals, turn.engine, proof=proofs.SIGNED)
    _record(turn, "take" if row.workload else "accept", chain, at.ids(), row.workload)
    return opened(handle, session, chain)


def _session(turn: Turn, row: GrantRow, call: Accept, keys: tuple[str, str]) -> SessionRow:
    handle, key = keys
    return SessionRow(
        id=turn.core.handle_hash(handle),
        mission=row.mission,
        agent=row.agent,
        executor=call.executor,
        opened=turn.now,
        method=turn.caller.method if turn.caller is not None else "",
        holder=key,
        grant=row.id,
        line=row.line,
        task=row.task,
        epoch=turn.globals.epoch,
    )


def opened(handle: str, session: SessionRow, chain: Chain | None) -> Opened:
    """Return the answer to whoever opened a session."""
    return Opened(
        id=handle,
        mission=session.mission,
        agent=session.agent,
        grant=session.grant,
        chain=chain.texts if chain is not None else (),
    )


def _assert_open(turn: Turn, row: GrantRow, chain: Chain, executor: str) -> MissionRow:
    """Refuse where the mission is over, or somebody in the chain or the workload may not act."""
    mission = turn.tx.get(MissionRow, row.mission)
    active = mission is not None and mission.status == MissionStatus.ACTIVE
    if mission is None or not active or mission.expires <= turn.now:
        raise RefusedError("the mission is over or suspended", code="mission_not_active")
    if not lineage.take_part(turn.bundle, mission, chain.agents):
        raise RefusedError(
            f"agent {row.agent!r}, or one that this came through, has no part in this mission",
            code="out_of_mission",
        )
    for agent in dict.fromkeys(chain.agents):
        _assert_active(turn, "agent", agent)
    _assert_active(turn, "user", mission.user)
    if executor:
        if executor not in turn.bundle.workloads:
            raise RefusedError(f"workload {executor!r} is not declared", code="unknown_workload")
        _assert_active(turn, "workload", executor)
        unproven = executors.unproven_by_receiver(turn, executor, row.executor)
        if unproven is not None:
            raise RefusedError(unproven.text, code=unproven.code)
    return mission


def _assert_active(turn: Turn, kind: str, name: str) -> None:
    status = turn.status(kind, name)
    if status is not Status.ACTIVE:
        raise RefusedError(f"{kind} {name!r} is {status}", code="suspended")


def grant_of(turn: Turn, call: GrantOf) -> list[dict[str, Any]]:
    """Return one row: a grant of the session's chain, or one below it (empty: its own).

    Raises `RefusedError`, and `NotFoundError` for a grant of somebody else.
    """
    at = standing.find(turn, call.session)
    if isinstance(at, Reason):
        raise RefusedError(at.text, code=at.code)
    leaf = at.session.grant
    row = turn.tx.get(GrantRow, call.grant or leaf)
    if row is None or not leaf or not _related(turn, leaf, row.id):
        raise NotFoundError("no such grant of this session", hint="`agent.grant` is its own")
    return [{**showing.row_of(turn, row), "chain": showing.chain_of(turn, row.id)}]


def _related(turn: Turn, one: str, other: str) -> bool:
    return any(
        end in (link.id for link in lineage.chain(turn, leaf))
        for end, leaf in ((one, other), (other, one))
    )


# --- records -------------------------------------------------------------------------------------


def _record(turn: Turn, what: str, chain: Chain, ids: dict[str, str], workload: str = "") -> None:
    leaf = chain.leaf
    turn.record(
        Entry(
            kind=LeafKind.DELEGATION,
            chain=leaf.claims.mis,
            ids={"level": turn.level, "grants": chain.trail, **ids},
            body={
                "what": what,
                "grant": leaf.digest,
                "to": leaf.claims.agent,
                "depth": leaf.claims.del_depth,
                "key": leaf.fingerprint[:_NAMED],
                "expires": leaf.claims.exp * 1_000,
                **({"workload": workload} if workload else {}),
            },
            # Predicates quote arguments, and a task says what somebody is after.
            fields={"link": leaf.text, "task": leaf.claims.task},
        )
    )


def _record_refusal(at: Standing, problem: RefusedError) -> None:
    at.turn.record(
        Entry(
            kind=LeafKind.DELEGATION,
            chain=at.mission.id,
            ids=at.ids(),
            body={"what": "refuse", "codes": [problem.code]},
            fields={"message": problem.message},
        )
    )
