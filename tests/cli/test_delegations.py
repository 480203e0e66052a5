"""`bridle delegations` and `revoke`: what was handed on is seen, and taken back, from outside."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import bridle
from bridle.model.calls import Observe
from bridle.model.outcome import Outcome, OutcomeKind
from cli.handing import PAGES, HandedOn
from cli.terminals import AtTerminal

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"


def documented(section: str) -> set[str]:
    found = re.search(
        rf"^### `bridle {section}.*?(?=^##|\Z)",
        REFERENCE.read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert found, section
    return set(re.findall(r"`([a-z_]+)`", found[0]))


@pytest.fixture
def handed(
    bridle_, office: Path, serving: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> HandedOn:
    monkeypatch.setenv("XDG_STATE_HOME", bridle_.environ["XDG_STATE_HOME"])
    handed = HandedOn(office)
    serving(office)
    return handed


def test_who_handed_what_to_whom_is_a_tree_with_caveats_and_use(
    bridle_, office: Path, handed: HandedOn
) -> None:
    shown = bridle_("delegations", office)
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0] == f"{handed.mission}  for ana"
    assert lines[1].startswith(f"  triage  {handed.root[:16]}  active")
    (below,) = [line for line in lines if "researcher" in line]
    assert below.startswith(f"  └ researcher  {handed.leaf[:16]}  active")
    assert re.search(r"2 actions  calls 2/5  expires in 1[45]m", below)
    assert f'web.get where url begins with "{PAGES}"' in shown.out
    root, leaf = bridle_("delegations", office, "--json").json
    assert root.keys() <= documented("delegations")
    assert (root["grant"], leaf["parent"], leaf["grant"]) == (handed.root, handed.root, handed.leaf)
    assert (leaf["line"], leaf["actions"]) == ("triage>researcher", 2)
    (only,) = bridle_("delegations", office, "--grant", handed.leaf[:8], "--json").json
    assert only["grant"] == handed.leaf
    assert only.keys() <= documented("delegations")
    nobody = "0" * 8 if not handed.leaf.startswith("0") else "f" * 8
    assert "[not_found]" in bridle_("delegations", office, "--grant", nobody).err


def test_revoking_shows_what_it_stops_asks_and_then_does_it(
    bridle_, office: Path, handed: HandedOn
) -> None:
    words = ("revoke", "grant", handed.leaf[:12], office, "--reason", "enough", "--as", "ana")
    asked = AtTerminal(bridle_.environ, *words)
    asked.answer("", "n")  # typed ahead: the terminal keeps it
    assert asked.end() == 1
    assert handed.running in asked.out
    assert "this would end:" in asked.out
    assert f"Revoke grant {handed.leaf} for good?" in asked.err
    assert not bridle_("delegations", office, "--grant", handed.leaf, "--json").json[0]["revoked"]
    agreed = AtTerminal(bridle_.environ, *words)
    agreed.answer("", "y")
    assert agreed.end() == 0, agreed.err
    assert f"revoked: grant {handed.leaf}; epoch " in agreed.out
    after = agreed.out.split("revoked: ")[1]
    assert handed.running in after
    assert "researcher" in after
    (row,) = bridle_("delegations", office, "--grant", handed.leaf, "--all", "--json").json
    assert row["revoked"]
    left = bridle_("delegations", office, "--json").json
    assert [each["grant"] for each in left] == [handed.root], "what is above goes on"


def test_nothing_is_done_unasked_and_a_preview_changes_nothing(
    bridle_, office: Path, handed: HandedOn
) -> None:
    words = ("revoke", "mission", handed.mission, office, "--as", "ana")
    for flags in ((), ("--json",)):
        refused = bridle_(*words, *flags)
        assert refused.code == 3
        assert "--yes" in refused.err
    told = bridle_(*words, "--preview", "--json").json
    assert told.keys() <= documented("revoke")
    assert told["preview"] is True
    assert {row["id"] for row in told["stopped"]} == {handed.root, handed.leaf}
    assert [row["id"] for row in told["running"]] == [handed.running]
    rows = bridle_("delegations", office, "--json").json
    assert [row["revoked"] for row in rows] == [False, False]


def test_waiting_ends_when_nothing_runs_any_more(bridle_, office: Path, handed: HandedOn) -> None:
    words = ("revoke", "agent", "triage", office, "--yes", "--as", "ana")
    waited = bridle_(*words, "--wait", "0.3", "--json")
    assert waited.code == 1
    assert [row["id"] for row in waited.json["left"]] == [handed.running]
    assert bridle_("delegations", office, "--json").json == []
    with bridle.connect(office) as gov:
        told = Outcome(OutcomeKind.OK, output='{"status": 200, "text": "…"}')
        gov.agents.send(Observe(session=handed.session, attempt=handed.running, outcome=told))
    done = bridle_(*words, "--wait", "5")
    assert done.code == 0, done.err
    assert "✓ nothing of it runs any more" in done.out


def test_what_cannot_be_revoked_is_said_with_its_code(
    bridle_, office: Path, handed: HandedOn
) -> None:
    for kind, subject, user, code in (
        ("grant", "0" * 64, "ana", "not_found"),
        ("agent", "nobody", "ana", "not_found"),
        ("mission", "mis_none", "ana", "not_found"),
        ("user", "nobody", "ana", "not_found"),
        ("key", "short", "ana", "usage"),
        ("agent", handed.mission, "ana", "not_found"),
        ("agent", "triage", "eve", "unknown_user"),
    ):
        refused = bridle_("revoke", kind, subject, office, "--yes", "--as", user)
        assert refused.code == 3
        assert f"[{code}]" in refused.err
    assert len(bridle_("delegations", office, "--json").json) == 2


def test_a_chain_that_is_exported_verifies_offline_until_it_is_revoked(
    bridle_, office: Path, handed: HandedOn, tmp_path: Path
) -> None:
    told = bridle_("grant", "status", office, "--json").json
    assert told.keys() <= documented("grant status")
    chain = bridle_("grant", "export", handed.leaf[:10], office).out
    assert len(chain.splitlines()) == 2
    status = tmp_path / "status"
    roots = [word for key in told["roots"] for word in ("--root", key)]
    words = ("--status", status, "--keep", tmp_path / "seen", "--context", handed.reference)
    page = ("--tool", "web.get", "--bundle", office, "--args", f'{{"url": "{PAGES}a"}}')

    def verified() -> str:
        ran = bridle_("grant", "verify", "-", *roots, *words, *page, stdin=chain)
        assert ran.code == (0 if not ran.err else 1)
        return ran.err

    assert bridle_("grant", "status", office, "--out", status).code == 0
    before = status.read_text()
    assert verified() == ""
    revoked = bridle_("revoke", "grant", handed.root, office, "--yes", "--as", "ana")
    assert revoked.code == 0, revoked.err
    assert bridle_("grant", "status", office, "--out", status).code == 0
    assert "[revoked]" in verified()
    status.write_text(before)
    assert "[status_rolled_back]" in verified()


def test_a_kill_of_a_grant_is_lifted_again(bridle_, office: Path, handed: HandedOn) -> None:
    killed = bridle_("kill", "grant", handed.root[:12], office, "--as", "ana", "--json")
    assert killed.code == 0, killed.err
    assert killed.json["subject"] == handed.root
    assert [row["id"] for row in killed.json["running"]] == [handed.running]
    (row,) = bridle_("kill", "list", office, "--json").json
    assert (row["scope"], row["subject"]) == ("grant", handed.root)
    resumed = bridle_("resume", "grant", handed.root[:12], office, "--as", "ben")
    assert resumed.code == 0, resumed.err
    assert bridle_("kill", "list", office, "--json").json == []
