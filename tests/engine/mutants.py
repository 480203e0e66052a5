"""Deliberate faults of slicing and judging, each of which the differential test must find.

Each mutant is a function that takes a monkeypatch and damages one promise.
"""

from dataclasses import replace

import msgspec
from cedarpy import pst

from bridle.engine import judge, parties, stages, verdicts
from bridle.engine.case import Cause, Judgement, MissionView
from bridle.engine.cedar import evaluate, panel, slicer
from bridle.engine.cedar.entities import Kin, kin_of_action
from bridle.engine.cedar.panel import Opinion, Panel
from bridle.engine.cedar.slicer import Slice
from bridle.engine.flow import context as flow_context
from bridle.engine.flow.source import Origin
from bridle.model.verdict import Effect

MUTANTS = {}


def mutant(damage):
    MUTANTS[damage.__name__] = damage
    return damage


# --- slicing -------------------------------------------------------------------------------------


def _without(patch, dropped):
    real = slicer.matches
    patch.setattr(slicer, "matches", lambda node, scope: real(node, scope) and not dropped(node))


@mutant
def the_slicer_drops_action_groups(patch):
    patch.setattr(parties, "action_kin", _only_itself)


def _only_itself(tool, effect, *, result):
    return kin_of_action(f"{tool}:result" if result else tool)


@mutant
def the_slicer_forgets_the_group_of_all_calls(patch):
    real = parties.action_kin

    def without_call(tool, effect, *, result):
        return real(tool, effect, result=True) if result else kin_of_action(tool, effect)

    patch.setattr(parties, "action_kin", without_call)


@mutant
def the_slicer_drops_lists_of_actions(patch):
    _without(patch, lambda n: isinstance(n.action, pst.ActionIn) and len(n.action.entities) > 1)


@mutant
def the_slicer_forgets_the_resources_domain(patch):
    real = parties.kin_of_system
    patch.setattr(parties, "kin_of_system", lambda b, s: _alone(real(b, s)))


@mutant
def the_slicer_forgets_the_principals_team(patch):
    real = parties.kin_of_agent
    patch.setattr(parties, "kin_of_agent", lambda b, a: _alone(real(b, a)))


def _alone(kin):
    return Kin(kin.own, frozenset((kin.own,)))


@mutant
def the_slicer_drops_is(patch):
    _without(patch, lambda n: isinstance(n.principal, pst.ScopeIs))


@mutant
def the_slicer_drops_is_in(patch):
    kinds = pst.ScopeIsIn
    _without(patch, lambda n: isinstance(n.principal, kinds) or isinstance(n.resource, kinds))


@mutant
def the_slicer_drops_in_with_the_entity_itself(patch):
    def strictly(constraint, kin):
        within = isinstance(constraint, pst.ScopeIn)
        if within and kin is not None and constraint.entity == kin.own:
            return False
        return real(constraint, kin)

    real = slicer.entity_matches
    patch.setattr(slicer, "entity_matches", strictly)


@mutant
def the_slicer_serves_every_agent_the_first_ones_slice(patch):
    real = slicer.Slicer.slice
    patch.setattr(slicer.Slicer, "slice", lambda self, key, scope: real(self, key[0], scope))


@mutant
def the_slicer_mixes_up_equal_numbers_of_policies(patch):
    def prepare(self, policies):
        kept = tuple(policies)
        return self._prepared.setdefault(len(kept), evaluate.Prepared(kept))

    patch.setattr(slicer.Slicer, "_prepare", prepare)


@mutant
def only_scopes_make_a_policy_personal(patch):
    patch.setattr(slicer, "_mentions_principal", lambda clauses: False)


@mutant
def only_conditions_make_a_policy_personal(patch):
    patch.setattr(slicer, "is_personal", lambda p: slicer._mentions_principal(p.node.clauses))


@mutant
def unless_is_lost_on_the_way_to_cedar(patch):
    real = evaluate._nodes

    def damaged(policies):
        made = real(policies)
        kept = {
            i: replace(n, clauses=tuple(c for c in n.clauses if isinstance(c, pst.When)))
            for i, n in made.static_policies.items()
        }
        return pst.PolicySet({}, kept, ())

    patch.setattr(evaluate, "_nodes", damaged)


# --- one round -----------------------------------------------------------------------------------


def _opinion(patch, change):
    real = Panel.ask

    def ask(self, question, waived):
        return change(real(self, question, waived))

    patch.setattr(Panel, "ask", ask)


@mutant
def an_error_counts_as_not_applying(patch):
    _opinion(patch, lambda o: Opinion(o.permitted, o.objections, (), o.shadow))


@mutant
def an_error_counts_only_where_nothing_allows(patch):
    _opinion(
        patch,
        lambda o: Opinion(o.permitted, o.objections, () if o.permitted else o.faults, o.shadow),
    )


