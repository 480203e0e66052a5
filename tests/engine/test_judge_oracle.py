"""The engine says what a literal reading of the rules says, over random policy sets."""

from engine.differ import survey


def test_engine_and_oracle_agree_on_some_hundreds_of_requests():
    differences, tally = survey(range(10))
    assert not differences, differences[0]
    assert tally.total() == 400
