"""What the reference shows of the formats is what the library reads, and lists every code."""

from __future__ import annotations

import re
from pathlib import Path

from bridle.ledger import checkpoint, note, receipt, trustfile
from ledger.worked import AT_FIVE, LOG, LOG_KEY, LOG_LINE, SIGNED, TEXT, WITNESS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "ledger.md").read_text("utf-8")
BLOCKS = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


def block(start: str) -> bytes:
    (found,) = (each for each in BLOCKS if each.startswith(start))
    return found.encode()


def test_the_checkpoint_that_is_shown_verifies() -> None:
    found = checkpoint.read(block("log.example/bridle/1\n"), [note.key(LOG_KEY)])
    assert found.checkpoint == AT_FIVE


def test_the_receipt_that_is_shown_holds() -> None:
    shown = block("c2sp.org/tlog-proof").decode().replace("5\n…\n", "")
    whole = shown.replace("\nlog.example/bridle/1\n", f"\n{TEXT}\n{LOG_LINE}")
    found = receipt.parse(whole.encode())
    assert receipt.verify(found, found.extra, [LOG.key]).checkpoint == AT_FIVE


def test_the_trust_file_that_is_shown_asks_for_both_witnesses() -> None:
    trust = trustfile.parse(block("# ours\n"))
    assert (trust.keys, trust.witnesses[b"w1"]) == ((LOG.key,), WITNESS.key)
    assert trust.satisfied(set(trust.witnesses.values()))
    assert not trust.satisfied({WITNESS.key})
    assert note.verify(note.parse(SIGNED), trust.keys)


def test_every_code_of_the_ledger_is_listed_with_a_way_out() -> None:
    sources = [*(ROOT / "src" / "bridle" / "ledger").glob("*.py")]
    codes = {
        code
        for path in sources
        for code in re.findall(r'code ?= ?"([a-z_]+)"', path.read_text("utf-8"))
    }
    rows = re.findall(
        r"^\| (`.+?) \| (.+?) \| (.+?) \|$", PAGE.partition("## Errors")[2], re.MULTILINE
    )
    listed = {code for codes, _, _ in rows for code in re.findall(r"`([a-z_]+)`", codes)}
    assert {"note_invalid", "quorum_missed", "leaf_invalid"} <= codes
    assert codes == listed
