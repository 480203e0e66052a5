"""Every parser of trust gets hostile bytes: a `GrantError` or a reading, and bounded work.

Inputs are drawn from valid ones (cut, doubled, respelt, and signed again by whoever has the key)
and from noise. Work is counted in CPU time of this process, beside that of a valid chain of depth 8
that nothing is known of yet; what is slow once is timed again, for the machine may be busy.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from time import process_time_ns

import msgspec
import pytest

from bridle.model.call import Proof
from bridle.trust import NOTHING_REVOKED, context, holder
from bridle.trust.grants import bounds, chain, jws
from bridle.trust.grants.claims import DETAIL_TYPE, Detail, Predicate, Range, ToolGrant
from bridle.trust.grants.codes import GrantError
from bridle.trust.grants.matching import matchers, readings
from bridle.trust.grants.roots import Roots
from bridle.trust.grants.verify import Verifier
from bridle.trust.holder import Statement
from bridle.trust.status import StatusList, read, sign
from trust.forging import GOVERNOR, HOUR, MISSION, NOW, Line, details, judged, public, request

MOST = 5
"""How many times the cold verification of a valid chain of depth 8 an input may cost."""

SAID = details(
    web_get={
        "url": Predicate(prefix="https://docs.example/"),
        "host": Predicate(host=("*.example", "a.example")),
        "ip": Predicate(cidr=("10.0.0.0/8",)),
        "n": Predicate(range=Range(0, "5.5")),
        "q": Predicate(re2="[a-z ]*"),
        "tags": Predicate(subset=("a", 1, True)),
        "rest": Predicate(any=True),
    }
)
ASKED = request(
    task="t", url="https://docs.example/a", host="http://b.example/", ip="10.1.2.3", rest="x", n=1,
    q="b", tags=["a"],
)  # fmt: skip
LINE = Line(*[SAID[:1]] * 9, task="t", budgets={"calls": "5"}, labels=("in",))
STATUS = StatusList(
    version=3, iat=NOW, exp=NOW + 300, iss=GOVERNOR,
    revoked_at={f"grant:{'ab' * 32}": NOW * 1_000, "agent:b": NOW * 1_000},
)  # fmt: skip
STATUS_TEXT = sign(STATUS, LINE.grant_key)
STATEMENT = Statement(instance="i" * 64, grant="g" * 64, op="decide", tool="web.get")
PROOF = holder.sign(LINE.keys[0], STATEMENT, NOW * 1_000, "ab" * 16)
REFERENCE = context.format(context.Reference(MISSION, "ticket 7, ü", "ab" * 32))
HEADERS = {
    "Bridle-Context": REFERENCE,
    "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01",
    "tracestate": "a=1,b@c=2",
}
PIECES = [
    "", ".", "..", "=", "\n", "\0", '"', "\\u0000", "\ud800", "é", "{", "}", "[", "]", ",", ":",
    "null", "true",
    "-1", "1e9", "1.0", "NaN", "9" * 40, "0" * 64, "*", ".*", "ed25519:", "%41", ";", "v1", "task=",
    "[" * 200, '{"a":' * 50, "A" * 300, '"eq":1,', '"any":true', '"re2":"("', '"cidr":["::/0"]',
]  # fmt: skip


class Fuzz:
    """Draws inputs. The same seed draws the same."""

    def __init__(self, seed: str) -> None:
        self.drawn = random.Random(seed)
        self.payload = jws.split(LINE.texts[0]).payload.decode()
        self.status = jws.split(STATUS_TEXT, jws.STATUS_HEADER).payload.decode()

    def text(self, base: str) -> str:
        """`base` with one to three changes."""
        for _ in range(self.drawn.randint(1, 3)):
            base = self._changed(base)
        return base

    def _changed(self, base: str) -> str:
        pick = self.drawn
        at, to = sorted(pick.randrange(len(base) + 1) for _ in range(2))
        to = pick.choice([to, at, at + 1, at + 4])
        put = pick.choice(
            [pick.choice(PIECES), chr(pick.randrange(128)), base[at:to], pick.choice("-_AQgw09")]
        )
        return base[:at] + put[:2_000] + base[to:]

    def noise(self) -> str:
        """Text of any kind."""
        pick = self.drawn
        if pick.random() < 0.5:
            return "".join(pick.choices(PIECES, k=pick.randint(0, 12)))
        return pick.randbytes(pick.randint(0, 400)).decode("latin-1")

    def either(self, base: str) -> str:
        """`base` changed, or noise."""
        return self.text(base) if self.drawn.random() < 0.9 else self.noise()

    def links(self) -> list[str]:
        """The chain with some of its links changed, moved, doubled or dropped."""
        pick, texts = self.drawn, list(LINE.texts)
        for _ in range(pick.randint(1, 2)):
            at = pick.randrange(len(texts)) if texts else 0
            change = pick.randrange(4)
            if change == 0 or not texts:
                texts.insert(at, pick.choice([self.noise(), *LINE.texts]))
            elif change == 1:
                del texts[at]
            else:
                texts[at] = self.either(texts[at])
        return texts

    def signed(self, payload: str, header: str = jws.HEADER) -> str:
        """A payload signed as the governor signs: what lies behind the signature is reached."""
        raw = payload.encode("utf-8", "surrogatepass")
        return jws.sign(raw, LINE.grant_key, header)

    def proof(self) -> Proof:
        """A proof of which one part is another."""
        part = self.drawn.choice(["time", "nonce", "signature"])
        values = {"time": PROOF.time, "nonce": PROOF.nonce, "signature": PROOF.signature}
        if part == "time":
            values[part] = self.drawn.choice([-1, 0, 2**63, 10**30, PROOF.time + 1])
        else:
            values[part] = self.either(str(values[part]))
        return Proof(**values)


def forget() -> None:
    """Nothing that was compiled for an earlier input is there for the next."""
    matchers.pattern.cache_clear()
    readings.network_of.cache_clear()


def cold(texts: list[str], roots: Roots = LINE.roots) -> None:
    """Verify as one who has seen nothing, then ask."""
    verifier = Verifier(roots)
    verifier.admit(verifier.chain(texts, NOW), ASKED, NOTHING_REVOKED, NOW)


def drawn(fuzz: Fuzz) -> dict[str, Callable[[], Callable[[], object]]]:
    """By parser: what draws an input and returns the reading of it."""

    def of(read: Callable[[str], object], make: Callable[[], str]) -> Callable[[], object]:
        given = make()
        return lambda: read(given)

    def splitting(text: str) -> object:
        return jws.split(text)

    def reading(text: str) -> object:
        return chain.read([text])

    def status(text: str) -> object:
        return read(text, LINE.roots, NOW)

    def carried() -> Callable[[], object]:
        headers = {fuzz.either(name): fuzz.either(text) for name, text in HEADERS.items()}
        kept = {name: fuzz.either(text) for name, text in HEADERS.items()}
        return lambda: (context.extract(headers), context.extract(kept))

    def proven() -> Callable[[], object]:
        proof, raw = fuzz.proof(), fuzz.drawn.randbytes(32)
        key = fuzz.drawn.choice([LINE.keys[0].public_key().public_bytes_raw(), raw])
        return lambda: holder.check(key, STATEMENT, proof, NOW * 1_000)

    def chained() -> Callable[[], object]:
        texts = fuzz.links()
        return lambda: cold(texts)

    def resigned() -> Callable[[], object]:
        texts = [fuzz.signed(fuzz.either(fuzz.payload))]
        return lambda: cold(texts)

    return {
        "split": lambda: of(splitting, lambda: fuzz.either(LINE.texts[0])),
        "read": lambda: of(reading, lambda: fuzz.signed(fuzz.either(fuzz.payload))),
        "verify": chained,
        "verify, signed": resigned,
        "context": lambda: of(context.parse, lambda: fuzz.either(REFERENCE)),
        "headers": carried,
        "status": lambda: of(status, lambda: fuzz.either(STATUS_TEXT)),
        "status, signed": lambda: of(
            status, lambda: fuzz.signed(fuzz.either(fuzz.status), jws.STATUS_HEADER)
        ),
        "proof": proven,
    }


def spent(work: Callable[[], object]) -> tuple[int, str]:
    """CPU nanoseconds of this process, and the code of the refusal (empty: none)."""
    forget()
    before = process_time_ns()
    try:
        work()
    except GrantError as refused:
        return process_time_ns() - before, refused.code
    return process_time_ns() - before, ""


def least(work: Callable[[], object], times: int = 7) -> int:
    """The least of several: what the work takes where nothing else is in the way."""
    return min(spent(work)[0] for _ in range(times))


def test_the_valid_inputs_are_read() -> None:
    """What is changed above is good before it is changed."""
    cold(LINE.texts)
    assert read(STATUS_TEXT, LINE.roots, NOW) == STATUS
    assert context.parse(REFERENCE).task == "ticket 7, ü"
    assert context.extract(HEADERS).tracestate == "a=1,b@c=2"
    holder.check(LINE.keys[0].public_key().public_bytes_raw(), STATEMENT, PROOF, NOW * 1_000)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_no_input_raises_anything_else_or_costs_more(
    count: Callable[[int, int], int], pytestconfig: pytest.Config
) -> None:
    seed = pytestconfig.getoption("--seed") or random.SystemRandom().randrange(2**32)
    drawing = drawn(Fuzz(str(seed)))
    bound = MOST * least(lambda: cold(LINE.texts), 50)
    codes: dict[str, Counter[str]] = {name: Counter() for name in drawing}
    for _ in range(count(25_000, 225_000) // len(drawing)):
        for name, draw in drawing.items():
            work = draw()
            taken, code = spent(work)
            codes[name][code] += 1
            if taken > bound:
                assert least(work) <= bound, f"{name} is slow, seed {seed}: {work.__closure__}"
    for name, seen in codes.items():
        assert sum(seen.values()) - seen[""] > 100, f"{name}, seed {seed}: {seen}"
    # Past the signature, too: what is malformed, and what is well-formed and allows nothing.
    assert {"link_malformed", "not_granted"} <= set(codes["verify, signed"])


# --- made to cost, and signed by those who may ---------------------------------------------------


def filled(make: Callable[[int], dict[str, ToolGrant]], links: int) -> Line:
    """A chain of links each as large as may be, by what `make` makes of a number."""
    room = min(chain.MAX_LINK_BYTES, chain.MAX_CHAIN_BYTES // links) * 3 // 4 - 700
    size = bisect_right(range(1, 20_000), room, key=lambda n: len(msgspec.json.encode(make(n))))
    return Line(*[(Detail(DETAIL_TYPE, make(size)),)] * links)


def _one(test: Predicate) -> dict[str, ToolGrant]:
    return {"web.get": ToolGrant({"url": test})}


def _many(count: int) -> dict[str, ToolGrant]:
    """As many predicates, hosts and networks as may be, of the kinds that are slow to read."""
    slow = {
        "url": Predicate(any=True),
        "ip": Predicate(cidr=tuple(f"{at + 1:x}::/16" for at in range(bounds.MOST_NETWORKS))),
        "host": Predicate(host=tuple(f"h{at}.example" for at in range(bounds.MOST_HOSTS))),
    }
    left = min(count, bounds.MOST_PREDICATES - len(slow))
    more = {
        f"t{at}": ToolGrant({f"a{n}": Predicate(eq=n) for n in range(min(left - at, 64))})
        for at in range(0, left, 64)
    }
    return {"web.get": ToolGrant(slow)} | more


def _patterned(pattern: str) -> Callable[[int], dict[str, ToolGrant]]:
    return lambda _: {
        "web.get": ToolGrant({"url": Predicate(re2=pattern), "q": Predicate(re2=f"{pattern}|x")})
    }


LONG = "ab" * (matchers.LONGEST_MATCHED // 2)
COSTLY: dict[str, tuple[Callable[[int], dict[str, ToolGrant]], int, object]] = {
    "values": (lambda n: _one(Predicate(in_=tuple(range(n)))), 4, 1),
    "values in arrays": (lambda n: _one(Predicate(subset=tuple(range(n)))), 4, [0] * 2_000),
    "texts": (lambda n: _one(Predicate(in_=tuple(f"{at}" for at in range(n)))), 4, "x"),
    "a long prefix": (lambda n: _one(Predicate(prefix="a" * n)), 4, "a" * 20_000),
    "a long path": (lambda n: _one(Predicate(path_under="/a" * n)), 4, "/a" * 10_000),
    "a long decimal": (lambda n: _one(Predicate(range=Range("0.000000001"))), 9, 10**3_000),
    "predicates, hosts, networks": (_many, 9, "http://x.example/"),
    "tools": (lambda n: {f"t{at}": ToolGrant() for at in range(min(n, 256))}, 4, "x"),
    "a pattern that repeats what repeats": (_patterned("(a?b?){1,12}[ab]*"), 8, LONG),
    "a pattern that looks far ahead": (_patterned("(a|b)*a(a|b){9}[ab]*"), 8, LONG),
    "a pattern of many characters": (_patterned("[a-c]{300}.*"), 8, LONG),
    "a pattern that could split anywhere": (_patterned("(.*)(.*)(.*)(.*)"), 8, LONG),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COSTLY)
def test_predicate_denial_of_service_no_chain_and_no_argument_costs_more(name: str) -> None:
    make, links, value = COSTLY[name]
    line = filled(make, links)
    asked = request(url=value, q=value) if "pattern" in name else request(url=value)

    def work() -> None:
        verifier = Verifier(line.roots)
        verifier.admit(verifier.chain(line.texts, NOW), asked, NOTHING_REVOKED, NOW)

    assert judged(line.verifier(), line.texts, asked)[0] in {"", "not_granted"}
    assert least(work) <= MOST * least(lambda: cold(LINE.texts), 50)


BOMBS = {
    "10,000 links": ["a.b.c"] * 10_000,
    "a link of a megabyte": ["A" * 2**20],
    "headers, and noise as large as may be": [
        f"{jws.encode(jws.HEADER.encode())}.{'A' * 15_000}.{'A' * 86}"
    ] * 4,
    "dots": ["." * chain.MAX_LINK_BYTES] * 4,
    "brackets": [jws.sign(b"[" * 12_000, LINE.grant_key)],
    "objects": [jws.sign(b'{"cnf":' * 1_700, LINE.grant_key)],
    "one claim many times": [jws.sign(b"{" + b'"task":"x",' * 1_000, LINE.grant_key)],
    "digits": [jws.sign(b'{"jti":' + b"9" * 12_000 + b"}", LINE.grant_key)],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_depth_and_size_bombs_are_refused_for_little(name: str) -> None:
    crowded = Roots([*(public(each) for each in LINE.keys[:7]), *(k.key for k in LINE.roots.keys)])
    texts = BOMBS[name]
    code = spent(lambda: cold(texts, crowded))[1]
    assert code[:6] in {"chain_", "header", "link_m", "root_u"}
    assert least(lambda: _refused(texts, crowded)) <= 2 * least(lambda: cold(LINE.texts), 50)


def _refused(texts: list[str], roots: Roots) -> None:
    with pytest.raises(GrantError):
        cold(texts, roots)


def test_the_chain_that_costs_are_measured_by_is_one_of_depth_8() -> None:
    assert len(LINE.texts) == 9
    assert chain.read(LINE.texts).leaf.claims.exp == NOW + HOUR
