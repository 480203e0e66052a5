"""Whatever is changed in a log, verification finds it; and it never fails on hostile content."""

import itertools
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger.leaf import build
from bridle.ledger.seal import Sealer
from bridle.ledger.tree import Frontier, frontier_of, leaf_hash
from bridle.ledger.verify import MOST_FINDINGS, Report, verify_log
from bridle.model.record import LeafKind

SEALER = Sealer(bytes(range(32)))
KINDS = [LeafKind.MISSION, LeafKind.DECISION, LeafKind.STARTED, LeafKind.OUTCOME]
CHAINS = ["m1", "system", "m1", "m2", "m1", "m2"]


class Stored(NamedTuple):
    """What a store keeps of a leaf; `verify_log` takes anything of this shape."""

    index: int
    chain: str
    seq: int
    data: bytes
    sealed: bytes


def log(size: int = 12) -> list[Stored]:
    heads: dict[str, tuple[int, bytes]] = {}
    leaves = []
    for index, chain in zip(range(size), itertools.cycle(CHAINS), strict=False):
        seq, prev = heads.get(chain, (-1, bytes(32)))
        fields = {"args": b"secret %d" % index, "reason": b"because"} if index % 3 else {}
        data, digest, openings = build(
            kind=KINDS[index % 4],
            chain=chain,
            seq=seq + 1,
            prev=prev,
            time=1_000 + index,
            ids={"action": f"a{index}"},
            body={"n": index},
            fields=fields,
            salts=bytes([index]) * 32 * len(fields),
        )
        sealed = SEALER.seal(openings, digest, bytes([index]) * 12) if openings else b""
        heads[chain] = seq + 1, digest
        leaves.append(Stored(index, chain, seq + 1, data, sealed))
    return leaves


LOG = log()
WHOLE = frontier_of(leaf_hash(leaf.data) for leaf in LOG)


def check(leaves: list[Stored], *, sealer: Sealer | None = SEALER) -> Report:
    return verify_log(leaves, WHOLE, sealer=sealer)


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def numbered(leaves: list[Stored]) -> list[Stored]:
    return [leaf._replace(index=index) for index, leaf in enumerate(leaves)]


def test_a_good_log_is_told_apart_by_kind_chain_and_payload() -> None:
    report = check(LOG)
    assert report.ok
    assert report.findings == ()
    assert (report.size, report.root, report.anchored) == (12, WHOLE.root().hex(), True)
    assert report.kinds == {"mission": 3, "decision": 3, "started": 3, "outcome": 3}
    assert report.chains == {"m1": 6, "system": 2, "m2": 4}
    assert (report.payloads.opened, report.payloads.erased, report.payloads.unopened) == (8, 0, 0)


def test_without_a_key_payloads_are_counted_and_left_shut() -> None:
    report = check(LOG, sealer=None)
    assert report.ok
    assert report.payloads.unopened == 8


def test_an_empty_log_is_a_good_log() -> None:
    assert verify_log([], Frontier()).ok


def test_every_changed_bit_of_every_leaf_is_found() -> None:
    for index, leaf in enumerate(LOG):
        for place in range(len(leaf.data)):
            changed = bytearray(leaf.data)
            changed[place] ^= 1 << (place % 8)
            report = check([*LOG[:index], leaf._replace(data=bytes(changed)), *LOG[index + 1 :]])
            assert "root_mismatch" in codes(report)


def test_every_changed_bit_of_every_payload_is_found() -> None:
    for index, leaf in enumerate(LOG):
        for place in range(len(leaf.sealed)):
            changed = bytearray(leaf.sealed)
            changed[place] ^= 1 << (place % 8)
            report = check([*LOG[:index], leaf._replace(sealed=bytes(changed)), *LOG[index + 1 :]])
            assert codes(report) == {"payload_unopenable"}
            assert report.findings[0].index == index


def drops() -> Iterator[list[Stored]]:
    for index in range(12):
        yield [*LOG[:index], *LOG[index + 1 :]]
    yield from (LOG[:size] for size in range(12))


def swaps() -> Iterator[list[Stored]]:
    for left, right in itertools.combinations(range(12), 2):
        changed = list(LOG)
        changed[left], changed[right] = changed[right], changed[left]
        yield changed


def repeats() -> Iterator[list[Stored]]:
    for source, place in itertools.product(range(12), range(13)):
        yield [*LOG[:place], LOG[source], *LOG[place:]]


@pytest.mark.parametrize("attack", [drops, swaps, repeats])
@pytest.mark.parametrize("hide", [list, numbered], ids=["as it is", "renumbered"])
def test_leaves_dropped_swapped_or_repeated_are_found(
    attack: Callable[[], Iterator[list[Stored]]],
    hide: Callable[[list[Stored]], list[Stored]],
) -> None:
    for changed in attack():
        report = check(hide(changed))
        assert codes(report) & {"root_mismatch", "size_mismatch"}


