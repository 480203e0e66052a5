"""URLs and addresses: read in one way only, and connected to only where that is allowed."""

import ipaddress

import pytest

from bridle.brokers.performing import addresses, http, places
from bridle.brokers.performing.failures import UnreachedError
from bridle.brokers.performing.stopping import Stop
from bridle.model.tool import System


@pytest.mark.parametrize(
    "url",
    [
        "https://user@a.example/",
        "https://user:pw@a.example/",
        "https://a.example\\@b.example/",
        "https://a.example/#x",
        "https://a.example./",
        "https://a..example/",
        "https://-a.example/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://127.1/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://127.0.0.01/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://[::ffff:1.2.3.4.5]/",
        "https://a.example:0/",
        "https://a.example:65536/",
        "https://a.example:-1/",
        "https://a.example:8o/",
        "https://bücher.example/",
        "https://a.example/ b",
        "https://a.example/\tb",
        "https://a.example/\r\nHost: b",
        "https://a.example/%0d%0aX",
        "https://a.example/%00",
        "https://a.example/../admin",
        "https://a.example/x/..",
        "https://a.example/%2e%2e/admin",
        "https://a.example/%252e%252e/admin",
        "https://a.example/x%2f..%2fadmin",
        "https://a.example/..;/admin",
        "https://a.example/..%5cadmin",
        "https://a.example/x\\..\\admin",
        "https://a.example//b.example/",
        "https://a.example/%zz",
        "https://a.example/%2525252525252e%2e/",
        "ftp://a.example/",
        "file:///etc/passwd",
        "//a.example/",
        "a.example",
        "https://",
        "https:///x",
        "https://a.example/" + "x" * 8_000,
        "",
        None,
        7,
    ],
)
def test_a_url_that_two_programs_might_read_differently_is_refused(url: object) -> None:
    with pytest.raises(UnreachedError) as refused:
        places.read(url)
    assert refused.value.code == "url_refused"


def test_a_plain_url_is_taken_in_its_parts() -> None:
    place = places.read("https://Docs.Example.com/a/b%20c;v=1?x=1&y=%2F..")
    assert place == places.Place("https", "docs.example.com", 443, "/a/b%20c;v=1?x=1&y=%2F..")
    assert places.read("http://[::1]:8080").authority == "[::1]:8080"
    assert places.read("https://xn--bcher-kva.example").target == "/"


NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "100.100.100.200",
    "::",
    "fe80::1",
    "ff02::1",
    "fec0::1",
    "fd00:ec2::254",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2001:0:1::1",
    "::7f00:1",
    "::ffff:0:7f00:1",
    "::ffff:169.254.169.254",
]
PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "::1",
    "fd00::1",
    "fc00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "2001:db8::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("text", NEVER)
def test_no_system_lies_at_a_metadata_service_a_group_or_a_carrier(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert not addresses.allowed(address, private=False)
    assert not addresses.allowed(address, private=True)


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_are_for_systems_that_are_declared_private(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert not addresses.allowed(address, private=False)
    assert addresses.allowed(address, private=True)


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_reached(text: str) -> None:
    assert addresses.allowed(ipaddress.ip_address(text), private=False)


def test_a_name_that_leads_to_this_machine_is_refused_where_the_system_is_not_private() -> None:
    with pytest.raises(UnreachedError) as refused:
        addresses.connected("localhost", 80, Stop(5), private=False)
    assert refused.value.code == "address_refused"


def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int, **_: object) -> list[object]:
        asked.append(host)
        first = "8.8.8.8" if len(asked) == 1 else "127.0.0.1"
        return [(2, 1, 6, "", (first, port))]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", rebinding)
    assert addresses.resolved("rebind.example", 80, Stop(5), private=False) == [
        ipaddress.ip_address("8.8.8.8")
    ]
    assert asked == ["rebind.example"]
    with pytest.raises(UnreachedError):
        addresses.resolved("rebind.example", 80, Stop(5), private=False)


def test_a_name_that_points_inside_as_well_is_refused_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = [(2, 1, 6, "", (text, 80)) for text in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(UnreachedError) as refused:
        addresses.resolved("both.example", 80, Stop(5), private=False)
    assert refused.value.code == "address_refused"


@pytest.mark.parametrize(
    ("pattern", "url", "within"),
    [
        ("docs.example.com", "https://docs.example.com/x", True),
        ("docs.example.com", "http://docs.example.com/x", True),
        ("docs.example.com", "https://docs.example.com:8443/x", False),
        ("docs.example.com:8443", "https://docs.example.com:8443/x", True),
        ("docs.example.com", "https://xdocs.example.com/", False),
        ("docs.example.com", "https://docs.example.com.evil.example/", False),
        ("*.wiki.example", "https://a.wiki.example/", True),
        ("*.wiki.example", "https://a.b.wiki.example/", True),
        ("*.wiki.example", "https://wiki.example/", False),
        ("*.wiki.example", "https://evilwiki.example/", False),
        ("127.0.0.1:80", "http://127.0.0.1/", True),
        ("[::1]:80", "http://[::1]/", True),
        ("*.0.0.1", "http://127.0.0.1/", False),
    ],
)
def test_egress_reaches_declared_hosts_only(pattern: str, url: str, within: bool) -> None:
    system = System(id="web", domain="internet", hosts=(pattern,))
    assert http.within(places.read(url), system) is within


@pytest.mark.parametrize(
    "url",
    [
        "http://DOCS.example.com/a",
        "http://docs.example.com:80/a",
        "https://docs.example.com:443/a",
        "http://docs.example.com:08080/a",
        "http://docs.example.com",
        "http://docs.example.com/a%2fb",
        "http://[0:0::1]/",
    ],
)
def test_a_place_has_one_text_that_rules_can_name(url: str) -> None:
    with pytest.raises(UnreachedError):
        places.written(url)
    assert places.written(places.read(url).url) == places.read(url)
