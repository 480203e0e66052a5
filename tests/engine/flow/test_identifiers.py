"""Identifiers: one form for every way to write the same thing, and never one for two things."""

from datetime import date, time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.flow.identifiers import Kind, accepted, addresses, near, said, standing


def form(text, kind):
    return next((f[1:] for f in said(text) if f[0] == kind), "")


SAME = [
    (Kind.EMAIL, "bob@x.com", ["Bob@X.com", "BOB@x.COM", "mailto:bob@x.com"]),
    (Kind.HOST, "x.com", ["X.com", "x.COM"]),
    (Kind.HOST, "2001:db8::1", ["2001:DB8:0:0:0:0:0:1", "2001:0db8::0001"]),
    (Kind.URL, "https://x.com/", ["https://x.com", "HTTPS://X.com:443/", "https://x.com:443"]),
    (Kind.URL, "http://x.com:8080/a", ["http://X.COM:8080/%61"]),
    (Kind.URL, "https://x.com/%2Fa~", ["https://x.com/%2fa%7e", "https://x.com/%2Fa%7E"]),
    (Kind.URL, "www.x.com/", ["www.x.com", "WWW.x.com/"]),
    (
        Kind.IBAN,
        "DE89370400440532013000",
        ["DE89 3704 0044 0532 0130 00", "de89370400440532013000"],
    ),
    (Kind.PHONE, "+49301234567", ["+49 30 1234567", "+49-30-123-4567", "+49 (30) 1234567"]),
    (Kind.PHONE, "2025550143", ["(202) 555-0143", "202-555-0143", "202.555.0143", "2025550143"]),
    (
        Kind.HEX,
        "123e4567e89b12d3a456426614174000",
        [
            "123E4567-E89B-12D3-A456-426614174000",
            "{123e4567-e89b-12d3-a456-426614174000}",
            "urn:uuid:123e4567-e89b-12d3-a456-426614174000",
        ],
    ),
    (Kind.HEX, "0xab12", ["0xAB12", "0Xab12"]),
    (
        Kind.MOMENT,
        "2024-05-15",
        ["15 May 2024", "May 15, 2024", "May 15th, 2024", "15th of May 2024"],
    ),
    (
        Kind.MOMENT,
        "2024-05-15",
        ["05/15/2024", "15/05/2024", "15.05.2024", "2024/05/15", "2024-5-15"],
    ),
    (Kind.MOMENT, "--05-15", ["May 15th", "15 May", "may 15", "the 15th of May"[4:]]),
    (Kind.MOMENT, "10:00", ["10:00 AM", "10am", "10 a.m.", "10:00:00"]),
    (Kind.MOMENT, "22:00", ["10:00 PM", "10pm", "22:00:00.000"]),
    (Kind.MOMENT, "00:00", ["12 am", "0:00"]),
    (Kind.MOMENT, "12:00", ["12 pm", "12:00"]),
    (
        Kind.MOMENT,
        "2024-05-15T10:00",
        [
            "2024-05-15 10:00",
            "2024-05-15T10:00:00",
            "10 AM on May 15, 2024",
            "15 May 2024 at 10:00",
        ],
    ),
    (Kind.MOMENT, "2024-05-15T10:00+02:00", ["2024-05-15T10:00:00+0200", "2024-05-15 10:00+02:00"]),
    (Kind.MOMENT, "2024-05-15T10:00Z", ["2024-05-15t10:00:00z"]),
    (Kind.NUMBER, "1234.5", ["1,234.50", "1234.500", "1,234.5"]),
    (Kind.NUMBER, "0", ["-0", "0.00", "-0.0"]),
    (Kind.NUMBER, "5 $", ["$5", "$5.00", "$ 5"]),
    (Kind.NUMBER, "5 EUR", ["\u20ac5", "5 \u20ac", "EUR 5", "5EUR"]),
    (Kind.NUMBER, "5 $/month", ["$5/month", "$5.00/month"]),
    (Kind.NUMBER, "10 %", ["10%", "10.0 %"]),
    (Kind.NUMBER, "5 km", ["5km", "5.0 km"]),
]


