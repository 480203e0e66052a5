"""The macros that ship with Bridle. Read once; a definition of the same name wins over them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from bridle.language.definitions import define, twice
from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Source
from bridle.language.source import contents
from bridle.language.temporal.macros import Macro, Macros
from bridle.model.finding import Finding

SUFFIX = ".dw"


@cache
def texts() -> Mapping[str, str]:
    """Return the files that a bundle's policies may call, by name (`<library>/limits.dw`)."""
    folder = files("bridle.language") / "lib"
    found = {
        f"<library>/{each.name}": each.read_text("utf-8")
        for each in folder.iterdir()
        if each.name.endswith(SUFFIX)
    }
    return MappingProxyType({**found, "<library>/reference.dw": reference_text()})


@cache
def reference_text() -> str:
    """Return the macros that every Dogwood engine offers where no others are given."""
    return (files("bridle.language") / "reference" / "macros.dw").read_text("utf-8")


@cache
def library() -> Macros:
    """Return every macro that a policy of a bundle can call without defining it."""
    found, findings = read(texts())
    if findings:
        raise LanguageError(findings[0])
    return MappingProxyType(dict(found))


def read(
    written: Mapping[str, str], under: Macros = MappingProxyType({})
) -> tuple[dict[str, Macro], tuple[Finding, ...]]:
    """Read files that hold definitions only, by their names.

    They win over the macros `under` them; among themselves no name is defined twice. Returns all
    macros, those beneath included. What is no definition is refused.
    """
    found, findings = dict[str, Macro](), list[Finding]()
    for file in sorted(written):
        source = Source(file, written[file])
        holds = contents(source)
        own, wrong = define(source, holds.definitions)
        findings += [*holds.findings, *wrong]
        findings += [
            fault(
                statement.location,
                "not_a_macro",
                "a file of macros holds definitions only, and this is a policy",
                "move it to policies/",
            ).finding
            for statement in holds.statements
        ]
        findings += [twice(own[name], found[name]).finding for name in own.keys() & found.keys()]
        found = {**own, **found}
    return {**under, **found}, tuple(findings)
