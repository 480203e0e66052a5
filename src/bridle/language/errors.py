"""Failures of the language, as one exception that carries its finding."""

from __future__ import annotations

from bridle.model.errors import BridleError
from bridle.model.finding import Finding, Location, Severity


class LanguageError(BridleError):
    """Text that is not what it should be. `finding` says where, what and the way out."""

    code = "policy_syntax"

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message, code=finding.code, hint=finding.hint)
        self.finding = finding


def fault(
    location: Location,
    code: str,
    message: str,
    hint: str = "",
    severity: Severity = Severity.ERROR,
) -> LanguageError:
    """Return (not raise) the error for a finding at `location`."""
    return LanguageError(Finding(location, code, message, hint, severity))
