"""What most commands take: the bundle they mean, JSON output, and who is at the keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from bridle.store.place import Place

Function = TypeVar("Function", bound=Callable[..., Any])

_WAY_OUT = "name its folder, set BRIDLE_BUNDLE, or go into one; `bridle init DIR` makes one"


def bundle(function: Function) -> Function:
    """Add the optional argument BUNDLE, which is always the last one."""
    add = click.argument(
        "bundle",
        required=False,
        envvar="BRIDLE_BUNDLE",
        type=click.Path(path_type=Path),
        callback=chosen,
    )
    return add(function)


def chosen(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path:
    """Return the bundle's folder: as named, or the current one if it is a bundle."""
    folder = value or Path()
    if (folder / "bridle.toml").is_file():
        return folder
    if value is None:
        raise click.UsageError(f"No bundle: {_WAY_OUT}.", ctx)
    what = "has no bridle.toml" if folder.is_dir() else "is no folder"
    raise click.BadParameter(f"{folder} {what}: {_WAY_OUT}.", ctx, param)


def of_store(function: Function) -> Function:
    """Add the optional argument BUNDLE, or --store instead: see `stored`."""
    bundle = click.argument(
        "bundle", required=False, envvar="BRIDLE_BUNDLE", type=click.Path(path_type=Path)
    )
    store = click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="The store in this folder instead of a bundle's.",
    )
    return bundle(store(function))


def stored(ctx: click.Context, bundle: Path | None, store: Path | None) -> Place:
    """Return the store that an offline command means: the one in a folder, or a bundle's."""
    from bridle.audit import places

    if store is None:
        param = next(each for each in ctx.command.params if each.name == "bundle")
        bundle = chosen(ctx, param, bundle)
    return places.place(bundle, store)


def governor(function: Function) -> Function:
    """Add the optional argument BUNDLE of what only the governor is needed for.

    A socket, or the folder that holds a governor's sockets, does as well as a bundle.
    """
    add = click.argument(
        "bundle",
        required=False,
        envvar=["BRIDLE_SOCKETS", "BRIDLE_BUNDLE"],
        type=click.Path(path_type=Path),
        callback=governed,
    )
    return add(function)


def governed(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path:
    """Return where the governor is to be found. A bundle that it serves need not be readable."""
    from bridle.client.opening import installed_sockets, sockets_at

    if value is not None and (sockets_at(value) or installed_sockets(value)):
        return value
    return chosen(ctx, param, value)


def as_json(function: Function) -> Function:
    """Add the option --json."""
    add = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
    return add(function)


def passphrase(function: Function) -> Function:
    """Add --passphrase-fd and --passphrase-file: where the passphrase of a key comes from.

    The terminal is asked where neither is given. The command takes no argument for it: see
    `bridle.cli.passphrase.source`.
    """
    from bridle.cli import passphrase as kept

    by_descriptor = click.option(
        "--passphrase-fd",
        type=click.IntRange(min=0),
        metavar="N",
        expose_value=False,
        callback=kept.keep_descriptor,
        help="Read the key's passphrase from this file descriptor.",
    )
    by_file = click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        expose_value=False,
        callback=kept.keep_file,
        help="Read it from a file that is yours alone [env: BRIDLE_PASSPHRASE_FILE].",
    )
    return by_descriptor(by_file(function))


def as_user(*, required: bool = False) -> Callable[[Function], Function]:
    """Add the option --as: the user (of agents.toml) who does this."""
    # A default, even None, would count as an answer.
    how: dict[str, Any] = {"required": True} if required else {"default": ""}
    return click.option(
        "--as",
        "as_user",
        metavar="USER",
        envvar="BRIDLE_USER",
        help="The user who does this [env: BRIDLE_USER].",
        **how,
    )
