"""Chains hold or do not, whatever was verified before: parents, keys, clocks, caches, proofs."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.model.public_key import fingerprint
from bridle.trust import NOTHING_REVOKED
from bridle.trust.grants import chain, issue, jws, verify
from bridle.trust.grants.chain import Link
from bridle.trust.grants.claims import Predicate
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.grants.roots import MOST_KEYS, RootKey, Roots
from bridle.trust.grants.verify import Verifier
from bridle.trust.holder import Holder, Nonces, Statement, sign
from bridle.trust.status import StatusList
from trust.forging import (
    ANY,
    GOVERNOR,
    HOUR,
    MISSION,
    NOW,
    Line,
    claims_of,
    details,
    judged,
    key,
    public,
    refused,
    request,
    resigned,
)

LINE = Line(ANY, ANY, ANY)
DOCS = details(web_get={"url": Predicate(prefix="https://docs.example/")})


def code(verifier: Verifier, texts: list[str], now: int = NOW) -> str:
    return judged(verifier, texts, now=now)[0]


# --- links and their parents ---------------------------------------------------------------------


class Tree:
    """One governor's links: three missions, each with a root, two children and four below."""

    def __init__(self) -> None:
        self.governor = Line(ANY)
        self.links: dict[str, tuple[str, ...]] = {}
        for mission in range(3):
            line = Line(ANY, ANY, mission=f"{MISSION[:-1]}{mission}")
            root = resigned(line.texts[0], self.governor.grant_key)
            self.grow((root,), line.keys[0], 2)

    def grow(self, path: tuple[str, ...], holder: object, depth: int) -> None:
        self.links[path[-1]] = path
        for _ in range(2 if depth else 0):
            held = key()
            child = issue.attenuate(
                chain.read(path), holder, agent="b", holder=public(held), details=ANY,
                issued=NOW, expires=NOW + HOUR,
            )  # fmt: skip
            self.grow((*path, child), held, depth - 1)


TREE = Tree()
WARM = Verifier(TREE.governor.roots)


@given(st.lists(st.sampled_from(sorted(TREE.links)), min_size=1, max_size=4))
def test_splicing_only_a_links_own_ancestors_make_a_chain_of_it(texts: list[str]) -> None:
    """Dropped, reordered, doubled, cut off at the root, of another chain or mission: refused."""
    cold = Verifier(TREE.governor.roots)
    whole = TREE.links[texts[-1]] == tuple(texts)
    for verifier in (cold, WARM):
        try:
            found = verifier.chain(texts, NOW).texts
        except GrantError:
            found = None
        assert (found == tuple(texts)) is whole


def test_every_chain_of_the_tree_holds_and_every_other_order_of_it_does_not() -> None:
    for path in TREE.links.values():
        verifier = Verifier(TREE.governor.roots)
        assert verifier.chain(path, NOW).texts == path
        for other in product(path, repeat=len(path)):
            if other != path:
                with pytest.raises(GrantError):
                    verifier.chain(other, NOW)


def test_malleability_no_character_of_a_chain_can_be_another() -> None:
    """Each character in turn: refused, cold and where the real chain is known."""
    warm = LINE.verifier()
    warm.chain(LINE.texts, NOW)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.="
    taken = [
        (index, at)
        for index, text in enumerate(LINE.texts)
        for at, old in enumerate(text)
        if not code(
            warm,
            [
                *LINE.texts[:index],
                text[:at] + alphabet[(alphabet.index(old) + 1) % len(alphabet)] + text[at + 1 :],
                *LINE.texts[index + 1 :],
            ],
        )
    ]
    assert taken == []


