"""Predicates: total, linear, strict about types and texts, and never wider below than above."""

import json
import threading
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.trust.grants import conditions, predicates
from bridle.trust.grants.claims import (
    DETAIL_TYPE,
    Claims,
    Confirmation,
    Detail,
    Jwk,
    Predicate,
    Range,
    ToolGrant,
)
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.grants.matching.matchers import LONGEST_MATCHED
from bridle.trust.grants.verify import Request


def claims(
    tools: dict[str, ToolGrant],
    *others: Detail,
    lbl: tuple[str, ...] | None = None,
    domains: tuple[str, ...] | None = None,
    effects: tuple[str, ...] | None = None,
) -> Claims:
    return Claims(
        jti="0" * 32,
        iss="bridle:store",
        sub="ana",
        agent="researcher",
        aud="bridle:store",
        iat=1,
        exp=2,
        cnf=Confirmation(Jwk("OKP", "Ed25519", "x")),
        del_depth=0,
        del_max_depth=8,
        mis="mis_1",
        authorization_details=(Detail(DETAIL_TYPE, tools, domains, effects), *others),
        lbl=lbl,
    )


def request(
    tool: str = "t",
    domain: str = "web",
    effect: str = "read",
    labels: frozenset[str] = frozenset(),
    **args: Any,
) -> Request:
    return Request(tool, domain, effect, labels, args, "bridle:store", "mis_1")


def holds(predicate: Predicate, value: Any) -> bool:
    """Whether a tool constrained by this may be called with the value."""
    return not predicates.allows(claims({"t": ToolGrant({"x": predicate})}), request(x=value))


def refused(link: Claims) -> str:
    with pytest.raises(GrantError) as error:
        predicates.check(link)
    assert error.value.code == GrantCode.MALFORMED
    return error.value.message


# --- one test of one value -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("predicate", "yes", "no"),
    [
        (conditions.eq(1), [1], [True, "1", Decimal(1), 1.0, None, [1]]),
        (conditions.eq(True), [True], [1, "true", False, None]),
        (conditions.eq("a"), ["a"], ["A", "a ", "", None, ["a"]]),
        (conditions.one_of("a", 1), ["a", 1], [True, "1", "b", 2, [], {}, None]),
        (conditions.one_of(), [], ["", 0, None, False, []]),
        (conditions.between(0, 10), [0, 10, Decimal("9.5")], [-1, 11, Decimal("10.0001"), "5"]),
        (conditions.between("0.5", None), [1, Decimal("0.5"), 10**5_000], [0, Decimal("0.4999")]),
        (conditions.between(None, "0.5"), [0, -(10**5_000)], [1, Decimal("0.5001"), True, False]),
        (
            conditions.between(0, 10),
            [],
            [1.0, float("nan"), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity")],
        ),
        (conditions.prefix("a/"), ["a/", "a/b"], ["a", "A/b", " a/", None, ["a/"]]),
        (conditions.suffix(".pdf"), ["x.pdf", ".pdf"], ["x.pdf ", "x.PDF", 1]),
        (conditions.subset("a", 1), [["a", 1, 1], []], [["a", True], "a", ["b"], [["a"]], [{}]]),
        (conditions.matches("[a-z]+"), ["abc"], ["abc1", "", "abc\n", "\ud800", 5]),
        (conditions.matches("a*"), ["a" * LONGEST_MATCHED], ["a" * (LONGEST_MATCHED + 1)]),
        (conditions.anything(), ["", None, [], {}, 1.5, "\ud800"], []),
        (Predicate(), [], ["", None, 0, False]),
        (Predicate(eq=1, any=True), [], [1, 2]),
    ],
)
def test_a_predicate_holds_for_these_and_for_nothing_like_them(
    predicate: Predicate, yes: list[Any], no: list[Any]
) -> None:
    assert all(holds(predicate, value) for value in yes)
    assert [value for value in no if holds(predicate, value)] == []


