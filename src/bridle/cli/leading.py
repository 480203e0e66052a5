"""Commands in front of another command, which begins after `--`."""

from __future__ import annotations

from typing import Any

import click

from bridle.cli.root import Command


class Leading(Command):
    """A command that starts another one: what stands after `--`, in `ctx.meta["command"]`.

    `follows` is what the usage line calls it.
    """

    def __init__(self, *args: Any, follows: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._follows = follows

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what stands after `--` as it is."""
        cut = args.index("--") if "--" in args else len(args)
        ctx.meta["command"] = tuple(args[cut + 1 :])
        return super().parse_args(ctx, args[:cut])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Show the other command in the usage line."""
        return [*super().collect_usage_pieces(ctx), f"-- {self._follows}..."]
