"""Who may ask: whose token stands in http.toml now, for what, and until when."""

import os
from pathlib import Path

import pytest

from bridle.gateway.http import config
from bridle.gateway.http.points import digest_of, new_token
from bridle.model.errors import BundleError
from gateway.http.asking import CONFIG, TOKEN, Gateway


def asked(gateway: Gateway, token: str = TOKEN) -> tuple[int, str]:
    return gateway.code("/v1/decide", {}, token=token)


def test_tokens_are_long_and_never_the_same() -> None:
    made = {new_token() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(len(each) == 47 and each.startswith("brt_") for each in made)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "{token}",
        "Basic {token}",
        "Bearer  {token}",
        "Bearer {swapped}",
        "Bearer {digest}",
        "Bearer brt_{digest}",
        "Bearer {short}",
        "Bearer {token}, Bearer {token}",
        "Bearer {new}",
    ],
)
def test_what_is_no_token_of_a_point_is_refused(header: str, gateway: Gateway) -> None:
    sent = header.format(
        token=TOKEN,
        swapped=TOKEN.swapcase(),
        digest=digest_of(TOKEN),
        short=TOKEN[:-1],
        new=new_token(),
    )
    said = gateway.ask("/v1/decide", {}, token="", headers={"Authorization": sent})
    assert said.status == 401
    assert said.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_that_is_taken_out_of_the_file_is_worth_nothing_at_once(gateway: Gateway) -> None:
    assert asked(gateway)[0] == 400
    gateway.config.write_text(CONFIG.replace(digest_of(TOKEN), digest_of(new_token())))
    assert asked(gateway) == (401, "token_unknown")


def test_a_token_has_its_time(gateway: Gateway) -> None:
    for when, status in (("2020-01-01T00:00:00Z", 401), ("2999-01-01T00:00:00+02:00", 400)):
        gateway.config.write_text(
            CONFIG.replace('may = ["act", "token"]', f'may = ["act"]\nexpires = "{when}"')
        )
        assert asked(gateway)[0] == status


@pytest.mark.parametrize("odd", ["", "format = 1\n[points.x]\nmay = []\n", "\xff", "[[[", None])
def test_a_file_that_cannot_be_read_lets_nobody_in(odd: str | None, gateway: Gateway) -> None:
    assert asked(gateway)[0] == 400
    if odd is None:
        gateway.config.unlink()
    else:
        gateway.config.write_bytes(odd.encode("latin-1"))
    assert asked(gateway) == (503, "governor_unreachable")
    gateway.config.write_text(CONFIG)
    os.utime(gateway.config)
    assert asked(gateway)[0] == 400


DIGEST = "sha256:" + "0" * 64
POINT = f'[points.a]\ntoken = "{DIGEST}"\nmay = ["act"]\n'


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (POINT.replace("sha256:", "md5:"), 3),
        (POINT.replace('["act"]', "[]"), 4),
        (POINT.replace('["act"]', '["all"]'), 4),
        (POINT + "more = 1\n", 5),
        (POINT + 'expires = "tomorrow"\n', 5),
        (POINT.replace("points.a", 'points."a b"'), 2),
        (POINT + POINT.replace("points.a", "points.b"), 2),
        ('[[routes]]\nmethod = "GET"\npath = "/../a"\ntool = "x"\n', 4),
        ('[[routes]]\nmethod = "GET"\npath = "/{a}"\ntool = "x"\n' * 2, 8),
        ("routes = 7\n", 2),
        ("other = 7\n", 2),
        ('[authzen]\nagent = "a"\n', 2),
        ('[authzen]\nagent = "a"\nmission = "m"\n[authzen.tools]\nread = "x"\n', 5),
        ('[authzen]\nagent = "a"\nmission = "m"\n[authzen.subjects.user]\na = 7\n', 6),
    ],
)
def test_a_file_that_could_be_misread_is_refused_with_its_place(
    text: str, where: int, tmp_path: Path
) -> None:
    path = tmp_path / "http.toml"
    path.write_text("format = 1\n" + text)
    with pytest.raises(BundleError) as refused:
        config.read(path)
    assert refused.value.code == "http_invalid"
    assert where in [finding.location.line for finding in refused.value.findings]


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "http.toml"
    for text in (POINT, "format = 2\n" + POINT, "format = 1\n" + "#" * (1 << 20)):
        path.write_text(text)
        with pytest.raises(BundleError):
            config.read(path)
