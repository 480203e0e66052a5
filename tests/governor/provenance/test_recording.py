"""What a mission reads is on record as it is given to its agents, and nothing that is not."""

from typing import Any

import pytest
from msgspec import structs

from bridle.engine.flow import index
from bridle.governor.provenance import chain
from bridle.model import calls
from bridle.model.calls import Caller
from bridle.model.errors import StoreError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.store.rows import ReadRow, SourceRow
from governor.desk import HOUR, MINUTE, said
from governor.provenance.reading import CARD, FILES, PLAIN, ReadingDesk


def test_prompts_constants_and_results_are_sources_in_the_order_they_were_read() -> None:
    desk = ReadingDesk()
    desk._mission = desk.start_mission(prompt="write to bob@x.example")
    desk.result("crm.find", "c", '{"name":"Carla"}', id=1)
    desk.result("web.get", "w", '"buy now"', url="u")
    desk.say("and to eve@x.example")
    assert desk.kinds() == [
        "constant office trusted",
        "prompt prompt trusted",
        "result crm.find trusted",
        "result web.get",
        "prompt prompt trusted",
    ]
    desk.verified()


def test_a_source_names_the_record_that_tells_of_it() -> None:
    desk = ReadingDesk()
    desk._mission = desk.start_mission(prompt="hello")
    desk.result("web.get", "w", '"x y"', url="u")
    held = desk.result("note.read", "n", '{"body":"sealed"}', id=1)
    desk.answer(held.approval)
    desk.redeem_result(held.approval)
    leaves = desk.leaves()
    told = [(row.kind, leaves[row.record].kind.value) for row in desk.sources()]
    assert told == [
        ("constant", "mission"),
        ("prompt", "mission"),
        ("result", "outcome"),
        ("result", "release"),
    ]


def test_labels_of_tools_systems_and_finds_are_those_of_the_mission() -> None:
    desk = ReadingDesk()
    assert desk.labels() == []
    desk.result("crm.find", "c", '"x"', id=1)
    assert desk.labels() == ["customer", "pii"]
    desk.result("web.get", "w", f'"paid with {CARD}"', url="u")
    assert desk.labels() == ["customer", "pci", "pii"]


@pytest.mark.parametrize("said", ["null", "true", "[]", "{}", "[{},[null]]", " false "])
def test_a_result_without_words_is_nobodys_word_and_carries_its_labels(said: str) -> None:
    desk = ReadingDesk()
    before = len(desk.sources())
    desk.result("web.get", "w", said, url="u")
    assert desk.row().vouched
    desk.result("crm.find", "c", said, id=1)
    assert desk.labels() == ["customer", "pii"]
    assert len(desk.sources()) == before
    desk.verified()


@pytest.mark.parametrize("said", ["0", '""', '{"a":null}', '["x"]'])
def test_a_number_an_empty_text_or_a_key_is_a_word(said: str) -> None:
    desk = ReadingDesk()
    desk.result("web.get", "w", said, url="u")
    assert not desk.row().vouched


@pytest.mark.parametrize("files", [FILES, PLAIN], ids=["asked for", "not asked for"])
def test_labels_are_kept_whether_or_not_anybody_asks_for_origins(files: dict[str, str]) -> None:
    desk = ReadingDesk(files)
    assert desk.row().vouched
    desk.result("crm.find", "c", f'"{CARD}"', id=1)
    assert desk.labels() == ["customer", "pci", "pii"]
    assert desk.row().vouched
    desk.result("web.get", "w", '"x"', url="u")
    assert not desk.row().vouched
    assert bool(desk.sources()) is (files is FILES)


def test_what_is_trusted_does_not_make_up_for_what_is_not() -> None:
    desk = ReadingDesk()
    desk.result("web.get", "w", '"x"', url="u")
    desk.result("crm.find", "c", '"x"', id=1)
    desk.say("go on")
    assert not desk.row().vouched


def test_a_result_that_is_withheld_adds_nothing() -> None:
    desk = ReadingDesk()
    before = desk.row()
    assert said(desk.result("note.read", "b", '{"body":"burnt"}', id=1))[0] == "deny"
    assert said(desk.result("note.read", "s", '{"body":"sealed"}', id=2))[0] == "hold"
    assert desk.row() == before
    assert desk.kinds() == ["constant office trusted"]


