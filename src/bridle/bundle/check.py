"""`check`: everything that is wrong with a bundle, each finding with its place and a way out."""

from __future__ import annotations

from pathlib import Path

from bridle.bundle import folder
from bridle.bundle.assemble import assemble
from bridle.bundle.bundle import Bundle
from bridle.bundle.parse.table import Findings
from bridle.model.finding import Finding, Location, Severity

_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def check(root: str | Path) -> tuple[Bundle | None, tuple[Finding, ...]]:
    """Read and check the bundle in a folder. Bad content yields findings, never an exception.

    The bundle is None exactly when a finding is an error. Findings are sorted by place.
    """
    findings, path = Findings(), Path(root)
    files = folder.read(path, findings)
    return _checked(files, str(path.absolute()), findings)


def check_files(files: dict[str, str], root: str = "") -> tuple[Bundle | None, tuple[Finding, ...]]:
    """Check a bundle given as the texts of its files, without touching the disk."""
    findings = Findings()
    known = dict[str, str]()
    for name, text in files.items():
        if folder.is_bundle_file(name):
            known[name] = text
        elif folder.is_mistaken(name):
            folder.unread(Location(name), findings)
        elif not name.startswith("schema/"):
            findings.warning(Location(name), "unknown_file", "this is no file of a bundle")
    return _checked(known, root, findings)


def _checked(
    files: dict[str, str], root: str, findings: Findings
) -> tuple[Bundle | None, tuple[Finding, ...]]:
    bundle = assemble(files, root, findings)
    found = sorted(
        dict.fromkeys(findings.found),
        key=lambda f: (f.location.file, f.location.line, f.location.column, _ORDER[f.severity]),
    )
    return (None if findings.broken else bundle), tuple(found)
