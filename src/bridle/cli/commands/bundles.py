"""`bridle check` and `bridle test`: a bundle until it may be activated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from msgspec.structs import asdict

from bridle.bundle.bundle import Bundle
from bridle.cli import choice, findings, terminal
from bridle.cli.root import FINDINGS, Command


@click.command(cls=Command)
@choice.bundle
@click.option("--strict", is_flag=True, help="Warnings fail as well.")
@click.option("--write-schemas", is_flag=True, help="Write the generated schemas into schema/.")
@click.option("-v", "verbose", is_flag=True, help="Say each condition over history in words.")
@choice.as_json
@click.pass_context
def check(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    bundle: Path,
    strict: bool,
    write_schemas: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Parse, type-check and lint a bundle: every finding with its place and a way out.

    Exit code 1 when there is an error or, with --strict, a warning.
    """
    from bridle.bundle import check as checking
    from bridle.bundle.write_schemas import write_schemas as write

    loaded, found = checking.check(bundle)
    if loaded is not None and write_schemas:
        write(loaded, bundle)
    counts = findings.counts(found)
    good = loaded is not None and not (strict and counts["warnings"])
    told = sentences(loaded) if loaded is not None and (verbose or as_json) else []
    if as_json:
        digest = loaded.digest if loaded else ""
        rows = [findings.row(each) for each in found]
        terminal.document(
            {"ok": good, "digest": digest, **counts, "findings": rows, "sentences": told}
        )
    else:
        findings.show(found)
        for each in told:
            place = terminal.visible(f"{each['file']}:{each['line']}:{each['column']}")
            words = f"{each['sentence']} Where true, it speaks {_SPEAKS[each['speaks']]}."
            name = f"{each['policy']} ({each['effect']})"
            terminal.line(f"{place}: {name}: {terminal.visible(words)}")
        icon = terminal.styled("✓", "ok") if good else terminal.styled("✗", "error")
        sums = ", ".join(terminal.counted(count, what[:-1]) for what, count in counts.items())
        terminal.line(f"{icon} {describe(loaded) if loaded else bundle}: {sums}")
    ctx.exit(0 if good else FINDINGS)


_SPEAKS = {
    "for": "for the action",
    "against": "against the action",
    "either": "for or against the action, as the policy has it",
}


def sentences(bundle: Bundle) -> list[dict[str, Any]]:
    """Return what each condition over history says, in the order of the policies."""
    from bridle.bundle.lint.history.sequences import sign_of
    from bridle.bundle.sentences import sentence

    return [
        {
            "policy": policy.id,
            "effect": policy.effect,
            "speaks": {1: "for", -1: "against"}.get(sign_of(policy, leaf), "either"),
            "file": leaf.location.file,
            "line": leaf.location.line,
            "column": leaf.location.column,
            "scope": leaf.scope,
            "sentence": sentence(leaf),
        }
        for policy in bundle.policies
        for leaf in policy.leaves
    ]


def describe(bundle: Bundle) -> str:
    """Return what a bundle holds, on one line."""
    manifest = bundle.manifest
    name = terminal.visible(f"{manifest.name} {manifest.version}")
    sizes = [
        terminal.counted(len(bundle.tools), "tool"),
        terminal.counted(len(bundle.policies), "policy"),
        terminal.counted(len(bundle.missions), "mission"),
    ]
    return f"{name} ({bundle.digest[:12]}; {', '.join(sizes)})"


@click.command(cls=Command)
@choice.bundle
@click.option(
    "-k", "only", default="", metavar="NAME", help="Only scenarios with this in the name."
)
@choice.as_json
@click.pass_context
def test(ctx: click.Context, bundle: Path, only: str, as_json: bool) -> None:
    """Run the scenarios in a bundle's tests/ on a throw-away governor.

    Exit code 1 when a scenario fails, or when -k names none.
    """
    from bridle.bundle.load import load
    from bridle.governor.scenarios import run_scenarios

    results = run_scenarios(load(bundle), only)
    failed = [each for each in results if not each.passed]
    if as_json:
        rows = [{**asdict(each), "passed": each.passed} for each in results]
        terminal.document({"ok": not failed, "scenarios": rows})
    else:
        for result in results:
            icon = terminal.styled("✓", "ok") if result.passed else terminal.styled("✗", "error")
            terminal.line(f"{icon} {terminal.visible(result.name)}")
            for step in result.steps:
                if step.message:
                    terminal.line(f"    {step.location}: {terminal.visible(step.message)}")
        if only and not results:
            terminal.complain(f"no scenario has {only!r} in its name", "not_found")
        terminal.line(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    ctx.exit(FINDINGS if failed or (only and not results) else 0)
