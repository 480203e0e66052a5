"""`bridle demo`: what it promises to show is shown, and what the real parts saw agrees with it."""

import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, shell_at) -> Any:
    return shell_at(tmp_path_factory.mktemp("demo"))("demo", "--json")


@pytest.fixture(scope="module")
def judged(ran) -> list[dict[str, Any]]:
    return [line for line in ran.lines if line["type"] == "judgement"]


@pytest.fixture(scope="module")
def told(ran) -> dict[str, dict[str, Any]]:
    return {line["type"]: line for line in ran.lines if line["type"] != "judgement"}


def of(judged: list[dict[str, Any]], tool: str, effect: str, kind: str = "action") -> list[Any]:
    return [j for j in judged if (j["tool"], j["effect"], j["of"]) == (tool, effect, kind)]


def policies(judgement: dict[str, Any]) -> set[str]:
    return {reason["policy"] for reason in judgement["reasons"]}


def test_it_ends_well(ran) -> None:
    assert ran.code == 0
    assert ran.err == ""


@pytest.mark.parametrize(
    "tool", ["desk.read_ticket", "orders.lookup", "orders.customer", "web.get", "files.write_note"]
)
def test_normal_work_is_allowed(judged, tool: str) -> None:
    assert of(judged, tool, "allow")


def test_card_numbers_leave_in_no_mail(judged, told) -> None:
    (mail,) = of(judged, "mail.send", "modify")
    assert policies(mail) == {"no-card-numbers-in-mail"}
    assert "4111 1111 1111 1111" in mail["args"]["body"]
    assert told["seen"]["mails"][0]["body"] == mail["executed"]["body"]
    assert "[redacted:payment_card]" in mail["executed"]["body"]
    assert not re.search(r"4111|\d{4} \d{4}", str(told["seen"]["mails"]))


def test_a_large_refund_waits_for_the_lead_and_then_runs(judged, told) -> None:
    held, approved = of(judged, "payments.refund", "hold")[0], judged_again(judged)
    assert policies(held) == {"large-refund"}
    assert approved["effect"] == "allow"
    assert approved["executed"] == held["args"]
    assert held["args"] == {"order": 1042, "customer": "C-20417", "amount": 480}
    assert judged.index(held) < judged.index(approved)
    assert told["seen"]["refunds"] == [{"order": 1043, "eur": 18.0}, {"order": 1042, "eur": 480.0}]


def judged_again(judged: list[dict[str, Any]]) -> dict[str, Any]:
    (again,) = [each for each in judged if each["again"] and each["effect"] != "deny"]
    return again


def test_destruction_is_denied_and_nothing_is_gone(judged, told) -> None:
    (drop,) = of(judged, "orders.drop_table", "deny")
    assert policies(drop) == {"nothing-is-destroyed"}
    (volume,) = of(judged, "files.delete_volume", "deny")
    assert volume["reasons"][0]["code"] == "out_of_mission"
    assert told["seen"]["tables"] == {"customers": 2, "orders": 2, "refunds": 2, "tickets": 2}
    assert told["seen"]["volumes"] == ["notes", "archive"]


def test_what_a_ticket_injected_reaches_nobody(judged, told) -> None:
    (mail,) = [j for j in judged if j["args"].get("to") == "audit@collect.example"]
    assert mail["effect"] == "deny"
    assert policies(mail) == {
        "known-recipients",
        "customer-data-stays",
        "boundary.no_untrusted_recipient",
    }
    (page,) = [j for j in of(judged, "web.get", "deny") if j["agent"] == "triage"]
    assert policies(page) == {"own-help-site-only"}
    assert {each["to"] for each in told["seen"]["mails"]} == {"mira@customers.example"}
    assert {page.split("/")[0] for page in told["seen"]["pages"]} == {"help.shop.example"}


