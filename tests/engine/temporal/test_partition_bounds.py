"""What a partition keeps and looks at is bounded, and nothing is forgotten to stay within it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.temporal.caps import Caps, HistoryCapError
from bridle.engine.temporal.event import Event
from bridle.engine.temporal.partition import Partition
from bridle.engine.temporal.program import Program
from bridle.model.errors import UsageError
from engine.temporal.library_shapes import Shapes, call, read
from engine.temporal.random_conditions import Conditions, leaf, reader

A = ("D::Action", "A")
KEYED = 'formerly within 1h D::Action::"A"::request{ input.user: context.input.user }'
LOOKS = (
    'formerly within 1h (D::Action::"A"::request{ input.user: context.input.user } '
    '&& previous within 1h D::Action::"B"::request{ })'
)


def partition(*texts, **caps):
    return Partition(
        Program([leaf(read(text), f"h{n}") for n, text in enumerate(texts)], Caps(**caps))
    )


def event(seconds, mission="m", user="u", kind="request", action="A"):
    name = ("D::Action", action)
    return Event(seconds * 1000, name, kind, {"input.user": f"s:{user}"}, mission)


def test_a_mission_that_has_had_its_share_is_refused_and_others_are_not():
    history = partition(KEYED, events=3)
    for seconds in range(3):
        assert history.room(event(seconds))
        history.add(event(seconds))
    assert not history.room(event(3))
    assert history.room(event(3, mission="other"))


def test_room_comes_back_when_the_window_has_passed_and_not_a_millisecond_sooner():
    history = partition(KEYED, events=1)
    history.add(event(0))
    assert not history.room(event(3600)), "both ends of a window count"
    late = Event(3_600_001, A, "request", {"input.user": "s:u"}, "m")
    assert history.room(late)
    history.add(late)
    assert not history.room(event(3601))


def test_requests_that_leave_nothing_behind_always_have_room():
    history = partition(KEYED, events=1)
    history.add(event(0))
    assert history.room(event(1, action="B"))


def test_a_mission_does_not_fill_a_history_with_responses_alone():
    answered = KEYED.replace("request", "response")
    history = partition(answered, events=2)
    for seconds in range(2):
        assert history.room(event(seconds))
        history.add(event(seconds, kind="response"))
    assert not history.room(event(2))
    assert history.room(event(2, mission="another"))
    assert history.room(event(2, action="B"))


def test_responses_that_are_looked_at_one_by_one_are_capped_as_well():
    history = partition(LOOKS.replace('"A"::request', '"A"::response'), events=100, matches=2)
    for seconds in range(2):
        assert history.room(event(seconds))
        history.add(event(seconds, kind="response"))
    assert not history.room(event(2))
    assert history.room(event(2, user="another"))
    assert history.room(event(2, mission="another"))


def test_rows_that_one_event_blocks_together_are_capped_per_mission():
    unanswered = (
        "(count for (t: String), (u: String). where (formerly within 1h "
        'D::Action::"A"::request{ input.to: t, input.user: u } '
        '&& !(formerly within 1h D::Action::"A"::error{ input.user: u }))) > 3'
    )

    def asked(number, user="u", mission="m"):
        fields = {"input.to": f"s:{number}", "input.user": f"s:{user}"}
        return Event(number * 1000, A, "request", fields, mission)

    history = partition(unanswered, matches=2)
    for number in range(2):
        assert history.room(asked(number))
        history.add(asked(number))
    assert not history.room(asked(2))
    assert history.room(asked(2, user="another"))
    assert history.room(asked(2, mission="another"))


def test_rows_that_are_blocked_one_by_one_are_not_capped():
    by_id = (
        '(count for (r: String). where (formerly within 1h D::Action::"A"::request{ requestId: r } '
        '&& !(formerly within 1h D::Action::"A"::error{ requestId: r }))) > 3'
    )
    by_value = by_id.replace("requestId", "input.user")
    history = partition(by_id, by_value, matches=1)
    for number in range(20):
        fields = {"requestId": f"s:{number}", "input.user": "s:u"}
        made = Event(number * 1000, A, "request", fields, "m")
        assert history.room(made)
        history.add(made)


def test_ends_of_admitted_actions_are_taken_beyond_the_cap_and_count():
    history = partition(KEYED, events=1)
    history.add(event(0))
    history.add(event(1))
    assert history.kept == 2
    assert not history.room(event(2))


def test_matches_that_are_looked_at_one_by_one_are_capped_per_mission_and_key():
    history = partition(LOOKS, events=100, matches=2)
    for seconds in range(2):
        assert history.room(event(seconds))
        history.add(event(seconds))
    assert not history.room(event(2))
    assert history.room(event(2, user="another"))
    assert history.room(event(2, mission="another"))
    assert history.room(event(2, action="B"))
    assert history.room(event(7300)), "by then they are too old"


def test_matches_that_are_looked_up_are_not_capped():
    history = partition(KEYED, matches=1)
    for seconds in range(20):
        assert history.room(event(seconds))
        history.add(event(seconds))


def test_a_question_that_would_look_at_too_much_is_an_error_and_leaves_no_trace():
    history = partition(LOOKS, steps=10)
    for seconds in range(30):
        history.add(event(seconds))
    before = history.save()
    with pytest.raises(HistoryCapError) as refused:
        history.ask(["h0"], event(30), reader(event(30)))
    assert refused.value.code == "limit_exceeded"
    assert history.save() == before


@given(st.integers(0, 2**32))
def test_what_no_window_reaches_is_gone(seed):
    rng = random.Random(seed)
    made = [Shapes(rng).one() if n % 2 else Conditions(rng).top() for n in range(4)]
    history = Partition(Program([leaf(each, f"h{n}") for n, each in enumerate(made)]))
    for second in range(60):
        history.add(call(rng, second * 1000))
        reach = history.program.horizon_ms // 1000
        assert history.kept <= reach + 1
    history.add(call(rng, 10_000_000))
    assert history.kept <= 1
    log = history._log
    assert all(len(postings.groups) <= 1 for postings in log.postings)
    assert all(len(tracker._rows) <= 1 for tracker in log.trackers)
    assert all(len(guard.last) <= 1 for tracker in log.trackers for guard in tracker._guards)
    assert all(len(guard.members) <= 1 for tracker in log.trackers for guard in tracker._guards)
    assert all(sum(tally._counts.values()) <= 1 for tally in log.tallies)
    assert sum(log._taken.values()) == history.kept


def test_the_same_condition_twice_is_kept_and_asked_once():
    once, twice = partition(KEYED), partition(KEYED, KEYED)
    assert len(twice._log.postings) == len(once._log.postings) == 1
    assert twice.ask(["h0", "h1"], event(0), reader(event(0))) == {"h0": True, "h1": True}


def test_a_time_beyond_reckoning_is_refused_before_it_enters():
    history = partition(KEYED)
    for time in (2**62 + 1, -(2**62) - 1, 2**70):
        beyond = Event(time, A, "request", {"input.user": "s:u"}, "m")
        with pytest.raises(UsageError):
            history.add(beyond)
        with pytest.raises(UsageError):
            history.ask(["h0"], beyond, reader(beyond))
    assert history.count == history.kept == 0
    history.add(Event(2**62, A, "request", {"input.user": "s:u"}, "m"))
    assert Partition.load(history.program, history.save()).save() == history.save()


def test_the_clock_of_a_partition_never_goes_back():
    history = partition('formerly within 10s D::Action::"A"::request{ }')
    history.add(event(100))
    history.add(event(50, action="B"))
    assert history.last_time == 100_000
    back = event(5, action="B")
    assert history.ask(["h0"], back, reader(back)) == {"h0": True}
    late = event(111, action="B")
    assert history.ask(["h0"], late, reader(late)) == {"h0": False}
