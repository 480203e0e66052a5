"""Prints what verification found: flaws, what was verified with which key, what could not be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bridle.audit import hints
from bridle.audit.exports.reading import Verified as VerifiedExport
from bridle.audit.receipts import Proved
from bridle.audit.stores import Verified
from bridle.audit.word import Word
from bridle.cli import terminal
from bridle.ledger.checkpoint import Signed
from bridle.ledger.verify import Flaw, Report

_SHOWN = 40


def document(found: Report, folder: Path) -> dict[str, object]:
    """Return the report on a log as the object that --json prints."""
    return {
        "ok": found.ok,
        "store": str(folder),
        "size": found.size,
        "root": found.root,
        "anchored": found.anchored,
        "kinds": found.kinds,
        "chains": len(found.chains),
        "payloads": found.payloads,
        "flaws": found.flaws,
        "findings": found.findings,
    }


def store_document(found: Verified, folder: Path) -> dict[str, object]:
    """Return what --json prints of a store."""
    return {
        **document(found.report, folder),
        **_signed(found.word),
        "unsigned": found.unsigned,
        "rows": found.rows,
        "unverified": found.unverified,
        "hints": hints.of(found.report.findings),
    }


def export_document(found: VerifiedExport, folder: Path) -> dict[str, object]:
    """Return what --json prints of an export."""
    whole = document(found.report, folder)
    del whole["store"]
    return {
        **whole,
        "export": str(folder),
        **_signed(found.word),
        "opened": found.opened,
        "files": found.files,
        "unverified": found.unverified,
        "hints": hints.of(found.report.findings),
    }


def receipt_document(found: Proved) -> dict[str, object]:
    """Return what --json prints of a receipt that holds."""
    return {
        "ok": True,
        "index": found.index,
        "hash": found.hash,
        **checkpoint(found.signed),
        "record": msgspec.to_builtins(found.record),
    }


def checkpoint(signed: Signed) -> dict[str, object]:
    """Return a checkpoint that holds, and who of the believed keys signed it."""
    said = signed.checkpoint
    return {
        "origin": said.origin,
        "size": said.size,
        "root": said.root.hex(),
        "keys": list(map(str, signed.keys)),
    }


def _signed(word: Word) -> dict[str, object]:
    return {
        "origin": word.origin,
        "trusted": word.trusted,
        "checkpoint": word.newest,
        "checkpoints": word.checked,
        "witnessed": word.witnessed if word.witnessed >= 0 else None,
        "keys": word.keys,
    }


def store(found: Verified, folder: Path) -> None:
    """Print what was found in a store."""
    flaws(found.report.findings, found.report.flaws)
    rows = "not compared: the key is not there" if found.rows is None else found.rows
    terminal.pairs(
        {"store": folder, **_log(found.report), **_word(found.word, found.unsigned), "rows": rows}
    )
    _end(found.report, found.unverified, "the ledger", found.word, found.unsigned)


def export(found: VerifiedExport, folder: Path) -> None:
    """Print what was found in an export."""
    flaws(found.report.findings, found.report.flaws)
    terminal.pairs(
        {"export": folder, "files": found.files, **_log(found.report), **_word(found.word, 0)}
    )
    _end(found.report, found.unverified, "the export", found.word)


def receipt(found: Proved) -> None:
    """Print a record that is proved."""
    record = found.record
    terminal.pairs(
        {
            "record": found.index,
            "hash": found.hash,
            "kind": record.kind.value,
            "chain": f"{record.chain}, {record.seq}",
            "time": terminal.time(record.time),
            **{f"  {name}": value for name, value in record.ids.items()},
            "body": msgspec.json.encode(record.body).decode(),
            "commits to": list(record.commit),
            **_covered(found.signed),
        }
    )
    terminal.line(terminal.styled("✓ the record is in the log", "ok", bold=True))


def growth(old: Signed, new: Signed) -> None:
    """Print that a log has only grown."""
    terminal.pairs({"kept": old.checkpoint.size, **_covered(new)})
    terminal.line(terminal.styled("✓ the log has only grown since", "ok", bold=True))


def failed(flaw: Flaw, what: str) -> None:
    """Print why a receipt or a proof does not hold."""
    flaws([flaw], 1)
    terminal.line(terminal.styled(f"✗ {what} does not verify", "error", bold=True))


def flaws(found: Sequence[Flaw], count: int) -> None:
    """Print flaws, the first of them, and for each kind of flaw what can be done."""
    for flaw in found[:_SHOWN]:
        where = f"leaf {flaw.index}" if flaw.index >= 0 else "log"
        code = terminal.styled(f"[{flaw.code}]", dim=True)
        terminal.line(f"{where}: {terminal.visible(flaw.message)} {code}")
    if count > _SHOWN:
        terminal.line(f"… and {count - _SHOWN} more; --json lists a thousand")
    for text, codes in _by_hint(hints.of(found)).items():
        terminal.line(f"  {', '.join(codes)}: {text}")


def _by_hint(found: Mapping[str, str]) -> dict[str, list[str]]:
    codes: dict[str, list[str]] = {}
    for code, text in found.items():
        codes.setdefault(text, []).append(code)
    return codes


def _log(found: Report) -> dict[str, Any]:
    return {
        "records": found.size,
        "chains": len(found.chains),
        "root": found.root,
        "kinds": dict(sorted(found.kinds.items())),
        "sealed": {
            "opened": found.payloads.opened,
            "erased": found.payloads.erased,
            "not opened": found.payloads.unopened,
        },
    }


def _word(word: Word, unsigned: int) -> dict[str, Any]:
    if word.newest is None:
        return {"signed": "nothing"}
    later = f", {terminal.counted(unsigned, 'record')} since" if unsigned else ""
    told: dict[str, Any] = {
        "log": word.origin,
        "signed": f"{terminal.counted(word.newest.size, 'record')}{later}",
        "signed by": word.newest.keys,
        "checkpoints": word.checked,
    }
    if word.witnessed >= 0:
        told["witnessed"] = terminal.counted(word.witnessed, "record")
    return told


def _covered(signed: Signed) -> dict[str, Any]:
    return {
        "log": signed.checkpoint.origin,
        "signed": terminal.counted(signed.checkpoint.size, "record"),
        "signed by": list(map(str, signed.keys)),
    }


def _end(
    found: Report, unverified: Iterable[str], what: str, word: Word, unsigned: int = 0
) -> None:
    for each in unverified:
        terminal.line(f"not verified: {terminal.visible(each)}")
    if not found.ok:
        count = terminal.counted(found.flaws, "flaw")
        text = terminal.styled(f"✗ {what} does not verify: {count}", "error", bold=True)
    else:
        by = " with your key" if word.trusted else ""
        yet = f", but {terminal.counted(unsigned, 'record')} that nobody has signed yet"
        but = yet if unsigned else ""
        text = terminal.styled(f"✓ {what} verifies{by}{but}", "ok", bold=True)
    terminal.line(text)