def test_it_is_told_in_which_result_the_attackers_address_stood(judged) -> None:
    (mail,) = [j for j in judged if j["args"].get("to") == "audit@collect.example"]
    (note,) = mail["notes"]
    assert re.fullmatch(r"to stands in what desk\.read_ticket returned \(record \d+\)", note)
    customer = [j for j in judged if j["args"].get("to") == "mira@customers.example"]
    assert customer
    assert not any(j["notes"] for j in customer)


def test_the_agent_never_sees_a_bank_account_in_full(judged, told) -> None:
    (result,) = of(judged, "orders.customer", "modify", "result")
    assert policies(result) == {"accounts-are-masked"}
    note = told["seen"]["notes"]["ticket-41.md"]
    assert "*3000" in note
    assert "DE89370400440532013000" not in note


def test_the_budget_of_mails_is_reached(judged, told) -> None:
    codes = [j["reasons"][0]["code"] for j in of(judged, "mail.send", "deny")]
    assert codes == ["forbidden", "forbidden", "budget_exhausted", "killed"]
    assert len(told["seen"]["mails"]) == 2


def test_after_customer_data_was_read_mail_waits_for_a_leads_yes(judged, told) -> None:
    denied = of(judged, "mail.send", "deny")[0]
    assert policies(denied) == {"customer-data-and-mail"}
    (asked,) = of(judged, "desk.ask_lead", "allow")
    (sent,) = of(judged, "mail.send", "modify")
    assert sent["args"] == denied["args"]
    assert judged.index(denied) < judged.index(asked) < judged.index(sent)
    assert told["seen"]["questions"] == ["May I answer ticket 41?"]


def test_what_a_customer_got_counts_across_missions(judged, told) -> None:
    (more,) = of(judged, "payments.refund", "deny")
    assert policies(more) == {"refunds-per-customer"}
    assert more["args"]["amount"] == 30, "small enough for itself"
    assert len(told["seen"]["refunds"]) == 2


def test_only_what_was_tested_since_is_deployed(judged, told) -> None:
    site = [(j["tool"], j["effect"]) for j in judged if j["agent"] == "editor"]
    change, early = ("site.change_page", "allow"), ("site.deploy", "deny")
    assert site == [
        *(change, early, change, early),
        ("site.run_tests", "allow"),
        ("site.deploy", "allow"),
    ]
    for denied in of(judged, "site.deploy", "deny"):
        assert policies(denied) == {"deploy-what-was-tested"}
    assert told["seen"]["help"][0] == "Broken goods are refunded in full within 60 days."


READING = [
    ("web.get", "allow", ""),
    *[(t, "deny", "not_granted") for t in ("web.get", "orders.customer")],
]


def said(judged: list[dict[str, Any]], agent: str) -> list[tuple[str, str, str]]:
    """What an agent was told: tool, effect and first code."""
    return [
        (j["tool"], j["effect"], j["reasons"][0]["code"] if j["reasons"] else "")
        for j in judged
        if j["agent"] == agent and j["of"] == "action"
    ]


def test_the_researcher_gets_no_further_than_it_was_granted(judged) -> None:
    (given,) = [j for j in judged if j["of"] == "handover" and j["agent"] == "triage"]
    pages = 'web.get where url begins with "http://help.shop.example/warranty"'
    assert given["args"]["to"] == "researcher"
    assert given["args"]["allows"][0] == pages
    assert said(judged, "researcher") == READING


def test_a_grant_that_says_more_than_its_parent_is_worth_no_more(judged) -> None:
    (given,) = [j for j in judged if j["of"] == "handover" and j["agent"] == "researcher"]
    assert given["args"]["to"] == "scout"
    assert given["args"]["allows"][0] == "web.get, orders.customer"
    assert any("orders.customer" in note for note in given["notes"])
    assert said(judged, "scout")[:3] == READING


