"""Whatever way an executing identity is proven: what each `Authenticator` promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bridle.model.calls import Login
from bridle.trust import credential
from bridle.trust.authenticator import Authenticator, OwnKey
from bridle.trust.proof import Challenge

WORKER, OTHER = (credential.generate("workload", "worker") for _ in range(2))
HERE = Challenge(store="s", nonce="5a" * 32, role="agent", folder="/run/bridle")


@pytest.fixture(params=[OwnKey()], ids=["key"])
def way(request: pytest.FixtureRequest) -> Authenticator:
    return request.param


def asked(way: Authenticator, login: Login, *counting: str) -> tuple[str, list[str]]:
    """What proves the login, and which fingerprints the registry was asked about."""
    about: list[str] = []

    def counts(fingerprint: str) -> bool:
        about.append(fingerprint)
        return fingerprint in counting

    return way.proven(HERE, login, counts), about


def test_a_key_in_force_proves_its_identity_by_its_fingerprint(way: Authenticator) -> None:
    found = asked(way, WORKER.login(HERE), WORKER.fingerprint)
    assert found == (WORKER.fingerprint, [WORKER.fingerprint])
    assert way.method


def test_a_key_that_does_not_count_proves_nothing_however_rightly_it_signs(
    way: Authenticator,
) -> None:
    assert asked(way, WORKER.login(HERE))[0] == ""
    assert asked(way, WORKER.login(HERE), OTHER.fingerprint)[0] == ""


def test_a_key_that_counts_is_no_proof_without_its_signature(way: Authenticator) -> None:
    stolen_name = structs.replace(OTHER.login(HERE), key=WORKER.public)
    assert asked(way, stolen_name, WORKER.fingerprint)[0] == ""


@pytest.mark.parametrize(
    "elsewhere",
    [
        structs.replace(HERE, nonce="a5" * 32),
        structs.replace(HERE, store="t"),
        structs.replace(HERE, role="operator"),
        structs.replace(HERE, folder="/run/other"),
    ],
    ids=["connection", "store", "socket", "folder"],
)
def test_a_proof_is_worth_nothing_elsewhere(way: Authenticator, elsewhere: Challenge) -> None:
    assert asked(way, WORKER.login(elsewhere), WORKER.fingerprint)[0] == ""


@pytest.mark.parametrize("changed", [{"name": "porter"}, {"kind": "user"}, {"kind": "agent"}])
def test_a_proof_is_for_one_name_of_one_kind(way: Authenticator, changed: dict[str, str]) -> None:
    login = structs.replace(WORKER.login(HERE), **changed)
    assert asked(way, login, WORKER.fingerprint)[0] == ""


@given(
    login=st.builds(
        Login,
        kind=st.text(),
        name=st.text(),
        key=st.text() | st.just(WORKER.public),
        signature=st.text(alphabet=st.characters(codec="ascii")) | st.text(),
    )
)
def test_whatever_is_sent_it_is_refused_and_nothing_is_raised(login: Login) -> None:
    assert asked(OwnKey(), login, WORKER.fingerprint)[0] == ""