def unanchored(leaves: list[Stored]) -> Report:
    return verify_log(leaves, sealer=SEALER)


def test_inside_a_log_a_missing_leaf_breaks_its_chain_even_without_a_root() -> None:
    last = {leaf.chain: leaf.index for leaf in LOG}
    for index, leaf in enumerate(LOG):
        report = unanchored(numbered([*LOG[:index], *LOG[index + 1 :]]))
        assert ("chain_broken" in codes(report)) == (index != last[leaf.chain])
        assert not report.anchored


def rewired() -> Iterator[tuple[str, dict[str, object]]]:
    yield "chain_broken", {"seq": 5}
    yield "chain_broken", {"prev": leaf_hash(LOG[0].data)}
    yield "chain_broken", {"chain": "m2"}
    yield "chain_broken", {"chain": "m3"}
    yield "time_backwards", {"time": 999}


@pytest.mark.parametrize(("code", "changes"), list(rewired()))
def test_a_rewired_chain_is_found_even_when_the_root_was_made_to_fit(
    code: str, changes: dict[str, object]
) -> None:
    fields = {"kind": LeafKind.DECISION, "chain": "m1", "seq": 3, "time": 1_006}
    prev = leaf_hash(LOG[4].data)
    body = {"ids": {"action": "a6"}, "body": {}, "fields": {}, "salts": b""}
    data, _, _ = build(**{**fields, "prev": prev, **body, **changes})
    filed = {**fields, **changes}
    forged = [*LOG[:6], Stored(6, filed["chain"], filed["seq"], data, b"")]
    frontier = frontier_of(leaf_hash(leaf.data) for leaf in forged)
    report = verify_log(forged, frontier, sealer=SEALER)
    assert codes(report) == {code}
    assert [finding.index for finding in report.findings] == [6]


def test_a_leaf_filed_elsewhere_is_found() -> None:
    for changes in ({"chain": "m2"}, {"seq": 1}):
        changed = [LOG[0]._replace(**changes), *LOG[1:]]
        assert codes(check(changed)) == {"filed_wrong"}


def test_an_index_that_jumps_is_found() -> None:
    assert codes(check([*LOG[:11], LOG[11]._replace(index=12)])) == {"index_gap"}


def resealed(leaf: Stored, openings: dict[str, tuple[bytes, bytes]]) -> Stored:
    return leaf._replace(sealed=SEALER.seal(openings, leaf_hash(leaf.data), os.urandom(12)))


def test_a_payload_that_was_exchanged_by_someone_with_the_key_is_found() -> None:
    openings = SEALER.open(LOG[1].sealed, leaf_hash(LOG[1].data))
    salt, _ = openings["args"]
    for forged in (
        {**openings, "args": (salt, b"another")},
        {**openings, "more": (salt, b"added")},
        {"args": openings["reason"], "reason": openings["args"]},
    ):
        report = check([LOG[0], resealed(LOG[1], forged), *LOG[2:]])
        assert codes(report) == {"commitment_mismatch"}


def test_a_payload_moved_to_another_leaf_does_not_open() -> None:
    moved = [LOG[0], LOG[1]._replace(sealed=LOG[2].sealed), *LOG[2:]]
    assert codes(check(moved)) == {"payload_unopenable"}


def test_erasing_a_payload_leaves_the_log_whole_and_is_counted() -> None:
    openings = SEALER.open(LOG[2].sealed, leaf_hash(LOG[2].data))
    del openings["args"]
    report = check([LOG[0], LOG[1]._replace(sealed=b""), resealed(LOG[2], openings), *LOG[3:]])
    assert report.ok
    assert (report.payloads.opened, report.payloads.erased) == (6, 2)


def test_a_wrong_root_or_size_alone_is_found() -> None:
    assert codes(verify_log(LOG, root=bytes(32))) == {"root_mismatch"}
    assert codes(verify_log(LOG, size=11)) == {"size_mismatch"}
    assert codes(verify_log(LOG, WHOLE, root=bytes(32))) == {"root_mismatch"}


def test_findings_are_capped_and_counted() -> None:
    junk = [Stored(index, "c", index, b"junk", b"") for index in range(MOST_FINDINGS + 500)]
    report = verify_log(junk)
    assert len(report.findings) == MOST_FINDINGS
    assert report.flaws == MOST_FINDINGS + 500
    assert not report.ok


@given(
    st.lists(
        st.builds(
            Stored,
            index=st.integers(-(2**70), 2**70),
            chain=st.text(max_size=5),
            seq=st.integers(),
            data=st.binary(max_size=60) | st.sampled_from([leaf.data for leaf in LOG]),
            sealed=st.binary(max_size=60) | st.sampled_from([leaf.sealed for leaf in LOG]),
        ),
        max_size=8,
    )
)
def test_hostile_leaves_yield_a_report_and_no_exception(leaves: list[Stored]) -> None:
    report = verify_log(leaves, WHOLE, sealer=SEALER)
    assert report.size == len(leaves)
    assert not report.ok
