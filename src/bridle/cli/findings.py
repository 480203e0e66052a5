"""How findings are shown: by file, with place, code and way out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bridle.cli import terminal
from bridle.model.finding import Finding, Severity

_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def row(finding: Finding) -> dict[str, Any]:
    """Return a finding as one flat object."""
    return {
        "file": finding.location.file,
        "line": finding.location.line,
        "column": finding.location.column,
        "severity": finding.severity.value,
        "code": finding.code,
        "message": finding.message,
        "hint": finding.hint,
    }


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """Count findings by severity."""
    severities = [finding.severity for finding in findings]
    return {f"{each.value}s": severities.count(each) for each in Severity if each != "info"}


def show(findings: Iterable[Finding]) -> None:
    """Print findings, the worst first, then by place."""
    for finding in sorted(findings, key=_rank):
        severity = terminal.styled(finding.severity.value, finding.severity.value, bold=True)
        # On one line each: a file's name must not be able to look like findings of its own.
        place = terminal.styled(terminal.visible(str(finding.location)), bold=True)
        code = terminal.styled(f"[{finding.code}]", dim=True)
        terminal.line(f"{place}: {severity}: {terminal.visible(finding.message)} {code}")
        for text in finding.hint.splitlines():
            terminal.line(f"    {terminal.styled(text, dim=True)}")


def _rank(finding: Finding) -> tuple[int, str, int, int]:
    place = finding.location
    return _ORDER[finding.severity], place.file, place.line, place.column