def test_no_character_of_a_signatures_end_can_be_any_other() -> None:
    text = LINE.texts[2]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    taken = {c for c in alphabet if not code(LINE.verifier(), [*LINE.texts[:2], text[:-1] + c])}
    assert taken == {text[-1]}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"par_hash": ""}, GrantCode.PARENT),
        ({"par_hash": "0" * 64}, GrantCode.PARENT),
        ({"par_hash": chain.read(LINE.texts[:1]).digest}, GrantCode.PARENT),
        ({"iss": GOVERNOR}, GrantCode.PARENT),
        ({"iss": chain.read(LINE.texts[:1]).leaf.fingerprint}, GrantCode.PARENT),
        ({"del_depth": 0}, GrantCode.DEPTH),
        ({"del_depth": 3}, GrantCode.DEPTH),
        ({"del_max_depth": 9}, GrantCode.DEPTH),
        ({"exp": NOW + HOUR + 1}, GrantCode.OUTLIVES),
        ({"iat": NOW - 1}, GrantCode.ISSUED),
        ({"sub": "ben"}, GrantCode.CHANGED),
        ({"aud": "bridle:" + "0" * 32}, GrantCode.CHANGED),
        ({"mis": MISSION[:-1] + "1"}, GrantCode.CHANGED),
        ({"jti": claims_of(LINE.texts[0]).jti}, GrantCode.DUPLICATE),
        ({"jti": claims_of(LINE.texts[1]).jti}, GrantCode.DUPLICATE),
    ],
)
def test_a_link_that_its_parents_key_signed_must_still_be_its_child(changed, expected) -> None:
    texts = [*LINE.texts[:2], resigned(LINE.texts[2], LINE.keys[1], **changed)]
    assert judged(LINE.verifier(), texts) == (expected, 2)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({"par_hash": "0" * 64}, GrantCode.PARENT), ({"del_depth": 1}, GrantCode.DEPTH)],
)
def test_a_root_has_nothing_above_it(changed, expected) -> None:
    texts = [resigned(LINE.texts[0], LINE.grant_key, **changed)]
    assert judged(LINE.verifier(), texts) == (expected, 0)


def test_a_holder_who_names_itself_deeper_stops_there() -> None:
    """`del_max_depth` narrows for all below, and is never given back."""
    stop = resigned(LINE.texts[1], LINE.keys[0], del_max_depth=1)
    below = resigned(
        LINE.texts[2], LINE.keys[1], par_hash=chain.read([LINE.texts[0], stop]).digest,
        del_max_depth=1,
    )  # fmt: skip
    assert code(LINE.verifier(), [LINE.texts[0], stop]) == ""
    assert judged(LINE.verifier(), [LINE.texts[0], stop, below]) == (GrantCode.DEPTH, 2)


def test_a_task_is_kept_by_all_below_and_asked_for_by_its_name() -> None:
    line = Line(ANY, ANY, task="invoices")
    assert claims_of(line.texts[1]).task == "invoices"
    assert refused(line, line.texts, request(task="invoices")) == ""
    assert refused(line, line.texts, request(task="payroll")) == GrantCode.TASK
    assert refused(line, line.texts, request()) == GrantCode.TASK
    for task in ("", "payroll"):
        changed = [line.texts[0], resigned(line.texts[1], line.keys[0], task=task)]
        assert refused(line, changed, request(task=task)) == GrantCode.CHANGED
    narrowed = [LINE.texts[0], resigned(LINE.texts[1], LINE.keys[0], task="invoices")]
    assert refused(LINE, narrowed, request(task="invoices")) == ""
    assert refused(LINE, narrowed, request()) == GrantCode.TASK


# --- clocks --------------------------------------------------------------------------------------


def test_a_grant_is_good_until_the_second_it_expires() -> None:
    verifier = LINE.verifier()
    assert code(verifier, LINE.texts, NOW + HOUR - 1) == ""
    assert code(verifier, LINE.texts, NOW + HOUR) == GrantCode.EXPIRED
    assert code(verifier, LINE.texts, NOW + HOUR - 1) == ""


def test_the_link_that_expired_is_named() -> None:
    early = resigned(LINE.texts[1], LINE.keys[0], exp=NOW + 10)
    line = [LINE.texts[0], early]
    assert judged(LINE.verifier(), line, now=NOW + 10) == (GrantCode.EXPIRED, 1)


def test_clock_skew_another_clock_may_be_a_minute_ahead_and_no_more() -> None:
    verifier = LINE.verifier()
    assert code(verifier, LINE.texts, NOW - 60) == ""
    assert judged(verifier, LINE.texts, now=NOW - 61) == (GrantCode.NOT_YET, 0)
    later = [LINE.texts[0], resigned(LINE.texts[1], LINE.keys[0], iat=NOW + 61)]
    assert judged(verifier, later) == (GrantCode.NOT_YET, 1)
    assert code(Verifier(LINE.roots, skew=0), LINE.texts, NOW - 1) == GrantCode.NOT_YET


# --- the governor's keys -------------------------------------------------------------------------


def test_key_compromise_a_key_that_is_no_longer_pinned_ends_what_was_cached() -> None:
    verifier = LINE.verifier()
    found = verifier.chain(LINE.texts, NOW)
    others = Roots([public(key())])
    for attempt in (
        lambda: verifier.chain(LINE.texts, NOW, roots=others),
        lambda: verifier.chain(LINE.texts[:1], NOW, roots=others),
        lambda: verifier.extend(
            found, LINE.child(ANY, LINE.keys[2], key()), NOW, roots=others
        ),
        lambda: verifier.current(found, NOW, roots=others),
        lambda: verifier.admit(found, request(), NOTHING_REVOKED, NOW, roots=others),
    ):  # fmt: skip
        with pytest.raises(GrantError) as caught:
            attempt()
        assert caught.value.code == GrantCode.ROOT_UNKNOWN
    assert code(verifier, LINE.texts) == ""


