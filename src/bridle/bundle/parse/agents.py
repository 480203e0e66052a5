"""`agents.toml` → teams, users, agents, pipelines, workloads, approver groups."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from bridle.bundle.parse import budgets
from bridle.bundle.parse.table import Findings, Table, named, refer
from bridle.bundle.parse.toml import Document
from bridle.language.plain import is_array, is_object
from bridle.model import public_key
from bridle.model.budget import Budget
from bridle.model.errors import UsageError
from bridle.model.finding import Location
from bridle.model.identity import GOVERNOR, Agent, ApproverGroup, Team, User, Workload

if TYPE_CHECKING:
    from bridle.bundle.parse.systems import Landscape

FILE = "agents.toml"


class Identities(Struct, frozen=True):
    """Everybody a bundle knows, by id. A pipeline is an agent with an author."""

    teams: dict[str, Team]
    users: dict[str, User]
    agents: dict[str, Agent]
    workloads: dict[str, Workload]
    approvers: dict[str, ApproverGroup]


def read(document: Document, land: Landscape, findings: Findings) -> Identities:
    """Read the file and check what its entries say of one another and of tools."""
    table = Table(document, findings, document.data)
    groups = {name: _approvers(name, t) for name, t in table.tables("approvers")}
    agents = {
        name: _agent(name, t, budgets.read(t, land, groups)) for name, t in table.tables("agents")
    }
    for name, t in table.tables("pipelines"):
        pipeline = _pipeline(name, t, budgets.read(t, land, groups))
        if name in agents:
            # INVARIANT: I9 — what is permitted to an agent is permitted to nothing else.
            t.findings.error(
                t.at(), "name_clash", f"there is an agent {name[:80]!r}", "name the pipeline anew"
            )
        agents[name] = pipeline
    found = Identities(
        teams={name: _team(name, t) for name, t in table.tables("teams")},
        users={
            name: _user(name, t, budgets.read(t, land, groups)) for name, t in table.tables("users")
        },
        agents=agents,
        workloads={name: _workload(name, t) for name, t in table.tables("workloads")},
        approvers=groups,
    )
    table.close()
    _references(found, document, findings)
    return found


def _team(name: str, table: Table) -> Team:
    team = Team(named(table, name, "a team"), table.text("name"))
    table.close()
    return team


def _user(name: str, table: Table, paid: tuple[Budget, ...]) -> User:
    user = User(
        named(table, name, "a user"),
        table.text("name"),
        table.texts("teams"),
        attributes(table),
        key=_key(table),
        budgets=paid,
    )
    table.close()
    return user


def _agent(name: str, table: Table, paid: tuple[Budget, ...]) -> Agent:
    agent = Agent(
        named(table, name, "an agent"),
        owner=table.text("owner", required=True),
        team=table.text("team"),
        version=table.text("version", "1"),
        tags=_tags(table.table("tags")),
        attributes=attributes(table),
        budgets=paid,
        deputy=table.flag("deputy"),
        key=_key(table),
    )
    table.close()
    return agent


def _pipeline(name: str, table: Table, paid: tuple[Budget, ...]) -> Agent:
    author = table.text("author", required=True)
    pipeline = Agent(
        named(table, name, "a pipeline"),
        owner=author,
        team=table.text("team"),
        version=table.text("version", "1"),
        tags=_tags(table.table("tags")),
        attributes=attributes(table),
        budgets=paid,
        author=author,
        workloads=table.texts("workloads"),
    )
    table.close()
    return pipeline


def _tags(table: Table) -> dict[str, str]:
    tags = {key: table.text(key) for key in table.data}
    table.close()
    return tags


def attributes(table: Table) -> dict[str, Any]:
    """Read `attributes`; their types are those of schema/extra.cedarschema, checked there."""
    return {key: _plain(value) for key, value in table.table("attributes").data.items()}


def _plain(value: Any) -> Any:
    """Write fractions as text, which is how Cedar's JSON carries a decimal."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text if "." in text else f"{text}.0"
    if is_array(value):
        return [_plain(v) for v in value]
    return {k: _plain(v) for k, v in value.items()} if is_object(value) else value


