"""The `bridle` command. One job: parse, call and print; it decides nothing."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its code."""
    from bridle.cli.root import run

    run()
