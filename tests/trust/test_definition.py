"""The digest of a definition: what coreutils compute, and nothing moves between names and texts."""

import shutil
import subprocess
from pathlib import Path

import pytest

import bridle
from bridle.model.errors import BridleError
from bridle.trust.definition import MOST_FILES, digest_of

FILES = {"dags/nightly.py": b"print(1)\n", "dags/Z.sql": b"", "dags/\u00e9.txt": b"\x00\xff"}


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no coreutils here")
def test_coreutils_compute_the_same(tmp_path: Path) -> None:
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    names = "".join(f"{name}\n" for name in FILES)
    shell = "LC_ALL=C sort | tr '\\n' '\\0' | xargs -0 sha256sum | sha256sum"
    found = subprocess.run(
        ["sh", "-c", shell], input=names.encode(), cwd=tmp_path, capture_output=True, check=True
    )
    expected = found.stdout.split()[0].decode()
    assert digest_of(FILES) == expected
    assert bridle.definition(*FILES, root=tmp_path) == expected
    assert bridle.definition(*(tmp_path / name for name in reversed(FILES)), root=tmp_path) == (
        expected
    )


@pytest.mark.parametrize(
    "other",
    [
        {**FILES, "dags/nightly.py": b"print(2)\n"},
        {**FILES, "more": b""},
        {name: FILES[name] for name in list(FILES)[1:]},
        {name.replace("nightly", "weekly"): content for name, content in FILES.items()},
    ],
    ids=["changed", "more", "less", "renamed"],
)
def test_another_definition_has_another_digest(other: dict[str, bytes]) -> None:
    assert digest_of(other) != digest_of(FILES)


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "a\nb", "a\\b", "a\x00", "\ud800",
     "x" * 1_025],
)  # fmt: skip
def test_a_name_that_could_be_read_in_two_ways_is_refused(name: str) -> None:
    with pytest.raises(BridleError) as refused:
        digest_of({name: b""})
    assert refused.value.code == "definition_malformed"


def test_a_definition_has_files_and_not_without_end(tmp_path: Path) -> None:
    for files in ({}, {str(n): b"" for n in range(MOST_FILES + 1)}):
        with pytest.raises(BridleError) as refused:
            digest_of(files)
        assert refused.value.code == "definition_malformed"
    with pytest.raises(BridleError) as refused:
        bridle.definition("../outside", root=tmp_path)
    assert refused.value.code == "definition_malformed"
    with pytest.raises(BridleError) as refused:
        bridle.definition(tmp_path.parent / "outside", root=tmp_path)
    assert refused.value.code == "definition_malformed"
    with pytest.raises(BridleError) as refused:
        bridle.definition("missing", root=tmp_path)
    assert refused.value.code == "not_found"
