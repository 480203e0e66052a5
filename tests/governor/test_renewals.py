"""A lease is renewed without a record; nothing else of a row is changed that way."""

from functools import partial
from typing import Any

import pytest
from msgspec import structs

from bridle.governor.ground.turn import Turn
from bridle.model.errors import UsageError
from bridle.store.rows import AttemptRow
from governor.desk import Desk


def test_a_renewal_that_changes_more_than_a_lease_is_refused() -> None:
    desk = Desk()
    attempt = desk.act("note.write", "k", text="x").attempt

    def renewal(turn: Turn, **more: Any) -> None:
        row = turn.tx.get(AttemptRow, attempt)
        assert row is not None
        turn.tx.renew(structs.replace(row, lease=row.lease + 1, **more))

    before = len(desk.leaves())
    desk.core.write(renewal)
    for more in ({"state": "ok"}, {"executor": "other"}, {"id": "att_other"}):
        with pytest.raises(UsageError):
            desk.core.write(partial(renewal, **more))
    assert len(desk.leaves()) == before
    desk.verified()
