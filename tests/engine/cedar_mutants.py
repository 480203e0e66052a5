"""Deliberate faults of the compiled evaluator, which the comparison with Cedar must find."""

import operator

from cedarpy import pst

from bridle.engine.cedar.compiled import (
    expressions,
    forms,
    graph,
    operators,
    program,
    values,
)
from bridle.engine.cedar.compiled.values import Fixed, Ref

MUTANTS = {}


def mutant(damage):
    MUTANTS[damage.__name__] = damage
    return damage


def _binary(patch, name, made):
    patch.setitem(expressions._BINARY, name, made)


# --- operators ------------------------------------------------------------------------------------


@mutant
def both_sides_of_and_count(patch):
    def both(left, right):
        return lambda frame: bool(operators._bool(left(frame)) & operators._bool(right(frame)))

    _binary(patch, "and", both)


@mutant
def both_sides_of_or_count(patch):
    def both(left, right):
        return lambda frame: bool(operators._bool(left(frame)) | operators._bool(right(frame)))

    _binary(patch, "or", both)


@mutant
def the_right_side_of_and_may_be_anything(patch):
    _binary(patch, "and", lambda one, other: lambda f: operators._bool(one(f)) and bool(other(f)))


@mutant
def a_condition_may_be_any_value(patch):
    patch.setattr(operators, "_bool", bool)


@mutant
def a_rule_takes_any_value_for_false(patch):
    def applies(self, frame):
        return all(term(frame) is wanted for term, wanted in self.conditions)

    patch.setattr(program.Rule, "applies", applies)


@mutant
def truth_is_one(patch):
    patch.setattr(operators, "equal", operator.eq)


@mutant
def truth_is_one_within_sets(patch):
    for module in (operators, graph):
        patch.setattr(module, "key", _loose)


def _loose(value):
    return int(value) if isinstance(value, bool) else values.key(value)


@mutant
def truth_is_one_within_records(patch):
    def loose(value):
        if isinstance(value, dict):
            return values._Fields(frozenset((n, _loose(v)) for n, v in value.items()))
        return real(value)

    real = values.key
    for module in (values, operators, graph):
        patch.setattr(module, "key", loose)


@mutant
def unequal_types_are_an_error(patch):
    def strict(one, other):
        if type(one) is not type(other):
            raise values.EvaluationError(values.TYPE)
        return values.equal(one, other)

    patch.setattr(operators, "equal", strict)


@mutant
def sums_never_overflow(patch):
    patch.setattr(operators, "_long", lambda value: value)


@mutant
def sums_wrap_around(patch):
    patch.setattr(operators, "_long", lambda v: (v + 2**63) % 2**64 - 2**63)


@mutant
def the_least_long_is_one_too_many(patch):
    patch.setattr(operators, "LONG_MIN", -(2**63) + 1)


@mutant
def a_bool_has_an_order(patch):
    def loose(compare):
        def make(left, right):
            def term(frame):
                one, other = left(frame), right(frame)
                if not (isinstance(one, int) and isinstance(other, int)):
                    raise values.EvaluationError(values.TYPE)
                return compare(one, other)

            return term

        return make

    _binary(patch, "less", loose(operator.lt))


@mutant
def less_is_less_or_equal(patch):
    _binary(patch, "less", operators.ordering(operator.le))


@mutant
def greater_is_greater_or_equal(patch):
    _binary(patch, "greater", operators.ordering(operator.ge))


@mutant
def decimals_compare_the_wrong_way(patch):
    _binary(patch, "decimal_greater_eq", operators.decimal_ordering(operator.gt))


@mutant
def subtraction_turns_its_sides_around(patch):
    _binary(patch, "sub", operators.arithmetic(lambda a, b: b - a))


@mutant
def the_right_side_is_evaluated_first(patch):
    def backwards(left, right):
        def term(frame):
            other = right(frame)
            return operators.equal(left(frame), other)

        return term

    _binary(patch, "eq", backwards)


@mutant
def types_are_checked_before_the_right_side_is_evaluated(patch):
    def early(left, right):
        def term(frame):
            one = operators._set(left(frame))
            return values.key(right(frame)) in one

        return term

    _binary(patch, "contains", early)


@mutant
def contains_all_turns_its_sides_around(patch):
    _binary(patch, "contains_all", lambda one, other: operators.contains_all(other, one))


@mutant
def contains_any_of_nothing_holds(patch):
    def vacuous(left, right):
        def term(frame):
            one, other = operators._set(left(frame)), operators._set(right(frame))
            return not other or not one.isdisjoint(other)

        return term

    _binary(patch, "contains_any", vacuous)


@mutant
def a_missing_attribute_is_false(patch):
    def lenient(graph, base, name):
        return lambda frame: operators._attrs(graph, base(frame)).get(name, False)

    patch.setattr(operators, "attribute", lenient)


