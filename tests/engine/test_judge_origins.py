"""Policies judge by where arguments came from; what nobody knows anything of is never trusted."""

import pytest

from bridle.engine.case import Judgement
from bridle.engine.detect import Detectors
from bridle.engine.engine import Engine
from bridle.engine.flow.source import Origin, Origins
from bridle.engine.normalise import Normaliser
from bridle.engine.stages import ArgumentStage
from bridle.engine.temporal.occurrence import Occurrences
from bridle.model.verdict import Effect
from engine import judging
from engine.judging import Told

PERMIT = '@id("p") permit (principal, action in Action::"call", resource);\n'
MAIL = 'forbid (principal, action == Action::"mail.send", resource)'
WRITES = 'forbid (principal, action in Action::"write", resource)'
PROMPT = Origin(trusted=True, prompted=True, unknown=False)
WEB = Origin(
    sources=frozenset({"web"}),
    domains=frozenset({"internet"}),
    labels=frozenset({"public"}),
    unknown=False,
)
KNOWN = {"to": PROMPT, "body": WEB}


def forbid(condition: str, scope: str = MAIL) -> str:
    return f'{PERMIT}@id("f") {scope} when {{ {condition} }};'


def judged(condition: str, flow: object, args: object = None, **change: object) -> Judgement:
    """Judge a mail, compiled and by Cedar itself: both say the same."""
    both = []
    for compiled in (True, False):
        engine = Engine(judging.bundle(forbid(condition)), compiled=compiled)
        both.append(engine.judge(judging.case(engine, args=args, flow=flow, **change)))
    assert both[0] == both[1]
    return both[0]


SEEN = [
    ("context.flow.to.trusted && context.flow.to.prompted && !context.flow.to.unknown", True),
    ("context.flow.to.sources.isEmpty() && context.flow.to.labels.isEmpty()", True),
    ('context.flow.body.sources == [System::"web"]', True),
    ('context.flow.body.domains.contains(Domain::"internet")', True),
    ('context.flow.body.domains.containsAny([Domain::"finance", Domain::"support"])', False),
    ("context.flow.body.trusted || context.flow.body.unknown", False),
    ('context.flow.any.labels.contains("public") && !context.flow.any.trusted', True),
    ("context.sinks has recipient && context.sinks.recipient.trusted", True),
    ("context.sinks has content && !context.sinks.content.prompted", True),
    ("context.sinks has amount", False),
    ("context.flow has count || context.flow has urgent", False),
    ("resource in context.flow.body.domains", True),
    ("resource in context.flow.body.sources", False),
]


@pytest.mark.parametrize(("condition", "applies"), SEEN)
def test_policies_see_what_is_known_of_each_argument_and_meaning(
    condition: str, applies: bool
) -> None:
    found = judged(condition, Told("mail.send", KNOWN))
    assert found.effect is (Effect.DENY if applies else Effect.ALLOW)
    assert judging.ids(found) == (["f"] if applies else [])


NOTHING = [
    "!context.flow.to.trusted && !context.flow.to.prompted && context.flow.to.unknown",
    "!context.flow.any.trusted && context.flow.any.unknown",
    'context.flow.body.labels == ["personal"] && context.flow.any.labels == ["personal"]',
    "context.flow.to.sources.isEmpty() && context.flow.to.domains.isEmpty()",
    "context.sinks has recipient && !context.sinks.recipient.trusted",
    "context.mission.untrusted",
]


@pytest.mark.parametrize("condition", NOTHING)
def test_where_nothing_is_kept_all_is_untrusted_and_has_the_missions_labels(condition) -> None:
    assert judging.ids(judged(condition, None)) == ["f"]


def test_an_argument_that_the_flow_says_nothing_of_is_there_and_unknown() -> None:
    told = Told("mail.send", {"to": PROMPT}, labels=("secret",))
    args = {**judging.MAIL, "tone": "kind"}
    for name in ("body", "tone"):
        condition = (
            f"context.flow has {name} && context.flow.{name}.unknown && "
            f'context.flow.{name}.labels.containsAll(["secret", "personal"])'
        )
        assert judging.ids(judged(condition, told, args)) == ["f"]


def test_an_argument_that_is_absent_has_no_origin() -> None:
    assert judged("context.flow has tone", Told("mail.send", KNOWN)).effect is Effect.ALLOW


@pytest.mark.parametrize("sink", ["locator", "", "any"])
def test_a_meaning_that_the_schema_does_not_know_denies(sink: str) -> None:
    class Strange(Told):
        def origins(self, tool, value) -> Origins:
            found = super().origins(tool, value)
            return Origins(arguments=found.arguments, sinks={sink: PROMPT}, any=found.any)

    found = judged(f'context.sinks has "{sink}"', Strange("mail.send", KNOWN))
    assert judging.codes(found) == {"policy_error"}


class Broken:
    labels = frozenset[str]()

    def origins(self, *_: object) -> Origins:
        raise RuntimeError


def test_a_flow_that_fails_denies() -> None:
    found = judged("!context.flow.to.trusted", Broken())
    assert found.effect is Effect.DENY
    assert judging.codes(found) == {"internal"}


