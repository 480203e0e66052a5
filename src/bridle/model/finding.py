"""What a check found in a bundle: where, what, how bad, and the way out."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Severity(StrEnum):
    """`error` refuses the bundle; `warning` is likely a mistake; `info` is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Location(Struct, frozen=True, forbid_unknown_fields=True):
    """A place in a bundle: `file` relative to it, `line` and `column` from 1 (0: unknown)."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Finding(Struct, frozen=True, forbid_unknown_fields=True):
    """One result of `bridle check`. `code` is stable (see the reference page on findings)."""

    location: Location
    code: str
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        text = f"{self.location}: {self.severity.value}: {self.message} [{self.code}]"
        return f"{text}\n    {self.hint}" if self.hint else text
