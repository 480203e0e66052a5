"""Whatever is changed in a log, verification finds it; and it never fails on hostile content."""

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger import note
from bridle.ledger.seal import Sealer
from bridle.ledger.tree import Frontier, frontier_of, leaf_hash
from bridle.ledger.verify import (
    MOST_FINDINGS,
    Report,
    SealedPayloads,
    Verification,
    verify_log,
)
from bridle.model.record import LeafKind
from ledger.written import build

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
    hash: bytes


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
        leaves.append(Stored(index, chain, seq + 1, data, sealed, digest))
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
    forged = [*LOG[:6], Stored(6, filed["chain"], filed["seq"], data, b"", leaf_hash(data))]
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


def record(leaves: list[Stored], kind: LeafKind, chain: str, body: dict[str, object]) -> Stored:
    """Write one more leaf behind `leaves`."""
    last = [leaf for leaf in leaves if leaf.chain == chain]
    seq, prev = (last[-1].seq + 1, last[-1].hash) if last else (0, bytes(32))
    time = 5_000 + len(leaves)
    data, digest, _ = build(kind, chain, seq, prev, time, {"by": "ana"}, body, {}, b"")
    return Stored(len(leaves), chain, seq, data, b"", digest)


def redacted(leaves: list[Stored], chain: str, **body: object) -> list[Stored]:
    return [*leaves, record(leaves, LeafKind.REDACTION, chain, {"basis": "asked", **body})]


def without(leaves: list[Stored], chain: str, below: int) -> list[Stored]:
    """The same log, a chain's payloads gone below an index."""
    return [
        leaf._replace(sealed=b"") if leaf.chain == chain and leaf.index < below else leaf
        for leaf in leaves
    ]


def named(leaves: list[Stored]) -> list[Stored]:
    """The same log as it is written now: each leaf names what is sealed beside it."""
    heads: dict[str, tuple[int, bytes]] = {}
    made: list[Stored] = []
    for leaf in leaves:
        old = msgspec.json.decode(leaf.data)
        seq, prev = heads.get(leaf.chain, (-1, bytes(32)))
        old["prev"] = prev.hex()
        if leaf.sealed:
            old["body"]["sealed"] = hashlib.sha256(leaf.sealed).hexdigest()[:32]
        data = msgspec.json.encode(old)
        digest = leaf_hash(data)
        heads[leaf.chain] = seq + 1, digest
        made.append(leaf._replace(data=data, hash=digest))
    return made


NAMED = named(LOG)


def found(leaves: list[Stored], **options: object) -> dict[int, str]:
    """Verify by public means alone, and re-read by index."""
    beside = SealedPayloads(reread=lambda index: leaves[index], **options)
    verification = Verification(beside)
    for leaf in leaves:
        verification.take(leaf)
    return {flaw.index: flaw.code for flaw in verification.finish().findings}


def test_a_payload_that_is_gone_is_missed_unless_a_record_says_why() -> None:
    for log_ in (LOG, NAMED):
        assert found(without(log_, "m1", 12)) == dict.fromkeys((2, 4, 8, 10), "payload_missing")
        whole = redacted(log_, "m1", what="mission", below=12, records=4)
        assert found(without(whole, "m1", 12)) == {}
        assert found(without(redacted(log_, "m2", what="mission", below=12), "m1", 12)) != {}


def test_erasing_a_payload_leaves_the_log_whole_and_is_counted() -> None:
    leaves = without(redacted(NAMED, "m1", what="mission", below=12, records=4), "m1", 12)
    report = verify_log(leaves)
    assert report.ok
    assert (report.payloads.unopened, report.payloads.erased) == (4, 4)


def test_a_payload_that_comes_back_after_its_redaction_is_found() -> None:
    whole = redacted(NAMED, "m1", what="mission", below=12, records=4)
    assert found(whole) == {2: "payload_restored"}
    later = without(whole, "m1", 8)
    assert found(later) == {8: "payload_restored"}


def test_a_redaction_speaks_of_nothing_later_than_itself() -> None:
    for body in (
        {"what": "mission", "below": 13},
        {"what": "mission", "below": -1},
        {"what": "mission", "below": True},
        {"what": "record", "record": 12, "fields": [], "sealed": ""},
        {"what": "record", "record": 4, "fields": [], "sealed": "xyz"},
        {"what": "everything"},
        {},
    ):
        assert found(redacted(NAMED, "m1", **body)) == {12: "redaction_invalid"}