def test_a_held_result_is_read_once_it_is_redeemed() -> None:
    desk = ReadingDesk()
    held = desk.result("note.read", "s", '{"body":"sealed"}', id=2)
    desk.answer(held.approval)
    assert desk.redeem_result(held.approval).effect.runs
    assert desk.kinds()[1:] == ["result note.read"]
    assert not desk.row().vouched
    desk.verified()


def test_what_a_release_took_out_was_never_read() -> None:
    desk = ReadingDesk()
    release = desk.result("note.read", "p", f'{{"body":"hello","pin":"{CARD}"}}', id=1)
    assert "pin" not in release.output
    assert desk.labels() == []


def test_a_result_that_is_reported_twice_is_read_once() -> None:
    desk = ReadingDesk()
    attempt = desk.act("web.get", "w", url="u").attempt
    desk.observe(attempt, '"x"')
    desk.observe(attempt, '"x"')
    assert desk.kinds()[1:] == ["result web.get"]


@pytest.mark.parametrize("kind", [OutcomeKind.ERROR, OutcomeKind.UNKNOWN])
def test_what_a_trusted_tool_says_when_it_fails_is_not_trusted(kind: OutcomeKind) -> None:
    desk = ReadingDesk()
    outcome = Outcome(kind, error="bad_thing", message=f"write to {CARD}", output='"x"')
    desk.observe(desk.act("crm.find", "c", id=1).attempt, outcome)
    assert desk.kinds()[1:] == ["result crm.find"]
    assert not desk.row().vouched
    assert desk.labels() == ["customer", "pci", "pii"]
    desk.verified()


def test_what_never_started_has_said_nothing() -> None:
    desk = ReadingDesk()
    before = desk.row()
    desk.observe(desk.act("crm.find", "c", id=1).attempt, "not_started")
    assert desk.row() == before


def test_whoever_never_reports_has_read_all_that_could_be_said() -> None:
    desk = ReadingDesk()
    desk.act("crm.find", "c", id=1)
    desk.later(MINUTE)
    row = desk.row()
    assert (row.labels, row.vouched, row.imprinted) == (["customer", "pii"], False, False)


def test_a_result_that_cannot_be_read_is_trusted_by_nobody() -> None:
    desk = ReadingDesk()
    desk.observe(desk.act("crm.find", "c", id=1).attempt, Outcome(OutcomeKind.OK, opaque=True))
    row = desk.row()
    assert (row.labels, row.vouched, row.imprinted) == (["customer", "pii"], False, False)


def test_a_prompt_counts_as_its_users_word_only_where_they_said_it() -> None:
    desk = ReadingDesk()
    desk.say("write to bob@x.example", user="ben")
    assert desk.kinds()[1:] == ["prompt prompt"]
    assert not desk.row().vouched


def test_who_stops_being_trusted_has_said_nothing_that_is() -> None:
    desk = ReadingDesk()
    desk._mission = desk.start_mission(prompt="write to bob@x.example")
    desk.say("also this", user="ben")
    desk.result("crm.find", "c", '"x"', id=1)
    desk.governor.distrust(
        Caller(operator=False, method="peer:7", workload="worker"), (desk.mission,)
    )
    assert desk.kinds() == [
        "constant office trusted",
        "prompt prompt",
        "result crm.find trusted",
        "prompt prompt",
    ]
    assert not desk.row().vouched
    desk.verified()


def test_nothing_is_kept_where_nobody_asks_and_what_was_missed_is_known_to_be() -> None:
    desk = ReadingDesk(PLAIN)
    desk.result("web.get", "w", '"x"', url="u")
    desk.activate(FILES)
    desk.result("web.get", "v", '"y"', url="u")
    assert desk.kinds() == ["result web.get"]
    assert not desk.row().imprinted


def test_a_change_of_rules_that_stops_asking_leaves_a_gap_that_is_known() -> None:
    desk = ReadingDesk()
    assert desk.row().imprinted
    desk.activate(PLAIN)
    desk.result("web.get", "w", '"x"', url="u")
    desk.activate(FILES)
    assert not desk.row().imprinted


