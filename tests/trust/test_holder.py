"""Holder proofs: good for one request, one grant, one governor process, once, and for now."""

import base64
import copy
import json
import logging
import pickle
import threading
import traceback
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.model import public_key
from bridle.model.call import Proof
from bridle.model.calls import Accept, Begin, CheckPlan, Decide, Redeem
from bridle.model.errors import UsageError
from bridle.trust import holder
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.holder import WINDOW_MS, Holder, Nonces, Statement, check, statement_of

NOW = 1_700_000_000_000
INSTANCE, GRANT = "1" * 64, "2" * 64
NONE = Proof(0, "", "")
CALLS = [
    Decide(session="s", tool="t", args="{}", key="k", start=True, definition="d", requester="r"),
    Begin(session="s", action="a", definition="d"),
    Redeem(session="s", approval="p", action="a", start=True, definition="d"),
    CheckPlan(session="s", plan="{}", requester="r"),
    Accept(grant=GRANT, proof=NONE, executor="w"),
]
OTHERS = {
    "args": "{ }", "tool": "u", "session": "z", "key": "z", "adapter": "mcp", "start": False,
    "definition": "z", "requester": "z", "action": "z", "approval": "z", "grant": "3" * 64,
    "executor": "z", "perform": True, "provenance": "{}", "plan": "z", "step": "z",
}  # fmt: skip


def raw(of: Holder) -> bytes:
    return public_key.parse(of.public)


def refused(public: bytes, statement: Statement, proof: Proof, now: int = NOW) -> str:
    with pytest.raises(GrantError) as error:
        check(public, statement, proof, now)
    return error.value.code


@pytest.mark.parametrize("call", CALLS)
def test_a_proof_holds_for_its_request(call: holder.Provable) -> None:
    mine = Holder.generate()
    proof = mine.prove(call, INSTANCE, GRANT, time_ms=NOW)
    check(raw(mine), statement_of(call, INSTANCE, GRANT), proof, NOW)
    again = mine.prove(call, INSTANCE, GRANT, time_ms=NOW)
    assert again.nonce != proof.nonce
    # Neither the proof a call carries nor the handle itself is part of what is signed.
    carrying = msgspec.structs.replace(call, proof=proof)
    assert statement_of(carrying, INSTANCE, GRANT) == statement_of(call, INSTANCE, GRANT)


@pytest.mark.parametrize("call", CALLS)
def test_a_proof_for_anything_else_of_the_request_is_none(call: holder.Provable) -> None:
    mine = Holder.generate()
    proof = mine.prove(call, INSTANCE, GRANT, time_ms=NOW)
    fields = [name for name in call.__struct_fields__ if name not in {"proof", "certificate"}]
    for name in fields:
        changed: Any = msgspec.structs.replace(call, **{name: OTHERS[name]})
        statement = statement_of(changed, INSTANCE, GRANT)
        assert refused(raw(mine), statement, proof) == GrantCode.PROOF_INVALID, name


@pytest.mark.parametrize("call", CALLS)
def test_a_proof_is_for_one_governor_process_one_grant_and_one_key(call: holder.Provable) -> None:
    mine, other = Holder.generate(), Holder.generate()
    proof = mine.prove(call, INSTANCE, GRANT, time_ms=NOW)
    right = statement_of(call, INSTANCE, GRANT)
    # Another mission, another run and another depth are other grants.
    for wrong in (statement_of(call, "9" * 64, GRANT), statement_of(call, INSTANCE, "9" * 64)):
        assert refused(raw(mine), wrong, proof) == GrantCode.PROOF_INVALID
    assert refused(raw(other), right, proof) == GrantCode.PROOF_INVALID


def test_operations_do_not_stand_for_one_another() -> None:
    mine = Holder.generate()
    begin = Begin(session="s", action="a")
    redeem = Redeem(session="s", approval="", action="a")
    proof = mine.prove(begin, INSTANCE, GRANT, time_ms=NOW)
    wrong = statement_of(redeem, INSTANCE, GRANT)
    assert refused(raw(mine), wrong, proof) == GrantCode.PROOF_INVALID


def test_nothing_moves_between_the_fields_of_a_statement() -> None:
    mine = Holder.generate()
    one = Statement(instance=INSTANCE, grant=GRANT, op="x", tool="ab", args="c")
    other = msgspec.structs.replace(one, tool="a", args="bc")
    proof = holder.sign(mine.private, one, NOW, "0" * 32)
    assert refused(raw(mine), other, proof) == GrantCode.PROOF_INVALID


