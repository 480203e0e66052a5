"""The guide in an export: its commands do what it says, as they stand, for a stranger.

Go and pip find what they would download in folders beside the tools; nothing is fetched.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from auditors import logs, toolchain
from bridle.audit.exports import guide
from bridle.ledger import checkpoint, note
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.note import Signer

pytestmark = pytest.mark.auditors

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALL = re.compile(r"python3 -m venv venv\nvenv/bin/pip install .+")
GO = "With the code of Go's checksum database"
SCALES = "With tlog-scales"
SEALED = "What was sealed"
BRIDLE = "With Bridle"


def commands(text: str) -> tuple[list[str], dict[str, list[str]]]:
    """The commands of a guide: those to begin with, and those of each of its programs."""
    above, *sections = re.split(r"^### ", text, flags=re.MULTILINE)
    return BLOCK.findall(above), {each.partition("\n")[0]: BLOCK.findall(each) for each in sections}


@pytest.fixture
def stranger(tmp_path):
    """The environment of somebody who has Go, Python and Bridle, and nothing of this project."""
    shims = tmp_path / "bin"
    shims.mkdir()
    (shims / "bridle").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m bridle "$@"\n')
    (shims / "bridle").chmod(0o755)
    (tmp_path / "tmp").mkdir()
    environ = toolchain.environ()
    return {
        **environ,
        "PATH": f"{shims}:{environ['PATH']}",
        "TMPDIR": str(tmp_path / "tmp"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": (toolchain.ENVIRONMENT / "wheels").as_uri(),
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def run(folder: Path, environ: dict[str, str], section: str, *then: str) -> str:
    """Run the commands of one program of a folder's guide, and more in the same shell."""
    begin, programs = commands((folder / "README.md").read_text("utf-8"))
    return shell(folder, environ, *begin, *programs[section], *then)


def run_installed(folder: Path, environ: dict[str, str], section: str, *then: str) -> str:
    """Do the same where the library is installed already."""
    begin, programs = commands((folder / "README.md").read_text("utf-8"))
    there = [
        INSTALL.sub(f"ln -s '{toolchain.ENVIRONMENT}' venv", each) for each in programs[section]
    ]
    return shell(folder, environ, *begin, *there, *then)


