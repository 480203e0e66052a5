"""A second, literal judge: every policy alone, as text, by the public Cedar call; then the rules.

It shares nothing with the engine's judging but the annotations as compiled, reading of arguments,
detectors and the remedies' own operators.
"""

import json
from decimal import Decimal

import cedarpy

from bridle.engine import remedies
from bridle.engine.case import Refusal
from bridle.engine.detect import Detectors
from bridle.engine.flow.source import Origin
from bridle.engine.normalise import Normaliser, encode

STRICT = {"allow": 0, "modify": 1, "hold": 2, "deny": 3}


class Oracle:
    def __init__(self, office):
        self.office = office
        self.tools = [p for p in office.policies if p.set.value == "tools"]
        self.schema = cedarpy.Schema.from_str(office.schemas.tools)
        self.entities = cedarpy.Entities.from_json_str(json.dumps(_graph(office)), self.schema)
        self.normaliser = Normaliser(office)
        self.detectors = Detectors(office)

    def judge(self, case):
        return self._rounds(case, case.typed, "input")

    def release(self, case, output):
        typed = self.normaliser.output(case.tool, output)
        return "refused" if isinstance(typed, Refusal) else self._rounds(case, typed, "output")

    def _rounds(self, case, requested, root):
        typed, met, shadow, rounds = requested, set(), set(), 0
        while True:
            said = self._ask(case, typed, root)
            shadow |= {(i, state == "error") for i, state in said["shadow"]}
            code, named = _denial(said)
            if code:
                return _verdict("deny", code, named, shadow, met)
            objecting = said["objecting"]
            changes = sorted((p for p in objecting if p.modify), key=lambda p: p.id)
            if not changes:
                break
            if rounds == 3:
                return _verdict("deny", "modify_diverged", {""}, shadow, met)
            rounds += 1
            met |= {p.id for p in changes}
            typed = self._change(case, typed, root, changes)
            if typed is None:
                return _verdict("deny", "modify_diverged", {""}, shadow, met)
        holds = [p for p in objecting if p.hold]
        if holds:
            groups = {}
            for policy in holds:
                for group, need in policy.hold:
                    wanted = need if need > 0 else self.office.approvers[group].need
                    groups[group] = max(wanted, groups.get(group, 0))
            held = {p.id for p in holds}
            causes = {("forbid", p.id, p.digest) for p in holds}
            return _verdict(
                "hold", None, held | met, shadow, held | met, typed, causes=causes, groups=groups
            )
        effect = "allow" if typed.text == requested.text else "modify"
        return _verdict(effect, None, met, shadow, met, typed)

    def _change(self, case, typed, root, changes):
        value = typed.value
        try:
            for policy in changes:
                value = remedies.apply(policy.modify, root, value, self.detectors)
        except remedies.RemedyError:
            return None
        read = self.normaliser.normalise if root == "input" else self.normaliser.output
        again = read(case.tool, encode(value))
        return None if isinstance(again, Refusal) else again

    def _ask(self, case, typed, root):
        context = self._context(case, typed, root)
        others = [a for a in (*case.chain, *case.requesters) if a != case.agent]
        said = {"errors": set(), "permitted": False, "objecting": [], "shadow": set()}
        for policy in self.tools:
            if root == "output" and policy.effect == "permit" and policy.id != "bridle.release":
                continue  # results are released unless a forbid objects
            asked = [case.agent] if policy.effect == "permit" else [case.agent, *others]
            states = {self._state(policy, case, a, root, context) for a in asked} - {"no"}
            if policy.shadow:
                said["shadow"] |= {(policy.id, s) for s in states}
            elif "error" in states:
                said["errors"].add(policy.id)
            elif "match" in states and policy.effect == "permit":
                said["permitted"] = True
            elif "match" in states and (policy.id, policy.digest) not in case.waived:
                said["objecting"].append(policy)
        return said

    def _state(self, policy, case, agent, root, context):
        name = case.tool if root == "input" else f"{case.tool}:result"
        answer = cedarpy.is_authorized(
            {
                "principal": {"type": "Agent", "id": agent},
                "action": {"type": "Action", "id": name},
                "resource": {"type": "System", "id": self.office.tools[case.tool].system},
                "context": context,
            },
            policy.text,
            self.entities,
            self.schema,
        )
        if answer.decision is cedarpy.Decision.NoDecision or answer.diagnostics.errors:
            return "error"
        return "match" if answer.diagnostics.reasons else "no"

    def _context(self, case, typed, root):
        context = {
            "input": _rate(_plain(case.typed.value if root == "output" else typed.value)),
            "mission": {
                "id": case.mission.id,
                "template": case.mission.template,
                "purpose": case.mission.purpose,
                "labels": list(case.mission.labels),
                "untrusted": case.mission.untrusted,
                "clearance": list(case.mission.clearance),
            },
            "user": {"__entity": {"type": "User", "id": case.user}},
            "chain": {
                "depth": len(case.chain),
                "agents": [
                    {"__entity": {"type": "Agent", "id": a}} for a in {*case.chain, case.agent}
                ],
            },
            "system": {"now": case.now},
        }
        if case.executor:
            context["executor"] = {"__entity": {"type": "Workload", "id": case.executor}}
        if root == "input":
            context["facts"] = self.detectors.facts(case.tool, typed.value)
            context |= self._whence(case, typed)
        else:
            context["facts"] = self.detectors.facts_output(case.tool, typed.value)
            if self.office.tools[case.tool].output is not None:
                context["output"] = _plain(typed.value)
        return json.dumps(context)

    def _whence(self, case, typed):
        """Where it came from, argument by argument; what nobody knows counts as unknown."""
        labels = {*case.mission.labels, *(case.flow.labels if case.flow else ())}
        nothing = Origin(labels=frozenset(labels))
        names = [n for n, v in typed.value.items() if v is not None]
        if case.flow is None:
            meanings = {a.path: a.sink for a in self.office.tools[case.tool].arguments}
            properties = self.office.tools[case.tool].input["properties"]
            sinks = {meanings.get(n, "selector"): nothing for n in properties}
            told, whole = {}, nothing
        else:
            found = case.flow.origins(case.tool, typed.value)
            told, sinks, whole = found.arguments, found.sinks, found.any
        flow = {**{n: told.get(n, nothing) for n in names}, "any": whole}
        return {
            "flow": {n: _origin(o) for n, o in flow.items()},
            "sinks": {n: _origin(o) for n, o in sinks.items()},
        }


