"""Random conditions that are well formed, and random histories for them.

Well formed as the language demands: each variable is bound by a positive part before it is used.
"""

import hashlib
import random

from bridle.engine.temporal.event import Event
from bridle.language.policy import Leaf
from bridle.language.temporal.ast import (
    And,
    Binder,
    Comparison,
    ContextField,
    Count,
    Exists,
    Field,
    Formerly,
    IntegerLiteral,
    Not,
    Predicate,
    Previous,
    ScopeField,
    Since,
    Sum,
    TextLiteral,
    Tp,
    Variable,
    Wildcard,
    Window,
)
from bridle.model.finding import Location

ACTIONS = "ABC"
KINDS = ("request", "response")
NAMES = ("s1", "s2", "s3")
FIELDS = {"input.user": "s", "input.to": "s", "input.amount": "i", "input.size": "i", "who": "s"}
OPERATORS = ("==", "!=", "<", "<=", ">", ">=")


def leaf(condition, name="h"):
    digest = hashlib.sha256(repr(condition).encode()).hexdigest()
    return Leaf(name, condition, digest, "mission", Location("p.dw", 1, 1), frozenset(), 0)


class Conditions:
    """`names` counts up, so that no two binders share one unless shadowing is meant."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.names = 0

    def top(self):
        return self.closed({}, self.rng.choice((1, 2, 2, 3, 3)))

    def window(self):
        return Window(self.rng.choice((1, 2, 3, 5, 8)))

    def closed(self, bound, depth):  # noqa: PLR0911 - one for each operator
        """A condition whose variables all have values in `bound` (name → type)."""
        rng = self.rng
        if depth <= 0:
            return rng.choice((self.predicate, self.predicate, self.filter))(bound)
        pick = rng.random()
        if pick < 0.08:
            return self.predicate(bound)
        if pick < 0.3:
            return Formerly(self.window(), self.closed(bound, depth - 1))
        if pick < 0.36:
            return Previous(self.window(), self.closed(bound, depth - 1))
        if pick < 0.48:
            return Since(self.left(bound, depth - 1), self.window(), self.closed(bound, depth - 1))
        if pick < 0.58:
            return And(self.closed(bound, depth - 1), self.closed(bound, depth - 1))
        if pick < 0.66:
            return Not(self.closed(bound, depth - 1))
        if pick < 0.84:
            return self.exists(bound, depth)
        return self.compared(bound, depth)

    def left(self, bound, depth):
        rng = self.rng
        pick = rng.random()
        if pick < 0.5:
            return Not(self.predicate(bound))
        if pick < 0.65:
            return self.predicate(bound)
        if pick < 0.8:
            return And(Not(self.predicate(bound)), Not(self.predicate(bound)))
        return self.closed(bound, depth)

    def exists(self, bound, depth):
        new = self.binders(bound)
        inside = {**bound, **new}
        body = self.producer(dict(new), bound, depth - 1)
        for _ in range(self.rng.choice((0, 1, 1, 2))):
            body = And(body, self.user(inside, new, depth - 1))
        for name in reversed(new):
            body = Exists(Binder(name, ("T",)), body)
        return body

    def user(self, bound, new, depth):
        """A part that uses the new variables: a filter, a negation, another look."""
        rng = self.rng
        pick = rng.random()
        if pick < 0.45:
            return Not(Formerly(self.window(), self.predicate(bound, prefer=new)))
        if pick < 0.6:
            return self.filter(bound)
        if pick < 0.75:
            return Formerly(self.window(), self.predicate(bound, prefer=new))
        return self.closed(bound, depth)

    def binders(self, bound):
        rng = self.rng
        new = {}
        for _ in range(rng.choice((1, 1, 2))):
            same = [name for name in bound if name not in new]
            if same and rng.random() < 0.15:
                name = rng.choice(same)
            else:
                self.names += 1
                name = f"v{self.names}"
            new[name] = rng.choice("ssit")
        return new

    def producer(self, new, bound, depth):  # noqa: PLR0911 - likewise
        """A condition that gives a value to each of `new`; `bound` have one already."""
        rng = self.rng
        known = {name: kind for name, kind in bound.items() if name not in new}
        if len(new) > 1 and rng.random() < 0.3:
            first = {name: new[name] for name in list(new)[:1]}
            rest = {name: kind for name, kind in new.items() if name not in first}
            left = self.producer(first, known, depth)
            return And(left, self.producer(rest, {**known, **first}, depth))
        anchor = self.anchor(new, known)
        if rng.random() < 0.25:
            anchor = And(anchor, self.filter({**known, **new}))
        if rng.random() < 0.15:
            anchor = And(anchor, self.closed({**known, **new}, depth - 1))
        if rng.random() < 0.1:
            anchor = And(self.closed(known, depth - 1), anchor)
        pick = rng.random()
        if pick < 0.6:
            return Formerly(self.window(), anchor)
        if pick < 0.66:
            return Previous(self.window(), anchor)
        if pick < 0.85:
            return Since(self.left({**known, **new}, depth - 1), self.window(), anchor)
        if pick < 0.9 and list(new.values()) == ["i"]:
            return Comparison("==", self.aggregate(known, depth - 1), Variable(next(iter(new))))
        if pick < 0.95:
            return Formerly(self.window(), Formerly(self.window(), anchor))
        return anchor

    def anchor(self, new, known):
        rng = self.rng
        fields = []
        for name, kind in new.items():
            if kind != "t":
                paths = [path for path, type_ in FIELDS.items() if type_ == kind]
                fields.append(Field(rng.choice(paths), Variable(name)))
        fields += self.fields(known, {field.path for field in fields})
        rng.shuffle(fields)
        parts = [Predicate(("D", "Action"), rng.choice(ACTIONS), rng.choice(KINDS), tuple(fields))]
        timed = [Tp(name) for name, kind in new.items() if kind == "t"]
        if rng.random() < 0.2:
            parts.append(Not(self.predicate({**known, **new})))
        parts = [*timed, *parts] if rng.random() < 0.2 else [*parts, *timed]
        whole = parts[0]
        for part in parts[1:]:
            whole = And(whole, part)
        return whole

    def predicate(self, bound, prefer=()):
        rng = self.rng
        fields = self.fields(bound, set())
        for name in prefer:
            kind = bound[name]
            if kind != "t" and rng.random() < 0.8:
                paths = [path for path, type_ in FIELDS.items() if type_ == kind]
                fields.append(Field(rng.choice(paths), Variable(name)))
        return Predicate(("D", "Action"), rng.choice(ACTIONS), rng.choice(KINDS), tuple(fields))

    def fields(self, bound, taken):
        rng = self.rng
        paths = [path for path in FIELDS if path not in taken]
        chosen = rng.sample(paths, rng.choice((0, 0, 1, 1, 2)))
        return [Field(path, self.term(FIELDS[path], bound)) for path in chosen]

    def term(self, kind, bound):
        rng = self.rng
        names = [name for name, type_ in bound.items() if type_ == kind]
        pick = rng.random()
        if names and pick < 0.4:
            return Variable(rng.choice(names))
        if pick < 0.5:
            return Wildcard()
        if pick < 0.75:
            if kind == "s":
                return rng.choice(
                    (
                        ContextField(("input", "user")),
                        ContextField(("gone",)),
                        ScopeField(("principal",)),
                    )
                )
            return ContextField(("input", "amount"))
        return TextLiteral(rng.choice(NAMES)) if kind == "s" else self.integer()

    def integer(self):
        return IntegerLiteral(self.rng.choice((-1, 0, 1, 2, 3, 9223372036854775807)))

    def filter(self, bound):
        rng = self.rng
        kind = rng.choice("si")
        left = self.term(kind, bound)
        right = self.term(kind, bound)
        op = rng.choice(OPERATORS)
        timed = [name for name, type_ in bound.items() if type_ == "t"]
        if timed and rng.random() < 0.2:
            return Tp(rng.choice(timed))
        return Comparison(op, left, right)

    def compared(self, bound, depth):
        rng = self.rng
        number = self.aggregate(bound, depth)
        other = (
            IntegerLiteral(rng.choice((0, 1, 2, 3)))
            if rng.random() < 0.8
            else self.term("i", bound)
        )
        pair = (number, other) if rng.random() < 0.8 else (other, number)
        return Comparison(rng.choice(OPERATORS), *pair)

    def aggregate(self, bound, depth):
        rng = self.rng
        new = self.binders(bound)
        hidden = {}
        body = self.producer(dict(new), bound, depth - 1)
        inside = {**bound, **new}
        if rng.random() < 0.2:
            self.names += 1
            hidden = {f"v{self.names}": "s"}
            body = self.producer({**new, **hidden}, bound, depth - 1)
            inside |= hidden
        for _ in range(rng.choice((0, 0, 1, 2))):
            body = And(body, self.user(inside, {**new, **hidden}, depth - 1))
        for name in hidden:
            body = Exists(Binder(name, ("T",)), body)
        binders = tuple(Binder(name, ("T",)) for name in new)
        numbers = [name for name, kind in new.items() if kind == "i"]
        if numbers and rng.random() < 0.6:
            return Sum(rng.choice(numbers), binders, body)
        return Count(binders, body)


def event(rng: random.Random, time: int) -> Event:
    fields = {}
    for path, kind in FIELDS.items():
        pick = rng.random()
        if pick < 0.08:
            continue
        if pick < 0.14:
            fields[path] = "n"
        elif kind == "s":
            fields[path] = "s:" + rng.choice(NAMES)
        else:
            fields[path] = rng.choice((-1, 0, 1, 2, 3, 9223372036854775807))
    name = ("D::Action", rng.choice(ACTIONS))
    return Event(time, name, rng.choice(KINDS), fields, rng.choice(("m1", "m2")))


def times(rng: random.Random, count: int):
    now = rng.choice((0, 1_000_000))
    for _ in range(count):
        now += rng.choice((0, 0, 0, 1, 500, 999, 1000, 1000, 1001, 2000, 3000, 9000))
        yield now


def reader(event: Event):
    found = {
        ("context", "input", "user"): event.fields.get("input.user"),
        ("context", "input", "amount"): event.fields.get("input.amount"),
        ("principal",): event.fields.get("who"),
    }
    return found.get
