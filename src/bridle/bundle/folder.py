"""A folder on disk → the texts of a bundle's files. Reads only what a bundle consists of.

Nothing outside the folder is read, whatever links in it say; what is not a plain, small UTF-8 file
is a finding, never an exception.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bridle.bundle import boundaries
from bridle.bundle.parse import agents, manifest, missions, systems
from bridle.bundle.parse.policies import SUFFIXES, is_macro_file, place_of
from bridle.bundle.parse.scenarios import is_scenario_file
from bridle.bundle.parse.table import Findings
from bridle.bundle.parse.tool_files import is_tool_file
from bridle.bundle.schema import extra
from bridle.model.finding import Location

MAX_BYTES = 1024 * 1024
"""Bytes of one file."""

MAX_FILES = 2_000
"""Files of one bundle."""

REQUIRED = (manifest.FILE, systems.FILE, agents.FILE, missions.FILE)
_FOLDERS = ("policies", "policies/user", "policies/agent", "policies/tenant", "governance",
            "macros", "tools", "tests", "schema")  # fmt: skip
_POLICY_FOLDERS = (*_FOLDERS[:4], "governance")
_NOTES = ("README", "LICENSE", "LICENCE", "NOTICE", "CHANGELOG")
_GENERATED = (".cedarschema", ".dwschema")


def is_bundle_file(name: str) -> bool:
    """Whether a file of that name (relative, `/` between folders) belongs to a bundle."""
    return (
        name in REQUIRED
        or name == extra.FILE
        or place_of(name) is not None
        or is_macro_file(name)
        or is_tool_file(name)
        or is_scenario_file(name)
    )


def is_mistaken(name: str) -> bool:
    """Whether a file looks like a policy and is none, for where it lies or how it is spelt."""
    return name.lower().endswith(SUFFIXES) and not is_bundle_file(name)


def unread(place: Location, findings: Findings) -> None:
    """Refuse what an author must have meant to count: a forbid that is not read forbids nothing."""
    findings.error(
        place,
        "unread_policy",
        "this looks like policies, and would not be read",
        f"policies lie right in {', '.join(_POLICY_FOLDERS)}, in files that end in .dw or .cedar; "
        "definitions in macros, in files that end in .dw",
    )


def _is_policy_folder(name: str) -> bool:
    top = name.lower().partition("/")[0]
    return top in {"policies", "governance", "macros"}


def read(root: Path, findings: Findings) -> dict[str, str]:
    """Return the texts of all bundle files below `root`, by name."""
    found = dict[str, str]()
    try:
        base = root.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        findings.error(Location("."), "unreadable", f"the bundle cannot be read: {error}")
        return found
    for folder in ("", *_FOLDERS):
        _read_folder(base, folder, found, findings)
        if len(found) > MAX_FILES:
            findings.error(Location(folder), "too_large", f"more than {MAX_FILES} files")
            break
    return found


def _read_folder(base: Path, folder: str, found: dict[str, str], findings: Findings) -> None:
    path = base / folder if folder else base
    try:
        if folder and not os.path.lexists(path):
            return
        if folder and path.is_symlink():
            findings.error(Location(folder), "outside_bundle", "a folder of a bundle is no link")
            return
        entries = sorted(os.listdir(path))  # noqa: PTH208
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        findings.error(Location(folder or "."), "unreadable", f"cannot be read: {why}")
        return
    for entry in entries[: MAX_FILES + 1]:
        _read_entry(base, f"{folder}/{entry}" if folder else entry, found, findings)


def _read_entry(base: Path, name: str, found: dict[str, str], findings: Findings) -> None:
    shown = name.encode("utf-8", "replace").decode("utf-8")
    last = name.rpartition("/")[2]
    if last.startswith(".") or name in _FOLDERS:
        return
    strange = not is_bundle_file(name) and _is_policy_folder(name) and (base / name).is_dir()
    if strange or is_mistaken(name):
        unread(Location(shown), findings)
        return
    if last.upper().startswith(_NOTES) and not is_bundle_file(name):
        return
    if name == boundaries.FILE:
        return
    if name.startswith("schema/") and name.endswith(_GENERATED) and name != extra.FILE:
        return
    if shown != name or not is_bundle_file(name):
        findings.warning(
            Location(shown),
            "unknown_file",
            "this is no file of a bundle and is not read",
            "policies end in .dw or .cedar; see the reference for the other names",
        )
        return
    text = _text(base, name, findings)
    if text is not None:
        found[name] = text


def _text(base: Path, name: str, findings: Findings) -> str | None:
    path = base / name
    try:
        if not path.resolve().is_relative_to(base):
            findings.error(Location(name), "outside_bundle", "this link leads out of the bundle")
            return None
        data = _bytes(path)
        if data is None:
            findings.error(Location(name), "unreadable", "this is no plain file")
            return None
        if len(data) > MAX_BYTES:
            findings.error(Location(name), "too_large", f"this file exceeds {MAX_BYTES} bytes")
            return None
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        findings.error(Location(name, line, 1), "not_utf8", "this is not UTF-8")
    except (OSError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        findings.error(Location(name), "unreadable", f"cannot be read: {why}")
    return None


def _bytes(path: Path) -> bytes | None:
    """Read one byte more than allowed at most; never wait for a pipe or a device."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(handle)