def test_a_flow_that_nobody_reads_is_not_asked() -> None:
    assert judged('context.input.body == "x"', Broken()).effect is (Effect.ALLOW)


def test_a_result_is_judged_without_origins() -> None:
    rule = forbid("context == {}", "forbid (principal, action, resource)")
    engine = Engine(judging.bundle(rule))
    case = judging.case(engine, flow=Broken())
    found = engine.release(case, '{"id":"1"}')
    assert isinstance(found, Judgement)
    assert found.effect is Effect.ALLOW


class Redacting(Told):
    """Knows the text that was read, and nothing of any other."""

    def origins(self, tool, value) -> Origins:
        self.asked = [*getattr(self, "asked", []), value["body"]]
        known = KNOWN if value["body"] == "secret" else {**KNOWN, "body": PROMPT}
        return Told(tool, known).origins(tool, value)


def test_after_a_change_the_origins_are_those_of_the_new_value() -> None:
    rule = (
        f'{PERMIT}@id("f") @reason("r") @modify("set input.body \\"gone\\"") '
        f"{MAIL} when {{ !context.flow.body.trusted }};"
    )
    flow = Redacting("mail.send", KNOWN)
    engine = Engine(judging.bundle(rule))
    found = engine.judge(judging.case(engine, args={**judging.MAIL, "body": "secret"}, flow=flow))
    assert found.effect is Effect.MODIFY
    assert flow.asked == ["secret", "gone"]


def test_a_change_that_takes_no_origin_away_comes_to_no_end() -> None:
    rule = (
        f'{PERMIT}@id("f") @reason("r") @modify("set input.body \\"gone\\"") '
        f"{MAIL} when {{ !context.flow.body.trusted }};"
    )
    engine = Engine(judging.bundle(rule))
    found = engine.judge(judging.case(engine, flow=Told("mail.send", KNOWN)))
    assert judging.codes(found) == {"modify_diverged"}


def test_what_forbids_an_ancestor_by_origin_counts_for_the_whole_chain() -> None:
    rule = forbid(
        "!context.flow.any.trusted", MAIL.replace("principal", 'principal == Agent::"boss"')
    )
    engine = Engine(judging.bundle(rule))
    untrusted = judging.case(engine, flow=Told("mail.send", KNOWN), chain=("boss",))
    assert judging.ids(engine.judge(untrusted)) == ["f"]
    trusted = Told("mail.send", {"to": PROMPT, "body": PROMPT})
    assert engine.judge(judging.case(engine, flow=trusted, chain=("boss",))).effect is Effect.ALLOW


def test_a_hold_by_origin_asks_humans_to_lift_that_forbid() -> None:
    rule = f'{PERMIT}@id("f") @reason("r") @hold("leads") {WRITES} when {{ {NOTHING[4]} }};'
    found = judging.judge(rule, flow=Told("mail.send", {"to": WEB, "body": PROMPT}))
    assert found.effect is Effect.HOLD
    assert [(c.kind, c.id) for c in found.causes] == [("forbid", "f")]


def test_policies_see_what_a_mission_may_read_and_whether_it_is_tainted() -> None:
    engine = Engine(
        judging.bundle(
            forbid('context.mission.untrusted && !context.mission.clearance.contains("personal")')
        )
    )
    for untrusted, clearance, effect in (
        (True, (), Effect.DENY),
        (False, (), Effect.ALLOW),
        (True, ("personal",), Effect.ALLOW),
    ):
        mission = judging.MissionView("m", "desk", untrusted=untrusted, clearance=clearance)
        assert engine.judge(judging.case(engine, mission=mission)).effect is effect


def test_a_request_carries_the_origins_that_policies_read_and_no_others() -> None:
    office = judging.bundle(
        forbid('context.flow has tone && context.flow["to"].trusted')
        + '@id("s") @enforce("shadow") '
        + f"{MAIL} when {{ context.sinks has amount && context.sinks.content.unknown }};"
    )
    stage = ArgumentStage(office, Normaliser(office), Detectors(office), Occurrences(office))
    case = judging.case(Engine(office), args={**judging.MAIL, "count": 1, "tone": "kind"})
    context = stage.question(case, case.typed).actor.request.context
    assert set(context["flow"]) == {"to", "tone"}
    assert set(context["sinks"]) == {"amount", "content"}
    other = judging.case(Engine(office), "web.get")
    assert set(stage.question(other, other.typed).actor.request.context) == {"input"}


@pytest.mark.parametrize("condition", ["context == context", "context.flow != context.flow"])
def test_a_policy_that_takes_all_origins_at_once_gets_all(condition: str) -> None:
    office = judging.bundle(forbid(condition))
    stage = ArgumentStage(office, Normaliser(office), Detectors(office), Occurrences(office))
    case = judging.case(Engine(office), flow=Told("mail.send", KNOWN))
    assert set(stage.question(case, case.typed).actor.request.context["flow"]) == {
        "to", "body", "any",
    }  # fmt: skip
