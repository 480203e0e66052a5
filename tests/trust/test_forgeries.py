"""Forged chains that others have taken for real: each refused, each with its own reason."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

import pytest

from bridle.model import calls
from bridle.model.calls import Failed, Fenced, Offered
from bridle.trust.grants import chain, jws
from bridle.trust.grants.claims import Detail, Predicate, Range, ToolGrant
from bridle.trust.grants.verify import Verifier
from bridle.trust.holder import Holder
from trust.forging import (
    ANY,
    HOUR,
    MISSION,
    NOW,
    Line,
    claims_of,
    details,
    judged,
    key,
    refused,
    request,
    resigned,
)
from trust.office import NOTES, Office, Run

DOCS = details(web_get={"url": Predicate(prefix="https://docs.example/")})
PAGE = request(url="https://docs.example/a")
OTHER = "mis_" + "1" * 26

Forge = Callable[[Line], Sequence[str]]


def flipped(text: str) -> str:
    """The link with one bit of its signature changed, in canonical base64url."""
    head, _, last = text.rpartition(".")
    raw = bytearray(jws.decode(last) or b"")
    raw[40] ^= 1
    return f"{head}.{jws.encode(bytes(raw))}"


def signed_with(header: str, text: str, line: Line) -> str:
    """The root's payload under another header, rightly signed."""
    payload = text.split(".")[1]
    head = jws.encode(header.encode())
    signature = line.grant_key.sign(f"{head}.{payload}".encode())
    return f"{head}.{payload}.{jws.encode(signature)}"


def written_as(line: Line, write: Callable[[bytes], bytes]) -> str:
    """The root with its payload spelt otherwise, rightly signed."""
    return jws.sign(write(jws.split(line.texts[0]).payload), line.grant_key)


FORGED: dict[str, tuple[str, Forge]] = {
    "made by hand, names its parent, own key": (
        "signature_invalid", lambda it: [it.texts[0], it.child(ANY, key(), key())]
    ),
    "signed FORGED": (
        "link_malformed", lambda it: [*it.texts[:2], it.texts[2].rpartition(".")[0] + ".FORGED"]
    ),
    "a bit of the signature": (
        "signature_invalid", lambda it: [*it.texts[:2], flipped(it.texts[2])]
    ),
    "a root by nobody": (
        "root_unknown", lambda it: [resigned(it.texts[0], key())]
    ),
    "a holder who signs a root": (
        "root_unknown", lambda it: [resigned(it.texts[0], it.keys[0])]
    ),
    "dropped from the middle": (
        "signature_invalid", lambda it: [it.texts[0], it.texts[2]]
    ),
    "reordered": (
        "signature_invalid", lambda it: [it.texts[0], it.texts[2], it.texts[1]]
    ),
    "twice the same": (
        "signature_invalid", lambda it: [*it.texts[:2], it.texts[1], it.texts[2]]
    ),
    "without its root": (
        "root_unknown", lambda it: it.texts[1:]
    ),
    "no links": (
        "chain_empty", lambda _: []
    ),
    "spliced: another chain's leaf": (
        "signature_invalid", lambda it: [*it.texts[:2], Line(DOCS, DOCS, DOCS).texts[2]]
    ),
    "outlives its parent": (
        "outlives_parent",
        lambda it: [*it.texts[:2], resigned(it.texts[2], it.keys[1], exp=NOW + 2 * HOUR)],
    ),
    "older than its parent": (
        "issued_wrongly",
        lambda it: [*it.texts[:2], resigned(it.texts[2], it.keys[1], iat=NOW - 1)],
    ),
    "another user": (
        "claims_changed", lambda it: [*it.texts[:2], resigned(it.texts[2], it.keys[1], sub="ben")]
    ),
    "another governor": (
        "claims_changed",
        lambda it: [*it.texts[:2], resigned(it.texts[2], it.keys[1], aud="bridle:" + "cd" * 16)],
    ),
    "another mission": (
        "claims_changed", lambda it: [*it.texts[:2], resigned(it.texts[2], it.keys[1], mis=OTHER)]
    ),
    "deeper than it is": (
        "depth_exceeded", lambda it: [*it.texts[:2], resigned(it.texts[2], it.keys[1], del_depth=1)]
    ),
    "allows itself more depth": (
        "depth_exceeded",
        lambda it: [*it.texts[:2], resigned(it.texts[2], it.keys[1], del_max_depth=9)],
    ),
    "a link more than eight handoffs": (
        "chain_too_deep", lambda _: Line(*[DOCS] * 10, max_depth=64).texts
    ),
    "65 deep": (
        "chain_too_deep", lambda it: it.texts[:1] * 66
    ),
    "200 blocks": (
        "chain_too_deep", lambda it: [it.texts[0]] * 200
    ),
    "a link of 64 KiB": (
        "chain_too_large", lambda it: [it.texts[0] + "A" * 65_536]
    ),
    "algorithm none": (
        "header_invalid",
        lambda it: [signed_with('{"alg":"none","typ":"bridle-grant+jwt"}', it.texts[0], it)],
    ),
    "algorithm of another family": (
        "header_invalid",
        lambda it: [signed_with('{"alg":"HS256","typ":"bridle-grant+jwt"}', it.texts[0], it)],
    ),
    "a key id in the header": (
        "header_invalid",
        lambda it: [
            signed_with('{"alg":"Ed25519","kid":"a","typ":"bridle-grant+jwt"}', it.texts[0], it)
        ],
    ),
    "another kind of token": (
        "header_invalid",
        lambda it: [signed_with('{"alg":"Ed25519","typ":"bridle-status+jwt"}', it.texts[0], it)],
    ),
    "padded base64": (
        "link_malformed", lambda it: [it.texts[0] + "=="]
    ),
    "base64 with another last character": (
        "link_malformed", lambda it: [respelt(it.texts[0])]
    ),
    "a claim twice": (
        "link_malformed",
        lambda it: [written_as(it, lambda text: text[:-1] + b',"sub":"ana"}')],
    ),
    "a claim that nobody knows": (
        "link_malformed", lambda it: [written_as(it, lambda text: text[:-1] + b',"admin":true}')]
    ),
    "spaces": (
        "link_malformed", lambda it: [written_as(it, lambda text: text.replace(b":", b": ", 1))]
    ),
    "an escape": (
        "link_malformed",
        lambda it: [written_as(it, lambda text: text.replace(b'"ana"', b'"\\u0061na"'))],
    ),
    "a fraction for a time": (
        "link_malformed",
        lambda it: [written_as(it, lambda text: text.replace(b'"iat":', b'"iat":1.0e0', 1))],
    ),
    "not a number": (
        "link_malformed",
        lambda it: [written_as(it, lambda text: text.replace(b'_depth":0', b'_depth":NaN'))],
    ),
}  # fmt: skip


