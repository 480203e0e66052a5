"""Findings about one file, gathered: a place in the text, what is wrong there, the way out."""

from __future__ import annotations

from bridle.language.lexer import Source
from bridle.language.temporal.ast import Span
from bridle.model.finding import Finding, Severity

MAX_FINDINGS = 50
"""After so many about one condition the rest is not told."""


class Findings:
    """Gathers; the same finding is told once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._found = dict[Finding, None]()

    @property
    def found(self) -> list[Finding]:
        """In the order they were made."""
        return list(self._found)

    def add(
        self,
        span: Span,
        code: str,
        message: str,
        hint: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Note a finding at the beginning of `span`."""
        if len(self._found) < MAX_FINDINGS:
            place = self._source.at(span.start)
            self._found[Finding(place, code, message, hint, severity)] = None