def test_what_was_allowed_does_not_start_after_the_revocation(judged, told) -> None:
    assert said(judged, "scout")[3:] == [("web.get", "allow", ""), ("web.get", "deny", "revoked")]
    allowed, denied = [j for j in judged if j["args"].get("url", "").endswith("/warranty/2")]
    assert allowed["action"] == denied["action"]
    assert told["summary"]["overtaken"] == 1
    assert told["seen"]["pages"] == [
        f"help.shop.example/{p}" for p in ("returns", *["warranty"] * 2)
    ]


def test_after_the_kill_switch_nothing_starts(judged) -> None:
    last = judged[-1]
    assert last["effect"] == "deny"
    assert last["reasons"][0]["code"] == "killed"


def test_the_summary_counts_what_was_shown(judged, told) -> None:
    first = [j for j in judged if j["of"] == "action" and not j["again"]]
    counts = told["summary"]
    assert counts["actions"] == len(first)
    for effect in ("allow", "modify", "hold", "deny"):
        assert counts[effect] == sum(j["effect"] == effect for j in first) > 0
    assert counts["approved"] == counts["results_rewritten"] == 1


def test_the_ledger_of_the_run_verifies(told) -> None:
    assert told["ledger"]["ok"] is True
    assert told["ledger"]["kinds"]["decision"] >= told["summary"]["actions"]
    assert told["ledger"]["payloads"]["unopened"] == 0


def test_each_action_is_one_readable_line(bridle_) -> None:
    started = time.monotonic()
    ran = bridle_("demo")
    print(f"the demo took {time.monotonic() - started:.1f} s of the 15 it may take")
    assert ran.code == 0
    assert "\x1b" not in ran.out
    lines = re.findall(
        r"^  [✓✎⏸✗] (allow |modify|hold  |deny  )  (triage|refunds|editor|researcher|scout) +(\S+)",
        ran.out,
        re.MULTILINE,
    )
    assert len(lines) == 40
    assert "card numbers are removed from mail [no-card-numbers-in-mail]" in ran.out
    assert "approves it with his key, which was made for this demo" in ran.out
    assert "the ledger verifies" in ran.out
    assert str(bridle_.home) not in ran.out, "what is gone afterwards need not be named"


def test_nothing_stays_behind(bridle_) -> None:
    assert bridle_("demo").code == 0
    assert [file for file in bridle_.home.rglob("*") if "bridle-demo" in str(file)] == []


def test_what_is_kept_goes_on_working(bridle_, serving, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    ran = bridle_("demo", "--keep", kept)
    assert ran.code == 0, ran.err
    bundle = kept / "bundle"
    assert f"export BRIDLE_BUNDLE={bundle}" in ran.out
    assert bridle_("check", bundle, "--strict").code == 0
    assert bridle_("audit", "verify", bundle).code == 0
    database = sqlite3.connect(kept / "office" / "shop.db")
    assert database.execute("SELECT count(*) FROM refunds").fetchone() == (2,)
    database.close()
    serving(bundle)
    missions = bridle_("missions", bundle, "--json").json
    assert sorted(each["template"] for each in missions) == [
        "help-site",
        "refund-desk",
        "refund-desk",
    ]
    assert bridle_("kill", "list", bundle, "--json").json[0]["subject"] == "refunds"
    assert bridle_("resume", "agent", "refunds", bundle, "--as", "ana").code == 3
    assert bridle_("resume", "agent", "refunds", bundle, "--as", "ben").code == 0
    assert bridle_("kill", "list", bundle, "--json").json == []


def test_keep_touches_no_folder_that_holds_something(bridle_, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    refused = bridle_("demo", "--keep", tmp_path)
    assert refused.code == 3
    assert "[not_empty]" in refused.err
    assert not (tmp_path / "bundle").exists()


def test_without_the_mail_server_the_way_out_is_told(bridle_, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text("import sys\nsys.modules['aiosmtpd'] = None\n")
    path = f"{blocked}:{bridle_.environ['PYTHONPATH']}"
    refused = bridle_("demo", PYTHONPATH=path)
    assert refused.code == 3
    assert "bridle[demo]" in refused.err
