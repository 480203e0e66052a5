"""Loading: from a folder or from texts the same bundle, and a digest over exactly what counts."""

import os
import stat
from pathlib import Path

import pytest

from bridle.bundle import folder
from bridle.bundle.check import check, check_files
from bridle.bundle.load import digest_of, load, load_files
from bridle.bundle.parse.scenarios import read
from bridle.bundle.write_schemas import write_schemas
from bridle.model.errors import BundleError
from bridle.model.finding import Severity
from bridle.model.verdict import Effect


@pytest.fixture
def root(tmp_path: Path, desk) -> Path:
    """Return a copy of the desk bundle that a test may spoil."""
    base = tmp_path / "desk"
    for name, text in desk.files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text, "utf-8")
    return base


def test_the_desk_bundle_loads_without_a_warning(root: Path) -> None:
    bundle, found = check(root)
    assert bundle is not None
    assert {f.severity for f in found} == {Severity.INFO}
    assert len(bundle.tools) == 7
    assert {t.effect.value for t in bundle.tools.values()} == {"read", "write", "irreversible"}
    operators = {type(o).__name__ for p in bundle.policies for o in p.modify}
    assert operators == {"Redact", "Drop", "Clamp", "Truncate", "Mask", "SetTo", "Replace"}
    assert {p.scope for p in bundle.policies} == {"mission", "tenant"}
    assert bundle.tools["mail.send"].wire == "send_mail"
    assert bundle.tools["mail.send"].description == "Sends a plain-text e-mail"
    budget = {b.name: b for b in bundle.missions["ticket-desk"].budgets}["spend.eur"]
    assert (budget.limit, budget.measure) == (10_005_000, {"payments.refund": "input.amount"})
    assert dict(bundle.policies[-1].hold) == {} or bundle.policies[-1].id
    holds = {p.id: dict(p.hold) for p in bundle.policies if p.hold}
    assert holds["deletion"] == {"finance": 2, "support-leads": 1}


def test_a_folder_and_its_texts_give_the_same_bundle(root: Path) -> None:
    bundle = load(root)
    again = load_files(bundle.files, bundle.root)
    assert again == bundle
    assert digest_of(bundle.files) == bundle.digest


def test_generated_schemas_are_no_part_of_the_digest(root: Path) -> None:
    before = load(root)
    written = write_schemas(before, root)
    assert {p.name for p in written} == {
        "tools.cedarschema", "governance.cedarschema", "mission.dwschema", "user.dwschema",
        "agent.dwschema", "tenant.dwschema", "events.cedarschema",
    }  # fmt: skip
    assert load(root).digest == before.digest
    assert load(root).files == before.files


def test_every_byte_of_every_file_counts(root: Path) -> None:
    before = load(root)
    for name in before.files:
        changed = {**before.files, name: before.files[name] + "\n"}
        assert digest_of(changed) != before.digest


def test_nothing_can_move_between_names_and_texts_unnoticed() -> None:
    one = {"policies/a.dw": "x", "policies/b.dw": "yz"}
    two = {"policies/a.dw": "xy", "policies/b.dw": "z"}
    three = {"policies/a.dw": "", "policies/ab.dw": "xyz"}
    assert len({digest_of(files) for files in (one, two, three)}) == 3


def test_notes_and_hidden_files_are_ignored_others_are_pointed_out(root: Path) -> None:
    before = load(root)
    (root / "README.md").write_text("notes")
    (root / "policies" / "LICENSE").write_text("notes")
    (root / ".cache").mkdir()
    (root / "policies" / "draft.txt").write_text("permit")
    (root / "src").mkdir()
    bundle, found = check(root)
    assert bundle is not None
    assert bundle.digest == before.digest
    unknown = [f.location.file for f in found if f.code == "unknown_file"]
    assert unknown == ["policies/draft.txt", "src"]


