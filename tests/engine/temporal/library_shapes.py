"""Conditions of the shapes that limits, pairs and order take, and histories of calls for them."""

import random

from bridle.engine.temporal.event import Event
from bridle.language.lexer import Source
from bridle.language.temporal.parse import condition

CODES = ("denied", "not_started", "boom")
CALL = 'D::Action::"{}"::{}'


def read(text):
    text = text.replace(", }", " }")
    return condition(Source("p", text), 0, len(text))


class Shapes:
    """Random instances: actions, windows, keys, bounds. `every` lists the kinds of shape."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    every = (
        "at_most", "sum_at_most", "forbidden_after", "distinct_at_most", "no_repeat_failure",
        "open_close", "requires_since", "ordered", "requires_before", "named_count", "values",
        "value_sum", "total", "sum_per_event", "after_spoiled",
    )  # fmt: skip

    def one(self, kind=None):
        return read(getattr(self, kind or self.rng.choice(self.every))())

    def window(self):
        return f"{self.rng.choice((1, 2, 3, 5, 8))}s"

    def action(self):
        return self.rng.choice("AB")

    def key(self):
        return self.rng.choice(
            (
                "",
                "input.user: context.input.user, ",
                'input.user: "s1", ',
                "who: principal, ",
                "input.user: _, ",
            )
        )

    def live(self, more="", between=""):
        rng, action, window = self.rng, self.action(), self.window()
        same = rng.random() < 0.7
        key = self.key()
        parts = [
            (
                f"formerly within {window} {CALL.format(action, 'request')}"
                f"{{ {key}{more}requestId: r }}"
            )
        ]
        parts += [between] if between else []
        for code in rng.choice((("denied",), ("denied", "not_started"))):
            own = key if rng.random() < 0.2 else ""
            parts.append(
                f"!(formerly within {window if same else self.window()} "
                f'{CALL.format(action, "error")}{{ {own}requestId: r, error.code: "{code}" }})'
            )
        return " && ".join(parts)

    def bound(self):
        return f"{self.rng.choice(('<=', '<', '==', '>=', '>'))} {self.rng.randint(0, 4)}"

    def at_most(self):
        return f"(count for (r: String). where ({self.live()})) {self.bound()}"

    def sum_at_most(self):
        more = "input.amount: a, "
        between = self.rng.choice(("", "a > 0", "a != 2 && a < 4"))
        return (
            f"(sum a for (a: Long), (r: String). where ({self.live(more, between)})) {self.bound()}"
        )

    def forbidden_after(self):
        return f"!(exists (r: String). ({self.live()}))"

    def distinct_at_most(self):
        inner = self.live("input.to: v, ")
        return f"(count for (v: String). where exists (r: String). ({inner})) {self.bound()}"

    def value_sum(self):
        inner = self.live("input.amount: a, ")
        return f"(sum a for (a: Long). where exists (r: String). ({inner})) {self.bound()}"

    def no_repeat_failure(self):
        key, call = self.key(), CALL.format(self.action(), "error")
        return (
            f"(count for (t: Timepoint). where formerly within {self.window()} ({call}{{ {key} "
            f'requestId: _ }} && tp(t) && !{call}{{ {key} error.code: "denied" }})) {self.bound()}'
        )

    def open_close(self):
        opened, closed = CALL.format("A", "response"), CALL.format("B", "response")
        key = self.key()
        return (
            f"!(exists (k: String). (!{closed}{{ input.to: k }} since within {self.window()} "
            f"{opened}{{ {key}input.to: k }}))"
        )

    def after_spoiled(self):
        opened = CALL.format("A", "request")
        spoiled = [CALL.format(self.action(), self.rng.choice(("response", "error"))) for _ in "12"]
        return (
            f"(count for (k: String). where ((!{spoiled[0]}{{ input.to: k }} && "
            f"!{spoiled[1]}{{ input.user: k }}) since within {self.window()} "
            f"{opened}{{ input.to: k }})) {self.bound()}"
        )

    def requires_since(self):
        spoiled, done = CALL.format("A", "request"), CALL.format("B", "response")
        return f"!{spoiled}{{ {self.key()}}} since within {self.window()} {done}{{ {self.key()}}}"

    def ordered(self):
        first, second = CALL.format("A", "response"), CALL.format("B", "response")
        return (
            f"formerly within {self.window()} ({second}{{ {self.key()}}} && "
            f"formerly within {self.window()} {first}{{ {self.key()}}})"
        )

    def requires_before(self):
        call = CALL.format(self.action(), self.rng.choice(("response", "request")))
        return (
            f"{self.rng.choice(('', '!'))}(formerly within {self.window()} {call}{{ {self.key()}}})"
        )

    def named_count(self):
        return (
            f"exists (n: Long). ((count for (r: String). where ({self.live()})) == n "
            f"&& n {self.bound()})"
        )

    def values(self):
        call = CALL.format(self.action(), "request")
        return (
            f"(count for (v: String). where formerly within {self.window()} "
            f"{call}{{ {self.key()}input.to: v }}) {self.bound()}"
        )

    def total(self):
        call = CALL.format(self.action(), "request")
        return (
            f"(sum a for (a: Long). where formerly within {self.window()} "
            f"{call}{{ {self.key()}input.amount: a }}) {self.bound()}"
        )

    def sum_per_event(self):
        call = CALL.format(self.action(), "request")
        return (
            f"(sum a for (a: Long), (t: Timepoint). where (formerly within {self.window()} "
            f"({call}{{ {self.key()}input.amount: a }} && tp(t))) && a > 0) {self.bound()}"
        )


class Within(Shapes):
    """The same shapes within joins and operators, also asked for each value of a variable."""

    variable = ""

    def key(self):
        if self.variable and self.rng.random() < 0.8:
            return f"{self.rng.choice(('input.user', 'input.to', 'who'))}: {self.variable}, "
        return super().key()

    def one(self, kind=None):
        return read(getattr(self, kind or self.rng.choice(self.around))())

    around = ("joined", "counted", "formerly", "previous", "left_of_since", "anchor", "both")

    def any(self, variable=""):
        self.variable = variable
        text = getattr(self, self.rng.choice(self.every))()
        self.variable = ""
        return text

    def event(self):
        return CALL.format(self.action(), self.rng.choice(("request", "response", "error")))

    def each(self):
        field = self.rng.choice(("input.user", "input.to", "who"))
        return f"formerly within {self.window()} {self.event()}{{ {field}: z }}"

    def joined(self):
        asked = f"{self.rng.choice(('', '!'))}({self.any('z')})"
        return f"exists (z: String). (({self.each()}) && {asked})"

    def counted(self):
        return f"(count for (z: String). where ({self.each()} && ({self.any('z')}))) {self.bound()}"

    def formerly(self):
        return f"formerly within {self.window()} ({self.event()}{{ }} && ({self.any()}))"

    def previous(self):
        return f"previous within {self.window()} ({self.joined()})"

    def left_of_since(self):
        left = f"{self.rng.choice(('', '!'))}({self.any()})"
        return f"({left}) since within {self.window()} {self.event()}{{ {self.key()}}}"

    def anchor(self):
        return f"!{self.event()}{{ }} since within {self.window()} ({self.any()})"

    def both(self):
        return f"!({self.any()}) && ({self.any()})"


def call(rng: random.Random, time: int) -> Event:
    """An event of a few calls, users and recipients: enough for rows to meet."""
    kind = rng.choice(("request", "request", "response", "error"))
    fields = {
        "input.user": f"s:s{rng.randint(1, 2)}",
        "input.to": f"s:s{rng.randint(1, 4)}",
        "input.amount": rng.choice((-1, 0, 1, 2, 3, "n")),
        "who": f"s:s{rng.randint(1, 2)}",
        "requestId": f"s:r{rng.randint(1, 5)}",
    }
    if rng.random() < 0.1:
        del fields[rng.choice(sorted(fields))]
    if kind == "error":
        fields["error.code"] = f"s:{rng.choice(CODES)}"
    return Event(time, ("D::Action", rng.choice("AB")), kind, fields, rng.choice(("m1", "m2")))
