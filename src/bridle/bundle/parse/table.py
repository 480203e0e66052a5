"""A TOML table read key by key: typed, closed, and with a finding at the place of every mistake.

A mistake yields a finding and the default, so that one run reports all of them. Nothing read here
is used when an error was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from bridle.bundle.parse.toml import Document, KeyPath
from bridle.language.plain import is_object
from bridle.model.finding import Finding, Location, Severity

IDENTIFIER = re.compile(r"[A-Za-z0-9_.@+-]{1,128}")
"""Names of users, agents, systems, …: they are written in policies, holds and on command lines."""

_LABEL = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_MAX_INTEGER = 2**53 - 1


class Findings:
    """Where findings are collected while a bundle is read."""

    def __init__(self) -> None:
        self.found: list[Finding] = []

    def error(self, at: Location, code: str, message: str, hint: str = "") -> None:
        """Report what makes the bundle unusable."""
        self.found.append(Finding(at, code, message, hint))

    def warning(self, at: Location, code: str, message: str, hint: str = "") -> None:
        """Report what is likely a mistake."""
        self.found.append(Finding(at, code, message, hint, Severity.WARNING))

    def info(self, at: Location, code: str, message: str, hint: str = "") -> None:
        """Report what is worth knowing."""
        self.found.append(Finding(at, code, message, hint, Severity.INFO))

    @property
    def broken(self) -> bool:
        """Whether there is an error among them."""
        return any(f.severity is Severity.ERROR for f in self.found)


class Table:
    """One table of a document. Keys that were never asked for are reported by `close`."""

    def __init__(
        self, document: Document, findings: Findings, data: Mapping[str, Any], path: KeyPath = ()
    ) -> None:
        self.document, self.findings, self.data, self.path = document, findings, data, path
        self._asked: set[str] = set()

    def at(self, *keys: str | int) -> Location:
        """Return the place of a key below this table."""
        return self.document.at((*self.path, *keys))

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self.data

    def raw(self, key: str) -> Any:
        """Return the value as TOML gave it, None when absent."""
        self._asked.add(key)
        return self.data.get(key)

    def text(self, key: str, default: str = "", *, required: bool = False) -> str:
        """Read a string."""
        value = self._typed(key, str, "a string", required=required)
        return default if value is None else str(value)

    def choice(self, key: str, values: tuple[str, ...], default: str = "") -> str:
        """Read one of a few words; required when there is no default."""
        value = self.text(key, default, required=not default)
        if value not in values and isinstance(self.data.get(key), str):
            self.bad(key, f"`{key}` is one of {', '.join(values)}")
            return default or values[0]
        return value or values[0]

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Read true or false."""
        value = self._typed(key, bool, "true or false")
        return default if value is None else bool(value)

    def integer(self, key: str, default: int, low: int = 0, high: int = _MAX_INTEGER) -> int:
        """Read an integer within `low..high`."""
        value = self._typed(key, int, "an integer")
        if value is None:
            return default
        if not low <= value <= high:
            self.bad(key, f"`{key}` lies between {low} and {high}")
            return default
        return int(value)

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Read an array of distinct strings."""
        value = self._typed(key, list, "an array of strings")
        if value is None:
            return default
        found = list[str]()
        for index, item in enumerate(value):
            if not isinstance(item, str):
                self.findings.error(
                    self.at(key, index), "wrong_type", f"`{key}` is an array of strings"
                )
            elif item in found:
                self.findings.error(
                    self.at(key, index), "bad_value", f"`{key}` names {item!r} twice"
                )
            else:
                found.append(item)
        return tuple(found)

    def duration(self, key: str, default: int, low: int = 1) -> int:
        """Read a duration such as `500ms`, `30s`, `15m`, `8h`, `7d`. Milliseconds."""
        value = self.text(key)
        if not value and not self.has(key):
            return default
        amount = milliseconds(value)
        if not low <= amount <= _MAX_INTEGER:
            if isinstance(self.data.get(key), str):
                self.bad(key, f"`{key}` is a duration such as 30s, 15m, 8h or 7d")
            return default
        return amount

    def amount(self, key: str) -> Decimal:
        """Read a required number with at most four decimals, not negative."""
        value = self.raw(key)
        if value is None:
            self._missing(key)
            return Decimal(0)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            self.findings.error(self.at(key), "wrong_type", f"`{key}` is a number")
            return Decimal(0)
        exact = exact_amount(value)
        if exact is None:
            self.bad(key, f"`{key}` is not negative and has at most four decimals")
        return exact or Decimal(0)

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """Read a table of named tables (`[key.NAME]`), checking the names."""
        value = self._typed(key, dict, f"a table of tables, [{key}.NAME]")
        named: dict[str, Any] = value or {}
        for name, inner in named.items():
            if not is_object(inner):
                self.findings.error(self.at(key, name), "wrong_type", f"`{key}.{name}` is a table")
                continue
            yield name, self._below(inner, key, name)

    def array(self, key: str) -> Iterator[Table]:
        """Read an array of tables (`[[key]]`)."""
        value = self._typed(key, list, f"an array of tables, [[{key}]]")
        for index, inner in enumerate(value or []):
            if not is_object(inner):
                self.findings.error(
                    self.at(key, index), "wrong_type", f"`{key}` is an array of tables"
                )
                continue
            yield self._below(inner, key, index)

    def table(self, key: str) -> Table:
        """Read one table; an absent one is empty."""
        value = self._typed(key, dict, "a table")
        return self._below(value or {}, key)

    def bad(self, key: str, message: str, hint: str = "") -> None:
        """Report a value that has the right type and is still wrong."""
        self.findings.error(self.at(key), "bad_value", message, hint)

    def close(self) -> None:
        """Report every key that nobody asked for. Call it when all have been read."""
        for key in [k for k in self.data if k not in self._asked]:
            hint = f"known here: {', '.join(sorted(self._asked))}" if self._asked else ""
            self.findings.error(self.at(key), "unknown_key", f"there is no `{key[:80]}` here", hint)

    def _typed(self, key: str, kind: type, wanted: str, *, required: bool = False) -> Any:
        value = self.raw(key)
        if value is None:
            if required:
                self._missing(key)
            return None
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.findings.error(self.at(key), "wrong_type", f"`{key}` is {wanted}")
            return None
        return value

    def _missing(self, key: str) -> None:
        self.findings.error(self.at(), "missing_key", f"`{key}` is missing here")

    def _below(self, data: dict[str, Any], *keys: str | int) -> Table:
        return Table(self.document, self.findings, data, (*self.path, *keys))


def milliseconds(text: str) -> int:
    """Return a duration such as `500ms`, `30s`, `15m`, `8h`, `7d` in milliseconds, or -1."""
    found = _DURATION.fullmatch(text)
    return int(found[1]) * _UNITS[found[2]] if found else -1


def exact_amount(value: int | Decimal) -> Decimal | None:
    """Return a number that ten-thousandths can carry, or None."""
    number = Decimal(value)
    if not number.is_finite() or number < 0 or number > _MAX_INTEGER // 10_000:
        return None
    scaled = number * 10_000
    return number if scaled == scaled.to_integral_value() else None


def named(table: Table, name: str, what: str) -> str:
    """Check the name of a declared thing."""
    if not IDENTIFIER.fullmatch(name):
        table.findings.error(
            table.at(),
            "bad_name",
            f"{name[:40]!r} is no name for {what}",
            "names are 1 to 128 letters, digits and `_ . @ + -`",
        )
    return name


def labels(table: Table, key: str = "labels") -> tuple[str, ...]:
    """Read a list of labels."""
    found = table.texts(key)
    for index, label in enumerate(found):
        if not _LABEL.fullmatch(label):
            table.findings.error(
                table.at(key, index),
                "bad_name",
                f"{label[:40]!r} is no label",
                "labels are 1 to 128 letters, digits and `_ . : / -`",
            )
    return found


def refer(findings: Findings, at: Any, name: str, known: dict[str, Any], what: str) -> None:
    """Report a name that nothing was declared under."""
    if name not in known:
        declared = ", ".join(sorted(known)[:10]) or "none"
        findings.error(
            at, "unknown_reference", f"there is no {what} {name[:80]!r}", f"declared: {declared}"
        )
