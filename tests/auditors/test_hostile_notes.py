"""Notes gone wrong: Go's checksum database and we agree on what opens, and where not, we refuse."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditors.programs import Program, Programs, RefusedError
from bridle.ledger import note
from ledger.worked import LOG, LOG_KEY, TEXT, WITNESS_LINE, mutations, outcome

pytestmark = pytest.mark.auditors

OTHERS = [WITNESS_LINE.encode(), "— other.example AAAAAAAA\n".encode()]


@st.composite
def notes(draw: st.DrawFn) -> bytes:
    """A changed text that the log did sign, changed lines of others, and then perhaps a change."""
    text = draw(mutations(TEXT.encode()))
    signed = base64.b64encode(LOG.key.id + LOG.raw(text))
    line = f"— {LOG.key.name} ".encode() + signed + b"\n"
    others = draw(st.lists(st.sampled_from(OTHERS).flatmap(mutations), max_size=2))
    lines = draw(st.permutations([line, *others]))
    data = text + b"\n" + b"".join(lines)
    return draw(mutations(data)) if draw(st.booleans()) else data


def opens(program: Program, data: bytes) -> str | None:
    try:
        return program.ask("open", data=data, keys=[LOG_KEY])["text"]
    except RefusedError:
        return None


def canonical(data: bytes) -> bool:
    """Whether each signature is written in the one form of base64, and none twice for our key."""
    lines = data.decode().rpartition("\n\n")[2][:-1].split("\n")
    values = [each.rpartition(" ")[2] for each in lines]
    known = [each for each in values if base64.b64decode(each)[:4] == LOG.key.id]
    return len(known) == 1 and all(note.encoded(base64.b64decode(each)) == each for each in values)


@settings(max_examples=1_000)
@given(data=notes())
def test_what_opens_here_opens_there_and_the_other_way_round_where_it_is_written_in_one_form(
    asked: Programs, data: bytes
) -> None:
    theirs = opens(asked["go"], data)
    code, found = outcome(lambda: note.parse(data))
    if not code:
        code, _ = outcome(lambda: note.verify(found, [LOG.key]))
    if not code:
        assert found.text == theirs
    elif theirs is not None:
        assert not canonical(data)