@pytest.mark.parametrize(("kind", "normal", "texts"), SAME, ids=[s[1] for s in SAME])
def test_every_way_to_write_it_has_the_same_form(kind, normal, texts):
    assert {form(text, kind) for text in (normal, *texts)} == {normal}


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (Kind.EMAIL, "bob@x.com", "bob@x.com.evil.com"),
        (Kind.EMAIL, "bob@x.com", "bob+1@x.com"),
        (Kind.EMAIL, "bob@x.com", "b.ob@x.com"),
        (Kind.URL, "https://x.com/a", "http://x.com/a"),
        (Kind.URL, "https://x.com/a", "https://x.com/A"),
        (Kind.URL, "https://x.com/a", "https://x.com/a/"),
        (Kind.URL, "https://x.com/a", "https://x.com:8443/a"),
        (Kind.URL, "https://x.com/a", "https://y@x.com/a"),
        (Kind.URL, "https://x.com/a%2Fb", "https://x.com/a/b"),
        (Kind.URL, "https://x.com/?a", "https://x.com/"),
        (Kind.URL, "https://good.com/", "https://good.com@evil.com/"),
        (Kind.URL, "www.x.com/a", "https://www.x.com/a"),
        (Kind.PHONE, "+49301234567", "49301234567"),
        (Kind.MOMENT, "2024-05-15", "15 May"),
        (Kind.MOMENT, "2024-05-15T10:00Z", "2024-05-15T10:00"),
        (Kind.MOMENT, "10 am", "10 pm"),
        (Kind.MOMENT, "12 am", "12 pm"),
        (Kind.NUMBER, "100 EUR", "100 USD"),
        (Kind.NUMBER, "5 mW", "5 MW"),
        (Kind.NUMBER, "5", "-5"),
        (Kind.NUMBER, "$5", "$5/month"),
        (Kind.TAG, "#1", "#01"),
    ],
)
def test_what_is_another_thing_has_another_form(kind, one, other):
    assert form(one, kind)
    assert form(other, kind)
    assert form(one, kind) != form(other, kind)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.MOMENT, "05/06/2024"),
        (Kind.MOMENT, "2024-02-30"),
        (Kind.MOMENT, "25:00"),
        (Kind.MOMENT, "13 pm"),
        (Kind.MOMENT, "2024-05-15 10:00-11:00"),
        (Kind.MOMENT, "0000-05-15"),
        (Kind.NUMBER, "1,23"),
        (Kind.NUMBER, "1 000"),
        (Kind.NUMBER, "007"),
        (Kind.NUMBER, "1e5"),
        (Kind.NUMBER, "0x10"),
        (Kind.NUMBER, "$5 USD"),
        (Kind.NUMBER, "1.2.3"),
        (Kind.HOST, "report.txt"),
        (Kind.HOST, "999.1.1.1"),
        (Kind.HOST, "127.0.0.01"),
        (Kind.HOST, "x..com"),
        (Kind.EMAIL, "a@b@x.com"),
        (Kind.EMAIL, "bob@x"),
        (Kind.URL, "https://x.com/a/../b"),
        (Kind.URL, "https://x.com/%2e%2e/b"),
        (Kind.URL, "https://x.com/%zz"),
        (Kind.URL, "https://x.com\\@evil.com"),
        (Kind.URL, "https://x.com/a b"),
        (Kind.IBAN, "DE89370400440532013001"),
        (Kind.PHONE, "+49 (0)30 1234567"),
        (Kind.PHONE, "15.05.2024"),
        (Kind.PHONE, "05-15-2024"),
        (Kind.PHONE, "05/15/2024"),
        (Kind.HEX, "123e4567-E89B-12d3-a456-426614174000"),
        (Kind.EMAIL, "b\u043eb@x.com"),
        (Kind.HOST, "\u0445.com"),
        (Kind.HOST, "x\u3002com"),
        (Kind.HOST, "x.com\u200b"),
        (Kind.NUMBER, "\u0661\u0662"),
        (Kind.EMAIL, "bob@x.com\n"),
        (Kind.NUMBER, "5\n"),
        (Kind.MOMENT, "2024-05-15\n"),
    ],
)
def test_what_can_be_read_in_two_ways_or_is_none_has_no_form(kind, text):
    assert form(text, kind) == ""


label = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?", fullmatch=True)
hosts = st.tuples(label, label, st.sampled_from(["com", "ORG", "Example"])).map(".".join)
emails = st.tuples(st.from_regex(r"[A-Za-z0-9._+-]{1,8}", fullmatch=True), hosts).map("@".join)


