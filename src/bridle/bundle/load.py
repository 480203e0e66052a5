"""`load`: a bundle that may be used, or an error that carries every finding."""

from __future__ import annotations

from pathlib import Path

from bridle.bundle.assemble import digest_of
from bridle.bundle.bundle import Bundle
from bridle.bundle.check import check, check_files
from bridle.model.errors import BundleError
from bridle.model.finding import Finding, Severity

__all__ = ["digest_of", "load", "load_files"]


def load(root: str | Path) -> Bundle:
    """Load the bundle in a folder. Raises `BundleError` with all findings when one is an error."""
    return _usable(str(root), *check(root))


def load_files(files: dict[str, str], root: str = "") -> Bundle:
    """Load a bundle from the texts of its files, as the store keeps them: the same bundle."""
    return _usable(root or "the bundle", *check_files(files, root))


def _usable(name: str, bundle: Bundle | None, findings: tuple[Finding, ...]) -> Bundle:
    errors = [f for f in findings if f.severity is Severity.ERROR]
    if bundle is None or errors:
        first = f": {errors[0]}" if errors else ""
        raise BundleError(
            f"{name} has {len(errors)} error{'s' if len(errors) != 1 else ''}{first}",
            findings,
            hint="`bridle check` lists all findings",
        )
    return bundle