def test_a_payload_changed_in_one_bit_is_seen_without_any_key() -> None:
    for leaf in NAMED:
        for place in range(len(leaf.sealed)):
            changed = bytearray(leaf.sealed)
            changed[place] ^= 1 << (place % 8)
            other = [*NAMED]
            other[leaf.index] = leaf._replace(sealed=bytes(changed))
            assert found(other) == {leaf.index: "payload_changed"}


def test_a_payload_beside_a_leaf_that_commits_to_nothing_is_found() -> None:
    other = [NAMED[0]._replace(sealed=NAMED[1].sealed), *NAMED[1:]]
    assert found(other) == {0: "payload_changed"}


def one_field_erased(log_: list[Stored]) -> tuple[list[Stored], dict[str, object]]:
    leaf = log_[2]
    openings = SEALER.open(LOG[2].sealed, LOG[2].hash)
    del openings["args"]
    remaining = SEALER.seal(openings, LOG[2].hash, os.urandom(12))
    body = {
        "what": "record",
        "record": 2,
        "fields": ["args"],
        "sealed": hashlib.sha256(remaining).hexdigest()[:32],
    }
    return [*log_[:2], leaf._replace(sealed=remaining), *log_[3:]], body


@pytest.mark.parametrize("log_", [LOG, NAMED], ids=["older", "named"])
def test_one_field_erased_is_told_apart_from_one_taken_away(log_: list[Stored]) -> None:
    changed, body = one_field_erased(log_)
    opener = {"opener": lambda leaf, _: SEALER.open(leaf.sealed, LOG[leaf.index].hash)}
    assert found(changed, **opener) == {2: "payload_changed"}
    good = redacted(changed, "m1", **body)
    assert found(good) == {}
    assert found(good, **opener) == {}
    assert found(redacted(changed, "m1", **{**body, "fields": []}), **opener) == {
        2: "payload_changed",
        12: "redaction_invalid",
    }
    assert found(redacted(changed, "m1", **{**body, "sealed": "0" * 32})) == {
        2: "payload_changed" if log_ is NAMED else "payload_restored"
    }
    assert found(redacted(log_, "m1", **body)) == {2: "payload_restored"}
    assert 2 in found(redacted(changed, "m2", **body))


def test_a_redaction_excuses_nothing_of_the_system_chain_at_once() -> None:
    forged = redacted(NAMED, "system", what="mission", below=12)
    kept = [leaf.index for leaf in NAMED if leaf.chain == "system" and leaf.sealed]
    assert found(without(forged, "system", 12)) == {
        **dict.fromkeys(kept, "payload_missing"),
        12: "redaction_invalid",
    }


def test_a_redaction_that_names_more_than_was_erased_or_ever_there_is_found() -> None:
    opener = {"opener": lambda leaf, _: SEALER.open(leaf.sealed, LOG[leaf.index].hash)}
    changed, body = one_field_erased(NAMED)
    never = redacted(changed, "m1", **{**body, "fields": ["args", "price"]})
    assert found(never) == {2: "redaction_invalid"}
    both = redacted(changed, "m1", **{**body, "fields": ["args", "reason"]})
    assert found(both, **opener) == {2: "payload_restored"}  # the reason can still be read


def test_a_payload_that_was_sealed_anew_with_all_it_had_is_not_erased() -> None:
    leaf = NAMED[2]
    again = SEALER.seal(SEALER.open(leaf.sealed, LOG[2].hash), LOG[2].hash, os.urandom(12))
    digest = hashlib.sha256(again).hexdigest()[:32]
    swapped = [*NAMED[:2], leaf._replace(sealed=again), *NAMED[3:]]
    opener = {"opener": lambda leaf, _: SEALER.open(leaf.sealed, LOG[leaf.index].hash)}
    body = {"what": "record", "record": 2, "sealed": digest}
    assert found(redacted(swapped, "m1", fields=["args"], **body), **opener) == {
        2: "payload_restored"
    }
    assert found(redacted(swapped, "m1", fields=[], **body)) == {
        2: "payload_changed",
        12: "redaction_invalid",
    }


