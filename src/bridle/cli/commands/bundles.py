"""`bridle check` and `bridle test`: a bundle until it may be activated."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec.structs import asdict

from bridle.bundle.bundle import Bundle
from bridle.cli import choice, findings, terminal
from bridle.cli.root import FINDINGS, Command


@click.command(cls=Command)
@choice.bundle
@click.option("--strict", is_flag=True, help="Warnings fail as well.")
@click.option("--write-schemas", is_flag=True, help="Write the generated schemas into schema/.")
@choice.as_json
@click.pass_context
def check(
    ctx: click.Context, bundle: Path, strict: bool, write_schemas: bool, as_json: bool
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
    if as_json:
        digest = loaded.digest if loaded else ""
        rows = [findings.row(each) for each in found]
        terminal.document({"ok": good, "digest": digest, **counts, "findings": rows})
    else:
        findings.show(found)
        icon = terminal.styled("✓", "ok") if good else terminal.styled("✗", "error")
        told = ", ".join(terminal.counted(count, what[:-1]) for what, count in counts.items())
        terminal.line(f"{icon} {describe(loaded) if loaded else bundle}: {told}")
    ctx.exit(0 if good else FINDINGS)


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
