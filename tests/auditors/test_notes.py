"""Keys, notes, checkpoints and cosignatures: ours opened by others, and theirs by us."""

import base64
import random

import pytest

from auditors.logs import KEY, ORIGIN, OTHER, SEED, SIGNER, secret
from auditors.programs import ABLE, RefusedError
from bridle.ledger import checkpoint, cosignature, note
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.errors import LedgerError
from bridle.ledger.note import COSIGNATURE, Signer

pytestmark = pytest.mark.auditors

OPENING = [name for name, can in ABLE.items() if "open" in can]
CLAIMED = Checkpoint(ORIGIN, 5, bytes(range(32)))
SIGNED = checkpoint.sign(CLAIMED, [SIGNER])
WITNESS = Signer("witness.example/w1", bytes(range(32, 64)), COSIGNATURE)


def with_line(data, signature):
    """The note, and one more signature line under it."""
    found = note.parse(data)
    return note.render(found.text, [*found.signatures, signature])


@pytest.mark.parametrize("name", OPENING)
def test_our_checkpoint_opens(name, asked):
    found = asked[name].ask("open", data=SIGNED, keys=[KEY])
    assert (found["text"], found["signed"]) == (CLAIMED.text, [ORIGIN])


@pytest.mark.parametrize("name", OPENING)
def test_a_witness_line_that_it_does_not_know_does_not_disturb(name, asked):
    data = with_line(SIGNED, cosignature.sign(WITNESS, CLAIMED.text, 1_700_000_000))
    assert asked[name].ask("open", data=data, keys=[KEY])["text"] == CLAIMED.text


@pytest.mark.parametrize("name", OPENING)
def test_while_keys_change_it_opens_with_the_old_key_and_with_the_new_one(name, asked):
    data = checkpoint.sign(CLAIMED, [SIGNER, OTHER])
    for key in (SIGNER.key, OTHER.key):
        assert asked[name].ask("open", data=data, keys=[str(key)])["text"] == CLAIMED.text


@pytest.mark.parametrize("name", OPENING)
def test_a_key_that_has_not_signed_opens_nothing(name, asked):
    with pytest.raises(RefusedError):
        asked[name].ask("open", data=SIGNED, keys=[str(OTHER.key)])


@pytest.mark.parametrize("origin", ["log.example/bridle/1", "x", "a.b/c:d@e", "bücher.example/ä"])
def test_go_makes_keys_that_we_read_and_signs_notes_that_we_verify(origin, asked):
    made = asked["go"].ask("key", name=origin)
    key = note.key(made["key"])
    assert (key.name, str(key)) == (origin, made["key"])
    text = Checkpoint(origin, 7, bytes(32)).text
    data = asked["go"].ask("sign", text=text, secrets=[made["secret"]])["data"]
    read = checkpoint.read(data, [key])
    assert (read.checkpoint.size, read.keys) == (7, (key,))


def test_go_and_we_write_the_same_note_with_the_same_keys(asked):
    secrets = [secret(SIGNER, SEED), secret(OTHER, bytes(32))]
    data = asked["go"].ask("sign", text=CLAIMED.text, secrets=secrets)["data"]
    assert data == checkpoint.sign(CLAIMED, [SIGNER, OTHER])


@pytest.mark.parametrize("text", ["one line\n", "two\n\nafter an empty line\n", "\n\n\nx\n"])
def test_a_note_with_empty_lines_is_the_same_note_for_go(text, asked):
    data = asked["go"].ask("sign", text=text, secrets=[secret(SIGNER, SEED)])["data"]
    found = note.parse(data)
    assert (found.text, note.verify(found, [SIGNER.key])) == (text, (SIGNER.key,))
    assert note.render(text, [SIGNER.sign(text)]) == data


def test_tlog_scales_verifies_our_witness(asked):
    data = with_line(SIGNED, cosignature.sign(WITNESS, CLAIMED.text, 1_700_000_000))
    found = asked["tlog-scales"].ask("open", data=data, keys=[KEY, str(WITNESS.key)])
    assert found["signed"] == [ORIGIN, WITNESS.key.name]


@pytest.mark.parametrize("at", range(12))
def test_a_cosignature_with_a_bit_changed_counts_neither_for_it_nor_for_us(at, asked):
    good = cosignature.sign(WITNESS, CLAIMED.text, 1_700_000_000)
    # The eight bytes of the time, and some of the signature.
    bad = good.payload[:at] + bytes([good.payload[at] ^ 1]) + good.payload[at + 1 :]
    data = with_line(SIGNED, WITNESS.line(bad))
    found = asked["tlog-scales"].ask("open", data=data, keys=[KEY, str(WITNESS.key)])
    assert found["signed"] == [ORIGIN]
    with pytest.raises(LedgerError):
        cosignature.verify(note.parse(data), [WITNESS.key])


def test_a_post_quantum_cosignature_that_it_wrote_is_a_line_that_we_do_not_know(asked):
    made = asked["tlog-scales"].ask(
        "cosign", data=SIGNED, name="witness.example/pq", secrets=[note.encoded(bytes(32))]
    )
    data = SIGNED + made["data"]
    found = asked["tlog-scales"].ask("open", data=data, keys=[KEY, made["key"]])
    assert found["signed"] == [ORIGIN, "witness.example/pq"]
    assert checkpoint.read(data, [SIGNER.key]).checkpoint == CLAIMED
    assert asked["go"].ask("open", data=data, keys=[KEY])["unknown"] == ["witness.example/pq"]