@given(hosts, hosts)
def test_two_hosts_share_no_form(one, other):
    assert (form(one, "h") == form(other, "h")) is (one.lower() == other.lower())


@given(emails, emails)
def test_two_addresses_share_no_form(one, other):
    assert form(one, "m")
    assert (form(one, "m") == form(other, "m")) is (one.lower() == other.lower())


DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def iban(account):
    number = "".join(str(DIGITS.index(c)) for c in f"{account}DE00")
    return f"DE{98 - int(number) % 97:02}{account}"


accounts = st.from_regex(r"[0-9]{18}", fullmatch=True).map(iban)


@given(accounts, accounts, st.booleans())
def test_two_account_numbers_share_no_form(one, other, spaced):
    written = " ".join(one[i : i + 4] for i in range(0, 22, 4)) if spaced else one.lower()
    assert form(written, "i") == one
    assert (form(written, "i") == form(other, "i")) is (one == other)


days = st.dates(date(1000, 1, 1), date(2999, 12, 31))
WRITTEN = [
    lambda d: d.isoformat(),
    lambda d: f"{d.day} {d:%B} {d.year}",
    lambda d: f"{d:%b} {d.day}, {d.year}",
    lambda d: f"{d:%B} {d.day}th {d.year}",
    lambda d: f"{d.month}/{d.day}/{d.year}" if d.day > 12 else d.isoformat(),
    lambda d: f"{d.day:02}.{d.month:02}.{d.year}" if d.day > 12 else d.isoformat(),
]
ways = st.sampled_from(WRITTEN)


@given(days, days, ways, ways)
def test_two_days_share_no_form(one, other, way, another):
    assert form(way(one), "d") == one.isoformat()
    assert (form(way(one), "d") == form(another(other), "d")) is (one == other)


@given(days, st.times().map(lambda t: t.replace(second=0, microsecond=0)), st.booleans())
def test_a_moment_is_its_day_and_its_time(day, moment, half):
    clock = f"{moment:%I:%M %p}" if half else f"{moment:%H:%M}"
    wanted = f"{day.isoformat()}T{moment:%H:%M}"
    assert form(f"{day.day} {day:%B} {day.year} at {clock}", "d") == wanted
    assert form(f"{clock} on {day.isoformat()}", "d") == wanted
    assert form(clock, "d") == time.isoformat(moment, "minutes")


numbers = st.decimals(-(10**12), 10**12, places=2, allow_nan=False, allow_infinity=False)


@given(numbers, numbers)
def test_two_numbers_share_no_form(one, other):
    assert Decimal(form(f"{one:,}", "v")) == one
    assert (form(f"{one:,}", "v") == form(f"{other}", "v")) is (one == other)


parts = st.tuples(
    st.sampled_from(["http", "https", "HTTPS", "ftp"]),
    hosts,
    st.sampled_from(["", ":80", ":443", ":8080"]),
    st.from_regex(r"(/[A-Za-z0-9_~-]{0,5}){0,3}", fullmatch=True),
    st.from_regex(r"(\?[a-z=&/:@]{0,9})?", fullmatch=True),
)
PORTS = {"http": ":80", "https": ":443", "ftp": ":21"}


def meant(url):
    scheme, host, port, path, query = url
    scheme = scheme.lower()
    return scheme, host.lower(), port or PORTS[scheme], path or "/", query


def written(url):
    scheme, host, port, path, query = url
    return f"{scheme}://{host}{port}{path}{query}"


@given(parts, parts)
def test_two_urls_share_no_form(one, other):
    assert form(written(one), "u")
    same = meant(one) == meant(other)
    assert (form(written(one), "u") == form(written(other), "u")) is same


texts = st.one_of(
    st.text(max_size=40),
    hosts,
    emails,
    accounts,
    parts.map(written),
    numbers.map(str),
    st.sampled_from([t for _, normal, ts in SAME for t in (normal, *ts)]),
    st.text("0123456789+-/:., TZapmMay$%()#@x", max_size=24),
)


@given(texts)
def test_a_form_is_its_own_form(text):
    for found in said(text):
        assert found in said(found[1:])