GOOD_URLS = [
    "https://docs.example",
    "https://docs.example/",
    "http://docs.example:8080/a/b?c=d#e",
    "https://docs.example/@ana",
    "https://docs.example:65535/",
]
# Each is read by some parser as a URL of another host than by another one, or is no plain one.
CONFUSING_URLS = [
    "https://docs.example@evil.example/",
    "https://evil.example@docs.example/",
    "https://docs.example:80@evil.example/",
    "https://docs.example:pw@evil.example/",
    "https://docs.example\\@evil.example/",
    "https://docs.example\\.evil.example/",
    "https:\\\\docs.example/",
    "https:/docs.example/",
    "https:docs.example",
    "https:///docs.example/",
    "//docs.example/",
    "https://docs.example?@evil.example/",
    "https://docs.example#@evil.example/",
    "https://docs.example\t.evil.example/",
    "https://docs.example\n/",
    "https://docs.example/\r\nHost: evil.example",
    " https://docs.example/",
    "https://docs.example/ ",
    "https://docs.example/\x00",
    "https://docs.example./",
    "https://.docs.example/",
    "https://docs..example/",
    "https://docs.example:/",
    "https://docs.example:0/",
    "https://docs.example:080/",
    "https://docs.example:65536/",
    "https://docs.example:99999999999999999999/",
    "https://docs.example:+80/",
    "https://docs.example:\uff18\uff10/",
    "https://\uff44ocs.example/",
    "https://docs\u3002example/",
    "https://docs%2eexample/",
    "https://docs.example%00.evil.example/",
    "https://[::1]/",
    "https://docs.example[::1]/",
    "HTTPS://docs.example/",
    "https://Docs.example/",
    "ftp://docs.example/",
    "file:///docs.example/",
    "javascript:https://docs.example/",
    "view-source:https://docs.example/",
    "https://docs.exampleevil/",
    "https://evildocs.example/",
    "https://docs.example.evil/",
    "https://docs.example/\u2028",
    "https://docs.example/\ud800",
    "https://docs.example/ü",
    "https://-docs.example/",
    "https://" + "a." * 130 + "docs.example/",
    "https://" + "a" * 64 + ".docs.example/",
]


@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_plain_url_has_its_host(url: str) -> None:
    assert holds(conditions.host("docs.example"), url)
    assert holds(conditions.host("*.example"), url)
    assert not holds(conditions.host("*.docs.example"), url)


@pytest.mark.parametrize("url", CONFUSING_URLS)
def test_a_url_that_programs_read_in_different_ways_has_no_host(url: str) -> None:
    assert not holds(conditions.host("docs.example", "*.docs.example"), url)


def test_any_depth_below_a_name_but_not_the_name_itself() -> None:
    below = conditions.host("*.docs.example")
    assert holds(below, "https://a.docs.example/")
    assert holds(below, "https://a.b.docs.example/")
    assert not holds(below, "https://docs.example/")
    assert not holds(below, "https://adocs.example/")


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "127.1", "127.0.1", "0177.0.0.1", "127.0.0.01",
             "127.0.0.0x1", "127.0.0.256", "1.127.0.0.1", "a.1", "127.0.0.1."]
)  # fmt: skip
def test_a_number_as_a_host_is_an_address_in_one_form_only(host: str) -> None:
    anywhere = conditions.host("127.0.0.1", "*.a", "a", "*.example")
    assert holds(anywhere, "http://127.0.0.1/")
    assert not holds(anywhere, f"http://{host}/")
    with pytest.raises(Exception, match="host"):
        conditions.host(host)


@pytest.mark.parametrize("path", ["/srv/data", "/srv/data/a", "/srv/data/a b/ü", "/srv/data/..."])
def test_a_path_below_is_below(path: str) -> None:
    assert holds(conditions.path_under("/srv/data"), path)
    assert holds(conditions.path_under("/"), path)