# What is done to a good note -> who does not notice. What none but us refuses is harmless to those
# who missed it only as long as nothing is done with the bytes they did not look at.
TAMPERED = {
    "size": (lambda data: data.replace(b"\n5\n", b"\n6\n"), ()),
    "size with a zero": (lambda data: data.replace(b"\n5\n", b"\n05\n"), ("tlog-scales",)),
    "size with a space": (lambda data: data.replace(b"\n5\n", b"\n 5\n"), ("tlog-scales",)),
    "root": (lambda data: data.replace(b"AAEC", b"BAEC"), ()),
    "origin": (lambda data: data.replace(b"log.example/bridle/1\n", b"log.example/bridle/2\n"), ()),
    "line ends of Windows": (lambda data: data.replace(b"\n", b"\r\n"), ("tlog-scales",)),
    "no end of line": (lambda data: data[:-1], ("tlog-scales",)),
    "an extension": (lambda data: data.replace(b"\n\n", b"\nmore\n\n"), ()),
    "name in the signature line": (
        lambda data: data.replace(b"\xe2\x80\x94 log", b"\xe2\x80\x94 lag"),
        ("sigstore",),
    ),
    "hyphen for the dash": (lambda data: data.replace(b"\xe2\x80\x94", b"-"), ()),
    "base64 of the signature not padded": (lambda data: data.replace(b"=\n", b"\n"), ()),
    "key ID": (lambda data: signed_anew(data, lambda raw: bytes([raw[0] ^ 1]) + raw[1:]), ()),
    "bit in the signature": (
        lambda data: signed_anew(data, lambda raw: raw[:40] + bytes([raw[40] ^ 1]) + raw[41:]),
        (),
    ),
    "signature cut": (lambda data: signed_anew(data, lambda raw: raw[:-1]), ()),
    "signature of another text": (
        lambda data: data.partition(b"\n\n")[0]
        + b"\n\n"
        + checkpoint.sign(Checkpoint(ORIGIN, 6, CLAIMED.root), [SIGNER]).partition(b"\n\n")[2],
        (),
    ),
    "signature taken away": (lambda data: data.partition(b"\n\n")[0] + b"\n\n", ()),
    "not text": (lambda data: b"\xff" + data, ()),
    "nothing": (lambda _: b"", ()),
}  # fmt: skip


def signed_anew(data, change):
    above, _, line = data.rpartition(b" ")
    return above + b" " + base64.b64encode(change(base64.b64decode(line))) + b"\n"


@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_note_is_refused_by_us_and_by_all_but_those_named(how, asked):
    tamper, missed_by = TAMPERED[how]
    data = tamper(SIGNED)
    assert data != SIGNED
    missed = [name for name in OPENING if opens(asked[name], data)]
    assert missed == list(missed_by)


def opens(program, data):
    try:
        program.ask("open", data=data, keys=[KEY])
    except RefusedError:
        return False
    return True


PIECES = (
    "log.example/bridle/1", "5", "AAECAwQF=", "", "", "a b", "\u00a0", "\u2028", "\u0085", "é",
    "e\u0301", "\U0001f600", "\ufeff", "\ufffd", "\x7f", "\t", "\r", "\x00",
    "— log.example/bridle/1 AAAA",
)  # fmt: skip
NAMES = (ORIGIN, "w", "a+b", "a b", "a\u00a0b", "a\u2003b", "\ufeffa", "a\x7f", "é", "", "a\x85")
CHANGES = (
    b"\n",
    b"\n\n",
    b"\r",
    b" ",
    b"\xe2\x80\x94",
    b"\xe2\x80\x94 ",
    b"=",
    b"+",
    b"\xff",
    b"\x00",
    b"A",
    b"",
)


def some_note(chance: random.Random) -> bytes:
    """A note of odd pieces, signed for what it is, and then perhaps cut or changed."""
    text = "\n".join(chance.choices(PIECES, k=chance.randrange(5))) + "\n" * chance.randrange(3)
    lines = []
    for _ in range(chance.choice((1, 1, 2, 3))):
        name = chance.choice(NAMES) if chance.random() < 0.4 else ORIGIN
        payload = SIGNER.raw(text.encode()) if name == ORIGIN else b"x" * chance.randrange(6)
        lines.append(f"— {name} {note.encoded(SIGNER.key.id + payload)}\n".encode())
    data = text.encode() + b"\n" + b"".join(lines)
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        at = chance.randrange(len(data) + 1)
        data = data[:at] + chance.choice(CHANGES) + data[at + chance.randrange(3) :]
    return data


def opened(program, data):
    try:
        return program.ask("note", data=data, keys=[KEY])["text"]
    except RefusedError:
        return None


@pytest.mark.parametrize("seed", range(8))
def test_a_note_says_the_same_to_go_and_to_us_or_we_refuse_it(seed, asked, count):
    chance = random.Random(seed)
    both = 0
    for _ in range(count(500, 20_000)):
        data = some_note(chance)
        ours, theirs = opened(asked["bridle"], data), opened(asked["go"], data)
        both += ours is not None
        if ours != theirs:
            assert ours is None, data
            assert is_stricter(data), data
    assert both > 20


def is_stricter(data: bytes) -> bool:
    """Whether a note is one that we refuse on purpose: a signature twice, or odd base64."""
    lines = data.decode().rpartition("\n\n")[2].splitlines()
    values = [line.split(" ")[-1] for line in lines]
    canonical = all(note.encoded(base64.b64decode(each)) == each for each in values)
    ours = [line for line in lines if line.startswith(f"— {ORIGIN} ")]
    return len(ours) > 1 or not canonical
