"""Algorithm confusion and malleability: one algorithm, one text, one name for each link."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from msgspec import structs

from bridle.model.calls import Failed, Offered
from bridle.model.public_key import written
from bridle.trust.grants import chain, jws
from bridle.trust.grants.codes import GrantError
from bridle.trust.holder import Holder
from governor.desk import codes, judged
from trust.forging import ANY, NOW, Line, refused
from trust.office import NOTES, Office

ORDER = 2**252 + 27742317777372353535851937790883648493  # of edwards25519's base point


@pytest.fixture
def office() -> Office:
    return Office()


HEADERS = [
    '{"alg":"none","typ":"bridle-grant+jwt"}',
    '{"alg":"HS256","typ":"bridle-grant+jwt"}',
    '{"alg":"EdDSA","typ":"bridle-grant+jwt"}',
    '{"alg":"ed25519","typ":"bridle-grant+jwt"}',
    '{"typ":"bridle-grant+jwt","alg":"Ed25519"}',
    '{"alg":"Ed25519","typ":"JWT"}',
    '{"alg":"Ed25519","typ":"bridle-grant+jwt","crit":["exp"]}',
    '{"alg":"Ed25519","jwk":{},"typ":"bridle-grant+jwt"}',
    '{"alg": "Ed25519","typ":"bridle-grant+jwt"}',
    "{}",
    "",
]


@pytest.mark.parametrize("header", HEADERS)
def test_there_is_one_header_and_no_other(office: Office, header: str) -> None:
    giver = office.run()
    payload = giver.link("scout", Holder.generate(), NOTES).split(".")[1]
    head = jws.encode(header.encode())
    signature = giver.holder.private.sign(f"{head}.{payload}".encode())
    reply = giver.offer(f"{head}.{payload}.{jws.encode(signature)}")
    assert isinstance(reply, Failed)
    assert reply.message.startswith("the header is not exactly")


def test_a_public_key_is_no_secret_for_a_mac(office: Office) -> None:
    giver = office.run()
    payload = giver.link("scout", Holder.generate()).split(".")[1]
    for header in (jws.HEADER, HEADERS[1]):
        signed = f"{jws.encode(header.encode())}.{payload}"
        mac = hmac.new(giver.chain.leaf.key, signed.encode(), hashlib.sha512).digest()
        assert isinstance(giver.offer(f"{signed}.{jws.encode(mac)}"), Failed)


def other_form(text: str) -> str:
    """The same signature with S + L for S (RFC 8032 §5.1.7 asks to refuse it)."""
    signed = jws.split(text)
    s = int.from_bytes(signed.signature[32:], "little") + ORDER
    made = signed.signature[:32] + s.to_bytes(32, "little")
    return f"{signed.signing_input.decode()}.{jws.encode(made)}"


def test_a_signature_has_one_form_and_names_nothing() -> None:
    line = Line(ANY, ANY)
    assert refused(line, [other_form(line.texts[0]), line.texts[1]]) == "root_unknown"
    assert refused(line, [line.texts[0], other_form(line.texts[1])]) == "signature_invalid"
    twin = chain.read([line.texts[0], other_form(line.texts[1])])
    assert twin.digest == line.read().digest


def test_every_character_of_a_link_counts() -> None:
    line = Line(ANY, ANY)
    verifier = line.verifier()
    verifier.chain(line.texts, NOW)
    text = line.texts[1]
    for at in range(0, len(text), 7):
        for letter in {"A", "_", ".", "=", "\n"} - {text[at]}:
            with pytest.raises(GrantError):
                verifier.chain([line.texts[0], text[:at] + letter + text[at + 1 :]], NOW)


def test_a_link_whose_form_was_changed_is_not_another_link(office: Office) -> None:
    giver, receiver = office.run(), Holder.generate()
    link = giver.link("scout", receiver, NOTES)
    offered = giver.offer(link)
    assert isinstance(offered, Offered)
    for twin in (other_form(link), link + "=", link + " ", link + "\n", " " + link):
        assert isinstance(giver.offer(twin), Failed)


def test_a_proof_has_one_form(office: Office) -> None:
    run = office.run()
    call = run.proved(run.decision("note.write", text="x"))
    proof = call.proof
    raw = base64.b64decode(proof.signature)
    s = int.from_bytes(raw[32:], "little") + ORDER
    forms = [
        {"signature": base64.b64encode(raw[:32] + s.to_bytes(32, "little")).decode()},
        {"signature": proof.signature.rstrip("=")},
        {"signature": proof.signature + "\n"},
        {"nonce": proof.nonce.upper()} if proof.nonce.upper() != proof.nonce else {"nonce": ""},
        {"nonce": proof.nonce + "0"},
        {"time": proof.time + 1},
    ]
    for form in forms:
        changed = structs.replace(call, proof=structs.replace(proof, **form))
        assert codes(judged(run.ask(changed))) == ["proof_invalid"], form
    assert judged(run.ask(call)).effect.runs


def test_keys_under_which_anybody_could_sign_hold_nothing(office: Office) -> None:
    weak = bytes(32)

    class Weak:
        public = written(weak)

    opening = office.opening("clerk", Weak())  # type: ignore[arg-type]
    assert isinstance(opening, Failed)
    assert opening.code == "key_invalid"
    line = Line(ANY)
    claims = json.loads(jws.split(line.texts[0]).payload)
    claims["cnf"]["jwk"]["x"] = jws.encode(weak)
    payload = json.dumps(claims, separators=(",", ":")).encode()
    assert refused(line, [jws.sign(payload, line.grant_key)]) == "link_malformed"