@given(texts)
def test_what_is_near_is_never_a_form(text):
    forms = {*said(text), *accepted(text)}
    assert forms.isdisjoint(n for f in forms for n in near(f))
    assert {n[0] for f in forms for n in near(f)} <= {Kind.USER, Kind.PLACE}


def test_an_address_without_a_scheme_says_the_one_with_it_and_not_the_reverse():
    assert set(said("www.x.com/a")) & set(accepted("https://www.x.com/a"))
    assert set(said("x.com")) & set(accepted("https://x.com/"))
    assert not set(said("https://www.x.com/a")) & set(accepted("www.x.com/a"))
    assert not set(said("x.com")) & set(accepted("https://x.com/a"))
    assert not set(said("x.com")) & set(accepted("https://y@x.com/"))
    assert not set(said("x.com")) & set(accepted("https://x.com:8443/"))
    assert not set(said("x.com")) & set(accepted("ftp://x.com/"))
    assert not set(said("x.com")) & set(accepted("bob@x.com"))


def test_no_address_with_a_user_is_said_without_its_scheme():
    assert addresses.parts_of_url("https://y@x.com/") == ("https", "x.com", "")
    assert addresses.parts_of_url("https://x.com/a") == ("https", "x.com", "x.com/a")


def test_a_reference_says_the_word_behind_its_sign_and_not_the_reverse():
    assert set(said("#general")) & set(accepted("general"))
    assert set(said("@alice")) & set(accepted("alice"))
    assert not set(said("general")) & set(accepted("#general"))
    assert not set(said("#general")) & set(accepted("@general"))


def test_an_amount_says_its_number_and_not_the_reverse():
    assert set(said("$5")) & set(accepted("5"))
    assert set(said("$1,100.00/month")) & set(accepted("1100"))
    assert not set(said("5")) & set(accepted("$5"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Pay DE89 3704 0044 0532 0130 00 now", "iDE89370400440532013000"),
        ("call +49 30 1234567, please", "p+49301234567"),
        ("call (202) 555-0143.", "p2025550143"),
        ("on May 15th, 2024.", "d2024-05-15"),
        ("Lunch (15 May) at noon", "d--05-15"),
        ("at 10:00 AM!", "d10:00"),
        ("on 2024-05-15 from 10:00 to 11:30", "d2024-05-15T11:30"),
        ("10:00-11:30 on 15 May 2024", "d2024-05-15T11:30"),
        ("2024-05-15 10:00", "d10:00"),
        ("7,15 May 2024,Berlin", "d2024-05-15"),
        ("day=15 May 2024;x", "d2024-05-15"),
        ("it costs 5 EUR", "v5 EUR"),
        ("it costs \u20ac 5", "v5 EUR"),
        ("after 30 minutes", "v30 minutes"),
    ],
)
def test_what_has_spaces_inside_is_found_where_it_stands(text, found):
    assert found in list(standing(text))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("xDE89 3704 0044 0532 0130 00", Kind.IBAN),
        ("DE89 3704 0044 0532 0130 001", Kind.IBAN),
        ("a15 May 2024", Kind.MOMENT),
        ("\u04305 May 2024", Kind.MOMENT),
        ("1.15 May 2024", Kind.MOMENT),
        ("15 May 2024/5", Kind.MOMENT),
        ("v1:10:00:00:00", Kind.MOMENT),
        ("a+49 30 1234567", Kind.PHONE),
        (",234 EUR", Kind.NUMBER),
        ("1,23,456 EUR", Kind.NUMBER),
        ("+49 30 1234567\u0430", Kind.PHONE),
    ],
)
def test_what_is_a_piece_of_something_longer_is_not_found(text, kind):
    assert not [f for f in standing(text) if f[0] == kind]


@given(st.text("0123456789 .:/-+()apmMyjunZT,$%EUR\u20ac\u2013@x\n", max_size=120))
def test_no_text_is_too_odd_to_be_searched(text):
    for found in (*standing(text), *said(text), *accepted(text)):
        assert found[0] in set(Kind)


@pytest.mark.parametrize("unit", ["1 ", "1-", "+1", "(1", "May 1 ", "10:00", "1,", "DE89 ", "1.1."])
def test_a_hostile_text_takes_time_in_proportion_to_its_length(unit):
    text = unit * (2**18 // len(unit))
    assert len(list(standing(text))) <= len(text)
    assert said(text) == accepted(text) == []