def test_what_was_erased_whole_is_not_brought_back_by_a_later_redaction() -> None:
    for earlier in (
        {"what": "mission", "below": 12},
        {"what": "record", "record": 2, "fields": ["args", "reason"], "sealed": ""},
    ):
        changed, body = one_field_erased(NAMED)
        twice = redacted(redacted(changed, "m1", **earlier), "m1", **body)
        flaws = found(twice)
        assert flaws[13] == "redaction_invalid"
        assert flaws[2] in {"payload_restored", "payload_changed"}


def test_a_hash_kept_beside_a_leaf_has_to_be_its_own() -> None:
    other = [*NAMED[:5], NAMED[5]._replace(hash=NAMED[4].hash), *NAMED[6:]]
    assert found(other) == {5: "hash_mismatch"}


def test_roots_at_any_size_and_of_full_tiles_are_recomputed_on_the_way() -> None:
    count = 600
    leaves = [Stored(index, "c", index, b"%d" % index, b"", b"") for index in range(count)]
    hashes = [leaf_hash(leaf.data) for leaf in leaves]
    told: dict[tuple[int, int], bytes] = {}
    verification = Verification(
        SealedPayloads(),
        sizes=range(count + 50),
        completed=lambda level, number, root: told.__setitem__((level, number), root),
    )
    for leaf in leaves:
        verification.take(leaf)
    roots = verification.finish().roots
    assert roots == {size: frontier_of(hashes[:size]).root() for size in range(count + 1)}
    assert told == {
        (1, 0): frontier_of(hashes[:256]).root(),
        (1, 1): frontier_of(hashes[256:512]).root(),
    }


def test_keys_and_bundles_on_record_are_told() -> None:
    key = str(note.Signer("log.example/1", bytes(32)).key)
    leaves = [*NAMED]
    for kind, body in (
        (LeafKind.LOG, {"what": "key", "key": key, "state": "added"}),
        (LeafKind.POLICY, {"what": "activate", "digest": "ab" * 32}),
        (LeafKind.LOG, {"what": "key", "key": key, "state": "retired"}),
    ):
        leaves.append(record(leaves, kind, "system", body))
    report = verify_log(leaves)
    assert [(each.index, each.key, each.state) for each in report.keys] == [
        (12, key, "added"),
        (14, key, "retired"),
    ]
    assert report.bundles == ("ab" * 32,)
    bad = record(leaves, LeafKind.LOG, "system", {"what": "key", "key": "x", "state": "added"})
    assert codes(verify_log([*leaves, bad])) == {"leaf_invalid"}


def test_a_flaw_among_many_leaves_is_told_by_its_place() -> None:
    log: list[Stored] = []
    for number in range(150):
        log.append(record(log, LeafKind.MISSION, f"m{number % 3}", {"what": "noted"}))
    for at in (0, 63, 64, 100, 149):
        spoilt = log[at]._replace(data=log[at].data.replace(b"noted", b"n\xffted"))
        spoilt = spoilt._replace(hash=leaf_hash(spoilt.data))
        found = verify_log([*log[:at], spoilt, *log[at + 1 :]])
        assert (found.findings[0].index, found.findings[0].code) == (at, "leaf_invalid")
        verification = Verification(SealedPayloads())
        for leaf in log[: at + 1]:
            verification.take(leaf)
        assert verification.size == verification.frontier.size == at + 1


def test_a_wrong_root_or_size_alone_is_found() -> None:
    assert codes(verify_log(LOG, root=bytes(32))) == {"root_mismatch"}
    assert codes(verify_log(LOG, size=11)) == {"size_mismatch"}
    assert codes(verify_log(LOG, WHOLE, root=bytes(32))) == {"root_mismatch"}


def test_findings_are_capped_and_counted() -> None:
    junk = [
        Stored(index, "c", index, b"junk", b"", leaf_hash(b"junk"))
        for index in range(MOST_FINDINGS + 500)
    ]
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
            hash=st.binary(max_size=33) | st.sampled_from([leaf.hash for leaf in LOG]),
        ),
        max_size=8,
    )
)
def test_hostile_leaves_yield_a_report_and_no_exception(leaves: list[Stored]) -> None:
    report = verify_log(leaves, WHOLE, sealer=SEALER)
    assert report.size == len(leaves)
    assert not report.ok
