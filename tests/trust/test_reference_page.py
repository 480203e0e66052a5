"""The reference on grants: a reader who has nothing but the page comes to the same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridle import trust
from bridle.model.calls import Decide
from bridle.model.public_key import written
from bridle.trust import holder
from bridle.trust.grants import issue

PAGE = (Path(__file__).parents[2] / "docs/reference/trust.md").read_text("utf-8")
VECTOR = PAGE.partition("## One chain, byte by byte")[2]
BLOCKS = re.findall(r"```(?:json|text)\n(.*?)\n```", VECTOR, re.DOTALL)
DIGESTS = re.findall(r"digest `([0-9a-f]{64})`", VECTOR)
HEADER = b'{"alg":"Ed25519","typ":"bridle-grant+jwt"}'


def key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def plain(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def jws(payload: str, signer: Ed25519PrivateKey) -> str:
    """A link, made with nothing of ours."""
    signed = f"{plain(HEADER)}.{plain(payload.encode())}"
    return f"{signed}.{plain(signer.sign(signed.encode()))}"


def digest(link: str) -> str:
    return hashlib.sha256(link.rpartition(".")[0].encode()).hexdigest()


def request(**changed: Any) -> trust.Request:
    given: dict[str, Any] = {
        "tool": "web.get",
        "domain": "internet",
        "effect": "read",
        "labels": frozenset[str](),
        "args": {"url": "https://docs.example/a"},
        "audience": json.loads(BLOCKS[0])["aud"],
        "mission": "mis_1",
    }
    return trust.Request(**(given | changed))


def test_the_links_are_what_another_program_makes_of_the_payloads() -> None:
    root_payload, root, child_payload, child, _ = BLOCKS
    assert (root, child) == (jws(root_payload, key(1)), jws(child_payload, key(2)))
    assert [digest(root), digest(child)] == DIGESTS
    below = json.loads(child_payload)
    assert below["par_hash"] == digest(root)
    raw = base64.urlsafe_b64decode(json.loads(root_payload)["cnf"]["jwk"]["x"] + "=")
    assert below["iss"] == hashlib.sha256(raw).hexdigest()


def test_ours_is_the_same_chain_and_allows_what_the_page_says() -> None:
    links = (BLOCKS[1], BLOCKS[3])
    found = trust.read_chain(links)
    assert [issue.encoded(link.claims).decode() for link in found.links] == BLOCKS[0:3:2]
    public = written(key(1).public_key().public_bytes_raw())
    roots = trust.Roots([trust.RootKey(public)])
    for asked, code in ((request(), ""), (request(args={"url": "https://x/"}), "not_granted")):
        try:
            trust.verify(links, asked, roots=roots, status=trust.NOTHING_REVOKED, now=1_767_225_700)
            said = ""
        except trust.GrantError as refused:
            said = refused.code
        assert said == code


def test_the_statement_of_a_proof_is_put_together_as_the_page_says() -> None:
    names = re.search(r"instance, grant, op,.*?nonce", PAGE, re.DOTALL)
    assert names
    call = Decide(session="s", tool="web.get", args='{"url":"https://docs.example/a"}', key="k")
    given = {
        "instance": "ab" * 32,
        "grant": DIGESTS[1],
        "op": "decide",
        "session": hashlib.sha256(call.session.encode()).hexdigest(),
        "tool": call.tool,
        "args": hashlib.sha256(call.args.encode()).hexdigest(),
        "key": "k",
        "adapter": "python",
        "time": "1767225700000",
        "nonce": "22" * 16,
    }
    message = b"bridle proof 1\n"
    for name in re.split(r",\s", names[0]):
        part = given.get(name, "").encode()
        message += len(part).to_bytes(4, "big") + part
    said = re.search(r"has (\d+) bytes and the SHA-256 `([0-9a-f]{64})`", VECTOR)
    assert said
    assert (len(message), hashlib.sha256(message).hexdigest()) == (int(said[1]), said[2])
    assert BLOCKS[4] == base64.b64encode(key(3).sign(message)).decode()
    proof = holder.Proof(time=1_767_225_700_000, nonce="22" * 16, signature=BLOCKS[4])
    raw = key(3).public_key().public_bytes_raw()
    holder.check(raw, holder.statement_of(call, "ab" * 32, DIGESTS[1]), proof, proof.time)


def test_every_code_of_a_refusal_is_explained() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert {code.value for code in trust.GrantCode} <= set(rows)


def test_every_claim_and_predicate_is_explained() -> None:
    named = set(re.findall(r"`([a-z0-9_]+)`", PAGE))
    for struct in (trust.Claims, trust.Detail, trust.Predicate, trust.StatusList):
        assert set(struct.__struct_encode_fields__) <= named


@pytest.mark.parametrize("governor_key", [written(key(1).public_key().public_bytes_raw())])
def test_the_example_runs_as_it_stands(
    governor_key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    [block] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"governor_key": governor_key, "links": [BLOCKS[1], BLOCKS[3]]}
    exec(block, names)
    assert names["chain"].line == "triage>researcher"
    names["links"] = [BLOCKS[1], BLOCKS[3][:-8] + "AAAAAAAA"]
    exec(block, names)
    assert capsys.readouterr().out == "signature_invalid 1\n"
