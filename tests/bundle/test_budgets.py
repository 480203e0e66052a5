"""Budgets of missions, agents and users: written alike, checked alike, at their place."""

import pytest

from bridle.model.finding import Severity

# Whose budgets, the file, and the beginning of their tables.
OWNERS = [
    ("missions.toml", "missions.ticket-desk"),
    ("agents.toml", "agents.triage"),
    ("agents.toml", "users.ana"),
]

WRONG = [
    ('limit = "5"', "wrong_type"),
    ("limit = -1", "bad_value"),
    ("limit = inf", "bad_value"),
    ("limit = 0.00005", "bad_value"),
    ("", "missing_key"),
    ("limit = 5\nlimits = 6", "unknown_key"),
    ('limit = 5\nwindow = "1 day"', "bad_value"),
    ('limit = 5\nwindow = "0s"', "bad_value"),
    ('limit = 5\nhold = ["nobody"]', "unknown_reference"),
    ('limit = 5\nmeasure = { "no.such" = 1 }', "unknown_reference"),
    ('limit = 5\nmeasure = { "mail.send" = "input.body" }', "bad_value"),
    ('limit = 5\nmeasure = { "mail.send" = "input.to[]" }', "bad_value"),
    ('limit = 5\nmeasure = { "mail.send" = "context.x" }', "bad_value"),
    ('limit = 5\nmeasure = { "mail.send" = -0.1 }', "bad_value"),
    ('limit = 5\nmeasure = { "mail.send" = nan }', "bad_value"),
    ('limit = 5\nmeasure = { "mail.send" = true }', "bad_value"),
    ("limit = 5\nmeasure = {}", "missing_key"),
    ("limit = 5\nmeasure = 3", "wrong_type"),
]


@pytest.mark.parametrize(("file", "owner"), OWNERS)
@pytest.mark.parametrize(("text", "code"), WRONG)
def test_a_mistake_in_a_budget_is_an_error_whoever_has_it(desk, file, owner, text, code) -> None:
    measured = "" if "measure" in text or (code == "missing_key" and not text) else (
        '\nmeasure = { "mail.send" = 1 }')  # fmt: skip
    table = f"\n[{owner}.budgets.extra]\n{text}{measured}\n"
    bundle, found = desk.with_text(file, desk.files[file], desk.files[file] + table).check()
    assert bundle is None
    places = [f.location.file for f in found if f.code == code and f.severity is Severity.ERROR]
    assert set(places) == {file}, [str(f) for f in found]


@pytest.mark.parametrize(("file", "owner"), OWNERS)
def test_a_budget_is_read_whoever_has_it(desk, file, owner) -> None:
    table = (
        f'\n[{owner}.budgets.extra]\nlimit = 12.5\nunit = "EUR"\nwindow = "1d"\n'
        'measure = { "payments.refund" = "input.amount", "mail.send" = 0.25 }\nhold = ["finance"]\n'
    )
    bundle, _ = desk.with_text(file, desk.files[file], desk.files[file] + table).check()
    kind, name = owner.split(".")
    [extra] = [b for b in getattr(bundle, kind)[name].budgets if b.name == "extra"]
    assert (extra.limit, extra.unit, extra.window_ms) == (125_000, "EUR", 86_400_000)
    assert extra.measure == {"payments.refund": "input.amount", "mail.send": "0.25"}
    assert extra.hold == ("finance",)


IDLE = [
    # researcher only reads, in one mission; archive.export lies in another domain than its mission.
    ("missions.toml", "missions.reading", "writes", ""),
    ("missions.toml", "missions.reading", "mails", 'measure = { "mail.send" = 1 }'),
    ("missions.toml", "missions.ticket-desk", "nothing", 'measure = { "mail.send" = 0 }'),
    ("missions.toml", "missions.ticket-desk", "nothing", 'measure = { "mail.send" = 0.0 }'),
    ("agents.toml", "agents.idler", "calls", ""),
    ("agents.toml", "users.ana", "pies", 'measure = { "desk.delete_ticket" = 0 }'),
]


@pytest.mark.parametrize(("file", "owner", "name", "measure"), IDLE)
def test_a_budget_that_nothing_uses_up_is_pointed_out(desk, file, owner, name, measure) -> None:
    table = f"\n[{owner}.budgets.{name}]\nlimit = 5\n{measure}\n"
    if owner == "agents.idler":
        table = '\n[agents.idler]\nowner = "ana"\n' + table
    bundle, found = desk.with_text(file, desk.files[file], desk.files[file] + table).check()
    assert bundle is not None
    [idle] = [f for f in found if f.code == "idle_budget"]
    assert (idle.severity, idle.location.file) == (Severity.WARNING, file)
    line = (desk.files[file] + table).split("\n")[idle.location.line - 1]
    assert name in line


def test_a_budget_that_something_uses_up_is_not(desk) -> None:
    table = "\n[agents.triage.budgets.calls]\nlimit = 5\n[users.ben.budgets.writes]\nlimit = 5\n"
    text = desk.files["agents.toml"]
    _, found = desk.with_text("agents.toml", text, text + table).check()
    assert not [f for f in found if f.code == "idle_budget"]


def test_use_that_anybody_could_report_is_pointed_out(desk) -> None:
    changed = desk.with_text(
        "agents.toml", "[workloads.worker-1]", "[workloads.worker-1]\nreports_use = true"
    )
    bundle, found = changed.check()
    assert bundle is not None
    [said] = [f for f in found if f.code == "unproved_use"]
    assert said.severity is Severity.WARNING
