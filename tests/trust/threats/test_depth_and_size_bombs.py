"""Depth and size bombs: refused by their number and size, before anything in them is read."""

from __future__ import annotations

import pytest

from bridle.model.calls import Failed
from bridle.trust.grants import chain, jws
from bridle.trust.grants.claims import DETAIL_TYPE, Detail, ToolGrant
from bridle.trust.grants.codes import GrantError
from bridle.trust.holder import Holder
from trust.forging import Line, judged, refused
from trust.office import ANYTHING, NOTES, Office, edited

CREW = ("scout", "digger", "porter", "clerk")


@pytest.fixture
def office() -> Office:
    return Office()


def test_eight_handoffs_are_the_most(office: Office) -> None:
    run = office.run()
    for depth in range(8):
        run = run.hand(CREW[depth % 4], NOTES)
    assert run.act("note.write", text="deep") == ""
    with pytest.raises(GrantError) as refusal:
        run.link("scout", Holder.generate())
    assert refusal.value.code == "depth_exceeded"


def test_a_template_may_allow_fewer_or_none() -> None:
    for most in (0, 2):
        depth = ("missions.toml", 'expires = "8h"', f'expires = "8h"\nmax_depth = {most}')
        run = Office(edited(depth)).run()
        for agent in CREW[:most]:
            run = run.hand(agent)
        with pytest.raises(GrantError) as refusal:
            run.link("porter", Holder.generate())
        assert refusal.value.code == "depth_exceeded"


def test_a_link_of_64_kib_is_refused_unread(office: Office) -> None:
    giver = office.run()
    link = giver.link("scout", Holder.generate())
    for bomb in (link + "A" * 65_536, "A" * 1_000_000, "." * 65_536, link * 100):
        reply = giver.offer(bomb)
        assert isinstance(reply, Failed)
        assert reply.code == "grant_invalid"
    assert giver.act("note.write", text="still here") == ""


BOMBS = {
    "brackets within brackets": b"[" * 12_000,
    "members within members": b'{"jti":' * 1_700,
    "a number of 12,000 digits": b'{"iat":' + b"9" * 12_000 + b"}",
    "one member a thousand times": b"{" + b",".join([b'"task":"x"'] * 1_000) + b"}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_rightly_signed_bomb_is_refused_as_malformed(office: Office, name: str) -> None:
    giver = office.run()
    reply = giver.offer(jws.sign(BOMBS[name], giver.holder.private))
    assert isinstance(reply, Failed)
    assert reply.code == "grant_invalid"
    line = Line(ANYTHING)
    assert refused(line, [*line.texts, jws.sign(BOMBS[name], line.keys[0])]) == "link_malformed"


def test_ten_thousand_tools_are_no_grant(office: Office) -> None:
    giver = office.run()
    many = {f"t{n}": ToolGrant() for n in range(10_000)}
    with pytest.raises(GrantError):
        giver.link("scout", Holder.generate(), (Detail(DETAIL_TYPE, many),))


def test_what_is_too_many_is_counted_not_read() -> None:
    line = Line(ANYTHING)

    class Unreadable(str):
        __slots__ = ()

        def encode(self, *_: object, **__: object) -> bytes:
            raise AssertionError("a link of too many was read")

    many = [Unreadable("x") for _ in range(200)]
    assert judged(line.verifier(), many) == ("chain_too_deep", -1)
    large = [Unreadable("x" * (chain.MAX_LINK_BYTES + 1))]
    assert judged(line.verifier(), large) == ("chain_too_large", 0)
