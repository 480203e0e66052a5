"""Faults of compiled policies as a whole, and of what counts as a request that fits."""

from dataclasses import replace

import msgspec
from cedarpy import pst

from bridle.engine.cedar.answer import Answer
from bridle.engine.cedar.compiled import forms, program, schema
from engine.cedar_mutants import MUTANTS, mutant

__all__ = ["MUTANTS"]  # those of both modules

# --- policies and the authorizer ------------------------------------------------------------------


@mutant
def unless_is_when(patch):
    patch.setattr(
        program.Evaluator,
        "_condition",
        lambda self, clause: (self._compiler.term(clause.expr), True),
    )


@mutant
def only_the_first_condition_counts(patch):
    real = program.Evaluator._rule

    def short(self, policy):
        node = replace(policy.node, clauses=policy.node.clauses[:1])
        return real(self, msgspec.structs.replace(policy, node=node))

    patch.setattr(program.Evaluator, "_rule", short)


@mutant
def conditions_come_before_the_scope(patch):
    real = program.Evaluator._rule

    def backwards(self, policy):
        made = real(self, policy)
        scope = tuple((term, True) for term in made.scope)
        return msgspec.structs.replace(made, scope=(), conditions=(*made.conditions, *scope))

    patch.setattr(program.Evaluator, "_rule", backwards)


@mutant
def whom_a_policy_concerns_is_remembered_by_the_action_alone(patch):
    real = program.Program.concerned
    asked = {}

    def first(self, frame):
        return asked.setdefault((self, frame[1]), real(self, frame))

    patch.setattr(program.Program, "concerned", first)


@mutant
def a_list_of_actions_is_its_first(patch):
    real = program.Evaluator._actions

    def short(self, constraint):
        if isinstance(constraint, pst.ActionIn):
            constraint = pst.ActionIn(constraint.entities[:1])
        return real(self, constraint)

    patch.setattr(program.Evaluator, "_actions", short)


@mutant
def is_in_forgets_the_type(patch):
    real = program.Evaluator._scope

    def loose(self, constraint, who):
        made = real(self, constraint, who)
        return made[1:] if isinstance(constraint, pst.ScopeIsIn) else made

    patch.setattr(program.Evaluator, "_scope", loose)


@mutant
def an_error_is_no_match(patch):
    _answered(patch, lambda a: msgspec.structs.replace(a, faults=()))


@mutant
def a_permit_beats_a_forbid(patch):
    _answered(patch, lambda a: Answer(bool(a.matched), a.matched, a.faults))


@mutant
def a_denial_names_no_forbids(patch):
    _answered(patch, lambda a: a if a.allowed else Answer(False, (), a.faults))


def _answered(patch, change):
    real = program.Evaluator.answer

    def answer(self, made, request):
        found = real(self, made, request)
        return found and change(found)

    patch.setattr(program.Evaluator, "answer", answer)


# --- requests that Cedar refuses ------------------------------------------------------------------


@mutant
def a_long_may_be_any_number(patch):
    patch.setitem(schema._PLAIN, "Long", lambda given: given)


@mutant
def a_bool_passes_for_a_long(patch):
    def loose(given):
        return forms.long(int(given)) if isinstance(given, bool) else forms.long(given)

    patch.setitem(schema._PLAIN, "Long", loose)


@mutant
def a_text_may_hold_half_a_character(patch):
    patch.setattr(forms, "well_formed", lambda text: True)


@mutant
def a_record_may_hold_more(patch):
    real = forms.record

    def loose(fields):
        read = real(fields)
        return lambda given: read({k: v for k, v in given.items() if k in fields})

    patch.setattr(forms, "record", loose)


@mutant
def a_null_is_absent(patch):
    real = forms.record

    def loose(fields):
        read = real(fields)
        return lambda given: read({k: v for k, v in given.items() if v is not None})

    patch.setattr(forms, "record", loose)


@mutant
def nothing_is_required(patch):
    real = forms.record

    def loose(fields):
        return real({n: forms.Field(f.read, required=False) for n, f in fields.items()})

    patch.setattr(forms, "record", loose)


@mutant
def an_entity_of_any_type_will_do(patch):
    patch.setattr(forms, "entity", lambda kind: forms.uid)


@mutant
def any_principal_will_do(patch):
    patch.setattr(schema.Applies, "principals", _Anything(), raising=False)


class _Anything:
    def __contains__(self, what):
        return True
