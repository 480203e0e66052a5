"""A secret that a system echoes is taken out, in the forms that text carries it in."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.brokers.scrubbing import MARK, Scrubber

SECRET = 'tok/en+"42"&<ü>='


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        SECRET.upper(),
        quote(SECRET),
        quote(SECRET, safe=""),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        json.dumps(SECRET)[1:-1],
        SECRET.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;"),
    ],
)
def test_an_echoed_secret_is_not_told(form: str) -> None:
    assert Scrubber([SECRET]).text(f"you sent {form}!") == f"you sent {MARK}!"


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["b64", "url"]))
def test_a_secret_inside_of_base64_is_not_told_wherever_it_begins(
    before: str, after: str, kind: str
) -> None:
    raw = f"{before}{SECRET}{after}".encode()
    encode = base64.b64encode if kind == "b64" else base64.urlsafe_b64encode
    text = Scrubber([SECRET]).text(encode(raw).decode())
    assert MARK in text


def test_what_basic_credentials_spell_is_not_told() -> None:
    secret = base64.b64encode(b"robot:hunter2-long").decode()
    scrubber = Scrubber([secret])
    assert "hunter2-long" not in scrubber.text("password hunter2-long for robot:hunter2-long")


def test_keys_of_objects_and_what_is_nested_deep_are_looked_through() -> None:
    deep: object = SECRET
    for _ in range(500):
        deep = [deep]
    told = Scrubber([SECRET]).value({SECRET: {"x": [SECRET, 1, None]}, "deep": deep})
    assert SECRET not in json.dumps(told, ensure_ascii=False)
    assert told[MARK] == {"x": [MARK, 1, None]}


def test_nothing_is_taken_out_without_a_secret_worth_it() -> None:
    assert Scrubber(["", "a"]).text("a banana") == "a banana"
    assert Scrubber([]).raw(b"\xff") == b"\xff"


def test_where_a_credential_is_used_is_no_secret() -> None:
    scrubber = Scrubber.of({"host": "db.example", "port": "5432", "password": "hunter2-long"})
    assert scrubber.text("5432 rows of db.example by hunter2-long") == (
        f"5432 rows of db.example by {MARK}"
    )