@pytest.mark.parametrize(("off", "stale"), [(0, False), (1, True), (10**12, True)])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_proof_is_stale_beyond_thirty_seconds_on_either_side(
    off: int, stale: bool, side: int
) -> None:
    mine = Holder.generate()
    proof = mine.prove(CALLS[0], INSTANCE, GRANT, time_ms=NOW)
    statement = statement_of(CALLS[0], INSTANCE, GRANT)
    at = NOW + side * (WINDOW_MS + off)
    if stale:
        assert refused(raw(mine), statement, proof, at) == GrantCode.PROOF_STALE
    else:
        check(raw(mine), statement, proof, at)


def test_a_proof_with_another_time_or_nonce_is_none() -> None:
    mine = Holder.generate()
    proof = mine.prove(CALLS[0], INSTANCE, GRANT, time_ms=NOW)
    statement = statement_of(CALLS[0], INSTANCE, GRANT)
    for changed in (
        msgspec.structs.replace(proof, time=NOW + 1),
        msgspec.structs.replace(proof, nonce="0" * 32),
    ):
        assert refused(raw(mine), statement, changed) == GrantCode.PROOF_INVALID


def test_one_signature_has_one_text() -> None:
    mine = Holder.generate()
    proof = mine.prove(CALLS[0], INSTANCE, GRANT, time_ms=NOW)
    statement = statement_of(CALLS[0], INSTANCE, GRANT)
    signature = base64.b64decode(proof.signature)
    # S + L signs the same in lax verifiers (RFC 8032 §5.1.7).
    order = 2**252 + 27742317777372353535851937790883648493
    larger = (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    malleable = base64.b64encode(signature[:32] + larger).decode()
    texts = [
        malleable,
        proof.signature.rstrip("="),
        proof.signature + "=",
        proof.signature + "\n",
        proof.signature.replace("+", "-").replace("/", "_") + " ",
        proof.signature[:-3] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[proof.signature[-3]] + "==",
        base64.b64encode(signature + b"\x00").decode(),
        "",
        "\ud800",
    ]
    for text in texts:
        changed = msgspec.structs.replace(proof, signature=text)
        assert refused(raw(mine), statement, changed) == GrantCode.PROOF_INVALID
    for nonce in (proof.nonce.upper(), proof.nonce + "0", "", "\ud800" * 32, "g" * 32):
        changed = msgspec.structs.replace(proof, nonce=nonce)
        if nonce != proof.nonce:
            assert refused(raw(mine), statement, changed) == GrantCode.PROOF_INVALID


def test_a_key_under_which_anybody_could_sign_proves_nothing() -> None:
    for weak in (bytes(32), b"\x01" + bytes(31)):
        signature = base64.b64encode(b"\x01" + bytes(63)).decode()
        statement = statement_of(CALLS[0], INSTANCE, GRANT)
        proof = Proof(NOW, "0" * 32, signature)
        assert refused(weak, statement, proof) == GrantCode.PROOF_INVALID
    for short in (b"", b"short"):
        assert refused(short, statement, proof) == GrantCode.PROOF_INVALID


@given(st.integers(), st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_whatever_is_presented_as_a_proof_is_refused_with_a_code(
    time: int, nonce: str, signature: str
) -> None:
    mine = Holder.from_seed_text("A" * 43)
    statement = statement_of(CALLS[0], INSTANCE, GRANT)
    code = refused(raw(mine), statement, Proof(time, nonce, signature))
    assert code in {GrantCode.PROOF_INVALID, GrantCode.PROOF_STALE}


@given(st.text(st.characters(codec=None)))
def test_texts_that_no_encoding_has_are_signed_all_the_same(text: str) -> None:
    mine = Holder.from_seed_text("A" * 43)
    call = Decide(session=text, tool=text, args=text, key=text)
    proof = mine.prove(call, INSTANCE, GRANT, time_ms=NOW)
    check(raw(mine), statement_of(call, INSTANCE, GRANT), proof, NOW)


# --- nonces --------------------------------------------------------------------------------------


def code_of(nonces: Nonces, nonce: str, now: int, made: int | None = None) -> str:
    try:
        nonces.use(nonce, now, made)
    except GrantError as error:
        return error.code
    return ""


@pytest.mark.parametrize("made", [None, NOW])
def test_of_64_threads_with_one_proof_exactly_one_succeeds(made: int | None) -> None:
    for _ in range(20):
        nonces, start = Nonces(), threading.Barrier(64)
        found: list[str] = []

        def present(nonces: Nonces = nonces, start: threading.Barrier = start) -> None:
            start.wait()
            found.append(code_of(nonces, "n", NOW, made))  # noqa: B023

        threads = [threading.Thread(target=present) for _ in range(64)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(found) == [""] + [GrantCode.PROOF_REPLAYED] * 63


def test_a_nonce_is_remembered_as_long_as_its_proof_could_be_presented() -> None:
    nonces = Nonces()
    assert code_of(nonces, "n", NOW, NOW + WINDOW_MS) == ""
    assert code_of(nonces, "n", NOW + 2 * WINDOW_MS, NOW + WINDOW_MS) == GrantCode.PROOF_REPLAYED
    without = Nonces()
    assert code_of(without, "n", NOW) == ""
    assert code_of(without, "n", NOW + 2 * WINDOW_MS) == GrantCode.PROOF_REPLAYED


def test_a_full_memory_refuses_and_forgets_no_proof_that_could_come_again() -> None:
    nonces = Nonces(capacity=3)
    assert [code_of(nonces, str(each), NOW, NOW) for each in range(3)] == ["", "", ""]
    assert code_of(nonces, "3", NOW, NOW) == GrantCode.PROOF_REPLAYED
    assert code_of(nonces, "0", NOW + WINDOW_MS, NOW) == GrantCode.PROOF_REPLAYED
    # Those of then are stale by now: there is room again.
    later = NOW + WINDOW_MS + 1
    assert code_of(nonces, "3", later, later) == ""
    assert len(nonces) == 1


def test_a_busy_key_uses_up_its_own_share_and_nobody_elses() -> None:
    nonces = Nonces(capacity=8, share=2)
    for each in "ab":
        nonces.use(each, NOW, NOW, owner="busy")
    with pytest.raises(GrantError) as refused:
        nonces.use("c", NOW, NOW, owner="busy")
    assert refused.value.code == GrantCode.PROOF_REPLAYED
    nonces.use("c", NOW, NOW, owner="other")
    # What could not come again leaves room for its owner.
    later = NOW + WINDOW_MS + 1
    nonces.use("d", later, later, owner="busy")
    nonces.use("e", later, later, owner="busy")
    assert len(nonces) == 2


@pytest.mark.parametrize("made", [None, NOW])
def test_a_clock_that_is_set_back_brings_no_proof_back(made: int | None) -> None:
    nonces = Nonces()
    assert code_of(nonces, "n", NOW, made) == ""
    assert code_of(nonces, "m", NOW + 10 * WINDOW_MS) == ""
    # The nonce is forgotten by now, and at the old time its proof would be fresh again.
    assert code_of(nonces, "n", NOW, made) == GrantCode.PROOF_STALE


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.integers(-WINDOW_MS, WINDOW_MS),
            st.integers(-3 * WINDOW_MS, 3 * WINDOW_MS),
        ),
        max_size=60,
    )
)
def test_no_proof_succeeds_twice_whatever_the_clock_does(
    steps: list[tuple[int, int, int]],
) -> None:
    nonces, now = Nonces(capacity=4), NOW
    made: dict[int, int] = {}
    succeeded: set[int] = set()
    for proof, age, step in steps:
        now += step
        time = made.setdefault(proof, now + age)
        if abs(now - time) > WINDOW_MS:
            continue
        if not code_of(nonces, str(proof), now, time):
            assert proof not in succeeded
            succeeded.add(proof)