def test_the_end_of_a_mission_leaves_no_imprint() -> None:
    desk = ReadingDesk()
    late = desk.act("web.get", "l", url="u").attempt
    desk.result("web.get", "w", '"x"', url="u")
    desk.done(calls.MissionVerb(mission=desk.mission, verb="close", as_user="ana"))
    desk.observe(late, '"y"')
    assert desk.core.write(lambda turn: turn.tx.count(SourceRow)) == 0
    assert desk.core.write(lambda turn: turn.tx.count(ReadRow)) == 0
    desk.verified()


def test_a_mission_that_expires_leaves_no_imprint_either() -> None:
    desk = ReadingDesk()
    desk.result("web.get", "w", '"x"', url="u")
    desk.later(9 * HOUR)
    assert desk.core.write(lambda turn: turn.tx.count(SourceRow)) == 0
    desk.verified()


def test_no_text_is_kept_beside_the_log() -> None:
    desk = ReadingDesk()
    desk._mission = desk.start_mission(prompt="tell zanzibar@x.example of it")
    desk.result("web.get", "w", '"the word is Rumpelstiltskin"', url="u")
    kept = b"".join(row.imprint for row in desk.sources())
    for text in (b"zanzibar", b"umpelstiltskin", b"word"):
        assert text not in kept


def words(number: int, count: int) -> str:
    return " ".join(f"w{number}x{each}" for each in range(count))


def test_the_oldest_of_what_nobody_vouches_for_is_let_go_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index, "OTHERS_MOST", 40_000)
    desk = ReadingDesk()
    desk._mission = desk.start_mission(prompt="stay")
    for number in range(8):
        desk.result("web.get", f"w{number}", f'"{words(number, 500)}"', url="u")
    rows = desk.sources()
    assert [row.kind for row in rows if row.trusted] == ["constant", "prompt"]
    assert sum(row.weight for row in rows if not row.trusted) <= 40_000
    assert rows[-1].number == 10
    assert not desk.row().imprinted
    desk.verified()


def test_no_more_is_let_go_of_than_has_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(desk: ReadingDesk, *numbers: int) -> list[int]:
        for number in numbers:
            desk.result("web.get", f"w{number}", f'"{words(number, 50)}"', url="u")
        return [row.weight for row in desk.sources() if not row.trusted]

    weights = read(ReadingDesk(), *range(8))
    desk, (part, of) = ReadingDesk(), index.LEFT
    assert read(desk, *range(7)) == weights[:7]
    # Once the last is read, the five newest are as much as may be left.
    monkeypatch.setattr(index, "OTHERS_MOST", -(-sum(weights[3:]) * of // part))
    assert sum(weights[3:]) == index.OTHERS_MOST * part // of
    assert read(desk, 7) == weights[3:]
    desk.verified()


def test_what_is_vouched_for_is_never_let_go_of_and_ends_where_there_is_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index, "TRUSTED_MOST", 40_000)
    desk = ReadingDesk()
    for number in range(8):
        desk.result("crm.find", f"c{number}", f'"{words(number, 500)}"', id=number)
    numbers = [row.number for row in desk.sources()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert 1 < len(numbers) < 8
    assert not desk.row().imprinted
    desk.verified()


ATTACKS: dict[str, Any] = {
    "one is gone": lambda tx, m: tx.delete(SourceRow, chain.key(m, chain.OTHERS, 1)),
    "the last is gone": lambda tx, m: tx.delete(SourceRow, chain.key(m, chain.OTHERS, 2)),
    "one is vouched for": lambda tx, m: _edit(tx, m, trusted=True),
    "one says nothing": lambda tx, m: _edit(tx, m, imprint=b"\x80"),
    "one has no label": lambda tx, m: _edit(tx, m, labels=["none"]),
    "one was read later": lambda tx, m: _edit(tx, m, number=9),
}


def _edit(tx: Any, mission: str, **change: Any) -> None:
    row = tx.get(SourceRow, chain.key(mission, chain.OTHERS, 1))
    tx.put(structs.replace(row, **change))


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_source_that_no_governor_wrote_is_seen_when_it_is_read(attack: str) -> None:
    desk = ReadingDesk()
    for key in ("w", "v"):
        desk.result("web.get", key, f'"{key}"', url="u")
    mission = desk.mission
    desk.core.store.write(lambda tx: ATTACKS[attack](tx, mission))
    with pytest.raises(StoreError) as caught:
        desk.sources()
    assert caught.value.code == "store_tampered"
