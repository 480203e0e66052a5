"""What every broker promises, tried at a real resource; and the gaps that its kind declares."""

from __future__ import annotations

import copy
import logging
import pickle
import re
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from msgspec import structs

from bridle.brokers.broker import BrokerError, Made, Order
from bridle.model.credential import AnyCredential
from brokers.conformance.bench import GAPS, Bench
from brokers.conformance.conftest import ALL

PAGE = (Path(__file__).parents[3] / "docs" / "credentials.md").read_text("utf-8")
MINUTE = 60_000

# What a refusal may take beyond `wait_ms` on a busy machine; a broker without a bound never ends.
SLACK_S = 5.0


def now() -> int:
    return time.time_ns() // 1_000_000


def order(credential: AnyCredential, expires: int = 0) -> Order:
    return Order(
        lease=f"lse_{uuid4().hex}",
        mission="mis_1",
        agent="clerk",
        attempt=f"att_{uuid4().hex}",
        system="house",
        tool="house.open",
        expires=expires or now() + MINUTE,
        credential=credential,
    )


def vend(bench: Bench, expires: int = 0) -> Made:
    return bench.broker.vend(order(bench.credential, expires))


def values(made: Made) -> list[str]:
    """Return what of a credential nobody may see: no names of hosts, users and the like."""
    fields = made.secret.reveal()
    return [fields[name] for name in ("secret", "password", "dsn") if fields.get(name)]


def refused(bench: Bench, credential: AnyCredential) -> BrokerError:
    with pytest.raises(BrokerError) as caught:
        bench.broker.vend(order(credential))
    assert_silent(caught.value, bench.texts)
    return caught.value


def assert_silent(problem: BaseException, texts: tuple[str, ...]) -> None:
    """Nothing of a failure says a secret: not what it came from either, nor its notes."""
    shown = "".join(traceback.format_exception(problem))
    each: BaseException | None = problem
    while each is not None:
        shown += f"{each} {each!r} {each.args!r} {vars(each)!r}"
        each = each.__cause__ or each.__context__
    for text in texts:
        assert text not in shown


def until(done, seconds: float = 20.0) -> bool:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
    return False


# --- opening --------------------------------------------------------------------------------------


def test_what_is_vended_opens_the_resource(bench: Bench) -> None:
    made = vend(bench)
    assert bench.opens(made.secret)


def test_it_expires_no_later_than_it_was_ordered_to(bench: Bench) -> None:
    expires = now() + MINUTE
    made = vend(bench, expires)
    assert now() < made.expires <= expires


def test_after_its_expiry_the_resource_refuses_it(bench: Bench) -> None:
    if "not_expired" in bench.gaps:
        made = vend(bench, now() + 300)
        assert until(lambda: now() > made.expires)
        assert bench.opens(made.secret)
        return
    made = vend(bench, now() + 2_000)
    assert bench.opens(made.secret)
    assert until(lambda: not bench.opens(made.secret))


# --- taking back ----------------------------------------------------------------------------------


def test_revoked_it_is_refused_at_the_resource_at_once_and_twice_is_fine(bench: Bench) -> None:
    made = vend(bench)
    assert bench.opens(made.secret)
    asked = order(bench.credential).lease.encode()
    bench.broker.revoke(bench.credential, made.handle or asked)
    assert bench.opens(made.secret) == ("not_revoked" in bench.gaps)
    bench.broker.revoke(bench.credential, made.handle or asked)
    assert bench.opens(made.secret) == ("not_revoked" in bench.gaps)


def test_another_broker_revokes_what_was_vended_before_a_crash(bench: Bench) -> None:
    ordered = order(bench.credential)
    made = bench.broker.vend(ordered)
    after = bench.again()
    try:
        after.revoke(bench.credential, made.handle or ordered.lease.encode())
        assert bench.opens(made.secret) == ("not_revoked" in bench.gaps)
    finally:
        after.close()


def test_by_the_id_of_its_lease_alone_it_is_revoked_where_nobody_noted_the_handle(
    bench: Bench,
) -> None:
    ordered = order(bench.credential)
    made = bench.broker.vend(ordered)
    after = bench.again()
    try:
        after.revoke(bench.credential, ordered.lease.encode())
        stays = bool({"not_revoked", "handle_needed"} & bench.gaps)
        assert bench.opens(made.secret) == stays
    finally:
        after.close()
    bench.broker.revoke(bench.credential, made.handle or ordered.lease.encode())


def test_a_lease_nobody_made_is_revoked_without_a_fault(bench: Bench) -> None:
    bench.broker.revoke(bench.credential, order(bench.credential).lease.encode())


def test_two_leases_are_two_credentials_and_one_outlives_the_other(bench: Bench) -> None:
    first, second = order(bench.credential), order(bench.credential)
    one, other = bench.broker.vend(first), bench.broker.vend(second)
    shared = one.secret.reveal() == other.secret.reveal()
    assert shared == ("shared" in bench.gaps)
    bench.broker.revoke(bench.credential, one.handle or first.lease.encode())
    assert bench.opens(other.secret)
    assert bench.opens(one.secret) == ("not_revoked" in bench.gaps)
    bench.broker.revoke(bench.credential, other.handle or second.lease.encode())