@mutant
def permits_are_not_asked_alone(patch):
    _opinion(
        patch,
        lambda o: Opinion(o.permitted or bool(o.objections), o.objections, o.faults, o.shadow),
    )


@mutant
def a_forbid_hides_the_permits(patch):
    patch.setattr(Panel, "_permits", lambda self, actor, answer: answer)


@mutant
def forbids_are_asked_of_the_actor_only(patch):
    patch.setattr(parties, "_others", lambda case: iter(()))


@mutant
def the_requester_is_not_asked(patch):
    real = parties._others
    patch.setattr(parties, "_others", lambda c: real(msgspec.structs.replace(c, requesters=())))


@mutant
def the_last_of_the_chain_is_not_asked(patch):
    real = parties._others
    patch.setattr(
        parties, "_others", lambda c: real(msgspec.structs.replace(c, chain=c.chain[:-1]))
    )


@mutant
def the_chains_errors_are_dropped(patch):
    real = evaluate.World.evaluate

    def evaluated(self, policies, request):
        answer = real(self, policies, request)
        forbids = all(p.effect == "forbid" and not p.shadow for p in policies.policies)
        personal = all(slicer.is_personal(p) for p in policies.policies)
        drop = policies.policies and forbids and personal
        return msgspec.structs.replace(answer, faults=()) if drop else answer

    patch.setattr(evaluate.World, "evaluate", evaluated)


@mutant
def permits_of_the_chain_count_too(patch):
    real = Slice.__init__

    def made(self, policies, prepare):
        kept = tuple(policies)
        real(self, kept, prepare)
        self.personal = prepare(p for p in kept if not p.shadow)

    patch.setattr(Slice, "__init__", made)


@mutant
def one_waiver_waives_all(patch):
    def objections(self, hits, waived):
        return () if waived else tuple(self._policies[i] for i in sorted(hits))

    patch.setattr(Panel, "_objections", objections)


@mutant
def a_waiver_holds_for_any_text(patch):
    def objections(self, hits, waived):
        names = {i for i, _ in waived}
        return tuple(self._policies[i] for i in sorted(hits) if i not in names)

    patch.setattr(Panel, "_objections", objections)


@mutant
def waivers_are_ignored(patch):
    real = Panel.ask
    patch.setattr(Panel, "ask", lambda self, q, waived: real(self, q, frozenset()))


@mutant
def shadow_counts(patch):
    real = Slice.__init__

    def made(self, policies, prepare):
        kept = tuple(policies)
        real(self, kept, prepare)
        self.enforced = prepare(iter(kept))

    patch.setattr(Slice, "__init__", made)


@mutant
def shadow_is_not_tried(patch):
    patch.setattr(Panel, "_shadow", lambda self, question: frozenset())


@mutant
def shadow_errors_are_lost(patch):
    def quiet(self, policies, request):
        answer = self._world.evaluate(policies, request)
        return {panel.ShadowHit(i) for i in answer.matched}

    patch.setattr(Panel, "_tried", quiet)


# --- the rules -----------------------------------------------------------------------------------


@mutant
def a_fourth_round(patch):
    patch.setattr(judge, "MAX_ROUNDS", 4)


@mutant
def only_two_rounds(patch):
    patch.setattr(judge, "MAX_ROUNDS", 2)


@mutant
def hold_comes_before_modify(patch):
    real = Panel.ask

    def ask(self, question, waived):
        said = real(self, question, waived)
        holds = tuple(p for p in said.objections if p.hold)
        others = tuple(p for p in said.objections if not p.modify)
        return Opinion(
            said.permitted, others if holds else said.objections, said.faults, said.shadow
        )

    patch.setattr(Panel, "ask", ask)


@mutant
def a_change_is_believed_unjudged(patch):
    def judged(self, stage, case, requested):
        judgement = real(self, stage, case, requested)
        diverged = [r for r in judgement.reasons if r.code == "modify_diverged"]
        if not diverged:
            return judgement
        return Judgement(effect=Effect.MODIFY, typed=requested)

    real = judge.Judge.judge
    patch.setattr(judge.Judge, "judge", judged)


@mutant
def changes_apply_in_reverse_order(patch):
    real = judge.Judge._changed
    patch.setattr(
        judge.Judge, "_changed", lambda self, s, t, typed, c: real(self, s, t, typed, c[::-1])
    )


@mutant
def only_the_first_change_applies(patch):
    real = judge.Judge._changed
    patch.setattr(
        judge.Judge, "_changed", lambda self, s, t, typed, c: real(self, s, t, typed, c[:1])
    )


@mutant
def a_remedy_beside_an_unmet_objection_is_enough(patch):
    patch.setattr(judge.verdicts, "met_by_remedy", lambda policy: True)