def test_a_capacity_is_not_exceeded() -> None:
    nonces = Nonces(capacity=10)
    for each in range(100):
        code_of(nonces, str(each), NOW + each, NOW + each)
        assert len(nonces) <= 10


# --- the key -------------------------------------------------------------------------------------


def test_a_holder_is_never_printed_pickled_copied_or_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mine = Holder.generate()
    secret = mine.seed_text()
    seed = base64.urlsafe_b64decode(secret + "=")
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").error("%s %r %s", mine, mine, {"holder": mine})
    try:
        json.dumps(mine)
    except TypeError:
        said = traceback.format_exc()
    shown = f"{mine} {mine!r} {[mine]} {caplog.text} {said}"
    for form in (secret, seed.hex(), repr(seed), base64.b64encode(seed).decode()):
        assert form not in shown
    for way in (pickle.dumps, copy.copy, copy.deepcopy, mine.__reduce_ex__):
        with pytest.raises((UsageError, TypeError)) as error:
            way(4 if way == mine.__reduce_ex__ else mine)  # type: ignore[operator]
        assert secret not in str(error.value)
    with pytest.raises(TypeError):
        vars(mine)
    with pytest.raises(TypeError):
        msgspec.json.encode(mine)


def test_a_seed_text_is_the_key_and_one_text_only() -> None:
    mine = Holder.generate()
    assert Holder.from_seed_text(mine.seed_text()).public == mine.public
    text = "A" * 43
    for wrong in ("", text + "=", text[:-1], text[:-1] + "B", " " + text[1:], "+" * 43, "é" * 43,
                  text + "A", "\ud800" * 43):  # fmt: skip
        with pytest.raises(UsageError) as error:
            Holder.from_seed_text(wrong)
        assert wrong not in str(error.value) or not wrong
