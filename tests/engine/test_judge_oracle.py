"""The engine says what a literal reading of the rules says, over random policy sets."""

from engine.differ import survey


def test_engine_and_oracle_agree_on_some_hundreds_of_requests():
    differences, tally, evaluated = survey(range(10))
    assert not differences, differences[0]
    assert tally.total() == 400
    assert evaluated["evaluations"] > 400
    assert not evaluated["left to Cedar"], "nothing here is beyond the compiled policies"
