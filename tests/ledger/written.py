"""Leaves of any content, written as the governor writes them."""

from typing import Any

from bridle.ledger.leaf import Opening, commitments_to, openings_of, write
from bridle.model.record import LeafKind


def build(  # noqa: PLR0917 (the envelope has as many fields)
    kind: LeafKind,
    chain: str,
    seq: int,
    prev: bytes,
    time: int,
    ids: dict[str, str],
    body: dict[str, Any],
    fields: dict[str, bytes],
    salts: bytes,
) -> tuple[bytes, bytes, dict[str, Opening]]:
    """A leaf that says nothing of where its values lie: bytes, leaf hash, and their openings."""
    openings = openings_of(fields, salts)
    commit = commitments_to(openings)
    return *write(kind, chain, seq, prev, time, ids, body, commit), openings
