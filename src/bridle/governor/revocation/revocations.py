"""What a revocation ends: which party, action or attempt stands below it.

Whether somebody who acts was revoked is asked the other way round, upwards (`authority`): grants
carry their ancestry, so nothing below what is revoked has to be found. Here is looked at what runs,
what waits and what is shown. Nothing is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridle.governor.delegation import lineage
from bridle.governor.delegation.lineage import Acted, Party
from bridle.governor.identity import registrations
from bridle.governor.identity.identities import GOVERNOR, WORKLOAD, declared
from bridle.model import public_key
from bridle.store.rows import GrantRow, IdentityKeyRow, MissionRow, RevokedRow

if TYPE_CHECKING:
    from bridle.governor.ground.turn import Turn

GRANT, KEY, AGENT, MISSION, USER = "grant", "key", "agent", "mission", "user"
KINDS = (GRANT, KEY, AGENT, MISSION, USER)


def of_grant(turn: Turn, grant: GrantRow) -> bool:
    """Whether a grant ended by revocation: its own, that of a link above, of whom it stands on.

    For humans: what decides is `authority`, which asks the links themselves.
    """
    mission = turn.tx.get(MissionRow, grant.mission)
    if mission is None or _is(turn, MISSION, mission.id):
        return True
    key = registered_by(turn, mission.id)
    if key and _is(turn, KEY, key):
        return True
    rows = lineage.chain(turn, grant.id)
    since = rows[0].epoch if rows else -1
    return _is(turn, USER, mission.user, since) or any(_is_link(turn, each) for each in rows)


def covers(turn: Turn, row: RevokedRow, acted: Acted) -> bool:
    """Whether a revocation ends what an action or attempt stands on, or whom it serves.

    Asked of what there was before the revocation: of names, times are not looked at.
    """
    if covers_party(turn, row, lineage.of_acted(turn, acted)):
        return True
    served = lineage.of_grant(turn, acted.requester) if acted.requester else None
    return served is not None and covers_party(turn, row, served)


def covers_party(turn: Turn, row: RevokedRow, party: Party) -> bool:
    """Whether a revocation ends what a party acts under."""
    if row.kind == MISSION:
        return row.subject == party.mission
    if row.kind == USER:
        return row.subject == party.user
    if row.kind == AGENT:
        return row.subject in party.agents
    if row.kind == KEY and (
        _of_another(turn, row.subject, party) or registered_by(turn, party.mission) == row.subject
    ):
        return True
    return any(_is_of(row, each) for each in lineage.chain(turn, party.grant))


def registered_by(turn: Turn, mission: str) -> str:
    """Return the key (its fingerprint) that registered what a mission is a run of, if it is one."""
    row = turn.tx.get(MissionRow, mission)
    run = registrations.of_mission(turn, row) if row is not None else None
    return run.key if run is not None else ""


def _is_link(turn: Turn, link: GrantRow) -> bool:
    keys = (key for key in (link.key, link.certified) if key)
    return (
        _is(turn, GRANT, link.id)
        or any(_is(turn, KEY, key) for key in keys)
        or _is(turn, AGENT, link.agent, link.epoch)
    )


def _is(turn: Turn, kind: str, subject: str, since: int = -1) -> bool:
    """Whether something is revoked; of a name, what came in the epoch `since`."""
    row = turn.tx.get(RevokedRow, f"{kind}:{subject}")
    return row is not None and (kind not in (AGENT, USER) or since < row.epoch)


def _is_of(row: RevokedRow, grant: GrantRow) -> bool:
    if row.kind == GRANT:
        return row.subject == grant.id
    return row.subject in (grant.key, grant.certified)


def _of_another(turn: Turn, fingerprint: str, party: Party) -> bool:
    """Whether a key that no link names stands behind a party: the governor's, its workload's."""
    key = turn.tx.get(IdentityKeyRow, fingerprint)
    if key is not None and key.kind == GOVERNOR:
        return bool(party.grant)  # which of its keys signed the root stands in the link alone
    if key is not None:
        return key.kind == WORKLOAD and key.name == party.executor
    written = declared(turn.bundle, WORKLOAD, party.executor)
    return bool(written) and public_key.fingerprint(written) == fingerprint
