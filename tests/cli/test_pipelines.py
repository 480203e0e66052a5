"""`bridle pipelines` with a governor that serves: registered, listed, run, withdrawn, told."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.trust import credential

WORDS = "correct horse battery"
ENGINE = credential.generate("workload", "engine")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "words"
    path.touch(mode=0o600)
    path.write_text(WORDS + "\n")
    return path


@pytest.fixture
def desk(
    bridle_: Any, starter: Path, serving: Callable[[Path], None], words: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """A served bundle with a pipeline of dora's, whose key lies among this shell's keys."""
    made = bridle_("keys", "new", "user", "dora", "--passphrase-file", words, "--json").json
    agents = starter / "agents.toml"
    agents.write_text(
        agents.read_text()
        + f"""
[users.dora]
key = "{made["public"]}"
[pipelines.nightly]
author = "dora"
workloads = ["engine"]
[workloads.engine]
key = "{ENGINE.public}"
"""
    )
    missions = starter / "missions.toml"
    changed = re.sub(r"agents = \[", 'agents = ["nightly", ', missions.read_text(), count=1)
    assert '"nightly"' in changed
    missions.write_text(changed)
    monkeypatch.setenv("XDG_STATE_HOME", bridle_.environ["XDG_STATE_HOME"])
    monkeypatch.setenv("TMPDIR", bridle_.environ["TMPDIR"])
    serving(starter)
    return starter


@pytest.fixture
def job(tmp_path: Path) -> Path:
    root = tmp_path / "job"
    (root / "sql").mkdir(parents=True)
    (root / "nightly.py").write_text("print('report')\n")
    (root / "sql" / "report.sql").write_text("select 1;\n")
    return root


def files(job: Path) -> list[Any]:
    return ["--root", job, "--file", "nightly.py", "--file", "sql/report.sql"]


def code_of(done: Any) -> str:
    assert done.code == 3, done.out
    return re.findall(r"\[([a-z_]+)\]\n", done.err)[-1]


def test_a_definition_from_its_registration_to_its_withdrawal(
    bridle_: Any, desk: Path, job: Path, words: Path
) -> None:
    (digest,) = bridle_("pipelines", "digest", "nightly.py", "sql/report.sql", cwd=job).out.split()
    assert digest == bridle.definition("nightly.py", "sql/report.sql", root=job)
    asked = ["pipelines", "register", "nightly", *files(job), desk]
    # Without their passphrase, or as somebody else, nobody registers anything.
    assert bridle_(*asked).code == 3
    assert code_of(bridle_(*asked, "--as", "me", "--passphrase-file", words)) == "key_needed"
    assert bridle_("pipelines", "list", desk, "--json").json == []
    (row,) = bridle_(*asked, "--as", "dora", "--passphrase-file", words, "--json").json
    assert (row["digest"], row["author"], row["counts"]) == (digest, "dora", True)
    assert digest in bridle_("pipelines", desk).out

    with bridle.worker(desk, credential=ENGINE) as worker:
        run = worker.pipeline("nightly", definition=digest, run="r1", mission="desk")
        shown = bridle_("missions", "show", run.mission.id, desk, "--json").json
        assert (shown["user"], shown["pipeline"], shown["definition"]) == (
            "dora",
            "nightly",
            digest,
        )

        # To take it back needs no key: as an operator, by its digest.
        done = bridle_("pipelines", "withdraw", "nightly", "--digest", digest, desk, "--as", "me")
        assert done.code == 0, done.err
        with pytest.raises(bridle.BridleError) as refused:
            worker.pipeline("nightly", definition=digest, run="r1", mission="desk")
        assert refused.value.code == "definition_withdrawn"
    assert bridle_("pipelines", "list", desk, "--json").json == []
    (row,) = bridle_("pipelines", "list", "--all", desk, "--json").json
    assert (row["ended_by"], row["counts"]) == ("me", False)
    told = bridle_("audit", "tail", desk).out
    assert "definition_register" in told
    assert "definition_withdraw" in told


def test_a_changed_file_is_another_definition(
    bridle_: Any, desk: Path, job: Path, words: Path
) -> None:
    asked = ["pipelines", "register", "nightly", *files(job), desk, "--as", "dora"]
    assert bridle_(*asked, "--passphrase-file", words).code == 0
    (job / "sql" / "report.sql").write_text("select secret from customers;\n")
    changed = bridle.definition("nightly.py", "sql/report.sql", root=job)
    with (
        bridle.worker(desk, credential=ENGINE) as worker,
        pytest.raises(bridle.BridleError) as refused,
    ):
        worker.pipeline("nightly", definition=changed, run="r1", mission="desk")
    assert refused.value.code == "definition_unknown"
    assert f"--digest {changed} --as dora" in refused.value.hint


@pytest.mark.parametrize("named", [[], ["--digest", "a" * 64, "--file", "x"]])
def test_a_definition_is_named_in_one_way(bridle_: Any, starter: Path, named: list[str]) -> None:
    assert bridle_("pipelines", "register", "nightly", *named, starter).code == 2


def test_a_key_file_of_another_user_registers_nothing(
    bridle_: Any, desk: Path, job: Path, words: Path
) -> None:
    keys = Path(bridle_.environ["HOME"]) / ".config" / "bridle" / "keys"
    for file in keys.iterdir():
        file.unlink()
    bridle_("keys", "new", "user", "dora", "--passphrase-file", words)
    asked = ["pipelines", "register", "nightly", *files(job), desk, "--as", "dora"]
    assert code_of(bridle_(*asked, "--passphrase-file", words)) == "key_missing"
