"""What every test shares: how many examples Hypothesis draws and how much slow tests count."""

import signal
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

_SLOW_HOST = [HealthCheck.too_slow, HealthCheck.data_too_large]

# A timing never decides a test, so no profile has a deadline.
settings.register_profile(
    "default", deadline=None, max_examples=30, suppress_health_check=_SLOW_HOST
)
settings.register_profile(
    "ci", deadline=None, max_examples=100, suppress_health_check=_SLOW_HOST, derandomize=True
)
settings.register_profile(
    "slow", deadline=None, max_examples=2_000, suppress_health_check=_SLOW_HOST, print_blob=True
)
settings.load_profile("default")


# A shell that runs the tests in the background has them ignore Ctrl-C, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="slow tests run their full counts")
    parser.addoption("--seed", type=int, help="random cases are made from this seed once more")


@pytest.fixture(scope="session")
def count(pytestconfig: pytest.Config) -> Callable[[int, int], int]:
    """Tell how often to repeat: ``count(reduced, full)``, the second with ``--full``."""
    full: bool = pytestconfig.getoption("--full")
    return lambda reduced, whole: whole if full else reduced
