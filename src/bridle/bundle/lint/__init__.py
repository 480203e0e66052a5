"""What is wrong with a bundle whose files can each be read: names, types, remedies, dead rules."""

from __future__ import annotations

from bridle.bundle.bundle import Bundle
from bridle.bundle.parse.table import Findings
from bridle.bundle.parse.toml import Document


def run(bundle: Bundle, documents: dict[str, Document], findings: Findings) -> None:
    """Run every lint. `documents` are the TOML files, for the places of keys."""