def shell(folder: Path, environ: dict[str, str], *blocks: str) -> str:
    before = logs.files(folder)
    ran = subprocess.run(
        ["sh", "-e"],
        input="\n".join(blocks),
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert logs.files(folder) == before
    return ran.stdout.strip().splitlines()[-1]


def guided(folder: Path, leaves: list[bytes], signer: Signer = logs.SIGNER) -> Path:
    """Write a log with its guide."""
    held = logs.write(folder, leaves)
    claimed = Checkpoint(signer.key.name, held.size, held.root)
    logs.put(folder / "checkpoint", checkpoint.sign(claimed, [signer]))
    text = guide.written(signer.key.name, held.size, [signer.key], opened=False)
    logs.put(folder / "README.md", text)
    return folder


def verifies(folder: Path, section: str, arguments: str) -> str:
    """The last command of a program, with other arguments."""
    _, programs = commands((folder / "README.md").read_text("utf-8"))
    command = programs[section][-1].strip().splitlines()[-1]
    program, given, _ = command.partition(' "$EXPORT" keys')
    assert given
    return f"{program} {arguments}"


def refuses(folder: Path, section: str, arguments: str) -> str:
    """The same, and the shell ends if it succeeds."""
    return f"if {verifies(folder, section, arguments)}; then exit 9; fi"


def test_the_guide_shows_these_programs_and_no_others(governed):
    _, programs = commands((governed.folder / "README.md").read_text("utf-8"))
    assert [*programs] == [GO, SCALES, SEALED, BRIDLE]


@pytest.mark.parametrize("section", [GO, SCALES])
def test_its_programs_say_what_they_have_verified(section, governed, stranger):
    assert run(governed.folder, stranger, section) == said(governed)


@pytest.mark.parametrize("section", [GO, SCALES])
def test_its_programs_verify_a_log_whose_key_was_replaced(section, rotated, stranger):
    assert run_installed(rotated.folder, stranger, section) == said(rotated)


def said(export):
    claimed = checkpoint.parse(note.parse((export.folder / "checkpoint").read_bytes()).text)
    root = note.encoded(claimed.root)
    assert claimed.size == export.size
    return f"{export.size} records, root {root}, signed by {claimed.origin}"


@pytest.mark.parametrize("kind", ["governed", "rotated"])
def test_bridle_verifies_it_with_the_first_key(kind, stranger, request):
    folder = request.getfixturevalue(kind).folder
    assert run(folder, stranger, BRIDLE).endswith("the export verifies with your key")


def test_the_page_for_auditors_shows_the_same_commands(governed):
    page = toolchain.HERE.parents[1] / "docs" / "audit.md"
    shown = BLOCK.findall(page.read_text("utf-8"))
    mine, theirs = str(governed.keys[0]), re.search(r"KEYS'\n(.+)\n", shown[0])[1]
    guide_shows = BLOCK.findall((governed.folder / "README.md").read_text("utf-8"))
    assert len(guide_shows) == 5
    assert [each.replace(mine, theirs) for each in guide_shows] == shown[:5]


def test_every_value_that_was_sealed_is_compared_with_its_record(governed, stranger, tmp_path):
    folder = governed.opened(tmp_path / "opened")
    lines = {path: path.read_bytes().splitlines() for path in folder.rglob("*.jsonl")}
    count = sum(len(json.loads(line)["fields"]) for each in lines.values() for line in each)
    assert count > governed.size / 4
    assert (
        run(folder, stranger, SEALED)
        == f"{count} values are those recorded, 0 are left out or erased"
    )
    path, held = next(iter(lines.items()))
    for old, new in ((b'"salt":"', b'"salt":"00'), (b'"value":"', b'"value":" ')):
        path.write_bytes(b"\n".join([held[0].replace(old, new, 1), *held[1:]]))
        with pytest.raises(AssertionError, match="is not what was recorded"):
            run(folder, stranger, SEALED)
    path.write_bytes(b"\n".join(held[1:]))
    assert not run(folder, stranger, SEALED).endswith(" 0 are left out or erased")


def test_where_payloads_are_left_out_it_says_so(governed, stranger):
    count = sum(len(json.loads(leaf)["commit"]) for leaf in governed.leaves())
    said = f"0 values are those recorded, {count} are left out or erased"
    assert run(governed.folder, stranger, SEALED) == said


@pytest.mark.parametrize("section", [GO, SCALES])
def test_its_programs_refuse_what_was_tampered_with_rolled_back_or_forked(
    section, stranger, tmp_path
):
    leaves = logs.leaves(300)
    folder = guided(tmp_path / "export", leaves)
    older = logs.write(tmp_path / "older", leaves[:270])
    longer = logs.write(tmp_path / "longer", [*leaves, b"more"])
    forked = logs.write(tmp_path / "forked", [*leaves[:7], b"another", *leaves[8:270]])
    changed = shutil.copytree(folder, tmp_path / "changed")
    bundle = changed / "tile/entries/001.p/44"
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"?")
    run_installed(
        folder,
        stranger,
        section,
        verifies(folder, section, f"\"$EXPORT\" keys '{older.folder}/checkpoint'"),
        refuses(folder, section, f"'{changed}' keys"),
        refuses(folder, section, f"\"$EXPORT\" keys '{forked.folder}/checkpoint'"),
        refuses(folder, section, f"\"$EXPORT\" keys '{longer.folder}/checkpoint'"),
        f"echo '{logs.OTHER.key}' > other",
        refuses(folder, section, '"$EXPORT" other'),
    )


@pytest.mark.parametrize("section", [GO, SCALES])
def test_a_name_of_a_log_runs_nothing_in_the_shell_of_whoever_verifies(section, stranger, tmp_path):
    origin = "';touch${IFS}pwned;'`touch${IFS}pwned`$(touch${IFS}pwned)@KEY@\"|&<>*~\\"
    signer = Signer(origin, bytes(range(32)))
    folder = guided(tmp_path / "export", logs.leaves(3), signer)
    assert run_installed(folder, stranger, section).endswith(f"signed by {origin}")
    assert [*tmp_path.rglob("pwned")] == []


def test_its_go_is_formatted_as_go_is(governed, tmp_path):
    _, programs = commands((governed.folder / "README.md").read_text("utf-8"))
    source = re.search(r"<<'END-OF-PROGRAM'\n(.*?)END-OF-PROGRAM", programs[GO][0], re.DOTALL)[1]
    (tmp_path / "main.go").write_text(source)
    root = Path(toolchain.go("env", "GOROOT", at=tmp_path).strip())
    words = [root / "bin" / "gofmt", "-l", "main.go"]
    assert subprocess.check_output(words, cwd=tmp_path) == b""