@pytest.mark.parametrize(
    "path",
    [
        "/srv/data/../secret", "/srv/data/..", "/srv/data/.", "/srv/data/./a", "/srv/data/",
        "/srv/data//a", "//srv/data", "/srv/database", "/srv/Data", "srv/data", "",
        "/srv/data\\..\\secret", "/srv/data/a\x00.txt", "/srv/data/\n", "/srv/data/\x85",
        "/srv/data/\u2028", "/srv/data/\ud800", "/srv", "/", "~/data", "C:/srv/data",
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_not_below(path: str) -> None:
    assert not holds(conditions.path_under("/srv/data"), path)


def test_an_address_is_in_its_network_in_one_form_only() -> None:
    inside = conditions.cidr("10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32")
    yes = ["10.0.0.1", "10.255.255.255", "2001:db8::1", "2001:DB8:0:0:0:0:0:1", "192.0.2.7"]
    no = [
        "11.0.0.1", "192.0.2.8", "2001:db9::1", "::ffff:10.0.0.1", "::ffff:a00:1", "::10.0.0.1",
        "10.0.0.01", "010.0.0.1", "10.1", "0x0a000001", "167772161", "10.0.0.1/32", " 10.0.0.1",
        "2001:db8::1%eth0",
        "[2001:db8::1]", "\u0661\u0660.0.0.1", "10.0.0.1\n", "", 167772161, None,
    ]  # fmt: skip
    assert all(holds(inside, each) for each in yes)
    assert [each for each in no if holds(inside, each)] == []
    assert not holds(conditions.cidr("::/0"), "::ffff:a00:1")
    assert not holds(conditions.cidr("0.0.0.0/0"), "::ffff:a00:1")


# --- a link ------------------------------------------------------------------------------------


def test_a_constrained_tool_takes_no_argument_its_grant_is_silent_on() -> None:
    link = claims({"t": ToolGrant({"x": Predicate(eq=1), "y": Predicate(any=True)})})
    assert predicates.allows(link, request(x=1)) == ""
    assert predicates.allows(link, request(x=1, y=None)) == ""
    assert "argument z is not granted" in predicates.allows(link, request(x=1, z=0))
    assert "argument x is missing" in predicates.allows(link, request(y=1))
    assert predicates.allows(claims({"t": ToolGrant({})}), request()) == ""
    assert predicates.allows(claims({"t": ToolGrant({})}), request(x=1)) != ""


def test_reasons_name_the_place_and_never_the_value() -> None:
    link = claims({"t": ToolGrant({"x": Predicate(eq="a")})})
    why = predicates.allows(link, request(x="hunter2"))
    assert why == "tool t: argument x is not as the grant has it"
    forged = predicates.allows(link, request(x="a", **{"y is granted\nand so": "hunter2"}))
    assert "hunter2" not in forged
    assert "\n" not in forged
    assert len(predicates.allows(link, request(**{"n" * 100_000: 1}))) < 200


def test_where_several_names_of_a_tool_match_each_must_allow() -> None:
    link = claims(
        {
            "web.*": ToolGrant({"url": Predicate(host=("docs.example",))}),
            "web.get": ToolGrant({"url": Predicate(prefix="https:")}),
        }
    )
    assert not predicates.allows(link, request("web.get", url="https://docs.example/"))
    assert predicates.allows(link, request("web.get", url="http://docs.example/"))
    assert predicates.allows(link, request("web.get", url="https://evil.example/"))
    assert not predicates.allows(link, request("web.put.all", url="http://docs.example/"))
    assert predicates.allows(link, request("web", url="https://docs.example/"))
    assert predicates.allows(link, request("webs.get", url="https://docs.example/"))


@pytest.mark.parametrize(
    "tool", ["", "*", "web.*", "web.get ", "WEB.get", "web.get\x00", "w" * 999]
)
def test_a_name_that_is_no_tool_is_not_granted(tool: str) -> None:
    assert predicates.allows(claims({"web.*": ToolGrant(), "x": ToolGrant()}), request(tool))


def test_one_entry_allows_and_parts_of_several_do_not() -> None:
    link = claims(
        {"t": ToolGrant({"x": Predicate(eq=1)})},
        Detail(DETAIL_TYPE, {"t": ToolGrant()}, ("web",), ("write",)),
        domains=("mail",),
    )
    assert not predicates.allows(link, request(domain="mail", x=1))
    assert not predicates.allows(link, request(effect="write", x=2))
    assert predicates.allows(link, request(domain="mail", x=2))
    assert predicates.allows(link, request(domain="mail", effect="write", x=2))
    assert predicates.allows(link, request(x=1))


def test_an_entry_of_another_type_grants_nothing() -> None:
    link = claims({"t": ToolGrant({"x": Predicate(eq=1)})}, Detail("other", {"t": ToolGrant()}))
    assert predicates.allows(link, request(x=2))


def test_labels_are_the_most_that_tools_may_have() -> None:
    link = claims({"*": ToolGrant()}, lbl=("public",))
    assert not predicates.allows(link, request())
    assert not predicates.allows(link, request(labels=frozenset({"public"})))
    assert predicates.allows(link, request(labels=frozenset({"public", "pii"})))
    assert predicates.allows(claims({"*": ToolGrant()}, lbl=()), request(labels=frozenset({"pii"})))


def test_links_that_were_dropped_do_not_answer_for_those_that_came_after() -> None:
    # Objects are made where dropped ones lay: an answer by identity alone would be another link's.
    for number in range(6_000):
        link = claims({"t": ToolGrant({"x": Predicate(eq=number)})})
        assert not predicates.allows(link, request(x=number))
        assert predicates.allows(link, request(x=number - 1))


def test_threads_that_ask_many_links_get_the_answers_of_each() -> None:
    wrong: list[int] = []

    def ask(start: int) -> None:
        for number in range(start, start + 1_500):
            link = claims({"t": ToolGrant({"x": Predicate(eq=number)})})
            if predicates.allows(link, request(x=number)) or not predicates.allows(
                link, request(x=-1)
            ):
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(each * 10_000,)) for each in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []


# --- ill-formed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "predicate",
    [
        Predicate(),
        Predicate(eq=1, in_=(1,)),
        Predicate(any=False),
        Predicate(eq=2**63),
        Predicate(eq=1.0),  # type: ignore[arg-type]
        Predicate(in_=(1, -(2**63) - 1)),
        Predicate(subset=(1.5,)),  # type: ignore[arg-type]
        Predicate(range=Range()),
        Predicate(range=Range(min="1e3")),
        Predicate(range=Range(min="NaN")),
        Predicate(range=Range(min="0x1")),
        Predicate(range=Range(max="01")),
        Predicate(range=Range(max="1_0")),
        Predicate(range=Range(max="\uff11")),
        Predicate(range=Range(max=2**64)),
        Predicate(range=Range(max=True)),
        Predicate(range=Range(max="9" * 10_000)),
        Predicate(prefix=""),
        Predicate(suffix=""),
        Predicate(path_under="a"),
        Predicate(path_under="/a/"),
        Predicate(path_under="/a/../b"),
        Predicate(host=("*",)),
        Predicate(host=("*.*.example",)),
        Predicate(host=("*.10.0.0.1",)),
        Predicate(host=("a.*",)),
        Predicate(host=("A.example",)),
        Predicate(host=("https://a.example",)),
        Predicate(host=("",)),
        Predicate(host=("*.",)),
        Predicate(cidr=("10.0.0.1/8",)),
        Predicate(cidr=("10.0.0.0/255.0.0.0",)),
        Predicate(cidr=("10.0.0.0",)),
        Predicate(cidr=("::ffff:0:0/96",)),
        Predicate(cidr=("2001:DB8::/32",)),
        Predicate(cidr=("fe80::%eth0/64",)),
        Predicate(re2=""),
        Predicate(re2="("),
        Predicate(re2="(?=a)"),
        Predicate(re2="(a)\\1"),
        Predicate(re2="\\pL"),
        Predicate(re2="a{1000}{1000}"),
        Predicate(re2="[^a]" * 250),
        Predicate(re2="a" * 1_025),
        Predicate(re2="\ud800"),
    ],
)
def test_an_ill_formed_predicate_is_refused_and_would_hold_for_nothing(
    predicate: Predicate,
) -> None:
    refused(claims({"t": ToolGrant({"x": predicate})}))
    for value in ("", "a", 1, True, [], None, "/a", "10.0.0.1", "https://a.example"):
        assert not holds(predicate, value)


