"""Writes bundles that ship with Bridle into a folder of the user's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from bridle.model.errors import UsageError


def claim(folder: Path) -> None:
    """Make a folder; refuse one that holds anything."""
    require_free(folder)
    folder.mkdir(parents=True, exist_ok=True)


def require_free(folder: Path) -> None:
    """Refuse a folder that holds anything. Makes nothing."""
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is not empty", code="not_empty", hint="name a folder that is not there yet"
        )


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts into a folder of one's own."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def starter(folder: Path, name: str) -> list[str]:
    """Write the starter bundle under a name of its own; return the names of its files."""
    files = _copy(resources.files("bridle.cli") / "starter", folder)
    manifest = folder / "bridle.toml"
    text = manifest.read_text("utf-8").replace('name = "starter"', f'name = "{name}"', 1)
    manifest.write_text(text, "utf-8")
    return files


def give_key(folder: Path, user: str, public: str) -> None:
    """Write a user's public key into the agents.toml of a bundle that was just made."""
    path = folder / "agents.toml"
    head = f"[users.{user}]\n"
    text = path.read_text("utf-8")
    assert head in text
    path.write_text(text.replace(head, f'{head}key = "{public}"\n', 1), "utf-8")


def back_office(folder: Path) -> list[str]:
    """Write the demo's bundle; return the names of its files."""
    return _copy(resources.files("bridle.cli.demo") / "bundle", folder)


def _copy(source: Traversable, target: Path) -> list[str]:
    written: list[str] = []
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            inner = _copy(entry, target / entry.name)
            written += [f"{entry.name}/{name}" for name in inner]
        else:
            (target / entry.name).write_bytes(entry.read_bytes())
            written.append(entry.name)
    return written
