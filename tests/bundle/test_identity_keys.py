"""Keys of users and workloads in agents.toml: valid, their own, missed where missing."""

import base64

import pytest

from bridle.bundle.check import check_files
from bridle.model import public_key
from bridle.model.errors import UsageError

P = 2**255 - 19
D = (-121665 * pow(121666, P - 2, P)) % P


def key(seed: int) -> str:
    return public_key.written(bytes([seed, 9] * 16))


def found(desk, *edits: tuple[str, str, str], severity: str = "") -> dict[str, str]:
    """Codes of the findings in agents.toml, with the line they stand at."""
    files = dict(desk.files)
    for name, old, new in edits:
        assert old in files[name]
        files[name] = files[name].replace(old, new, 1)
    reported = check_files(files)[1]
    lines = files["agents.toml"].splitlines()
    return {
        f.code: lines[f.location.line - 1]
        for f in reported
        if f.location.file == "agents.toml" and severity in ("", f.severity.value)
    }


def with_keys(**keys: str) -> list[tuple[str, str, str]]:
    return [
        ("agents.toml", f"[users.{user}]\n", f'[users.{user}]\nkey = "{text}"\n')
        for user, text in keys.items()
    ]


def test_a_bundle_in_which_every_human_has_a_key_is_clean_and_carries_them(desk) -> None:
    files = dict(desk.files)
    for name, old, new in with_keys(ana=key(1), ben=key(2), cleo=key(3)):
        files[name] = files[name].replace(old, new, 1)
    bundle, reported = check_files(files)
    assert bundle is not None
    assert [f.code for f in reported if f.location.file == "agents.toml"] == []
    assert {u.id: u.key for u in bundle.users.values()} == {
        "ana": key(1), "ben": key(2), "cleo": key(3),
    }  # fmt: skip
    assert bundle.workloads["portal"].key.startswith(public_key.PREFIX)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ed25519:",
        "rsa:" + base64.b64encode(bytes(32)).decode(),
        "ed25519:" + base64.b64encode(bytes(31)).decode(),
        "ed25519:" + base64.b64encode(bytes([7] * 33)).decode(),
        key(1)[:-1],
        key(1) + "=",
        key(1) + "\\n",
        " " + key(1),
        key(1).replace("ed25519", "ED25519"),
        # The same bytes, written with other bits in the last letter.
        key(1)[:-2] + chr(ord(key(1)[-2]) + 1) + "=",
        "ed25519:" + base64.urlsafe_b64encode(bytes([0xFB, 0xEF] * 16)).decode(),
    ],
)
def test_what_is_no_key_is_an_error_at_its_place_and_never_no_key(desk, text: str) -> None:
    assert found(desk, *with_keys(ana=text), severity="error")["bad_value"].startswith("key = ")


def test_a_key_of_small_order_is_refused_since_anybody_can_sign_under_it(desk) -> None:
    assert len(public_key._WEAK) == 7
    for weak in public_key._WEAK:
        y = int.from_bytes(weak, "little")
        point = (_x_of(y), y % P)
        for _ in range(3):
            point = _add(point, point)
        assert point == (0, 1), "eight times a point of small order is the neutral one"
        for sign in (0, 0x80):
            raw = weak[:-1] + bytes([weak[-1] | sign])
            with pytest.raises(UsageError, match="anybody"):
                public_key.parse(public_key.written(raw))
    zero = public_key.written(bytes(32))
    assert "bad_value" in found(desk, *with_keys(ana=zero), severity="error")


def test_one_key_cannot_prove_two_identities(desk) -> None:
    twice = found(desk, *with_keys(ana=key(1), ben=key(1)), severity="error")
    assert twice["shared_key"].startswith("key = ")
    portal = check_files(desk.files)[0].workloads["portal"].key
    assert "shared_key" in found(desk, *with_keys(ana=portal), severity="error")


def test_a_human_without_a_key_among_some_with_one_is_pointed_out(desk) -> None:
    operators = desk.files["bridle.toml"]
    assert 'operators = ["ana"' in operators
    some = found(desk, *with_keys(ana=key(1)), severity="warning")
    assert some["approver_without_key"] == "[users.cleo]"
    ben = ("bridle.toml", 'operators = ["ana"', 'operators = ["cleo", "ana"')
    some = found(desk, ben, *with_keys(ana=key(1)), severity="warning")
    assert some["operator_without_key"] == "[users.cleo]"


def test_a_bundle_without_any_key_is_left_alone(desk) -> None:
    assert found(desk, severity="warning") == {}


def test_where_keys_are_required_a_human_without_one_is_an_error(desk) -> None:
    required = ("bridle.toml", "[limits]", "[oversight]\nrequire_keys = true\n[limits]")
    assert "key_required" in found(desk, required, severity="error")
    everybody = with_keys(ana=key(1), ben=key(2), cleo=key(3))
    assert found(desk, required, *everybody) == {}


def test_a_workload_that_may_assert_users_and_has_no_key_is_pointed_out(desk) -> None:
    line = next(each for each in desk.files["agents.toml"].splitlines() if "seed" in each)
    without = found(desk, ("agents.toml", line, ""), severity="warning")
    assert without["assertion_without_key"] == "may_assert_user = true"


def _x_of(y: int) -> int:
    y %= P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == square
    return x


def _add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Add two points of edwards25519 (RFC 8032 §5.1.4, affine)."""
    k = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + k, P - 2, P) % P
    return x, (a[1] * b[1] + a[0] * b[0]) * pow(1 - k, P - 2, P) % P