def respelt(text: str) -> str:
    """The same signature, its unused bits set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    made = text[:-1] + alphabet[alphabet.index(text[-1]) | 1]
    tail = made.rpartition(".")[2]
    assert base64.urlsafe_b64decode(tail + "==") == jws.split(text).signature
    return made


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_chain_is_refused_for_what_it_is(name: str) -> None:
    code, forge = FORGED[name]
    line = Line(DOCS, DOCS, DOCS)
    assert judged(line.verifier(), line.texts, PAGE) == ("", -1)
    assert refused(line, forge(line), PAGE) == code


@pytest.mark.parametrize("name", FORGED)
def test_nor_does_it_pass_where_the_real_one_is_known(name: str) -> None:
    code, forge = FORGED[name]
    line = Line(DOCS, DOCS, DOCS)
    verifier = line.verifier()
    verifier.chain(line.texts, NOW)
    assert judged(verifier, forge(line), PAGE)[0] == code


def test_a_link_that_expired_in_2020_is_dead() -> None:
    line = Line(DOCS, issued=1_577_836_800, expires=1_577_836_800 + HOUR)
    assert refused(line, line.texts, PAGE) == "grant_expired"


def test_a_narrower_name_under_a_prefix_is_accepted() -> None:
    narrow = details(read_data=None)
    line = Line((Detail("bridle_action", {"read.*": ToolGrant()}),), narrow)
    assert refused(line, line.texts, request("read.data", id=1)) == ""
    assert refused(line, line.texts, request("read.all", id=1)) == "not_granted"


def test_a_child_that_adds_a_tool_to_itself_gains_nothing() -> None:
    line = Line(DOCS, ANY)
    assert refused(line, line.texts, PAGE) == ""
    assert judged(line.verifier(), line.texts, request("mail.send", to="a")) == ("not_granted", 0)


BROADER: dict[str, tuple[Predicate, Predicate, object]] = {
    "eq": (Predicate(eq=1), Predicate(eq=2), 2),
    "in": (Predicate(in_=("a",)), Predicate(in_=("a", "b")), "b"),
    "range": (Predicate(range=Range(max=5)), Predicate(range=Range(max=9)), 7),
    "prefix": (Predicate(prefix="/a/"), Predicate(prefix="/"), "/b"),
    "suffix": (Predicate(suffix=".txt"), Predicate(suffix="t"), "a.bat"),
    "path": (Predicate(path_under="/srv/a"), Predicate(path_under="/srv"), "/srv/b"),
    "host": (Predicate(host=("a.example",)), Predicate(host=("*.example",)), "https://b.example/"),
    "cidr": (Predicate(cidr=("10.0.0.0/8",)), Predicate(any=True), "192.0.2.1"),
    "cidr, then a pattern": (
        Predicate(cidr=("10.0.0.0/8",)), Predicate(re2=".*"), "192.0.2.1"
    ),
    "subset": (Predicate(subset=("a",)), Predicate(subset=("a", "b")), ["b"]),
    "re2": (Predicate(re2="a+"), Predicate(re2="[ab]+"), "ab"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROADER)
def test_where_the_parent_denies_no_childs_predicate_helps(name: str) -> None:
    narrow, broad, value = BROADER[name]
    asked = request(value=value)
    alone = Line(details(web_get={"value": broad}))
    assert refused(alone, alone.texts, asked) == ""
    line = Line(details(web_get={"value": narrow}), details(web_get={"value": broad}))
    assert judged(line.verifier(), line.texts, asked) == ("not_granted", 0)
    line = Line(details(web_get={"value": broad}), details(web_get={"value": narrow}))
    assert judged(line.verifier(), line.texts, asked) == ("not_granted", 1)


class OnlyOne:
    """A status that knows of one revoked grant and of nothing below it."""

    def __init__(self, digest: str) -> None:
        self.digest = digest

    def revoked(self, link: chain.Link) -> bool:
        return link.digest == self.digest


@pytest.mark.parametrize("at", [0, 1, 2])
def test_what_hangs_below_a_revoked_grant_is_dead_though_no_list_names_it(at: int) -> None:
    line = Line(DOCS, DOCS, DOCS)
    status = OnlyOne(line.read().links[at].digest)
    assert judged(line.verifier(), line.texts, PAGE, status) == ("revoked", at)
    later = [*line.texts, line.child(DOCS, line.keys[2], key())]
    assert judged(line.verifier(), later, PAGE, status) == ("revoked", at)


def test_a_grant_is_for_its_mission_and_governor() -> None:
    line = Line(DOCS, DOCS)
    for changed, code in (
        ({"mission": OTHER}, "mission_mismatch"),
        ({"audience": "bridle:" + "cd" * 16}, "audience_mismatch"),
    ):
        asked = request(url="https://docs.example/a", **changed)
        assert refused(line, line.texts, asked) == code
    assert claims_of(line.texts[1]).mis == MISSION


def test_ten_links_are_refused_for_their_number_alone() -> None:
    line = Line(*[DOCS] * 10, max_depth=64)
    deeper = Verifier(line.roots, max_depth=9)
    assert judged(deeper, line.texts, PAGE) == ("", -1)
    assert refused(line, line.texts, PAGE) == "chain_too_deep"


# --- the same put to a governor, and what needs one ----------------------------------------------

Links = dict[str, tuple[str, Callable[[Run, Holder], str]]]
OFFERED: Links = {
    "own key, names its parent": (
        "the link is not signed with its parent's key",
        lambda run, to: resigned(run.link("scout", to), Holder.generate().private),
    ),
    "a bit of the signature": (
        "the link is not signed with its parent's key",
        lambda run, to: flipped(run.link("scout", to)),
    ),
    "another parent": (
        "par_hash is not the digest of the link above",
        lambda run, to: resigned(run.link("scout", to), run.holder.private, par_hash="ab" * 32),
    ),
    "in another's name": (
        "iss is not the fingerprint of the key above",
        lambda run, to: resigned(run.link("scout", to), run.holder.private, iss="ab" * 32),
    ),
    "outlives its parent": (
        "the link expires after its parent",
        lambda run, to: resigned(run.link("scout", to), run.holder.private, exp=2_000_000_000),
    ),
    "a claim twice": (
        "the payload is not the one text of its claims",
        lambda run, to: jws.sign(
            jws.split(run.link("scout", to)).payload[:-1] + b',"sub":"ben"}', run.holder.private
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OFFERED)
def test_a_governor_takes_no_forged_link(name: str) -> None:
    why, forge = OFFERED[name]
    giver = Office().run()
    reply = giver.offer(forge(giver, Holder.generate()))
    assert isinstance(reply, Failed)
    assert (reply.code, reply.message) == ("grant_invalid", why)


def test_a_child_registered_after_its_parents_revocation_is_dead() -> None:
    office = Office()
    giver, receiver = office.run().hand("scout", NOTES), Holder.generate()
    before = giver.offer(giver.link("digger", receiver, NOTES))
    assert isinstance(before, Offered)
    office.revoke("grant", giver.grant)
    for reply in (
        giver.accepted("digger", receiver, before.grant),
        giver.offer(giver.link("digger", Holder.generate(), NOTES)),
    ):
        assert isinstance(reply, Failed)
        assert reply.code == "revoked"


def test_a_holder_in_between_takes_back_its_own_subtree_and_nothing_else() -> None:
    office = Office()
    top = office.run()
    middle, beside = top.hand("scout", NOTES), top.hand("digger", NOTES)
    below = middle.hand("porter", NOTES)

    def take_back(who: Run, grant: str) -> object:
        return who.ask(calls.RevokeGrant(session=who.session, grant=grant))

    for grant in (top.grant, beside.grant, "ab" * 32):
        refusal = take_back(middle, grant)
        assert isinstance(refusal, Failed)
        assert refusal.code == "not_yours"
    assert isinstance(take_back(middle, below.grant), Fenced)
    told = [run.act("note.write", text="x") for run in (top, middle, beside, below)]
    assert told == ["", "", "", "revoked"]


def test_a_descendant_that_nobody_enumerated_is_dead_to_the_governor_too() -> None:
    office = Office()
    top = office.run().hand("scout", NOTES)
    deepest = top.hand("digger", NOTES).hand("porter", NOTES).hand("scout", NOTES)
    office.revoke("grant", top.grant)
    assert deepest.act("note.write", text="x") == "revoked"
    assert office.ran == []
