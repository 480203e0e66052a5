"""`bridle.toml` → `Manifest`."""

from __future__ import annotations

import re

from bridle.bundle.bundle import Defaults, Detector, HistoryTerms, Limits, Manifest
from bridle.bundle.parse.table import Findings, Table, labels
from bridle.bundle.parse.toml import Document
from bridle.language.events.ast import DEFAULT_MAX_WINDOW
from bridle.language.remedy_grammar import compiles

FILE = "bridle.toml"
FORMAT = 1
BUILT_IN_DETECTORS = ("email", "phone", "iban", "payment_card", "secret_key", "url", "ip")
"""The detectors every bundle has. The engine implements them under these names."""

UNSEARCHED = "unsearched"
"""What `facts` add for a text too large or too convoluted to search in full. Nobody else's name."""

_DETECTOR = re.compile(r"[a-z][a-z0-9_]{0,63}")
# What the C2SP's tlog-checkpoint recommends; key names allow more.
_ORIGIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/[A-Za-z0-9._~-]+)*")
_MOST_ORIGIN = 200
_MOST_REACH_MS = 366 * 86_400_000
_MAX_BYTES = 64 * 1024 * 1024


def read(document: Document, findings: Findings) -> Manifest:
    """Read the manifest. References (operators, defaults) are checked with the whole bundle."""
    table = Table(document, findings, document.data)
    _check_format(table)
    own = _detectors(table.table("detectors"))
    manifest = Manifest(
        name=table.text("name", required=True),
        version=table.text("version", "0"),
        durability=table.choice("durability", ("strict", "relaxed"), "strict"),
        relaxed_ms=table.integer("relaxed_ms", 50, 1, 10_000),
        operators=table.texts("operators"),
        defaults=_defaults(table.table("defaults")),
        limits=_limits(table.table("limits")),
        detectors=own,
        detected=_detected(table.table("labels"), {*BUILT_IN_DETECTORS, *(d.name for d in own)}),
        require_keys=_oversight(table.table("oversight")),
        origin=_origin(table.table("ledger")),
        history=_history(table.table("history")),
    )
    table.raw("boundaries")  # read with the systems that they are about
    table.close()
    return manifest


def _check_format(table: Table) -> None:
    found = table.integer("format", 0)
    if not table.has("format"):
        table.findings.error(
            table.at(), "missing_key", "`format` is missing here", "begin with `format = 1`"
        )
    elif found != FORMAT:
        table.findings.error(
            table.at("format"),
            "bundle_format",
            f"this bundle has another format; this Bridle reads format {FORMAT}",
            "upgrade Bridle, or write the bundle in format 1",
        )


def _defaults(table: Table) -> Defaults:
    defaults = Defaults(
        mission=table.text("mission"),
        user=table.text("user"),
        agent=table.text("agent"),
        executor=table.text("executor"),
    )
    table.close()
    return defaults


def _limits(table: Table) -> Limits:
    standard = Limits()
    limits = Limits(
        args_bytes=table.integer("args_bytes", standard.args_bytes, 2, _MAX_BYTES),
        result_bytes=table.integer("result_bytes", standard.result_bytes, 2, _MAX_BYTES),
        depth=table.integer("depth", standard.depth, 1, 64),
        string=table.integer("string", standard.string, 1, _MAX_BYTES),
        items=table.integer("items", standard.items, 1, 1_000_000),
        keys=table.integer("keys", standard.keys, 1, 100_000),
        pending_holds=table.integer("pending_holds", standard.pending_holds, 0, 10_000),
        pending_holds_mission=table.integer(
            "pending_holds_mission", standard.pending_holds_mission, 0, 100_000
        ),
        hold_expiry_ms=table.duration("hold_expiry", standard.hold_expiry_ms),
        history_events=table.integer("history_events", standard.history_events, 1, 10_000_000),
        history_matches=table.integer("history_matches", standard.history_matches, 1, 1_000_000),
    )
    table.close()
    return limits


def _history(table: Table) -> HistoryTerms:
    reach = table.duration("max_window", DEFAULT_MAX_WINDOW * 1_000)
    if reach % 1_000 or reach > _MOST_REACH_MS:
        table.bad("max_window", "`max_window` is a number of whole seconds, at most 366d")
    table.close()
    return HistoryTerms(max_window_s=reach // 1_000)


def _oversight(table: Table) -> bool:
    required = table.flag("require_keys")
    table.close()
    return required


def _origin(table: Table) -> str:
    origin = table.text("origin")
    if table.has("origin") and not (_ORIGIN.fullmatch(origin) and len(origin) <= _MOST_ORIGIN):
        table.findings.error(
            table.at("origin"),
            "bad_origin",
            f"{origin[:80]!r} cannot be the name of a log",
            "write a domain and a path, without scheme and spaces: example.com/prod/desk",
        )
    table.close()
    return origin


def _detectors(table: Table) -> tuple[Detector, ...]:
    found = list[Detector]()
    for name in table.data:
        pattern = table.text(name)
        if not _DETECTOR.fullmatch(name) or name in (*BUILT_IN_DETECTORS, UNSEARCHED):
            table.findings.error(
                table.at(name),
                "bad_name",
                f"{name[:40]!r} is no name for a detector of the bundle's own",
                "use lower-case letters, digits and `_`; built-in names are taken",
            )
        elif not pattern or not compiles(pattern):
            table.findings.error(
                table.at(name),
                "bad_pattern",
                f"the pattern of {name} is no re2",
                "look-around and back-references are not available",
            )
        else:
            found.append(Detector(name, pattern))
    table.close()
    return tuple(found)


def _detected(table: Table, known: set[str]) -> dict[str, tuple[str, ...]]:
    """Read `[labels.detected]`: the labels of what each detector finds."""
    inner = table.table("detected")
    table.close()
    found = dict[str, tuple[str, ...]]()
    for name in inner.data:
        if name not in known:
            inner.findings.error(
                inner.at(name),
                "unknown_detector",
                f"there is no detector {name[:80]!r}",
                f"known: {', '.join(sorted(known))}",
            )
        found[name] = labels(inner, name)
    return found