@mutant
def an_unmet_objection_blames_all(patch):
    real = verdicts.forbidden
    patch.setattr(judge.verdicts, "forbidden", lambda t, unmet, every: real(t, every, ()))


@mutant
def groups_need_the_least(patch):
    def least(holds, approvers):
        needs = {}
        for name, need in (g for p in holds for g in p.hold):
            wanted = need or approvers[name].need
            needs[name] = min(needs.get(name, wanted), wanted)
        return needs

    patch.setattr(verdicts, "_groups", least)


@mutant
def a_policys_count_is_ignored(patch):
    def declared(holds, approvers):
        return {name: approvers[name].need for p in holds for name, _ in p.hold}

    patch.setattr(verdicts, "_groups", declared)


@mutant
def the_first_hold_alone_is_asked(patch):
    real = verdicts.hold
    patch.setattr(judge.verdicts, "hold", lambda t, typed, holds, a: real(t, typed, holds[:1], a))


@mutant
def a_hold_shows_the_arguments_as_requested(patch):
    real = judge.Judge._settle
    patch.setattr(
        judge.Judge,
        "_settle",
        lambda self, t, requested, typed, holds: real(
            self, t, requested, requested if holds else typed, holds
        ),
    )


@mutant
def causes_name_no_text(patch):
    patch.setattr(verdicts, "Cause", lambda kind, name, digest: Cause(kind, name))


@mutant
def a_modify_is_called_an_allow(patch):
    real = verdicts.passed
    patch.setattr(judge.verdicts, "passed", lambda t, requested, final: real(t, final, final))


# --- what policies see ---------------------------------------------------------------------------


def _case(patch, **change):
    real = stages.action_context
    patch.setattr(
        stages, "action_context", lambda c, v, r: real(msgspec.structs.replace(c, **change), v, r)
    )


@mutant
def policies_see_no_chain(patch):
    _case(patch, chain=())


@mutant
def policies_see_another_user(patch):
    _case(patch, user="cyd")


@mutant
def policies_see_no_executor(patch):
    _case(patch, executor="")


@mutant
def policies_see_another_time(patch):
    _case(patch, now=0)


@mutant
def policies_see_no_facts(patch):
    real = stages.action_context
    patch.setattr(stages, "action_context", lambda c, v, r: real(c, {**v, "facts": {}}, r))


@mutant
def what_nobody_knows_is_absent(patch):
    real = flow_context.OriginViews._flow

    def known_only(self, case, typed, wanted, known):
        found = real(self, case, typed, wanted, known)
        return {n: v for n, v in found.items() if n == "any" or n in known.arguments}

    patch.setattr(flow_context.OriginViews, "_flow", known_only)


@mutant
def what_nobody_knows_is_trusted(patch):
    trusted = Origin(trusted=True, prompted=True, unknown=False)
    patch.setattr(flow_context, "_nobody_knows", lambda case: trusted)


@mutant
def what_nobody_knows_carries_no_labels(patch):
    patch.setattr(flow_context, "_nobody_knows", lambda case: Origin())


@mutant
def origins_are_those_of_what_was_asked(patch):
    real = flow_context.OriginViews.views
    patch.setattr(
        flow_context.OriginViews, "views", lambda self, c, typed, r: real(self, c, c.typed, r)
    )


@mutant
def origins_show_systems_as_domains(patch):
    patch.setattr(flow_context, "uid", lambda kind, name: {"type": kind, "id": "desk"})


@mutant
def meanings_are_not_told_apart(patch):
    real = flow_context._known

    def same(case, typed, wanted):
        found = real(case, typed, wanted)
        return msgspec.structs.replace(found, sinks=dict.fromkeys(found.sinks, found.any))

    patch.setattr(flow_context, "_known", same)


@mutant
def what_a_mission_has_read_is_not_shown(patch):
    real = MissionView.context
    patch.setattr(MissionView, "context", lambda self: {**real(self), "untrusted": False})


@mutant
def a_mission_may_read_anything(patch):
    real = MissionView.context
    patch.setattr(MissionView, "context", lambda self: {**real(self), "clearance": self.labels})


@mutant
def what_shadow_policies_read_is_left_out(patch):
    real = parties.context_reads
    patch.setattr(parties, "context_reads", lambda p: frozenset() if p.shadow else real(p))


@mutant
def only_the_first_attribute_a_policy_reads_counts(patch):
    real = parties.context_reads

    def first(policy):
        found = real(policy)
        return frozenset(sorted(found)[:1]) if found else found

    patch.setattr(parties, "context_reads", first)


@mutant
def results_are_judged_as_calls(patch):
    real = stages.Parties
    patch.setattr(stages, "Parties", lambda b, p, *, result: real(b, p, result=False))


@mutant
def results_have_no_rules(patch):
    patch.setattr(stages.ResultStage, "has_rules", lambda self, tool: False)