def _origin(origin):
    return {
        "sources": [{"__entity": {"type": "System", "id": s}} for s in origin.sources],
        "domains": [{"__entity": {"type": "Domain", "id": d}} for d in origin.domains],
        "labels": list(origin.labels),
        "trusted": origin.trusted,
        "prompted": origin.prompted,
        "unknown": origin.unknown,
    }


def _denial(said):
    if said["errors"]:
        return "policy_error", said["errors"]
    if not said["permitted"]:
        return "no_permit", {""}
    unmet = {p.id for p in said["objecting"] if not p.modify and not p.hold}
    return ("forbidden", unmet) if unmet else (None, set())


def _verdict(effect, code, named, shadow, met, typed=None, *, causes=(), groups=None):  # noqa: PLR0917
    return {
        "effect": effect,
        "code": code,
        "named": set(named),
        "shadow": set(shadow),
        "objected": set(met),
        "text": typed.text if typed else None,
        "causes": set(causes),
        "groups": groups or {},
    }


def seen(judgement):
    """The engine's judgement in the oracle's terms."""
    if isinstance(judgement, Refusal):
        return "refused"
    codes = {r.code.value for r in judgement.reasons}
    denied = judgement.effect.value == "deny"
    return {
        "effect": judgement.effect.value,
        "code": " ".join(sorted(codes)) if denied else None,
        "named": {r.policy for r in judgement.reasons},
        "shadow": {(h.policy, h.error) for h in judgement.shadow},
        "objected": set(judgement.objected),
        "text": judgement.typed.text if judgement.typed else None,
        "causes": {(c.kind, c.id, c.digest) for c in judgement.causes},
        "groups": judgement.groups,
    }


def _plain(value):
    """Decimals as Cedar extension values, spelled out."""
    if isinstance(value, Decimal):
        text = format(value, "f")
        return {"__extn": {"fn": "decimal", "arg": text if "." in text else text + ".0"}}
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value


def _rate(value):
    """The office has one argument of type `number`; a whole one is still a decimal to Cedar."""
    rate = value.get("rate")
    return {**value, "rate": _plain(Decimal(rate))} if isinstance(rate, int) else value


def _graph(office):
    def entity(kind, name, parents=(), attrs=None):
        return {
            "uid": {"type": kind, "id": name},
            "attrs": attrs or {},
            "parents": [{"type": k, "id": n} for k, n in parents],
        }

    graph = [entity("Team", t) for t in office.teams]
    graph += [entity("Domain", d) for d in office.domains]
    graph += [entity("Workload", w) for w in office.workloads]
    for user in office.users.values():
        attrs = dict(user.attributes)
        if user.name:
            attrs["name"] = user.name
        graph.append(entity("User", user.id, [("Team", t) for t in user.teams], attrs))
    for agent in office.agents.values():
        attrs = {
            **agent.attributes,
            "owner": {"__entity": {"type": "User", "id": agent.owner}},
            "version": agent.version,
        }
        if agent.team:
            attrs["team"] = {"__entity": {"type": "Team", "id": agent.team}}
        teams = [("Team", agent.team)] if agent.team else []
        graph.append({**entity("Agent", agent.id, teams, attrs), "tags": agent.tags})
    for system in office.systems.values():
        attrs = {
            "owner": system.owner,
            "environment": system.environment,
            "labels": list(system.labels),
        }
        graph.append(entity("System", system.id, [("Domain", system.domain)], attrs))
    return graph
