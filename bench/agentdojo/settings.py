"""The administrators' bundles, and the settings in which they are tried.

A setting says which families of rules are not in force, suite by suite. A family is one file of
policies. `bundles/settings.toml` lists the settings, the strictest first.
"""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

BUNDLES = Path(__file__).with_name("bundles")


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One point of the curve. `without` names files of policies by suite, less their suffix.

    The `headline` is the setting that the administrators would run.
    """

    name: str
    about: str = ""
    headline: bool = False
    without: Mapping[str, tuple[str, ...]] = {}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    settings: tuple[Setting, ...]


def settings(folder: Path = BUNDLES) -> tuple[Setting, ...]:
    """Return the settings, the strictest first.

    Raises `ValueError` for a family that is none, or where not exactly one is the headline.
    """
    written = tomllib.loads((folder / "settings.toml").read_text("utf-8"))
    found = msgspec.convert(written, _File).settings
    for each in found:
        for suite, families in each.without.items():
            for family in families:
                if not _file(folder / suite, family).is_file():
                    raise ValueError(f"{each.name}: {suite} has no rules {family!r}")
    if sum(each.headline for each in found) != 1:
        raise ValueError("one setting is the headline")
    return found


@contextmanager
def bundle(setting: Setting, suite: str, folder: Path = BUNDLES) -> Iterator[Path]:
    """Yield the bundle of a suite in a setting, as a folder for the time being."""
    with tempfile.TemporaryDirectory(prefix="bench-agentdojo-") as made:
        copy = Path(made) / suite
        shutil.copytree(folder / suite, copy)
        # Its scenarios are of the bundle as it was written.
        shutil.rmtree(copy / "tests", ignore_errors=True)
        for family in setting.without.get(suite, ()):
            _file(copy, family).unlink()
        yield copy


def families(suite: str, folder: Path = BUNDLES) -> dict[str, str]:
    """Return which family (file) each policy of a suite belongs to, by the policy's id."""
    from bridle.bundle.load import load

    return {policy.id: Path(policy.location.file).stem for policy in load(folder / suite).policies}


def _file(bundle: Path, family: str) -> Path:
    return bundle / "policies" / f"{family}.dw"