def test_many_at_once_get_each_their_own_and_all_are_taken_back(bench: Bench) -> None:
    orders = [order(bench.credential) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(bench.broker.vend, orders))
        assert all(pool.map(bench.opens, [each.secret for each in made]))
        different = {tuple(sorted(each.secret.reveal().items())) for each in made}
        assert len(different) == (1 if "shared" in bench.gaps else 8)

        def back(index: int) -> None:
            handle = made[index].handle or orders[index].lease.encode()
            bench.broker.revoke(bench.credential, handle)

        list(pool.map(back, range(8)))
        left = list(pool.map(bench.opens, [each.secret for each in made]))
    assert left == ["not_revoked" in bench.gaps] * 8


# --- failing --------------------------------------------------------------------------------------


def timed(bench: Bench, credential: AnyCredential, codes: set[str]) -> None:
    brief = structs.replace(credential, wait_ms=500)
    began = time.monotonic()
    assert refused(bench, brief).code in codes
    assert time.monotonic() - began < 0.5 + SLACK_S


def test_a_source_that_is_down_makes_no_credential(bench: Bench) -> None:
    if "no_source" in bench.gaps:
        with pytest.raises(NotImplementedError):
            bench.unreachable()
        return
    with bench.unreachable() as credential:
        timed(bench, credential, {"broker_unreachable"})


def test_a_source_that_is_slow_is_given_up_after_the_wait_that_was_declared(bench: Bench) -> None:
    if "no_source" in bench.gaps:
        with pytest.raises(NotImplementedError):
            bench.silent()
        return
    with bench.silent() as credential:
        timed(bench, credential, {"broker_slow", "broker_unreachable"})


def test_what_cannot_be_asked_is_not_said_to_be_revoked(bench: Bench) -> None:
    if "no_source" in bench.gaps:
        return
    made = vend(bench)
    with bench.unreachable() as credential:
        with pytest.raises(BrokerError) as caught:
            bench.broker.revoke(credential, made.handle or b"lse_unknown")
        assert_silent(caught.value, (*bench.texts, *values(made)))
    assert bench.opens(made.secret)


def test_a_secret_that_nobody_sealed_makes_no_credential(bench: Bench) -> None:
    missing = structs.replace(bench.credential, secret="nobody-sealed-it")
    assert refused(bench, missing).code == "secret_missing"


def test_secrets_that_were_tampered_with_make_no_credential(bench: Bench) -> None:
    path = bench.secrets.path
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert refused(bench, bench.credential).code == "secrets_unreadable"


def test_a_broker_takes_no_order_of_another_kind(bench: Bench) -> None:
    for name in ("sealed", "header", "token_exchange", "postgres"):
        other = _declaration(name)
        if type(other) is not type(bench.credential):
            assert refused(bench, other).code == "broker_refused"


def _declaration(broker: str) -> AnyCredential:
    more = {
        "token_exchange": {"endpoint": "https://as.example/token"},
        "postgres": {"role": "reader"},
    }
    declared = {"broker": broker, "use": "worker", "secret": "house", **more.get(broker, {})}
    return msgspec.convert(declared, AnyCredential)  # type: ignore[no-any-return]


# --- silence --------------------------------------------------------------------------------------


def test_nothing_that_is_written_down_of_a_credential_says_what_it_is(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        made = vend(bench)
        logging.getLogger("bridle").warning("%s %r %s", made, made, made.secret)
        bench.broker.revoke(bench.credential, made.handle or b"lse_unknown")
    hidden = (*bench.texts, *values(made))
    assert len(hidden) > len(bench.texts)
    shown = caplog.text + repr(vars(bench.broker)) + f"{made} {made!r} {made.secret!s}"
    for text in hidden:
        assert text not in shown
        assert repr(text.encode())[2:-1] not in shown


def test_a_secret_is_not_copied_out_of_its_process(bench: Bench) -> None:
    made = vend(bench)
    for copying in (pickle.dumps, copy.deepcopy, copy.copy, msgspec.json.encode):
        with pytest.raises(TypeError):
            copying(made.secret)


@pytest.mark.parametrize("name", ALL)
def test_the_page_names_exactly_the_gaps_that_each_bench_declares(
    name: str, tmp_path: Path
) -> None:
    with ALL[name](tmp_path) as bench:
        assert bench.gaps <= GAPS.keys()
        rows = re.findall(
            r"^\| `([a-z_-]+)` \| ((?:`[a-z_]+`(?:, )?)+|nothing) \|$", PAGE, re.MULTILINE
        )
        told = dict(rows)[name]
        assert set(re.findall(r"`([a-z_]+)`", told)) == bench.gaps
        bench.broker.close()
