"""`bridle grant verify`: allowed is 0; whatever keeps a chain from allowing is 1, with its code."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridle.trust import context
from bridle.trust.context import Reference
from bridle.trust.grants.chain import read
from bridle.trust.grants.claims import Predicate, ToolGrant
from cli.handed import AUDIENCE, MISSION, Handed, public

PAGE = '{"url": "https://docs.example/a"}'
TOOL = {"--tool": "web.get", "--domain": "internet", "--effect": "read", "--args": PAGE}


class Verifying:
    """`bridle grant verify` of a chain, with a list where nothing is revoked, options changed."""

    def __init__(self, bridle_: Any, folder: Path, handed: Handed) -> None:
        self.bridle = bridle_
        self.folder = folder
        self.handed = handed

    def __call__(
        self, *flags: str, status: str | None = "", stdin: str = "", **changed: str
    ) -> Any:
        options = {"--root": self.handed.root_key, "--mission": MISSION, **TOOL}
        if status is not None:
            file = self.folder / "status"
            file.write_text(status or self.handed.status())
            options["--status"] = str(file)
        for name, value in changed.items():
            options[f"--{name}"] = value
        words = [word for pair in options.items() if pair[1] for word in pair]
        chain = stdin or "\n".join(self.handed.links)
        return self.bridle("grant", "verify", "-", *words, *flags, stdin=chain)


@pytest.fixture
def handed() -> Handed:
    return Handed()


@pytest.fixture
def verify(bridle_, tmp_path: Path, handed: Handed) -> Verifying:
    return Verifying(bridle_, tmp_path, handed)


def test_what_every_link_allows_is_allowed(verify: Verifying) -> None:
    allowed = verify()
    assert allowed.code == 0, allowed.err
    assert allowed.out.startswith("✓ allowed by every link")
    assert "not verified" not in allowed.out
    told = verify("--json").json
    assert (told["allowed"], told["code"], told["link"], told["version"]) == (True, "", -1, 1)
    assert [row["agent"] for row in told["links"]] == ["triage", "researcher"]
    page = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"
    section = page.read_text("utf-8").split("### `bridle grant verify FILE`")[1].split("\n###")[0]
    assert all(f"`{name}`" in section for name in told)


@pytest.mark.parametrize(
    ("changed", "code", "link"),
    [
        ({"args": '{"url": "https://docs.example.evil/"}'}, "not_granted", 1),
        ({"args": '{"url": "https://docs.example/a", "method": "PUT"}'}, "not_granted", 1),
        ({"args": "{}"}, "not_granted", 1),
        ({"tool": "desk.read", "args": "{}"}, "not_granted", 1),
        ({"tool": "mail.send"}, "not_granted", 0),
        ({"mission": "mis_" + "1" * 26}, "mission_mismatch", 1),
        ({"audience": "bridle:" + "cd" * 16}, "audience_mismatch", 1),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
)
def test_what_one_link_does_not_allow_is_refused(
    verify: Verifying, changed: dict[str, str], code: str, link: int
) -> None:
    refused = verify("--json", **changed)
    assert refused.code == 1
    assert (refused.json["allowed"], refused.json["code"], refused.json["link"]) == (
        False,
        code,
        link,
    )
    assert f"[{code}]" in refused.err


def test_a_key_that_is_not_pinned_vouches_for_nothing(verify: Verifying) -> None:
    stranger = public(Ed25519PrivateKey.generate())
    assert (
        "[root_unknown]" in verify("--no-status", status=None, root=stranger, audience=AUDIENCE).err
    )
    assert "[status_invalid]" in verify(root=stranger).err


def test_a_link_that_somebody_else_signed_is_refused(verify: Verifying, handed: Handed) -> None:
    other = Handed()
    refused = verify("--json", stdin="\n".join([handed.links[0], other.links[1]]))
    assert refused.code == 1
    assert refused.json["code"] == "signature_invalid"


@pytest.mark.parametrize("kind", ["grant", "key", "agent", "mission", "user"])
def test_whatever_is_revoked_above_the_leaf_takes_it_down(
    verify: Verifying, handed: Handed, kind: str
) -> None:
    root = read(handed.links[:1]).leaf
    subject = {
        "grant": root.digest,
        "key": root.fingerprint,
        "agent": "triage",
        "mission": MISSION,
        "user": "ana",
    }[kind]
    refused = verify("--json", status=handed.status(**{kind: subject}))
    assert refused.code == 1
    assert (refused.json["code"], refused.json["link"]) == ("revoked", 0)


def test_a_list_that_is_out_of_date_says_nothing(verify: Verifying, handed: Handed) -> None:
    assert "[status_stale]" in verify(status=handed.status(good_for=0)).err


def test_a_list_older_than_one_seen_is_refused_also_in_another_process(
    verify: Verifying, handed: Handed, tmp_path: Path
) -> None:
    kept = str(tmp_path / "seen")
    assert verify(status=handed.status(version=7), keep=kept).code == 0
    older = verify(status=handed.status(version=6), keep=kept)
    assert older.code == 1
    assert "[status_rolled_back]" in older.err
    assert verify(status=handed.status(version=8), keep=kept).code == 0


def test_the_list_may_come_as_the_governor_prints_it(verify: Verifying, handed: Handed) -> None:
    printed = json.dumps({"status": handed.status(), "version": 1, "roots": []})
    assert verify(status=printed).code == 0
    assert "[status_invalid]" in verify(status='{"status": 1}').err


def test_without_a_list_it_is_said_that_revocation_is_unknown(verify: Verifying) -> None:
    allowed = verify("--no-status", status=None, audience=AUDIENCE)
    assert allowed.code == 0
    assert "what is revoked is not known" in allowed.out


def test_a_task_is_the_one_at_hand(verify: Verifying, bridle_, tmp_path: Path) -> None:
    bound = Verifying(bridle_, tmp_path, Handed(task="ticket 41"))
    assert "[task_mismatch]" in bound().err
    assert "[task_mismatch]" in bound(task="ticket 42").err
    assert bound(task="ticket 41").code == 0


def test_a_reference_names_mission_and_grant_and_must_name_these(
    verify: Verifying, handed: Handed
) -> None:
    mine = context.format(Reference(MISSION, "", handed.leaf))
    assert verify(mission="", context=mine).code == 0
    other = context.format(Reference(MISSION, "", "0" * 64))
    assert "[context_malformed]" in verify(mission="", context=other).err
    elsewhere = context.format(Reference("mis_other", "", handed.leaf))
    assert "[context_malformed]" in verify(context=elsewhere).err
    assert "[context_malformed]" in verify(mission="", context="v2; anything").err


def test_a_bundle_says_what_the_tool_is(bridle_, tmp_path: Path, office: Path) -> None:
    pages = ToolGrant({"url": Predicate(prefix="http://help.shop.example/")})
    verify = Verifying(bridle_, tmp_path, Handed(pages))
    asked = {"args": '{"url": "http://help.shop.example/returns"}', "domain": "", "effect": ""}
    assert verify(bundle=str(office), **asked).code == 0
    unknown = verify(bundle=str(office), tool="no.such", **asked)
    assert unknown.code == 3
    assert "[not_found]" in unknown.err


@pytest.mark.parametrize(
    ("flags", "changed"),
    [
        ([], {"root": ""}),
        ([], {"root": "ed25519:no"}),
        ([], {"status": None}),
        (["--no-status"], {}),
        (["--no-status"], {"status": None}),
        ([], {"mission": ""}),
        ([], {"domain": ""}),
        ([], {"effect": "delete"}),
        ([], {"args": "{"}),
        ([], {"args": '{"a": 1, "a": 2}'}),
        (["--no-status"], {"status": None, "audience": AUDIENCE, "keep": "seen"}),
    ],
    ids=str,
)
def test_what_would_leave_something_unlooked_at_is_wrong_usage(
    verify: Verifying, flags: list[str], changed: dict[str, Any]
) -> None:
    assert verify(*flags, **changed).code == 2


def test_a_grant_ends_on_time(bridle_, tmp_path: Path) -> None:
    brief = Handed(seconds=1)
    verify = Verifying(bridle_, tmp_path, brief)
    end = read(brief.links).leaf.claims.exp
    while time.time() < end:
        assert verify().code in (0, 1)
    assert "[grant_expired]" in verify().err
