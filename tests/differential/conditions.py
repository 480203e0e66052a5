"""Random conditions that are safe to evaluate: whatever they bind is bound before it is used."""

from __future__ import annotations

from random import Random

import msgspec

from bridle.language.temporal import ast
from differential import trees, values
from differential.worlds import BOOL, DECIMAL, LONG, STRING, Slot, Type, World

WINDOWS = [(1, "s"), (2, "s"), (3, "s"), (5, "s"), (10, "s"), (10, "s"), (1, "m"), (1, "h")]
BINDABLE = (STRING, LONG, BOOL, DECIMAL)
ORDERINGS = ["<", "<=", ">", ">="]

Bound = dict[str, Type]


class Author:
    """Writes conditions for one policy: `scope` are the actions it can be asked about."""

    def __init__(self, rnd: Random, world: World, scope: tuple[str, ...]) -> None:
        self.rnd, self.world, self.scope = rnd, world, scope
        self._names = iter(range(10_000))

    # --- leaves ----------------------------------------------------------------------------------

    def leaf(self, depth: int) -> ast.Condition:
        """Write a whole condition."""
        if self.rnd.random() < 0.3:
            return self.rnd.choices([self._hidden_now, self._standing, self._plain], [2, 5, 4])[0]()
        count = self.rnd.choice([1, 1, 1, 1, 2])
        return trees.chain([self.test(depth, {}) for _ in range(count)])

    def test(self, depth: int, bound: Bound) -> ast.Condition:
        """Write a condition that binds nothing to the outside, and varies with time."""
        if depth <= 0:
            return self.rnd.choice([self.predicate, self.predicate, self._counted])(bound)
        kinds = {
            self._formerly: 5, self._previous: 3, self._since: 4, self._exists: 7, self._not: 3,
            self._both: 2, self._aggregate: 4, self._now: 1,
            self._hidden: 2, self._total: 8 * self.world.wide,
        }  # fmt: skip
        chosen = self.rnd.choices(list(kinds), list(kinds.values()))[0]
        return chosen(depth, bound)

    def _now(self, depth: int, bound: Bound) -> ast.Condition:
        return self.predicate(bound)

    def _formerly(self, depth: int, bound: Bound) -> ast.Condition:
        return ast.Formerly(self.window(), self.test(depth - 1, bound))

    def _previous(self, depth: int, bound: Bound) -> ast.Condition:
        return ast.Previous(self.window(), self.test(depth - 1, bound))

    def _since(self, depth: int, bound: Bound) -> ast.Condition:
        if self.rnd.random() < 0.2:
            left = self._bare()
            if self.rnd.random() < 0.4:
                left = ast.And(ast.Not(left), ast.Not(self._bare()))
            return ast.Since(left, self.window(), self._bare())
        left = self._during(depth - 1, bound)
        return ast.Since(left, self.window(), self.test(depth - 1, bound))

    def _during(self, depth: int, bound: Bound) -> ast.Condition:
        """Write the left of a since: mostly that something did not happen."""
        if self.rnd.random() < 0.2:
            return self._bare()
        inner = self.test(depth if self.rnd.random() < 0.3 else 0, bound)
        return inner if self.rnd.random() < 0.25 else ast.Not(inner)

    def _bare(self) -> ast.Predicate:
        """Write a predicate on all events of a kind."""
        made = self._predicate_of({}, {})
        assert made is not None
        return ast.Predicate(made.namespace, made.action, made.kind)

    def _not(self, depth: int, bound: Bound) -> ast.Condition:
        inner = self.test(depth if self.rnd.random() < 0.6 else depth - 1, bound)
        return ast.Not(ast.Not(inner)) if self.rnd.random() < 0.1 else ast.Not(inner)

    def _both(self, depth: int, bound: Bound) -> ast.Condition:
        return ast.And(self.test(depth - 1, bound), self.test(depth - 1, bound))

    def _exists(self, depth: int, bound: Bound) -> ast.Condition:
        name, kind = self._fresh(bound)
        inner = {**bound, name: kind}
        body = self.binding(depth, {n: t for n, t in bound.items() if n != name}, {name: kind})
        if self.rnd.random() < 0.3:
            body = ast.And(body, self.test(depth - 1, inner))
        return ast.Exists(ast.Binder(name, kind), body)

    def _hidden_now(self) -> ast.Condition:
        return self._hidden(0, {})

    def _plain(self) -> ast.Condition:
        """Write one of the shortest conditions in which windows, runs and fields decide."""
        short = [ast.Window(seconds, "s") for seconds in (1, 2, 3, 5)]
        near, far = self.rnd.choice(short), self.rnd.choice(short)
        one, other = self._bare(), self._bare()
        kind = self.rnd.random()
        if kind < 0.25:
            return ast.Formerly(near, ast.And(one, ast.Formerly(far, other)))
        if kind < 0.5:
            left = one if self.rnd.random() < 0.7 else ast.Not(one)
            return ast.Since(left, ast.Window(10, "s"), self.rnd.choice([one, other]))
        slots = self.rnd.sample(self.world.fields(one.action, one.kind), 2)
        said, denied = ([self._field(s) for s in slots] for _ in range(2))
        body = ast.And(
            msgspec.structs.replace(one, fields=tuple(said[: self.rnd.choice([0, 1, 2])])),
            ast.Not(msgspec.structs.replace(one, fields=tuple(denied))),
        )
        return ast.Formerly(ast.Window(10, "s"), body)

    def _field(self, slot: Slot) -> ast.Field:
        return ast.Field(slot.path, self.ground(slot.type))

    def _standing(self) -> ast.Condition:
        """Ask how many rows stand, or for their sum, and of nothing else."""
        sums = self.rnd.random() < 0.4
        need: Bound = {f"v{next(self._names)}": LONG} if sums else {}
        for _ in range(self.rnd.choice([0, 1, 1]) if sums else self.rnd.choice([1, 2, 2])):
            need[f"v{next(self._names)}"] = self.rnd.choice([STRING, STRING, LONG, self.world.user])
        if self.rnd.random() < 0.35:
            need[f"v{next(self._names)}"] = ast.TIMEPOINT
        body = self._unanswered(0, {}, need)
        if self.rnd.random() < 0.25:
            body = ast.Formerly(self.window(), self._atoms({}, need))
        first, *others = [ast.Binder(name, kind) for name, kind in need.items()]
        hidden = [b for b in others if self.rnd.random() < 0.6]
        for binder in hidden:
            body = ast.Exists(binder, body)
        shown = tuple(b for b in (first, *others) if b not in hidden)
        number = ast.Sum(first.name, shown, body) if sums else ast.Count(shown, body)
        limit = ast.IntegerLiteral(self.rnd.choice([0, 1, 1, 2, 2, 3, 4]))
        return ast.Comparison(self.rnd.choice(["==", "==", *ORDERINGS]), number, limit)

    def _hidden(self, depth: int, bound: Bound) -> ast.Condition:
        """Bind a name, bind it again within, and use it afterwards."""
        name, kind = f"v{next(self._names)}", self._bindable()
        other, its = f"v{next(self._names)}", self._bindable()
        binder, plain = ast.Binder(name, kind), {name: kind}
        parts = [self.binding(self.rnd.choice([0, 1]), bound, {**plain, other: its})]
        again = self.binding(self.rnd.choice([0, 1]), {**bound, other: its}, plain)
        if self.rnd.random() < 0.4:
            number = ast.Count((binder,), again), ast.IntegerLiteral(self.rnd.choice([0, 1, 2]))
            parts.append(ast.Comparison(self.rnd.choice(["==", *ORDERINGS]), *number))
        else:
            parts.append(ast.Exists(binder, again))
        if self.rnd.random() < 0.7:
            parts.append(self.filter(0, plain))
        return ast.Exists(ast.Binder(other, its), ast.Exists(binder, trees.chain(parts)))

    def _counted(self, bound: Bound) -> ast.Condition:
        return self._aggregate(1, bound)

    def _aggregate(self, depth: int, bound: Bound) -> ast.Condition:
        made, limit = self.aggregate(depth, bound), self._threshold(bound)
        op = self.rnd.choice(["==", "==", "!=", *ORDERINGS])
        if self.rnd.random() < 0.15:
            limit = self.aggregate(depth - 1, bound)
        turned = self.rnd.random() < 0.2
        return ast.Comparison(op, *((limit, made) if turned else (made, limit)))

    def _total(self, depth: int, bound: Bound) -> ast.Condition:
        """Add up what is near the ends of `Long`, event by event."""
        limit = ast.IntegerLiteral(self.rnd.choice([0, values.LAST // 2, values.LAST - 5]))
        return ast.Comparison(self.rnd.choice(ORDERINGS), self._each({}, sums=True), limit)

    def _threshold(self, bound: Bound) -> ast.Term:
        if self.rnd.random() < 0.75:
            options = [0, 1, 1, 2, 2, 3, 4]
            options += [values.LAST // 2, 2, values.LAST - 5] if self.world.wide else []
            return ast.IntegerLiteral(self.rnd.choice(options))
        return self.term(LONG, bound)

    # --- aggregates ------------------------------------------------------------------------------

    def aggregate(self, depth: int, bound: Bound) -> ast.Term:
        """Write a count or a sum."""
        sums = self.rnd.random() < 0.45
        if self.rnd.random() < 0.3:
            return self._each(bound, sums=sums)
        rows: Bound = {}
        if sums:
            rows[self._name(bound, LONG)] = LONG
        if not sums or self.rnd.random() < 0.6:
            rows |= self._row(bound, ast.TIMEPOINT if self.rnd.random() < 0.6 else self._bindable())
        if self.rnd.random() < 0.2:
            rows = {**self._row(bound, self._bindable()), **rows}
        outside = {n: t for n, t in bound.items() if n not in rows}
        body = self.binding(max(depth, 1), outside, rows)
        binders = [ast.Binder(name, kind) for name, kind in rows.items()]
        self.rnd.shuffle(binders)
        if not sums:
            return ast.Count(tuple(binders), body)
        summed = self.rnd.choice([name for name, kind in rows.items() if kind == LONG])
        return ast.Sum(summed, tuple(binders), body)

    def _each(self, bound: Bound, *, sums: bool) -> ast.Term:
        """Count the events that match, or add up a field of theirs."""
        value, position = self._name(bound, LONG), f"v{next(self._names)}"
        need = {value: LONG} if sums else {}
        outside = {n: t for n, t in bound.items() if n != value}
        one = self._predicate_of(outside, need)
        assert one is not None
        parts: list[ast.Condition] = [one, ast.Tp(position)]
        if self.rnd.random() < 0.5:
            parts.append(ast.Not(ast.Formerly(self.window(), self._bare())))
        if self.rnd.random() < 0.2:
            parts.append(self.filter(1, {**outside, **need}))
        body = ast.Formerly(self.window(), trees.chain(parts))
        binders = (ast.Binder(position, ast.TIMEPOINT),)
        if not sums:
            return ast.Count(binders, body)
        return ast.Sum(value, (ast.Binder(value, LONG), *binders), body)

    def _row(self, bound: Bound, kind: Type) -> Bound:
        return {self._name(bound, kind): kind}

    # --- what binds ------------------------------------------------------------------------------

    def binding(self, depth: int, bound: Bound, need: Bound) -> ast.Condition:
        """Write a condition that gives every variable of `need` its values."""
        if depth <= 0:
            return self._atoms(bound, need)
        kinds = {
            self._formerly_binding: 7, self._previous_binding: 2, self._since_binding: 3,
            self._join: 6, self._more: 2, self._computed: 2, self._here: 1, self._unanswered: 6,
        }  # fmt: skip
        chosen = self.rnd.choices(list(kinds), list(kinds.values()))[0]
        return chosen(depth, bound, need)

    def _here(self, depth: int, bound: Bound, need: Bound) -> ast.Condition:
        return self._atoms(bound, need)

    def _formerly_binding(self, depth: int, bound: Bound, need: Bound) -> ast.Condition:
        return ast.Formerly(self.window(), self._filtered(depth - 1, bound, need))

    def _previous_binding(self, depth: int, bound: Bound, need: Bound) -> ast.Condition:
        return ast.Previous(self.window(), self._filtered(depth - 1, bound, need))

    def _since_binding(self, depth: int, bound: Bound, need: Bound) -> ast.Condition:
        anchor = self._filtered(depth - 1, bound, need)
        return ast.Since(self._during(depth - 1, {**bound, **need}), self.window(), anchor)

    def _filtered(self, depth: int, bound: Bound, need: Bound) -> ast.Condition:
        body = self.binding(depth, bound, need)
        if self.rnd.random() < 0.25:
            body = ast.And(body, self.filter(depth, {**bound, **need}))
        return body

    def _join(self, depth: int, bound: Bound, need: Bound) -> ast.Condition:
        """Bind some here and some there, look back at the first, and filter."""
        names = list(need)
        self.rnd.shuffle(names)
        cut = self.rnd.randint(1, len(names))
        one = {n: need[n] for n in names[:cut]}
        rest = {n: need[n] for n in names[cut:]}
        parts = [self.binding(depth - 1, bound, one)]
        seen = {**bound, **one}
        if rest:
            parts.append(self.binding(depth - 1, seen, rest))
            seen |= rest
        count = self.rnd.choice([0, 0, 1] if rest else [0, 1, 1, 2])
        parts += [self.filter(depth - 1, seen) for _ in range(count)]
        return trees.chain(parts)

    def _unanswered(self, depth: int, bound: Bound, need: Bound) -> ast.Condition:
        """Bind by one event that no other one of the same values has answered."""
        plain = [n for n, kind in need.items() if kind != ast.TIMEPOINT]
        anchor = self._atoms(bound, need)
        if not plain or not any(isinstance(p, ast.Predicate) for p in trees.conjuncts(anchor)):
            return self._join(depth, bound, need)
        seen = {**bound, **need}
        parts: list[ast.Condition] = [ast.Formerly(self.window(), anchor)]
        if self.rnd.random() < 0.4:
            answer = ast.Not(self._answer(anchor, seen, plain))
            parts = [ast.Since(answer, self.window(), anchor)]
        if self.rnd.random() < 0.7 or isinstance(parts[0], ast.Formerly):
            answer = self._answer(anchor, seen, plain)
            brief = ast.Window(self.rnd.choice([1, 2, 3, 5]), "s")
            window = brief if self.rnd.random() < 0.6 else self.window()
            parts.append(ast.Not(ast.Formerly(window, answer)))
        numbers = {n: kind for n, kind in need.items() if kind == LONG}
        if numbers and self.rnd.random() < 0.3:
            limit = ast.IntegerLiteral(self.rnd.choice([0, 1, 2]))
            sides = ast.Variable(self.rnd.choice(list(numbers))), limit
            parts.append(ast.Comparison(self.rnd.choice(ORDERINGS), *sides))
        return trees.chain(parts)

    def _answer(self, anchor: ast.Condition, seen: Bound, plain: list[str]) -> ast.Condition:
        """Write a predicate that shares a variable with another, and perhaps a fixed field."""
        name = self.rnd.choice(plain)
        made = self._predicate_of({}, {name: seen[name]})
        assert made is not None
        (first, *_) = [p for p in trees.conjuncts(anchor) if isinstance(p, ast.Predicate)]
        names = {s.path for s in self.world.fields(made.action, made.kind)}
        known = [f for f in first.fields if f.path in names and not trees.free(f)]
        if known and self.rnd.random() < 0.5:
            fixed = self.rnd.choice(known)
            kept = tuple(f for f in made.fields if f.path != fixed.path)
            if any(trees.free(f) for f in kept):
                made = ast.Predicate(made.namespace, made.action, made.kind, (*kept, fixed))
        return made

    def _more(self, depth: int, bound: Bound, need: Bound) -> ast.Condition:
        """Bind one more than asked for, under an exists of its own."""
        name, kind = self._fresh({**bound, **need})
        if name in need:
            return self._join(depth, bound, need)
        outside = {n: t for n, t in bound.items() if n != name}
        body = self.binding(depth - 1, outside, {**need, name: kind})
        return ast.Exists(ast.Binder(name, kind), body)

    def _computed(self, depth: int, bound: Bound, need: Bound) -> ast.Condition:
        """Bind a number to an aggregate, or a value to what the request shows."""
        able = [n for n, kind in need.items() if kind in BINDABLE]
        if not able:
            return self._join(depth, bound, need)
        name = self.rnd.choice(able)
        others = {n: t for n, t in need.items() if n != name}
        parts = [self.binding(depth - 1, bound, others)] if others else []
        seen = {**bound, **others}
        if need[name] == LONG and self.rnd.random() < 0.75:
            given = self.aggregate(depth - 1, seen)
        else:
            given = self.ground(need[name])
        sides = [given, ast.Variable(name)]
        if self.rnd.random() < 0.3:
            sides.reverse()
        parts.append(ast.Comparison("==", *sides))
        parts.append(self.filter(depth - 1, {**seen, name: need[name]}))
        if not (others or isinstance(given, ast.Count | ast.Sum)):
            parts.append(self.test(0, {**seen, name: need[name]}))
        return trees.chain(parts)

    def _atoms(self, bound: Bound, need: Bound) -> ast.Condition:
        """Bind all with predicates and `tp`, at one position."""
        positions = [n for n, kind in need.items() if kind == ast.TIMEPOINT]
        plain = {n: kind for n, kind in need.items() if kind != ast.TIMEPOINT}
        parts: list[ast.Condition] = []
        here = dict(bound)
        if plain or self.rnd.random() < 0.9:
            parts += self._predicates(here, plain)
        parts += [ast.Tp(name) for name in positions]
        return trees.chain(parts)

    def _predicates(self, bound: Bound, need: Bound) -> list[ast.Condition]:
        made = self._predicate_of(bound, need)
        if made is not None:
            return [made]
        parts: list[ast.Condition] = []
        seen = dict(bound)
        for name, kind in need.items():
            one = self._predicate_of(seen, {name: kind})
            assert one is not None, f"nothing carries a {kind}"
            parts.append(ast.Formerly(self.window(), one) if parts else one)
            seen[name] = kind
        return parts

    # --- filters ---------------------------------------------------------------------------------

    def filter(self, depth: int, bound: Bound) -> ast.Condition:
        """Write a condition on what is bound; any kind of test will do as well."""
        numbers = [n for n, kind in bound.items() if kind == LONG]
        if self.rnd.random() < 0.5 or not bound:
            test = self.test(depth, bound)
            return ast.Not(test) if self.rnd.random() < 0.4 else test
        if numbers and self.rnd.random() < 0.6:
            number = self.rnd.choice(numbers)
            left: ast.Term = ast.Variable(number)
            right = self.term(LONG, {n: kind for n, kind in bound.items() if n != number})
            op = self.rnd.choice([*ORDERINGS, "==", "!="])
        else:
            name = self.rnd.choice(list(bound))
            others = {n: kind for n, kind in bound.items() if n != name}
            if bound[name] == ast.TIMEPOINT and ast.TIMEPOINT not in others.values():
                return self.test(depth, bound)
            left, op = ast.Variable(name), self.rnd.choice(["==", "!=", "!="])
            right = self.term(bound[name], others)
        if self.rnd.random() < 0.2:
            left, right = right, left
        made = ast.Comparison(op, left, right)
        return ast.Not(made) if self.rnd.random() < 0.2 else made

    # --- predicates and terms --------------------------------------------------------------------

    def predicate(self, bound: Bound) -> ast.Condition:
        """Write a predicate that binds nothing."""
        made = self._predicate_of(bound, {})
        assert made is not None
        return made

    def _predicate_of(self, bound: Bound, need: Bound) -> ast.Predicate | None:
        events = [
            (action.name, kind.name)
            for action in self.world.actions
            for kind in self._likely_kinds()
        ]
        self.rnd.shuffle(events)
        for action, kind in events:
            slots = list(self.world.fields(action, kind))
            self.rnd.shuffle(slots)
            fields = _assigned(slots, need)
            if fields is not None:
                return self._filled(action, kind, slots, fields, bound, need)
        return None

    def _likely_kinds(self) -> list:
        kinds = list(self.world.kinds)
        return [kinds[0]] if self.rnd.random() < 0.6 else kinds

    def _filled(  # noqa: PLR0917 - the parts of a predicate
        self,
        action: str,
        kind: str,
        slots: list[Slot],
        fields: list[ast.Field],
        outside: Bound,
        need: Bound,
    ) -> ast.Predicate:
        bound = {**outside, **need}
        taken = {f.path for f in fields}
        more = [s for s in slots if s.path not in taken]
        outer = [s for s in more if s.type in outside.values()]
        if outer and self.rnd.random() < 0.5:
            name = self.rnd.choice([n for n, t in outside.items() if t == outer[0].type])
            fields.append(ast.Field(outer[0].path, ast.Variable(name)))
            more.remove(outer[0])
        some = more[: self.rnd.choice([0, 0, 0, 1, 1, 2])]
        fields += [ast.Field(s.path, self.term(s.type, bound, wild=True)) for s in some]
        self.rnd.shuffle(fields)
        namespace = (*self.world.path, "Action")
        return ast.Predicate(namespace, action, kind, tuple(fields))

    def term(self, kind: Type, bound: Bound, *, wild: bool = False) -> ast.Term:
        """Write a term of a type: a variable where there is one, else something ground."""
        fitting = [n for n, bound_kind in bound.items() if bound_kind == kind]
        if fitting and self.rnd.random() < 0.55:
            return ast.Variable(self.rnd.choice(fitting))
        if wild and self.rnd.random() < 0.12:
            return ast.Wildcard()
        if kind == ast.TIMEPOINT:
            return ast.Variable(fitting[0])
        return self.ground(kind, wild=wild)

    def ground(self, kind: Type, *, wild: bool = False) -> ast.Term:
        """Write a literal, or something the request shows."""
        shown = self._shown(kind)
        if shown and (kind[0] == "Set" or self.rnd.random() < 0.5):
            return self.rnd.choice(shown)
        if kind[0] == "Set":
            return ast.Wildcard()
        return self._literal(kind)

    def _shown(self, kind: Type) -> list[ast.Term]:
        found: list[ast.Term] = [
            ast.ContextField(("input", *slot.path.split(".")))
            for slot in self.world.action(self.scope[0]).inputs
            if slot.type == kind and all(slot in self._inputs(name) for name in self.scope)
        ]
        return found + self.world.shown(kind)

    def _inputs(self, action: str) -> tuple[Slot, ...]:
        return self.world.action(action).inputs

    def _literal(self, kind: Type) -> ast.Term:
        drawn = values.value(self.rnd, kind, self.world)
        if kind == STRING:
            return ast.TextLiteral(str(drawn))
        if kind == LONG:
            assert isinstance(drawn, int)
            return ast.IntegerLiteral(drawn)
        if kind == BOOL:
            return ast.TruthLiteral(bool(drawn))
        if kind == DECIMAL:
            return ast.DecimalLiteral(str(drawn))
        return ast.EntityLiteral("::".join(kind), str(drawn).rpartition("::")[2].strip('"'))

    # --- small things ----------------------------------------------------------------------------

    def window(self) -> ast.Window:
        fitting = [w for w in WINDOWS if w[0] * ast.UNITS[w[1]] <= self.world.max_window]
        return ast.Window(*self.rnd.choice(fitting))

    def _fresh(self, bound: Bound) -> tuple[str, Type]:
        if bound and self.rnd.random() < 0.35:
            return self.rnd.choice(list(bound.items()))
        kind = ast.TIMEPOINT if self.rnd.random() < 0.25 else self._bindable()
        return self._name(bound, kind), kind

    def _bindable(self) -> Type:
        common: list[Type] = [STRING, STRING, LONG, LONG, self.world.user]
        slots = [s for a in self.world.actions for s in a.inputs]
        present = {slot.type for slot in slots}
        return self.rnd.choice([*common, *(k for k in (BOOL, DECIMAL) if k in present)])

    def _name(self, bound: Bound, kind: Type) -> str:
        """Name a variable; now and then as another one of its type, which it hides."""
        fitting = [n for n, bound_kind in bound.items() if bound_kind == kind]
        if fitting and self.rnd.random() < 0.25:
            return self.rnd.choice(fitting)
        return f"v{next(self._names)}"


def _assigned(slots: list[Slot], need: Bound) -> list[ast.Field] | None:
    """Give each variable a field of its type, no two the same; None where that cannot be."""
    free, made = list(slots), []
    for name, kind in need.items():
        slot = next((s for s in free if s.type == kind), None)
        if slot is None:
            return None
        free.remove(slot)
        made.append(ast.Field(slot.path, ast.Variable(name)))
    return made
