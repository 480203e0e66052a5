"""Trust files: they ask for exactly what they say, or are refused at their line."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger import checkpoint, cosignature, note, trustfile
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.errors import LedgerError
from bridle.ledger.note import COSIGNATURE, Key, Signer
from bridle.ledger.trustfile import Group, Trust
from ledger.worked import (
    AT_FIVE,
    LOG,
    LOG_KEY,
    ORIGIN,
    ROOT,
    SIGNED,
    TEXT,
    TRUST,
    WITNESS,
    WITNESS_KEY,
    WITNESSED,
    code_of,
    mutations,
    outcome,
)

NEW = Signer(ORIGIN, b"n" * 32)
OTHER = Signer("log.example/bridle/2", b"o" * 32)
WITNESSES = {
    name: Signer(f"{name.lower()}.example/w", name.encode() * 16, COSIGNATURE)
    for name in ("X1", "X2", "X3", "Y1", "Y2", "Y3")
}
# The example of the specification, c2sp.org/tlog-policy, with keys filled in.
TWO_LEVELS = "\n".join(
    [
        f"log {LOG_KEY}",
        "",
        *(f"witness {name} {each.key}" for name, each in WITNESSES.items() if name[0] == "X"),
        "group X-witnesses 2 X1 X2 X3",
        "",
        *(f"witness {name} {each.key}" for name, each in WITNESSES.items() if name[0] == "Y"),
        "group Y-witnesses any Y1 Y2 Y3",
        "",
        "group X-and-Y all X-witnesses Y-witnesses",
        "quorum X-and-Y",
        "",
    ]
).encode()


def cosigned(*names: str, text: str = TEXT) -> bytes:
    lines = [cosignature.sign(WITNESSES[name], text, WITNESSED) for name in names]
    return note.render(text, [LOG.sign(text), *lines])


def refusal(text: str | bytes) -> tuple[str, int]:
    """The code, and the line that is blamed (0 for none)."""
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(LedgerError) as caught:
        trustfile.parse(data)
    place = re.match(r"line (\d+) of", str(caught.value))
    return caught.value.code, int(place[1]) if place else 0


def test_the_worked_example_is_trusted() -> None:
    trust = trustfile.parse(TRUST)
    assert trust == Trust((LOG.key,), {b"w1": WITNESS.key}, (), b"w1")
    found = trust.read(SIGNED)
    assert (found.checkpoint, found.keys) == (AT_FIVE, (LOG.key,))
    assert [(each.key, each.time) for each in found.cosigned] == [(WITNESS.key, WITNESSED)]


def test_every_bit_of_a_checkpoint_counts_that_needs_log_and_witness() -> None:
    trust = trustfile.parse(TRUST)
    for at in range(len(SIGNED) * 8):
        changed = bytearray(SIGNED)
        changed[at // 8] ^= 1 << at % 8
        assert code_of(lambda one=bytes(changed): trust.read(one)), at


def test_the_example_of_the_specification_is_read() -> None:
    trust = trustfile.parse(TWO_LEVELS)
    assert trust.keys == (LOG.key,)
    assert list(trust.witnesses) == [b"X1", b"X2", b"X3", b"Y1", b"Y2", b"Y3"]
    assert trust.groups[0] == Group(b"X-witnesses", 2, (b"X1", b"X2", b"X3"))
    assert [each.needed for each in trust.groups] == [2, 1, 2]


@pytest.mark.parametrize(
    ("names", "enough"),
    [
        ("", False),
        ("X1 X2", False),
        ("Y1 Y2 Y3", False),
        ("X1 Y1", False),
        ("X1 X2 Y3", True),
        ("X3 X1 Y2 Y1", True),
        ("X1 X2 X3 Y1 Y2 Y3", True),
    ],
)
def test_a_quorum_of_groups_is_what_it_says(names: str, enough: bool) -> None:
    trust = trustfile.parse(TWO_LEVELS)
    data = cosigned(*names.split())
    assert code_of(lambda: trust.read(data)) == ("" if enough else "quorum_missed")


def test_a_witness_that_cosigns_twice_counts_once() -> None:
    lines = [cosignature.sign(WITNESSES["X1"], TEXT, time) for time in (1, 2)]
    lines.append(cosignature.sign(WITNESSES["Y1"], TEXT, 1))
    data = note.render(TEXT, [LOG.sign(TEXT), *lines])
    assert code_of(lambda: trustfile.parse(TWO_LEVELS).read(data)) == "quorum_missed"


def test_a_wrong_line_of_a_known_witness_refuses_even_a_full_quorum() -> None:
    wrong = WITNESSES["X3"].line(bytes(72))
    data = note.render(
        TEXT,
        [*note.parse(cosigned("X1", "X2", "Y1")).signatures, wrong],
    )
    assert code_of(lambda: trustfile.parse(TWO_LEVELS).read(data)) == "note_unverified"


def test_quorum_none_asks_for_the_log_alone_and_still_reads_witnesses() -> None:
    trust = trustfile.parse(f"log {LOG_KEY}\nwitness w {WITNESS_KEY}\nquorum none\n".encode())
    assert trust.read(cosigned()).cosigned == ()
    assert [each.key for each in trust.read(SIGNED).cosigned] == [WITNESS.key]
    wrong = note.render(TEXT, [LOG.sign(TEXT), WITNESS.line(b"x")])
    assert code_of(lambda: trust.read(wrong)) == "note_unverified"


def test_witnesses_alone_do_not_make_a_checkpoint() -> None:
    data = note.render(TEXT, [cosignature.sign(WITNESS, TEXT, WITNESSED)])
    assert code_of(lambda: trustfile.parse(TRUST).read(data)) == "note_unverified"


def test_any_log_listed_will_do_and_no_other() -> None:
    trust = trustfile.parse(f"log {LOG_KEY}\nlog {OTHER.key}\nquorum none\n".encode())
    theirs = checkpoint.sign(Checkpoint(OTHER.key.name, 5, ROOT), [OTHER])
    assert trust.read(theirs).keys == (OTHER.key,)
    crossed = checkpoint.sign(AT_FIVE, [OTHER])
    assert code_of(lambda: trust.read(crossed)) == "note_unverified"
    new = checkpoint.sign(AT_FIVE, [NEW])
    assert code_of(lambda: trust.read(new)) == "note_unverified"
    assert trust.read(new, learned=[NEW.key]).keys == (NEW.key,)


def test_a_file_without_logs_is_read_and_trusts_only_what_is_learned() -> None:
    trust = trustfile.parse(b"quorum none\n")
    assert trust.keys == ()
    assert code_of(lambda: trust.read(SIGNED)) == "note_unverified"
    assert trust.read(SIGNED, learned=[LOG.key]).checkpoint == AT_FIVE


def test_spaces_tabs_comments_and_urls_are_read_over() -> None:
    text = (
        "# ours\n\n \t \n  # theirs: log x\n"
        f"\tlog  {LOG_KEY}\thttps://log.example/ \n"
        f"witness  w#1\t{WITNESS_KEY}  https://witness.example/w1\n"
        "group g any w#1  \n quorum\tg\n# the end\n"
    )
    assert trustfile.parse(text.encode()).quorum == b"g"


def test_names_are_octets() -> None:
    signers = [Signer("a", bytes([each]) * 32, COSIGNATURE) for each in (1, 2, 3, 4)]
    names = [b"K", "\u212a".encode(), "é".encode(), "e\u0301".encode()]
    lines = [
        b"witness %s %s\n" % (n, str(s.key).encode()) for n, s in zip(names, signers, strict=True)
    ]
    data = b"".join(lines) + b"group g all " + b" ".join(names) + b"\nquorum g\n"
    assert list(trustfile.parse(data).witnesses) == names
    latin = b"witness \xe9\xff %s\nquorum \xe9\xff\n" % str(signers[0].key).encode()
    assert trustfile.parse(latin).quorum == b"\xe9\xff"


W = f"witness w {WITNESS_KEY}\n"
V = f"witness v {WITNESSES['X1'].key}\n"
SAME = Signer("elsewhere.example/w", bytes(range(32, 64)), COSIGNATURE)
BOTH = Signer("witness.example/w1", bytes(range(32)), COSIGNATURE)
REFUSED = {
    "nothing": ("", 1),
    "no quorum": (f"log {LOG_KEY}\n", 1),
    "two quorums": ("quorum none\nquorum none\n", 2),
    "a quorum of nobody": ("quorum\n", 1),
    "a quorum of two": (f"{W}{V}quorum w v\n", 3),
    "a quorum defined later": (f"quorum w\n{W}", 1),
    "a quorum not defined": (f"{W}quorum W\n", 2),
    "a quorum cut short": (f"{W}quorum w", 2),
    "a quorum that would be another if cut": (f"{W}witness wx {WITNESSES['X1'].key}\nquorum wx", 3),
    "CRLF": ("quorum none\r\n", 1),
    "a carriage return in a comment": ("# a\rquorum none\nquorum none\n", 1),
    "NUL": ("quorum none\x00\n", 1),
    "DEL": ("# \x7f\nquorum none\n", 1),
    "a byte order mark": ("\ufeffquorum none\n", 1),
    "a space that is none": ("quorum\u00a0none\n", 1),
    "a form feed": ("quorum\x0cnone\n", 1),
    "another word": ("quorum none\ntrust all\n", 2),
    "another case": ("Quorum none\n", 1),
    "a log without key": ("log\nquorum none\n", 1),
    "a log with two urls": (f"log {LOG_KEY} a b\nquorum none\n", 1),
    "a log by name": (f"log l {LOG_KEY}\nquorum none\n", 1),
    "a key that is none": (f"log {LOG_KEY[:-1]}\nquorum none\n", 1),
    "a witness's key for a log": (f"log {WITNESS_KEY}\nquorum none\n", 1),
    "a log's key for a witness": (f"witness w {LOG_KEY}\nquorum none\n", 1),
    "a type nobody here verifies": (f"log {Key('a', bytes(1312), 6)}\nquorum none\n", 1),
    "a key under which anybody signs": (f"log {Key('a', bytes(32))}\nquorum none\n", 1),
    "a key that is not UTF-8": (b"log \xff%s\nquorum none\n" % LOG_KEY.encode(), 1),
    "a log twice": (f"log {LOG_KEY}\nlog {LOG_KEY}\nquorum none\n", 2),
    "a log's key under another name": (
        f"log {LOG_KEY}\nlog {Key('x', LOG.key.public)}\nquorum none\n", 2),
    "a witness twice": (f"{W}witness v {WITNESS_KEY}\nquorum w\n", 2),
    "a witness's key under another name": (f"{W}witness v {SAME.key}\nquorum w\n", 2),
    "a log that is its own witness": (f"log {LOG_KEY}\nwitness w {BOTH.key}\nquorum w\n", 2),
    "a witness without key": ("witness w\nquorum none\n", 1),
    "a witness with two urls": (f"witness w {WITNESS_KEY} a b\nquorum w\n", 1),
    "a name twice": (f"{W}witness w {WITNESSES['X1'].key}\nquorum w\n", 2),
    "a witness called none": (f"witness none {WITNESS_KEY}\nquorum none\n", 1),
    "a group called none": (f"{W}group none any w\nquorum none\n", 2),
    "a group called like a witness": (f"{W}group w any w\nquorum w\n", 2),
    "a group called like a group": (f"{W}{V}group g any w\ngroup g any v\nquorum g\n", 4),
    "a group without members": (f"{W}group g any\nquorum w\n", 2),
    "a group of all of nobody": (f"{W}group g all\nquorum w\n", 2),
    "a group without a number": (f"{W}{V}group g w v\nquorum w\n", 3),
    "a group of itself": (f"{W}group g any w g\nquorum g\n", 2),
    "a group of groups to come": (f"{W}group g any h\ngroup h any w\nquorum g\n", 2),
    "a group of none": (f"{W}group g any none\nquorum g\n", 2),
    "a member twice": (f"{W}group g 2 w w\nquorum g\n", 2),
    "a member of two groups": (f"{W}group g any w\ngroup h any w\nquorum h\n", 3),
    "a group in two groups": (
        f"{W}group g any w\ngroup h any g\ngroup i any g\nquorum h\n", 4),
    **{
        f"{each!a} of two": (f"{W}{V}group g {each} w v\nquorum g\n", 3)
        for each in (
            "0", "3", "-1", "+1", "01", "1_0", "1.0", "0x1", "1\u0662", "\u0662", "\u00b2",
            "ANY", "9" * 5_000,
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_trust_file_is_refused_at_its_line(name: str) -> None:
    text, line = REFUSED[name]
    assert refusal(text) == ("trust_invalid", line)


def test_a_file_too_long_is_refused() -> None:
    assert refusal(b"#" * (1 << 20) + b"\n") == ("trust_invalid", 0)
    assert refusal(b"\n" * (1 << 20)) == ("trust_invalid", 1 << 20)
    lines = "".join(f"group g{n} any g{n - 1}\n" for n in range(1, 5_000))
    assert refusal(f"witness g0 {WITNESS_KEY}\n{lines}quorum g4999\n") == ("trust_invalid", 4_097)


def test_groups_within_groups_go_as_deep_as_they_are_written() -> None:
    lines = "".join(f"group g{n} all g{n - 1}\n" for n in range(1, 4_000))
    trust = trustfile.parse(
        f"log {LOG_KEY}\nwitness g0 {WITNESS_KEY}\n{lines}quorum g3999\n".encode()
    )
    assert trust.read(SIGNED).checkpoint == AT_FIVE
    assert code_of(lambda: trust.read(cosigned())) == "quorum_missed"


def test_64_logs_witnesses_and_groups_are_supported() -> None:
    logs = "".join(f"log {Signer(f'l{n}', bytes([n]) * 32).key}\n" for n in range(64))
    seeds = [Signer(f"w{n}", bytes([n, 255]) * 16, COSIGNATURE) for n in range(64)]
    witnesses = "".join(f"witness w{n} {each.key}\n" for n, each in enumerate(seeds))
    groups = "".join(f"group g{n} any w{n}\n" for n in range(64))
    members = " ".join(f"g{n}" for n in range(64))
    text = f"{logs}{witnesses}{groups}group most 33 {members}\nquorum most\n"
    trust = trustfile.parse(text.encode())
    assert trust.satisfied({each.key for each in seeds[:33]})
    assert not trust.satisfied({each.key for each in seeds[:32]})


def test_what_is_rendered_is_read_back() -> None:
    data = trustfile.render([LOG.key, NEW.key])
    assert data == f"log {LOG_KEY}\nlog {NEW.key}\nquorum none\n".encode()
    assert trustfile.parse(data) == Trust((LOG.key, NEW.key), {}, (), None)
    assert trustfile.render([]) == b"quorum none\n"


@pytest.mark.parametrize(
    "keys", [[LOG.key, LOG.key], [WITNESS.key], [Key("a", bytes(32))], [Key("a b", LOG.key.public)]]
)
def test_keys_that_would_not_read_back_are_not_rendered(keys: list[Key]) -> None:
    assert code_of(lambda: trustfile.render(keys)) == "trust_invalid"


def written(trust: Trust) -> bytes:
    """The plainest file that says the same."""
    lines = [f"log {each}".encode() for each in trust.keys]
    lines += [b"witness %s %s" % (n, str(k).encode()) for n, k in trust.witnesses.items()]
    lines += [
        b"group %s %d %s" % (each.name, each.needed, b" ".join(each.members))
        for each in trust.groups
    ]
    return b"\n".join([*lines, b"quorum " + (trust.quorum or b"none"), b""])


@given(data=st.one_of(mutations(TWO_LEVELS), mutations(TRUST), st.binary(max_size=200)))
def test_any_bytes_are_refused_or_a_trust_file_that_says_the_same_when_written_plainly(
    data: bytes,
) -> None:
    code, trust = outcome(lambda: trustfile.parse(data))
    assert code in {"", "trust_invalid"}
    if not code:
        assert trustfile.parse(written(trust)) == trust
        assert trust.satisfied(set(trust.witnesses.values()))
        assert trust.satisfied(set()) == (trust.quorum is None)


@given(data=mutations(SIGNED))
def test_no_changed_checkpoint_is_trusted_for_anything_else(data: bytes) -> None:
    code, found = outcome(lambda: trustfile.parse(TRUST).read(data))
    assert code or (found.checkpoint, found.keys) == (AT_FIVE, (LOG.key,))


def test_every_truncation_of_a_file_asks_for_as_much_or_is_refused() -> None:
    whole = trustfile.parse(TWO_LEVELS)
    for end in range(len(TWO_LEVELS)):
        code, found = outcome(lambda to=end: trustfile.parse(TWO_LEVELS[:to]))
        assert code == "trust_invalid" or found == whole, end
