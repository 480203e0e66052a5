"""The reference page and the commands say the same: nothing undocumented, nothing invented."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bridle.cli.root import cli

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md").read_text("utf-8")
SECTIONS = {
    match[1]: match[2]
    for match in re.finditer(r"^### `(.+?)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Walk all commands that are no groups, as `usage line, command`."""

    def walk(command: click.Command, above: click.Context | None, name: str):
        context = click.Context(command, parent=above, info_name=name)
        if isinstance(command, click.Group):
            for each in command.list_commands(context):
                yield from walk(command.get_command(context, each), context, each)
        else:
            words = [word for word in command.collect_usage_pieces(context) if word != "[OPTIONS]"]
            yield " ".join([context.command_path, *words]), command

    yield from walk(cli, None, "bridle")


ALL = dict(commands())


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    assert list(SECTIONS) == list(ALL)


@pytest.mark.parametrize("usage", ALL)
def test_every_option_is_documented_and_no_other(usage: str) -> None:
    options = {
        option
        for param in ALL[usage].params
        if isinstance(param, click.Option)
        for option in (*param.opts, *param.secondary_opts)
    }
    rows = re.findall(r"^\| `(--?[a-z-]+)", SECTIONS[usage], re.MULTILINE)
    assert set(rows) == options
    assert len(rows) == len(options)


@pytest.mark.parametrize("usage", ALL)
def test_every_command_has_json_and_says_what_it_does(usage: str) -> None:
    command = ALL[usage]
    assert any("--json" in param.opts for param in command.params)
    assert command.help
    assert all(param.help for param in command.params if isinstance(param, click.Option))