def test_patterns_of_a_link_are_few_and_short_together() -> None:
    nine = {f"a{number}": Predicate(re2="a") for number in range(9)}
    assert "8 patterns" in refused(claims({"t": ToolGrant(nine)}))
    long = {f"a{number}": Predicate(re2="a" * 600) for number in range(2)}
    assert "1024 characters" in refused(claims({"t": ToolGrant(long)}))


def test_an_ill_formed_predicate_is_found_wherever_it_stands() -> None:
    hidden = Detail(DETAIL_TYPE, {"a": ToolGrant(), "b": ToolGrant({"x": Predicate(prefix="")})})
    assert "argument x" in refused(claims({"t": ToolGrant()}, hidden))


# --- for all values ------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.text(st.characters(codec=None), max_size=40),
    st.sampled_from([*GOOD_URLS, *CONFUSING_URLS, "/srv/data/a", "10.0.0.1", "2001:db8::1"]),
)
NUMBERS = st.one_of(
    st.integers(), st.integers(-(10**300), 10**300), st.decimals(), st.floats(), st.booleans()
)
VALUES = st.recursive(
    st.one_of(st.none(), NUMBERS, TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
SCALARS = st.one_of(st.integers(-3, 3), st.booleans(), st.sampled_from(["a", "b", "/srv/data"]))
BOUNDS = st.one_of(st.none(), st.integers(-3, 3), st.sampled_from(["0.5", "-1.25", "2"]))
PREDICATES = st.one_of(
    st.builds(Predicate, eq=SCALARS),
    st.builds(Predicate, in_=st.lists(SCALARS, max_size=3).map(tuple)),
    st.builds(Predicate, range=st.builds(Range, BOUNDS, BOUNDS)),
    st.builds(Predicate, prefix=TEXTS.filter(bool)),
    st.builds(Predicate, suffix=TEXTS.filter(bool)),
    st.builds(Predicate, path_under=st.sampled_from(["/", "/srv", "/srv/data"])),
    st.builds(Predicate, host=st.sampled_from([("docs.example",), ("*.example", "a"), ()])),
    st.builds(Predicate, cidr=st.sampled_from([("10.0.0.0/8",), ("::/0", "0.0.0.0/0")])),
    st.builds(Predicate, subset=st.lists(SCALARS, max_size=3).map(tuple)),
    st.builds(Predicate, re2=st.sampled_from(["[a-z]*", ".*", "(?:a|b)+", "\\d{1,3}"])),
    st.just(Predicate(any=True)),
)


@given(PREDICATES, VALUES)
def test_a_predicate_answers_for_every_value(predicate: Predicate, value: Any) -> None:
    assert holds(predicate, value) in {True, False}


@given(
    st.dictionaries(st.sampled_from("xyz"), PREDICATES, max_size=3),
    PREDICATES,
    st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3),
)
def test_an_argument_more_in_a_grant_lets_through_only_calls_that_satisfy_it(
    tests: dict[str, Predicate], more: Predicate, args: dict[str, Any]
) -> None:
    link = claims({"t": ToolGrant({**tests, "x": more})})
    if not predicates.allows(link, request(**args)):
        assert holds(more, args["x"]) if "x" in args else more.any
        rest = {name: value for name, value in args.items() if name != "x"}
        without = {name: test for name, test in tests.items() if name != "x"}
        assert not predicates.allows(claims({"t": ToolGrant(without)}), request(**rest))


@given(
    st.dictionaries(st.sampled_from(["t", "*", "u"]), PREDICATES, min_size=1, max_size=3),
    st.sampled_from(["t", "*"]),
    PREDICATES,
    VALUES,
)
def test_one_more_name_for_a_granted_tool_only_narrows(
    given_: dict[str, Predicate], name: str, test: Predicate, value: Any
) -> None:
    if not {"t", "*"} & set(given_):
        return
    tools = {each: ToolGrant({"x": predicate}) for each, predicate in given_.items()}
    wider, narrower = claims(tools), claims({name: ToolGrant({"x": test}), **tools})
    if not predicates.allows(narrower, request(x=value)):
        assert not predicates.allows(wider, request(x=value))


def test_equality_with_what_strict_json_reads() -> None:
    args = json.loads('{"x": 1.0}', parse_float=Decimal)
    assert not holds(Predicate(eq=1), args["x"])
    assert holds(Predicate(range=Range(1, 1)), args["x"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("predicate", "piece"),
    [
        (conditions.host("*.example"), "a."),
        (conditions.host("docs.example"), "https://docs.example/" + "a" * 9),
        (conditions.path_under("/"), "/a"),
        (conditions.path_under("/"), "/.a"),
        (conditions.cidr("10.0.0.0/8"), "1."),
        (conditions.prefix("ab"), "ab"),
        (conditions.subset("ab"), "ab"),
        (conditions.matches("(?:a|b)*a[ab]{100}"), "ab"),
        (conditions.matches("(?:.*a){40}"), "ba"),
    ],
)
def test_the_cost_of_a_value_grows_no_faster_than_the_value(
    predicate: Predicate, piece: str
) -> None:
    def cost(count: int) -> float:
        text = "https://" + piece * count if predicate.host else piece * count
        value: Any = [piece] * count if predicate.subset else text
        best = float("inf")
        for _ in range(5):
            begin = time.process_time()
            for _ in range(20):
                holds(predicate, value)
            best = min(best, time.process_time() - begin)
        return best

    # Sixteen times the value: a quadratic cost would be 256 times as much.
    assert cost(32_000) < 100 * max(cost(2_000), 0.000_5)
