"""`bridle http`: the governor for enforcement points that speak HTTP, and their tokens."""

from __future__ import annotations

from pathlib import Path

import click

from bridle.bundle.parse.table import IDENTIFIER
from bridle.cli import acting, choice, terminal
from bridle.cli.root import Group
from bridle.model.errors import UsageError

_LISTEN = "127.0.0.1:8186"


def _address(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise click.BadParameter("write it as 127.0.0.1:8186 or [::1]:8186", ctx, param)
    return host.removeprefix("[").removesuffix("]"), int(port)


@click.group(cls=Group)
def http() -> None:
    """Let enforcement points that are no Python ask the governor, over HTTP."""


@http.command("serve")
@choice.governor
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="http.toml: who may ask, and what their requests mean.",
)
@click.option(
    "--as-workload",
    "workload",
    required=True,
    metavar="WORKLOAD",
    help="Be this workload, proved with its key.",
)
@click.option(
    "--listen",
    "address",
    default=_LISTEN,
    show_default=True,
    metavar="HOST:PORT",
    callback=_address,
    help="Where to listen; port 0 takes a free one.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name it is called by besides its address. Can be repeated.",
)
@click.option(
    "--beyond-loopback",
    "beyond",
    is_flag=True,
    help="Listen where other machines reach it: it speaks no TLS.",
)
@choice.passphrase
@choice.as_json
def serve(
    *,
    bundle: Path,
    config: Path,
    workload: str,
    address: tuple[str, int],
    hosts: tuple[str, ...],
    beyond: bool,
    as_json: bool,
) -> None:
    """Answer requests until told to stop (Ctrl-C or SIGTERM).

    It is a process of its own, which has no authority but its workload's. Who may ask stands in
    http.toml, which is read again when it has changed.
    """
    try:
        from bridle.gateway.http import serving
    except ModuleNotFoundError as problem:
        raise UsageError(
            f"{problem.name} is not installed",
            code="extra_missing",
            hint="pip install 'bridle[http]'",
        ) from problem

    credential = acting.workload(workload)
    assert credential is not None
    serving.serve(
        bundle,
        credential,
        config=config,
        address=address,
        hosts=hosts,
        beyond=beyond,
        ready=lambda url: _ready(url, as_json=as_json),
    )


def _ready(url: str, *, as_json: bool) -> None:
    if as_json:
        terminal.document({"ready": True, "url": url})
    else:
        terminal.line(f"answering at {url}")


@http.command("token")
@click.argument("name", metavar="POINT")
@choice.as_json
def token(name: str, as_json: bool) -> None:
    """Make a token for an enforcement point, and say what http.toml has to say of it.

    The token is shown once and kept nowhere: the file has its digest.
    """
    from bridle.gateway.http.points import digest_of, new_token

    if not IDENTIFIER.fullmatch(name):
        raise click.UsageError(f"{name!r} is no name of an enforcement point.")
    made = new_token()
    digest = f"sha256:{digest_of(made)}"
    if as_json:
        terminal.document({"point": name, "token": made, "digest": digest})
        return
    terminal.line(f"{terminal.styled('✓', 'ok')} the point's secret, shown this once:")
    terminal.line(f"  {made}")
    terminal.line("  in http.toml:")
    terminal.line()
    terminal.line(f"[points.{name}]")
    terminal.line(f'token = "{digest}"')
    terminal.line('may = ["act"]')
