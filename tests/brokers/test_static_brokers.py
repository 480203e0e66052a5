"""Headers made of secrets, and the registry of brokers."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridle.brokers.broker import BrokerError, Order, Secret
from bridle.brokers.header import HeaderBroker, header_of
from bridle.brokers.registry import Brokers
from bridle.brokers.sealed import SealedBroker
from bridle.brokers.sealed_file import SealedFile
from bridle.model.credential import HeaderCredential, PostgresCredential, SealedCredential, Use

TOKEN = "tok-4711"


@pytest.fixture
def secrets(tmp_path):
    return SealedFile(tmp_path / "secrets.sealed", bytes(32))


def order(credential):
    return Order(
        lease="lse_1",
        mission="mis_1",
        agent="clerk",
        attempt="att_1",
        system="hub",
        tool="hub.open",
        expires=2**53,
        credential=credential,
    )


def test_the_secret_stands_in_the_declared_form():
    credential = HeaderCredential(
        use=Use.GOVERNOR, secret="t", header="X-Key", form="key={secret};v=1"
    )
    assert header_of(credential, Secret(secret=TOKEN)) == ("X-Key", f"key={TOKEN};v=1")


def test_braces_in_a_secret_are_no_places():
    credential = HeaderCredential(use=Use.GOVERNOR, secret="t", form="{secret}")
    assert header_of(credential, Secret(secret="{secret}{0}"))[1] == "{secret}{0}"


@pytest.mark.parametrize(
    "value",
    [
        f"{TOKEN}\r\nX-Admin: 1",
        f"{TOKEN}\n",
        f"{TOKEN}\t",
        f"tö-{TOKEN}",
        f"{TOKEN}\x7f",
        f"{TOKEN} ",
    ],
)
def test_a_secret_that_would_end_the_header_is_refused_and_not_repeated(secrets, value):
    secrets.set("t", value)
    credential = HeaderCredential(use=Use.GOVERNOR, secret="t")
    with pytest.raises(BrokerError) as caught:
        HeaderBroker(secrets).vend(order(credential))
    assert caught.value.code == "secret_unusable"
    assert TOKEN not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("use", [Use.WORKER, Use.MCP])
def test_a_header_is_made_for_the_governor_alone(secrets, use):
    secrets.set("t", TOKEN)
    with pytest.raises(BrokerError):
        HeaderBroker(secrets).vend(order(HeaderCredential(use=use, secret="t")))


def test_a_sealed_secret_is_not_made_for_the_governor(secrets):
    secrets.set("t", TOKEN)
    with pytest.raises(BrokerError):
        SealedBroker(secrets).vend(order(SealedCredential(use=Use.GOVERNOR, secret="t")))


def test_each_declaration_finds_its_one_broker(secrets):
    brokers = Brokers(secrets)
    sealed = SealedCredential(use=Use.WORKER, secret="t")
    assert isinstance(brokers.of(HeaderCredential(use=Use.GOVERNOR, secret="t")), HeaderBroker)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: id(brokers.of(sealed)), range(64)))
    assert len(found) == 1


def test_after_the_end_there_is_no_broker(secrets):
    brokers = Brokers(secrets)
    brokers.of(SealedCredential(use=Use.WORKER, secret="t"))
    brokers.close()
    brokers.close()
    with pytest.raises(BrokerError) as caught:
        brokers.of(SealedCredential(use=Use.WORKER, secret="t"))
    assert caught.value.code == "broker_unavailable"


def test_a_driver_that_is_not_installed_denies_and_says_what_to_install(secrets, monkeypatch):
    for name in [each for each in sys.modules if each.startswith("bridle.brokers.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [each for each in sys.modules if each.split(".")[0] == "psycopg"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(BrokerError) as caught:
        Brokers(secrets).of(PostgresCredential(use=Use.GOVERNOR, secret="t", role="reader"))
    assert caught.value.code == "broker_unavailable"
    assert "bridle[postgres]" in caught.value.hint


def test_drivers_are_not_imported_before_they_are_needed():
    code = (
        "import sys, bridle.brokers.registry, bridle.governor.governor\n"
        "print([m for m in ('psycopg', 'bridle.brokers.token_exchange') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