def test_key_rotation_the_old_key_verifies_until_its_window_ends_and_the_new_one_from_its_own() -> (
    None
):
    old = RootKey(public(LINE.grant_key), NOW - HOUR, NOW + 100)
    new = Line(ANY)
    roots = Roots([old, RootKey(public(new.grant_key), NOW + 50)])
    verifier = Verifier(roots, skew=0)
    assert code(verifier, LINE.texts, NOW + 99) == ""
    assert code(verifier, LINE.texts, NOW + 100) == GrantCode.ROOT_WINDOW
    assert code(verifier, new.texts, NOW + 49) == GrantCode.ROOT_WINDOW
    assert code(verifier, new.texts, NOW + 50) == ""
    assert code(Verifier(roots), LINE.texts, NOW + 100) == GrantCode.ROOT_WINDOW


def test_of_many_keys_those_that_end_last_are_pinned() -> None:
    each = [key() for _ in range(MOST_KEYS + 2)]
    keys = [RootKey(public(one), NOW, NOW + at) for at, one in enumerate(each, 1)]
    keys.append(RootKey(public(LINE.grant_key)))
    roots = Roots(keys)
    assert len(roots.keys) == MOST_KEYS
    assert code(Verifier(roots), LINE.texts) == ""
    assert public(each[0]) not in {one.key for one in roots.keys}


def test_no_key_pinned_no_chain() -> None:
    assert code(Verifier(Roots([])), LINE.texts) == GrantCode.ROOT_UNKNOWN


# --- what is remembered --------------------------------------------------------------------------


def test_a_chain_that_was_refused_leaves_no_trace() -> None:
    verifier = LINE.verifier()
    forged = [*LINE.texts[:2], resigned(LINE.texts[2], key())]
    assert code(verifier, forged) == GrantCode.SIGNATURE
    assert code(verifier, forged) == GrantCode.SIGNATURE
    assert code(verifier, LINE.texts) == ""
    assert code(verifier, forged) == GrantCode.SIGNATURE


def test_revocation_time_and_request_are_asked_about_every_time() -> None:
    class Dead:
        dead = False

        def revoked(self, link: Link) -> bool:
            return self.dead

    verifier, status = LINE.verifier(), Dead()
    assert judged(verifier, LINE.texts, status=status) == ("", -1)
    status.dead = True
    assert judged(verifier, LINE.texts, status=status) == (GrantCode.REVOKED, 0)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_many_threads_and_little_room_change_no_answer(size: int) -> None:
    verifier = Verifier(TREE.governor.roots, cached=size)
    paths = list(TREE.links.values())
    start = Barrier(8)

    def worker(seed: int) -> list[bool]:
        drawn = random.Random(seed)
        start.wait()
        right = []
        for _ in range(150):
            path = drawn.choice(paths)
            bad = drawn.random() < 0.5
            texts = [*path[:-1], resigned(path[-1], key())] if bad else path
            try:
                found = verifier.chain(texts, NOW).texts == tuple(texts)
            except GrantError:
                found = False
            right.append(found is not bad)
        return right

    with ThreadPoolExecutor(8) as pool:
        assert all(all(each) for each in pool.map(worker, range(8)))


def test_what_is_remembered_is_bounded_in_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = Verifier(TREE.governor.roots, cached=5)
    for path in TREE.links.values():
        verifier.chain(path, NOW)
    assert len(verifier._known.chains) == 5
    monkeypatch.setattr(verify, "MOST_CACHED_BYTES", 2_000)
    for path in TREE.links.values():
        verifier.chain(path, NOW)
    known = verifier._known
    assert known.size == sum(len(texts[-1]) for texts in known.chains) <= 2_000
    assert known.chains


# --- all in one, with the holder's proof ---------------------------------------------------------

NOW_MS = NOW * 1_000


def proven(holder: Holder, grant: str, tool: str = "web.get", at: int = NOW_MS):
    statement = Statement(instance="i" * 64, grant=grant, op="decide", tool=tool)
    return statement, sign(holder.private, statement, at, f"{random.getrandbits(128):032x}")


def once(texts=LINE.texts, asked=None, **given) -> str:
    options = {"roots": LINE.roots, "status": NOTHING_REVOKED, "now": NOW} | given
    try:
        return verify.verify(texts, asked or request(), **options).digest
    except GrantError as refusal:
        return refusal.code


