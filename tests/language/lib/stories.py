"""What each rule of the library allows and stops, told by histories that end in an `ask`."""

from __future__ import annotations

from language.lib.desk import Happened, Story

HOUR = 3600


def request(at: int, what: str = "do", **more: object) -> Happened:
    return Happened(at, what, "request", **more)  # type: ignore[arg-type]


def response(at: int, what: str = "do", **more: object) -> Happened:
    return Happened(at, what, "response", **more)  # type: ignore[arg-type]


def error(at: int, code: str, what: str = "do", **more: object) -> Happened:
    return Happened(at, what, "error", code=code, **more)  # type: ignore[arg-type]


def ask(at: int, **more: object) -> Happened:
    return request(at, "ask", **more)


def of(what: str, kind: str, fields: str = "") -> str:
    return f'Action::"{what}"::{kind}{{ {fields} }}'


SAME = "input.key: context.input.key"
CALL, DONE, ERROR = of("do", "request", SAME), of("do", "response", SAME), of("do", "error")
ASK, ASK_ERROR = of("ask", "request", SAME), of("ask", "error")

STORIES: dict[str, Story] = {
    "requires_before": Story(
        f"requires_before(1h, {of('do', 'response', SAME + ', output.ok: true')})",
        kept={
            "done before": [response(0), ask(5)],
            "at the far end of the window": [response(0), ask(HOUR)],
        },
        broken={
            "never": [ask(5)],
            "only asked for": [request(0), ask(5)],
            "with another outcome": [response(0, ok=False), ask(5)],
            "for another key": [response(0, key="other"), ask(5)],
            "just too long ago": [response(0), ask(HOUR + 1)],
            "in another mission": [response(0, mission="other"), ask(5)],
        },
    ),
    "requires_since": Story(
        f"requires_since(1h, {of('do', 'response', 'output.ok: true')}, {of('undo', 'request')})",
        kept={
            "done and not spoiled": [response(0), ask(5)],
            "spoiled, then done again": [response(0), request(1, "undo"), response(2), ask(5)],
            "spoiled before": [request(0, "undo"), response(1), ask(5)],
        },
        broken={
            "never": [ask(5)],
            "spoiled since": [response(0), request(1, "undo"), ask(5)],
            "spoiled at the same instant, later": [response(1), request(1, "undo"), ask(5)],
            "failed after it was spoiled": [
                response(0),
                request(1, "undo"),
                response(2, ok=False),
                ask(5),
            ],
            "too long ago": [response(0), ask(HOUR + 1)],
        },
    ),
    "forbidden_after": Story(
        f"forbidden_after(1h, {CALL}, {ERROR})",
        kept={
            "never": [ask(5)],
            "for another key": [request(0, key="other"), ask(5)],
            "denied": [request(0, id="r"), error(0, "denied", id="r"), ask(5)],
            "never started": [request(0, id="r"), error(3, "not_started", id="r"), ask(5)],
            "window passed": [request(0), ask(HOUR + 1)],
        },
        broken={
            "still running": [request(0), ask(5)],
            "ran": [request(0, id="r"), response(1, id="r"), ask(5)],
            "failed, perhaps half done": [request(0, id="r"), error(1, "timeout", id="r"), ask(5)],
            "denied once, run once": [
                request(0, id="r"),
                error(0, "denied", id="r"),
                request(1, id="q"),
                ask(5),
            ],
            "another's denial does not help": [
                request(0, id="r"),
                error(0, "denied", id="q"),
                ask(5),
            ],
        },
    ),
    "ordered": Story(
        f"ordered(1h, {of('do', 'response')}, {of('undo', 'response')})",
        kept={"both in order": [response(0), response(1, "undo"), ask(5)]},
        broken={
            "the other way round": [response(0, "undo"), response(1), ask(5)],
            "only the first": [response(0), ask(5)],
            "only the second": [response(0, "undo"), ask(5)],
            "the first too long before the second": [
                response(0),
                response(HOUR + 1, "undo"),
                ask(HOUR + 2),
            ],
        },
    ),
    "first_time": Story(
        f"first_time(1h, {of('ask', 'response', SAME)})",
        kept={
            "never before": [ask(5)],
            "another key": [response(0, "ask", key="other"), ask(5)],
            "tried, without success": [
                request(0, "ask", id="r"),
                error(1, "failed", "ask", id="r"),
                ask(5),
            ],
        },
        broken={"done before": [request(0, "ask", id="r"), response(1, "ask", id="r"), ask(5)]},
    ),
    "quiet_period": Story(
        f"quiet_period(10m, {CALL}, {DONE}, {of('do', 'error', SAME)})",
        kept={
            "nothing": [ask(5)],
            "long ago": [request(0, id="r"), response(1, id="r"), ask(602)],
            "another key": [request(0, key="other"), ask(5)],
        },
        broken={
            "begun": [request(0), ask(600)],
            "began long ago, ended lately": [request(0, id="r"), response(900, id="r"), ask(1000)],
            "denied": [request(0, id="r"), error(0, "denied", id="r"), ask(5)],
            "failed lately": [request(0, id="r"), error(900, "failed", id="r"), ask(1000)],
        },
    ),
    "at_most": Story(
        f"at_most(2, 1h, {ASK}, {ASK_ERROR})",
        kept={
            "the first": [ask(0)],
            "the last that is allowed": [ask(0), ask(1)],
            "others were denied": [
                ask(0),
                ask(1, id="r"),
                error(1, "denied", "ask", id="r"),
                ask(2, id="q"),
                error(2, "not_started", "ask", id="q"),
                ask(3),
            ],
            "others are of another key": [ask(0, key="a"), ask(1, key="b"), ask(2, key="k")],
            "the window has moved on": [ask(0), ask(1), ask(HOUR + 1)],
        },
        broken={
            "one too many": [ask(0), ask(1), ask(2)],
            "at one instant": [ask(0, id="a"), ask(0, id="b"), ask(0, id="c")],
            "a failed call counts": [
                ask(0, id="r"),
                error(1, "failed", "ask", id="r"),
                ask(2),
                ask(3),
            ],
            "exactly at the end of the window": [ask(0), ask(1), ask(HOUR)],
            "another agent of the mission": [ask(0, by="ann"), ask(1, by="bob"), ask(2, by="cid")],
        },
    ),
    "sum_at_most": Story(
        f"sum_at_most(10, 1h, a, {of('ask', 'request', SAME + ', input.amount: a')}, {ASK_ERROR})",
        kept={
            "alone": [ask(0, amount=10)],
            "together": [ask(0, amount=4), ask(1, amount=6)],
            "a denied one adds nothing": [
                ask(0, amount=9, id="r"),
                error(0, "denied", "ask", id="r"),
                ask(1, amount=10),
            ],
            "the window has moved on": [ask(0, amount=9), ask(HOUR + 1, amount=9)],
        },
        broken={
            "alone": [ask(0, amount=11)],
            "equal amounts are two": [ask(0, amount=6), ask(1, amount=6)],
            "a negative amount makes no room": [
                ask(0, amount=8),
                ask(1, amount=-100),
                ask(2, amount=8),
            ],
            "still running": [ask(0, amount=8), ask(HOUR, amount=8)],
        },
    ),
    "distinct_at_most": Story(
        f"distinct_at_most(2, 1h, k, {of('ask', 'request', 'input.key: k')}, {ASK_ERROR})",
        kept={
            "two": [ask(0, key="a"), ask(1, key="b")],
            "the same again and again": [ask(t, key="a") for t in range(5)],
            "a denied one does not count": [
                ask(0, key="a"),
                ask(1, key="b", id="r"),
                error(1, "denied", "ask", key="b", id="r"),
                ask(2, key="c"),
            ],
        },
        broken={"a third": [ask(0, key="a"), ask(1, key="b"), ask(2, key="c")]},
    ),
    "cooldown": Story(
        f"cooldown(10m, {ASK}, {ASK_ERROR})",
        kept={
            "the first": [ask(0)],
            "cooled down": [ask(0), ask(601)],
            "another key": [ask(0, key="other"), ask(1)],
            "the other was denied": [ask(0, id="r"), error(0, "denied", "ask", id="r"), ask(1)],
        },
        broken={"too soon": [ask(0), ask(600)]},
    ),
    "no_repeat_failure": Story(
        f"no_repeat_failure(2, 10m, {of('ask', 'error', SAME)})",
        kept={
            "no failure": [ask(0)],
            "one failure": [ask(0, id="a"), error(1, "failed", "ask", id="a"), ask(2)],
            "failures with another key": [
                error(0, "failed", "ask", key="x"),
                error(1, "failed", "ask", key="y"),
                ask(2),
            ],
            "denials are no failures": [error(t, "denied", "ask") for t in range(5)] + [ask(6)],
            "never started is no failure": [
                *(error(t, "not_started", "ask") for t in range(5)),
                ask(6),
            ],
            "long ago": [error(0, "failed", "ask"), error(1, "failed", "ask"), ask(602)],
        },
        broken={
            "twice": [error(0, "failed", "ask"), error(1, "timeout", "ask"), ask(2)],
            "twice at one instant": [error(0, "failed", "ask"), error(0, "failed", "ask"), ask(2)],
        },
    ),
    "open_close": Story(
        f"open_close(1h, k, {of('do', 'response', 'input.key: k')}, "
        f"{of('undo', 'response', 'input.key: k')})",
        kept={
            "nothing opened": [ask(5)],
            "opened and closed": [response(0), response(1, "undo"), ask(5)],
            "both closed": [
                response(0, key="a"),
                response(1, key="b"),
                response(2, "undo", key="b"),
                response(3, "undo", key="a"),
                ask(5),
            ],
        },
        broken={
            "open": [response(0), ask(5)],
            "another key was closed": [
                response(0, key="a"),
                response(1, "undo", key="b"),
                ask(5),
            ],
            "opened again": [response(0), response(1, "undo"), response(2), ask(5)],
            "closing was only asked for": [response(0), request(1, "undo"), ask(5)],
            "closed before it was opened": [response(0, "undo"), response(1), ask(5)],
        },
    ),
    "open_close_number": Story(
        f"open_close_number(1h, n, {of('do', 'response', 'input.number: n')}, "
        f"{of('undo', 'response', 'input.number: n')})",
        kept={"closed": [response(0, number=7), response(1, "undo", number=7), ask(5)]},
        broken={"another": [response(0, number=7), response(1, "undo", number=8), ask(5)]},
    ),
    "distinct_actors": Story(
        f"distinct_actors(1h, {DONE})",
        kept={"somebody else did it": [response(0, by="bob"), ask(5, by="ann")]},
        broken={
            "the same agent": [response(0, by="ann"), ask(5, by="ann")],
            "both had a hand in it": [response(0, by="bob"), response(1, by="ann"), ask(5)],
            "nobody did it": [ask(5)],
            "waiting until it is forgotten": [response(0, by="ann"), ask(HOUR + 1, by="ann")],
        },
    ),
}
