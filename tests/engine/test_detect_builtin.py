"""Each built-in detector: what it finds in the open, where exactly, and what it leaves alone."""

import pytest

from bridle.bundle.parse.manifest import BUILT_IN_DETECTORS
from engine.reading import detectors

ALL = detectors()


def found(text, name):
    """Return what a detector marks in a text."""
    return [text[s.start : s.end] for s in ALL.find(text, [name])]


def test_the_built_in_names_are_these():
    names = {"email", "phone", "iban", "payment_card", "secret_key", "url", "ip"}
    assert set(ALL.names) == names == set(BUILT_IN_DETECTORS)


FINDS = [
    ("email", "write to ana@example.com, please", "ana@example.com"),
    ("email", "a.b+c_d%x-1@sub-1.example.co.uk.", "a.b+c_d%x-1@sub-1.example.co.uk"),
    ("email", "<müller@bücher.example>", "müller@bücher.example"),
    ("email", "root@[192.0.2.1]", "root@[192.0.2.1]"),
    ("email", "ANA@EXAMPLE.COM", "ANA@EXAMPLE.COM"),
    ("phone", "call +49 30 1234567 now", "+49 30 1234567"),
    ("phone", "tel:+14155550123", "+14155550123"),
    ("phone", "0044 20 7946 0958", "0044 20 7946 0958"),
    ("phone", "030/1234567", "030/1234567"),
    ("phone", "(555) 123-4567", "(555) 123-4567"),
    ("phone", "555-123-4567.", "555-123-4567"),
    ("iban", "to DE89 3704 0044 0532 0130 00 and more", "DE89 3704 0044 0532 0130 00"),
    ("iban", "gb82west12345698765432", "gb82west12345698765432"),
    ("iban", "xFR1420041010050500013M02606x", "FR1420041010050500013M02606"),
    ("iban", "NO93-8601-1117-947", "NO93-8601-1117-947"),
    ("iban", "MT84MALT011000012345MTLCAST001S", "MT84MALT011000012345MTLCAST001S"),
    ("payment_card", "4111 1111 1111 1111", "4111 1111 1111 1111"),
    ("payment_card", "no 4111-1111-1111-1111, 12/27", "4111-1111-1111-1111"),
    ("payment_card", "378282246310005", "378282246310005"),
    ("payment_card", "3782 822463 10005", "3782 822463 10005"),
    ("payment_card", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    ("payment_card", "4222222222222", "4222222222222"),
    ("payment_card", "2026 5500 0000 0000 0004 2027", "5500 0000 0000 0004"),
    ("payment_card", "0000000000005500000000000004", "5500000000000004"),
    ("secret_key", "key AKIAIOSFODNN7EXAMPLE.", "AKIAIOSFODNN7EXAMPLE"),
    ("secret_key", "ghp_" + "a1B2" * 9, "ghp_" + "a1B2" * 9),
    ("secret_key", "sk-proj-abcDEF123456ghiJKL", "sk-proj-abcDEF123456ghiJKL"),
    ("secret_key", "xoxb-1234567890-abcdefghij", "xoxb-1234567890-abcdefghij"),
    ("secret_key", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
     "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"),
    ("secret_key", "password=hunter2xyz9;", "hunter2xyz9"),
    ("secret_key", '"api_key": "q9W8e7R6t5"', "q9W8e7R6t5"),
    ("secret_key", "Authorization: Bearer q9W8e7R6t5Y4", "q9W8e7R6t5Y4"),
    ("secret_key", "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b",
     "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"),
    ("secret_key", "x -----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
     "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl"),
    ("url", "see https://evil.example/a?b=c).", "https://evil.example/a?b=c"),
    ("url", "![x](http://evil.example/?q=1)", "http://evil.example/?q=1"),
    ("url", "HTTP://EVIL.EXAMPLE", "HTTP://EVIL.EXAMPLE"),
    ("url", "ftp://h.example/x", "ftp://h.example/x"),
    ("url", "www.example.com/x", "www.example.com/x"),
    ("url", "src=//evil.example/x.js ", "//evil.example/x.js"),
    ("url", "mailto:ana@example.com", "mailto:ana@example.com"),
    ("url", "http://[::1]:8080/x", "http://[::1]:8080/x"),
    ("ip", "from 10.0.0.1.", "10.0.0.1"),
    ("ip", "http://192.0.2.7:80/", "192.0.2.7"),
    ("ip", "010.000.000.001", "010.000.000.001"),
    ("ip", "fe80::1", "fe80::1"),
    ("ip", "[2001:db8:0:0:0:0:0:1]", "2001:db8:0:0:0:0:0:1"),
    ("ip", "::ffff:192.0.2.1", "::ffff:192.0.2.1"),
    ("ip", "at ::1: nothing", "::1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "span"), FINDS)
def test_it_is_found_where_it_stands(name, text, span):
    assert span in found(text, name)


LEAVES = [
    ("email", "meet me @ noon. then we go"),
    ("email", "@ana, see foo@bar and @example.com"),
    ("phone", "order 12345678 of 2026-01-02"),
    ("phone", "on 01.02.2026 at 12:30"),
    ("phone", "0.0123456789 or 1,012,345,678"),
    ("phone", "192.168.100.200"),
    ("iban", "DE89 3704 0044 0532 0130 01"),
    ("iban", "ZZ89 3704 0044 0532 0130 00"),
    ("iban", "de89370400440532013"),
    ("iban", "commit de89370400440532abcdef00"),
    ("payment_card", "4111 1111 1111 1112"),
    ("payment_card", "1700000000003"),
    ("payment_card", "411111111111"),
    ("payment_card", "12.50 13.75 14.20 11.30 9.99 8.45 7.15 6.20 5.00 4.10"),
    ("secret_key", "password: required"),
    ("secret_key", "the token is expired, see the secret garden"),
    ("secret_key", "sk-learn-and-other-libraries"),
    ("secret_key", "-----BEGIN CERTIFICATE-----"),
    ("secret_key", "password=[redacted:secret_key]"),
    ("url", "either/or and http:// alone"),
    ("url", "// a comment.here"),
    ("url", "Action::read, std::vector"),
    ("ip", "version 1.2.3.4.5 and 1.2.3"),
    ("ip", "256.1.1.1"),
    ("ip", "12:30:45 std::vector dead::beef"),
    ("ip", "1.2.3.4567"),
]


@pytest.mark.parametrize(("name", "text"), LEAVES)
def test_what_only_resembles_it_is_left_alone(name, text):
    assert found(text, name) == []


PROSE = (
    "the quick brown fox jumps over the lazy dog, and then it went home to sleep for the night; "
    "nobody knew why it had come in the first place. International Business was never the same!"
)


def test_prose_holds_nothing():
    assert ALL.find(PROSE) == []
    assert ALL.find("") == []


def test_every_redaction_label_holds_nothing():
    for name in (*ALL.names, "unsearched", "customer_id"):
        assert ALL.find(f"a [redacted:{name}] b token=[redacted:{name}]") == []
        assert ALL.find(f"[redacted:{name}]") == []


def test_digits_of_other_scripts_are_digits():
    number = "4111 1111 1111 1111"
    arabic = "".join(chr(0x660 + int(c)) if c.isdigit() else c for c in number)
    assert found(arabic, "payment_card") == [arabic]