def test_all_in_one_says_which_grant_allows() -> None:
    assert once() == chain.read(LINE.texts).digest
    assert once(asked=request(mission="other")) == GrantCode.MISSION


def test_token_theft_a_chain_without_its_key_is_worth_nothing() -> None:
    leaf = chain.read(LINE.texts).digest
    statement, mine = proven(Holder(LINE.keys[2]), leaf)
    assert once(statement=statement, proof=mine) == leaf
    assert once(statement=statement) == GrantCode.PROOF_MISSING
    for thief in (Holder.generate(), Holder(LINE.keys[1]), Holder(LINE.grant_key)):
        statement, proof = proven(thief, leaf)
        assert once(statement=statement, proof=proof) == GrantCode.PROOF_INVALID


def test_a_proof_is_for_its_grant_tool_and_time() -> None:
    holder, leaf = Holder(LINE.keys[2]), chain.read(LINE.texts).digest
    statement, proof = proven(holder, leaf, "mail.send")
    assert once(statement=statement, proof=proof) == GrantCode.PROOF_INVALID
    statement, proof = proven(holder, chain.read(LINE.texts[:2]).digest)
    assert once(statement=statement, proof=proof) == GrantCode.PROOF_INVALID
    statement, proof = proven(holder, leaf, at=NOW_MS - 30_001)
    assert once(statement=statement, proof=proof) == GrantCode.PROOF_STALE
    assert once(statement=statement, proof=proof, now_ms=NOW_MS - 1) == leaf


def test_replay_a_proof_is_good_once() -> None:
    statement, proof = proven(Holder(LINE.keys[2]), chain.read(LINE.texts).digest)
    nonces = Nonces()
    assert once(statement=statement, proof=proof, nonces=nonces) == statement.grant
    assert once(statement=statement, proof=proof, nonces=nonces) == GrantCode.PROOF_REPLAYED


def test_a_status_list_that_has_expired_answers_for_nothing() -> None:
    status = StatusList(version=1, iat=NOW - 10, exp=NOW + 1, iss=GOVERNOR, revoked_at={})
    assert once(status=status) == chain.read(LINE.texts).digest
    assert once(status=status, now=NOW + 1) == GrantCode.STATUS_STALE
    dead = {f"key:{chain.read(LINE.texts).links[1].fingerprint}": NOW_MS}
    listed = StatusList(version=2, iat=NOW - 10, exp=NOW + 1, iss=GOVERNOR, revoked_at=dead)
    assert once(status=listed) == GrantCode.REVOKED


def test_key_compromise_a_list_that_names_the_roots_key_ends_what_it_signed() -> None:
    def listing(public: str) -> StatusList:
        dead = {"key:" + fingerprint(public): (NOW - 20) * 1_000}
        return StatusList(version=1, iat=NOW - 10, exp=NOW + 60, iss=GOVERNOR, revoked_at=dead)

    verifier = Verifier(LINE.roots)
    found = verifier.chain(LINE.texts, NOW)
    verifier.admit(found, request(), listing(Holder.generate().public), NOW)
    with pytest.raises(GrantError) as refused:
        verifier.admit(found, request(), listing(found.root), NOW)
    assert (refused.value.code, refused.value.link) == (GrantCode.REVOKED, 0)


def test_a_refusal_names_no_value_of_the_request() -> None:
    secret = "hunter2-hunter2"
    narrow = Line(ANY, DOCS)
    with pytest.raises(GrantError) as caught:
        verify.verify(
            narrow.texts, request(url=secret), roots=narrow.roots, status=NOTHING_REVOKED, now=NOW
        )
    assert caught.value.code == GrantCode.NOT_GRANTED
    assert secret not in str(caught.value)
    assert jws.split(narrow.texts[0]).payload.decode() not in str(caught.value)


@pytest.mark.parametrize(("each", "expected"), [(2, ""), (3, GrantCode.TOO_LARGE)])
def test_predicate_denial_of_service_the_patterns_of_all_links_are_counted(each, expected) -> None:
    """What a pattern costs is paid for every action: many links do not add up to many patterns."""
    said = details(web_get={f"a{at}": Predicate(re2=f"a{{{at}}}") for at in range(each)})
    line = Line(*[said] * (chain.MAX_PATTERNS // 2))
    found = judged(
        line.verifier(), line.texts, request(**{f"a{at}": "a" * at for at in range(each)})
    )
    assert found == (expected, -1 if not expected else chain.MAX_PATTERNS // each)