def test_a_link_that_leads_out_is_refused(root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.dw"
    secret.write_text('@id("x") permit (principal, action, resource);')
    (root / "policies" / "extra.dw").symlink_to(secret)
    bundle, found = check(root)
    assert bundle is None
    assert [f.location.file for f in found if f.code == "outside_bundle"] == ["policies/extra.dw"]


def test_a_folder_that_is_a_link_is_refused(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.dw").write_text('@id("x") permit (principal, action, resource);')
    (root / "policies" / "user").symlink_to(outside)
    assert check(root)[0] is None


def test_a_link_within_the_bundle_is_read(root: Path) -> None:
    (root / "policies" / "again.dw").symlink_to(root / "policies" / "results.dw")
    assert [f.code for f in check(root)[1] if f.severity is Severity.ERROR] == ["duplicate_id"]


def test_a_link_that_leads_nowhere_or_in_circles_is_a_finding(root: Path) -> None:
    (root / "policies" / "gone.dw").symlink_to(root / "nothing")
    (root / "policies" / "loop.dw").symlink_to(root / "policies" / "loop.dw")
    assert [f.code for f in check(root)[1] if f.severity is Severity.ERROR] == ["unreadable"] * 2


def test_a_pipe_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "policies" / "pipe.dw")
    assert "unreadable" in {f.code for f in check(root)[1]}


def test_a_folder_in_place_of_a_file_is_a_finding(root: Path) -> None:
    (root / "policies" / "dir.dw").mkdir()
    assert "unreadable" in {f.code for f in check(root)[1]}


def test_an_unreadable_file_is_a_finding(root: Path) -> None:
    file = root / "policies" / "results.dw"
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip("this user reads every file")
    assert "unreadable" in {f.code for f in check(root)[1]}
    file.chmod(stat.S_IRUSR)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xfe", "not_utf8"),
        (b"// " + b"x" * folder.MAX_BYTES, "too_large"),
        (b"\xef\xbb\xbf// bom", "hidden_character"),
        (b"// \x00", "hidden_character"),
    ],
)
def test_a_file_that_is_no_plain_text_is_a_finding(root: Path, data: bytes, code: str) -> None:
    (root / "policies" / "odd.dw").write_bytes(data)
    bundle, found = check(root)
    assert bundle is None
    assert [f.code for f in found if f.location.file == "policies/odd.dw"] == [code]


@pytest.mark.parametrize("name", ["nothing", "bridle.toml", "bad\0name"])
def test_what_is_no_folder_is_a_finding(root: Path, name: str) -> None:
    bundle, found = check(root / name)
    assert bundle is None
    assert "unreadable" in {f.code for f in found}


def test_a_name_that_is_no_text_is_pointed_out_and_not_read(root: Path) -> None:
    try:
        os.mkdir(os.fsencode(root / "policies") + b"/\xff.dw")  # noqa: PTH102
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert "unknown_file" in {f.code for f in check(root)[1]}


def test_load_raises_with_every_finding(desk) -> None:
    broken = desk.with_text("bridle.toml", "depth = 8", "depth = 0\nx = 1")
    with pytest.raises(BundleError) as caught:
        load_files(broken.files)
    assert {f.code for f in caught.value.findings} >= {"bad_value", "unknown_key"}
    assert caught.value.code == "bundle_invalid"
    assert caught.value.hint


def test_rows_with_foreign_names_are_pointed_out(desk) -> None:
    bundle, found = check_files({**desk.files, "../etc/passwd": "x", "policies/../x": "y"})
    assert bundle is not None
    assert [f.location.file for f in found if f.code == "unknown_file"] == [
        "../etc/passwd",
        "policies/../x",
    ]
    assert bundle.digest == load_files(desk.files).digest


def test_schemas_are_not_written_through_a_link(root: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (root / "schema" / "tools.cedarschema").symlink_to(victim)
    write_schemas(load(root), root)
    assert victim.read_text() == "mine"


def test_schemas_that_cannot_be_written_are_a_typed_error(root: Path) -> None:
    bundle = load(root)
    (root / "schema" / "extra.cedarschema").unlink()
    (root / "schema").rmdir()
    (root / "schema").write_text("in the way")
    with pytest.raises(BundleError) as caught:
        write_schemas(bundle, root)
    assert caught.value.code == "unwritable"


def test_scenarios_keep_numbers_as_written_and_know_their_place(root: Path) -> None:
    scenarios, found = read(load(root))
    assert found == ()
    refund = next(s for s in scenarios if "large refund" in s.name)
    assert refund.steps[0].args == '{"order":9007199254740993,"amount":200.5,"currency":"EUR"}'
    assert refund.steps[1].approve == "ben"
    assert refund.steps[1].advance_ms == 7_200_000
    assert refund.location.file == "tests/desk.toml"
    first = scenarios[0].steps[0]
    assert (first.expect, first.release) == (Effect.ALLOW, Effect.MODIFY)
    assert scenarios[-1].steps[-1].args == '{"id": 7}'
