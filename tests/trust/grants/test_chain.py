"""What a link may say and how it is written: bounds, the one text of claims, caps."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bridle.model.errors import UsageError
from bridle.trust import NOTHING_REVOKED
from bridle.trust.grants import bounds, chain, issue, jws
from bridle.trust.grants.claims import (
    DETAIL_TYPE,
    Claims,
    Confirmation,
    Detail,
    Jwk,
    Predicate,
    ToolGrant,
)
from bridle.trust.grants.codes import GrantCode, GrantError
from trust.forging import ANY, GOVERNOR, HOUR, MISSION, NOW, Line, claims_of, key, public, request

LINE = Line(ANY, ANY)
CLAIMS = claims_of(LINE.texts[0])
X = CLAIMS.cnf.jwk.x


def code(payload: bytes) -> str:
    """The code of reading a link with this payload; empty where it is read."""
    try:
        chain.read([jws.sign(payload, LINE.grant_key)])
    except GrantError as refused:
        return refused.code if refused.link == 0 else f"{refused.code} at {refused.link}"
    return ""


def detail(**members: object) -> dict[str, object]:
    return {"authorization_details": (Detail(**({"type": DETAIL_TYPE, "tools": {}} | members)),)}


def tools(count: int) -> dict[str, ToolGrant]:
    return {f"t{index}": ToolGrant() for index in range(count)}


def arguments(count: int) -> dict[str, ToolGrant]:
    return {"t": ToolGrant({f"a{index}": Predicate(any=True) for index in range(count)})}


def hosts(count: int) -> Predicate:
    return Predicate(host=tuple(f"h{index}.example" for index in range(count)))


def networks(count: int) -> Predicate:
    return Predicate(cidr=tuple(f"10.{index}.0.0/16" for index in range(count)))


ANY_TOOL = Detail(DETAIL_TYPE, {"*": ToolGrant()})

WITHIN: dict[str, dict[str, object]] = {
    "nothing is granted": {"authorization_details": ()},
    "eight details": {"authorization_details": (ANY_TOOL,) * 8},
    "256 tools": detail(tools=tools(256)),
    "64 arguments": detail(tools=arguments(64)),
    "32 hosts": detail(tools={"t": ToolGrant({"a": hosts(32)})}),
    "16 networks": detail(tools={"t": ToolGrant({"a": networks(16)})}),
    "128 predicates": detail(tools=arguments(64) | {"u": arguments(64)["t"]}),
    "a tool without arguments": detail(tools={"t": ToolGrant({})}),
    "a longest argument's name": detail(tools={"t": ToolGrant({"a" * 256: Predicate(any=True)})}),
    "a prefix of tools": detail(tools={"desk.*": ToolGrant()}),
    "64 domains": detail(domains=tuple(f"d{index}" for index in range(64))),
    "no domain": detail(domains=()),
    "every effect": detail(effects=("read", "write", "irreversible")),
    "16 budgets": {"bud": {f"b{index}": "1" for index in range(16)}},
    "the largest budget": {"bud": {"calls": "9" * 18 + ".999999999"}},
    "no budget left": {"bud": {"calls": "0"}},
    "64 labels": {"lbl": tuple(f"l{index}" for index in range(64))},
    "no labels": {"lbl": ()},
    "a longest name": {"agent": "a" * 256},
    "a name of another script": {"sub": "Ānna"},
    "one second": {"exp": NOW + 1},
    "the year 9999": {"exp": bounds.LATEST},
    "depth 64": {"del_depth": 64, "del_max_depth": 64},
}

BEYOND: dict[str, dict[str, object]] = {
    "nine details": {"authorization_details": (ANY_TOOL,) * 9},
    "257 tools": detail(tools=tools(257)),
    "257 tools in two details": {
        "authorization_details": (Detail(DETAIL_TYPE, tools(256)), ANY_TOOL)
    },
    "another type": detail(type="payment"),
    "65 arguments": detail(tools=arguments(65)),
    "33 hosts in two tools": detail(
        tools={"t": ToolGrant({"a": hosts(32)}), "u": ToolGrant({"a": hosts(1)})}
    ),
    "17 networks in two arguments": detail(
        tools={"t": ToolGrant({"a": networks(16), "b": networks(1)})}
    ),
    "129 predicates": detail(
        tools=arguments(64) | {"u": arguments(64)["t"], "v": arguments(1)["t"]}
    ),
    "an argument's name too long": detail(tools={"t": ToolGrant({"a" * 257: Predicate(any=True)})}),
    "a tool without name": detail(tools={"": ToolGrant()}),
    "a star within a name": detail(tools={"d*k": ToolGrant()}),
    "a star after no dot": detail(tools={"desk*": ToolGrant()}),
    "a star before a name": detail(tools={"*.desk": ToolGrant()}),
    "a star under nothing": detail(tools={".*": ToolGrant()}),
    "two stars": detail(tools={"desk.*.*": ToolGrant()}),
    "a tool with a line break": detail(tools={"desk\n": ToolGrant()}),
    "65 domains": detail(domains=tuple(f"d{index}" for index in range(65))),
    "a domain twice": detail(domains=("d", "d")),
    "a domain without name": detail(domains=("",)),
    "an effect that is none": detail(effects=("admin",)),
    "an effect twice": detail(effects=("read", "read")),
    "17 budgets": {"bud": {f"b{index}": "1" for index in range(17)}},
    "a negative budget": {"bud": {"calls": "-1"}},
    "a budget that is not a number": {"bud": {"calls": "NaN"}},
    "an endless budget": {"bud": {"calls": "Infinity"}},
    "a budget with an exponent": {"bud": {"calls": "1e9"}},
    "a budget in two forms": {"bud": {"calls": "01"}},
    "a budget in other digits": {"bud": {"calls": "१"}},
    "a budget too large": {"bud": {"calls": "1" + "0" * 18}},
    "a budget without name": {"bud": {"": "1"}},
    "65 labels": {"lbl": tuple(f"l{index}" for index in range(65))},
    "a label twice": {"lbl": ("a", "a")},
    "jti of 31 digits": {"jti": "a" * 31},
    "jti in capitals": {"jti": "A" * 32},
    "jti with a line break": {"jti": "a" * 32 + "\n"},
    "a user without name": {"sub": ""},
    "a name too long": {"agent": "a" * 257},
    "a name that is written over": {"agent": "a\u202eb"},
    "a name with a line break": {"sub": "anna\nben"},
    "a mission without id": {"mis": ""},
    "a task with a control character": {"task": "\x1b[2J"},
    "a task too long": {"task": "a" * 257},
    "par_hash of 63 digits": {"par_hash": "a" * 63},
    "ends as it begins": {"exp": NOW},
    "before 1970": {"iat": -1},
    "after the year 9999": {"exp": bounds.LATEST + 1},
    "a negative depth": {"del_depth": -1},
    "a depth of 65": {"del_max_depth": 65},
    "a key of another curve": {"cnf": Confirmation(Jwk("OKP", "X25519", X))},
    "a key of another kind": {"cnf": Confirmation(Jwk("EC", "Ed25519", X))},
    "a key too short": {"cnf": Confirmation(Jwk("OKP", "Ed25519", X[:-2]))},
    "a key too long": {"cnf": Confirmation(Jwk("OKP", "Ed25519", X + "A"))},
    "a key in padded base64": {"cnf": Confirmation(Jwk("OKP", "Ed25519", X + "="))},
    "the key of nothing": {"cnf": Confirmation(Jwk("OKP", "Ed25519", "A" * 43))},
    "a key under which anybody signs": {
        "cnf": Confirmation(Jwk("OKP", "Ed25519", jws.encode(b"\x01" + bytes(31))))
    },
}


@pytest.mark.parametrize("name", WITHIN)
def test_what_is_within_its_bounds_is_read(name: str) -> None:
    claims = structs.replace(CLAIMS, **WITHIN[name])
    assert code(issue.encoded(claims)) == ""


@pytest.mark.parametrize("name", BEYOND)
def test_what_is_beyond_its_bounds_is_refused(name: str) -> None:
    claims = structs.replace(CLAIMS, **BEYOND[name])
    assert code(issue.encoded(claims)) == GrantCode.MALFORMED


RESPELT = {
    "a space": lambda text: text.replace(b'":', b'": ', 1),
    "a line break behind": lambda text: text + b"\n",
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "an escape": lambda text: text.replace(b'"ana"', b'"\\u0061na"'),
    "a slash escaped": lambda text: text.replace(b'"ana"', b'"an\\/a"'),
    "a half of a surrogate": lambda text: text.replace(b'"ana"', b'"\\ud800"'),
    "not UTF-8": lambda text: text.replace(b'"ana"', b'"\xff"'),
    "an overlong character": lambda text: text.replace(b'"ana"', b'"\xc0\xaf"'),
    "a claim twice": lambda text: text.replace(b'"sub":', b'"sub":"ben","sub":', 1),
    "a claim twice, the second read": lambda text: text[:-1] + b',"sub":"ana"}',
    "a tool twice": lambda text: text.replace(b'{"*":{}}', b'{"*":{"args":{}},"*":{}}'),
    "another order": lambda text: (
        b"{" + text[text.index(b'"iss"') : text.index(b',"sub"')]
        + b"," + text[1 : text.index(b',"iss"')] + text[text.index(b',"sub"') :]
    ),
    "a claim nobody knows": lambda text: text[:-1] + b',"admin":true}',
    "a default written": lambda text: text[:-1] + b',"task":""}',
    "null for a default": lambda text: text[:-1] + b',"lbl":null}',
    "a fraction": lambda text: text.replace(b'"iat":1767225600', b'"iat":1767225600.0'),
    "an exponent": lambda text: text.replace(b'"iat":1767225600', b'"iat":17672256e2'),
    "a leading zero": lambda text: text.replace(b'"del_depth":0', b'"del_depth":00'),
    "minus zero": lambda text: text.replace(b'"del_depth":0', b'"del_depth":-0'),
    "not a number": lambda text: text.replace(b'"del_depth":0', b'"del_depth":NaN'),
    "a text for a number": lambda text: text.replace(b'"del_depth":0', b'"del_depth":"0"'),
    "true for one": lambda text: text.replace(b'"del_max_depth":8', b'"del_max_depth":true'),
    "a number of a thousand digits": lambda text: text.replace(
        b'"del_depth":0', b'"del_depth":' + b"9" * 1_000
    ),
    "a claim less": lambda text: text.replace(b'"sub":"ana",', b""),
    "in an array": lambda text: b"[" + text + b"]",
    "two objects": lambda text: text + text,
    "cut off": lambda text: text[:-1],
    "nothing": lambda text: b"",
    "null": lambda text: b"null",
    "brackets without end": lambda text: b"[" * 5_000,
    "nested without end": lambda text: text.replace(b'{"*":{}}', b'{"*":' * 1_500),
}  # fmt: skip


@pytest.mark.parametrize("name", RESPELT)
def test_a_payload_that_is_spelt_otherwise_is_no_link(name: str) -> None:
    payload = issue.encoded(CLAIMS)
    assert code(payload) == ""
    changed = RESPELT[name](payload)
    assert changed != payload
    assert code(changed) == GrantCode.MALFORMED


@given(st.data())
def test_a_payload_that_is_read_is_the_one_text_of_its_claims(data: st.DataObject) -> None:
    payload = bytearray(issue.encoded(CLAIMS))
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] = data.draw(st.integers(0, 255))
    try:
        again = issue.encoded(chain.claims_of(bytes(payload)))
    except GrantError as refused:
        again = refused.code.encode()
    assert again in {bytes(payload), b"link_malformed"}


def test_claims_stand_in_the_order_of_their_table() -> None:
    """What a second implementation writes: members in order, defaults left out."""
    full = structs.replace(
        CLAIMS, par_hash="ab" * 32, task="t", bud={"calls": "5"}, lbl=("public",)
    )
    assert list(json.loads(issue.encoded(full))) == [
        "jti", "iss", "sub", "agent", "aud", "iat", "exp", "cnf", "del_depth", "del_max_depth",
        "mis", "authorization_details", "par_hash", "task", "bud", "lbl",
    ]  # fmt: skip
    assert list(json.loads(issue.encoded(CLAIMS))) == list(Claims.__struct_fields__[:12])


def test_caps_come_before_anything_is_read() -> None:
    junk = "!" * chain.MAX_LINK_BYTES
    cases = [
        ([], GrantCode.EMPTY, -1),
        (["!"] * 10, GrantCode.TOO_DEEP, -1),
        ([junk + "!"], GrantCode.TOO_LARGE, 0),
        (["!", junk + "!"], GrantCode.TOO_LARGE, 1),
        ([junk] * 5, GrantCode.TOO_LARGE, -1),
        ([junk] * 4, GrantCode.HEADER, 0),
        ([b"!"], GrantCode.MALFORMED, 0),
        ([None], GrantCode.MALFORMED, 0),
    ]
    for texts, expected, link in cases:
        with pytest.raises(GrantError) as caught:
            chain.read(texts)
        assert (caught.value.code, caught.value.link) == (expected, link)


def test_a_grant_is_named_without_its_signature() -> None:
    first, second = LINE.texts
    again = jws.sign(jws.split(second).payload, key())
    assert chain.read([first, again]).digest == chain.read(LINE.texts).digest


def test_nothing_a_link_says_is_printed_with_it() -> None:
    read = chain.read(LINE.texts)
    shown = f"{read!r} {read.leaf!r} {read.leaf}"
    assert "ana" not in shown
    assert LINE.texts[0][-40:] not in shown
    assert read.digest[:16] in shown


def test_a_chain_that_was_only_read_has_no_authority() -> None:
    read = chain.read(LINE.texts)
    with pytest.raises(GrantError) as caught:
        LINE.verifier().admit(read, request(), NOTHING_REVOKED, NOW)
    assert caught.value.code == GrantCode.ROOT_UNKNOWN


def test_what_a_chain_tells() -> None:
    one, two = chain.read(LINE.texts[:1]), chain.read(LINE.texts)
    assert (one.line, one.agents) == ("", ("a0",))
    assert (two.line, two.agents) == ("a0>a1", ("a0", "a1"))
    assert two.trail == f"{one.digest[:16]}>{two.digest[:16]}"
    assert two.digests == (one.digest, two.digest)
    assert two.leaf.claims.iss == one.leaf.fingerprint


ROOT = {
    "issuer": GOVERNOR, "audience": GOVERNOR, "user": "ana", "agent": "a0", "mission": MISSION,
    "details": ANY, "issued": NOW, "expires": NOW + HOUR,
}  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"expires": NOW},
        {"agent": ""},
        {"details": (Detail("payment", {}),)},
        {"details": (Detail(DETAIL_TYPE, {"t": ToolGrant({"a": Predicate()})}),)},
        {"budgets": {"calls": "-1"}},
    ],
)
def test_no_link_is_issued_that_no_verifier_takes(changed: dict[str, object]) -> None:
    with pytest.raises(GrantError) as caught:
        issue.issue_root(LINE.grant_key, holder=public(key()), **(ROOT | changed))
    assert caught.value.code == GrantCode.MALFORMED


def test_a_link_that_is_too_long_is_not_issued() -> None:
    long = tuple(Detail(DETAIL_TYPE, {f"{'t' * 250}{at}": ToolGrant()}) for at in range(8))
    wide = Detail(DETAIL_TYPE, {f"{'t' * 200}{at}": ToolGrant() for at in range(60)})
    with pytest.raises(GrantError) as caught:
        issue.issue_root(
            LINE.grant_key, holder=public(key()), **(ROOT | {"details": (*long[:7], wide)})
        )
    assert caught.value.code == GrantCode.TOO_LARGE


def test_a_weak_key_gets_no_grant() -> None:
    with pytest.raises(UsageError):
        issue.issue_root(
            LINE.grant_key, holder="ed25519:" + "A" * 43 + "=", **ROOT
        )  # fmt: skip


def test_a_child_is_kept_within_its_parent_where_that_is_only_a_number() -> None:
    parent = chain.read(LINE.texts[:1])
    text = issue.attenuate(
        parent, LINE.keys[0], agent="b", holder=public(key()), details=ANY,
        issued=NOW - 5, expires=NOW + 9 * HOUR, max_depth=40,
    )  # fmt: skip
    claims = claims_of(text)
    above = parent.leaf.claims
    assert (claims.iat, claims.exp, claims.del_max_depth) == (above.iat, above.exp, 8)
    LINE.verifier().chain([LINE.texts[0], text], NOW)


def test_where_no_handover_is_left_none_is_signed() -> None:
    line = Line(ANY, max_depth=0)
    with pytest.raises(GrantError) as caught:
        line.child(ANY, line.keys[0], key())
    assert caught.value.code == GrantCode.DEPTH