def _workload(name: str, table: Table) -> Workload:
    workload = Workload(
        named(table, name, "a workload"),
        table.texts("tools", ("*",)),
        table.flag("may_assert_user"),
        key=_key(table),
        reports_use=table.flag("reports_use"),
        separate=table.flag("separate"),
    )
    if name == GOVERNOR:
        # INVARIANT: I9 — what the governor's side has carried out stands under this name alone.
        table.findings.error(
            table.at(),
            "reserved_workload",
            "the workload `governor` is the governor itself, and nobody else",
            "give the workload another name",
        )
    if workload.separate and not workload.key:
        table.findings.error(
            table.at("separate"),
            "separate_without_key",
            f"{name[:80]} gets credentials, which takes a proven key, and has none",
            "add `key`: `bridle operator new-key --workload` makes one",
        )
    table.close()
    return workload


def _key(table: Table) -> str:
    text = table.text("key")
    if not isinstance(table.data.get("key"), str):
        return ""
    try:
        public_key.parse(text)
    except UsageError as problem:
        table.bad("key", problem.message, problem.hint)
        return ""
    return text


def _approvers(name: str, table: Table) -> ApproverGroup:
    group = ApproverGroup(
        named(table, name, "an approver group"),
        users=table.texts("users"),
        teams=table.texts("teams"),
        need=table.integer("need", 1, 1, 1_000),
    )
    table.close()
    return group


def _references(found: Identities, document: Document, findings: Findings) -> None:
    for user in found.users.values():
        for index, team in enumerate(user.teams):
            at = document.at(("users", user.id, "teams", index))
            refer(findings, at, team, found.teams, "team")
    for agent in found.agents.values():
        path = (table_of(agent), agent.id)
        if agent.author:
            _pipeline_references(agent, found, document, findings)
        elif agent.owner:
            refer(findings, document.at((*path, "owner")), agent.owner, found.users, "user")
        if agent.team:
            refer(findings, document.at((*path, "team")), agent.team, found.teams, "team")
    for group in found.approvers.values():
        _group_references(group, found, document, findings)
    _own_keys(found, document, findings)


def table_of(agent: Agent) -> str:
    """Return the table of agents.toml that an agent, or a pipeline, stands in."""
    return "pipelines" if agent.author else "agents"


def _pipeline_references(
    pipeline: Agent, found: Identities, document: Document, findings: Findings
) -> None:
    """Check that its author can register a definition, and its workloads can prove to run it."""
    path = ("pipelines", pipeline.id)
    author = found.users.get(pipeline.author)
    refer(findings, document.at((*path, "author")), pipeline.author, found.users, "user")
    if author is not None and not author.key:
        _keyless(findings, document.at((*path, "author")), f"user {author.id}")
    for index, name in enumerate(pipeline.workloads):
        at = document.at((*path, "workloads", index))
        refer(findings, at, name, found.workloads, "workload")
        workload = found.workloads.get(name)
        if workload is not None and not workload.key:
            _keyless(findings, at, f"workload {name}")


def _keyless(findings: Findings, at: Location, who: str) -> None:
    findings.error(
        at,
        "pipeline_without_key",
        f"the {who[:90]} has no key: a pipeline is registered and run by who proves to be there",
        "add `key`: `bridle keys new` makes one",
    )


def _own_keys(found: Identities, document: Document, findings: Findings) -> None:
    """Report keys that would prove two identities at once."""
    proven: list[tuple[str, User | Agent | Workload]] = [
        *(("users", user) for user in found.users.values()),
        *((table_of(agent), agent) for agent in found.agents.values()),
        *(("workloads", workload) for workload in found.workloads.values()),
    ]
    held: dict[str, str] = {}
    for table, identity in proven:
        if not identity.key:
            continue
        if identity.key in held:
            findings.error(
                document.at((table, identity.id, "key")),
                "shared_key",
                f"this is the key of {held[identity.key]} already",
                "make a key for each: `bridle keys new`",
            )
        held[identity.key] = f"{table}.{identity.id}"


def _group_references(
    group: ApproverGroup, found: Identities, document: Document, findings: Findings
) -> None:
    path = ("approvers", group.id)
    for index, user in enumerate(group.users):
        refer(findings, document.at((*path, "users", index)), user, found.users, "user")
    for index, team in enumerate(group.teams):
        refer(findings, document.at((*path, "teams", index)), team, found.teams, "team")
    if len(members(group, found.users)) < group.need:
        findings.error(
            document.at(path),
            "approvers_short",
            f"the group {group.id} needs {group.need} humans and has fewer",
            "add users or teams, or lower `need`: nothing it guards could ever be approved",
        )


def members(group: ApproverGroup, users: dict[str, User]) -> set[str]:
    """Return the declared users who may approve for a group."""
    return {u.id for u in users.values() if group.includes(u)}
