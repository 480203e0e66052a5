"""A profile says what a jail is, and takes no limit that is none."""

import msgspec
import pytest

from bridle.jail.errors import JailError
from bridle.jail.profile import MEBI, Limits


@pytest.mark.parametrize(
    ("name", "value"),
    [("memory", 0), ("memory", -1), ("memory", 1 << 63), ("processes", 1), ("files", 3),
     ("file_size", 0), ("cpu", 0), ("scratch", 0), ("entries", 0), ("time", -1),
     ("time", float("nan")), ("time", float("inf"))],
)  # fmt: skip
def test_what_is_no_limit_is_refused(name: str, value: float) -> None:
    with pytest.raises(JailError) as caught:
        Limits(**{name: value})
    assert caught.value.code == "jail_refused"
    with pytest.raises((JailError, msgspec.ValidationError)):
        msgspec.convert({name: value}, Limits)


def test_a_limit_that_does_not_exist_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"memory": 64 * MEBI, "swap": 1}, Limits)


def test_every_limit_has_a_value_unless_it_is_time() -> None:
    found = msgspec.structs.asdict(Limits())
    assert found.pop("time") == 0
    assert all(value > 0 for value in found.values())