@mutant
def has_is_false_of_anything(patch):
    def lenient(graph, base, name):
        def term(frame):
            value = base(frame)
            if isinstance(value, dict):
                return name in value
            node = graph.nodes.get(value) if isinstance(value, Ref) else None
            return node is not None and name in node.attrs

        return term

    patch.setattr(operators, "has", lenient)


@mutant
def has_of_a_stranger_is_an_error(patch):
    def strict(graph, base, name):
        return lambda frame: name in operators._attrs(graph, base(frame))

    patch.setattr(operators, "has", strict)


@mutant
def a_strangers_attribute_is_merely_missing(patch):
    real = operators._attrs

    def lenient(graph, value):
        stranger = isinstance(value, Ref) and value not in graph.nodes
        return {} if stranger else real(graph, value)

    patch.setattr(operators, "_attrs", lenient)


@mutant
def a_missing_tag_is_empty(patch):
    def lenient(graph, left, right):
        def term(frame):
            node = graph.nodes.get(operators._ref(left(frame)))
            return node.tags.get(right(frame), "") if node else ""

        return term

    patch.setitem(expressions._OF_ENTITIES, "get_tag", lenient)


@mutant
def in_does_not_hold_of_the_entity_itself(patch):
    real = graph.Graph.within
    patch.setattr(graph.Graph, "within", lambda self, ref: real(self, ref) - {ref})


@mutant
def in_looks_at_parents_alone(patch):
    patch.setattr(graph, "_closure", lambda ref, above: frozenset((ref, *above[ref][:1])))


@mutant
def a_stranger_is_in_nothing(patch):
    def within(self, ref):
        node = self.nodes.get(ref)
        return node.within if node else frozenset()

    patch.setattr(graph.Graph, "within", within)


@mutant
def in_skips_what_is_no_entity(patch):
    def lenient(graph, left, right):
        def term(frame):
            above, other = graph.within(operators._ref(left(frame))), right(frame)
            return other in above if isinstance(other, Ref) else not above.isdisjoint(other)

        return term

    patch.setitem(expressions._OF_ENTITIES, "in", lenient)
    patch.setattr(operators, "within", lenient)


@mutant
def is_in_evaluates_in_first(patch):
    def eager(self, base, kind, entity):
        here = operators.is_kind(base, kind)
        if entity is None:
            return here
        inside = operators.within(self.graph, base, self.term(entity))
        return lambda frame: inside(frame) & here(frame)

    patch.setattr(expressions.Compiler, "_is", eager)


@mutant
def a_pattern_matches_anywhere(patch):
    patch.setattr(operators, "_matches", lambda text, pieces: all(p in text for p in pieces))


@mutant
def the_ends_of_a_pattern_may_overlap(patch):
    def loose(text, pieces):
        return text.startswith(pieces[0]) and text.endswith(pieces[-1])

    patch.setattr(operators, "_matches", loose)


@mutant
def an_escaped_star_is_a_wildcard(patch):
    real = expressions._pieces

    def loose(pattern):
        star = pst.Char("*")
        return real(tuple(pst.Wildcard() if p == star else p for p in pattern))

    patch.setattr(expressions, "_pieces", loose)


@mutant
def records_are_evaluated_as_written(patch):
    patch.setattr(
        operators, "record", lambda fields: lambda frame: {n: f(frame) for n, f in fields[::-1]}
    )


@mutant
def both_branches_are_evaluated(patch):
    def both(condition, then, otherwise):
        def term(frame):
            one, other = then(frame), otherwise(frame)
            return one if operators._bool(condition(frame)) else other

        return term

    patch.setattr(operators, "choice", both)


@mutant
def has_looks_at_the_first_step_alone(patch):
    def short(self, base, attrs):
        return operators.has(self.graph, base, attrs[0])

    patch.setattr(expressions.Compiler, "_has", short)
    patch.setattr(operators, "conjunction", lambda left, right: left)


# --- decimals -------------------------------------------------------------------------------------


@mutant
def decimals_are_floats(patch):
    def loose(text):
        try:
            return Fixed(int(float(text) * 10_000))
        except ValueError as e:
            raise values.EvaluationError(values.EXTENSION) from e

    for module in (operators, forms, graph):
        patch.setattr(module, "decimal", loose)


@mutant
def the_sign_covers_the_whole_part_alone(patch):
    def loose(text):
        right = values.decimal(text)
        if not text.startswith("-"):
            return right
        whole, _, rest = text.partition(".")
        return Fixed(int(whole) * 10_000 + int(rest.ljust(4, "0")))

    for module in (operators, forms, graph):
        patch.setattr(module, "decimal", loose)


@mutant
def decimals_have_no_end(patch):
    patch.setattr(values, "LONG_MAX", 10**40)
