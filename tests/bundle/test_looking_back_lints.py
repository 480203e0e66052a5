"""What `check` says about conditions over history that are well-formed and hardly meant so."""

# ruff: noqa: E501
# The tables read best with one policy on one line.

import pytest

from bridle.model.finding import Severity

from .conftest import Desk

COMMENT = 'forbid (principal, action == Action::"desk.comment", resource)'
PERMIT = 'permit (principal, action == Action::"desk.comment", resource)'
SEARCH = 'Action::"desk.search"::'
OWN = 'Action::"desk.comment"::'
LIVE = (
    f"formerly within 1h {SEARCH}request{{ requestId: r }}"
    f' && !(formerly within 1h {SEARCH}error{{ requestId: r, error.code: "denied" }})'
    f' && !(formerly within 1h {SEARCH}error{{ requestId: r, error.code: "not_started" }})'
)
COUNT = f"(count for (t: Timepoint). where formerly within 1h ({SEARCH}error{{}} && tp(t)))"

SUSPECT = [
    # --- too early, too late ----------------------------------------------------------------------
    (f"{PERMIT} when temporal {{ formerly within 1h {SEARCH}request{{}} }}", "history_permit_over_request", "Action"),
    (f"{COMMENT} unless temporal {{ formerly within 1h {SEARCH}request{{}} }}", "history_permit_over_request", "Action"),
    (f"{PERMIT} unless temporal {{ !(formerly within 1h {SEARCH}request{{}}) }}", "history_permit_over_request", "Action"),
    (f"{PERMIT} when {{ context.input.id > 5 && !(!temporal {{ formerly within 1h {SEARCH}request{{}} }}) }}", "history_permit_over_request", "Action"),
    (f"{PERMIT} when temporal {{ (count for (r: String). where formerly within 1h {SEARCH}request{{ requestId: r }}) > 2 }}", "history_permit_over_request", "Action"),
    (f"{COMMENT} unless temporal {{ requires_before(1h, {SEARCH}request{{}}) }}", "history_permit_over_request", "Action"),
    (f"{COMMENT} when temporal {{ formerly within 1h {SEARCH}response{{}} }}", "history_forbid_over_response", "Action"),
    (f"{PERMIT} unless temporal {{ formerly within 1h {SEARCH}response{{}} }}", "history_forbid_over_response", "Action"),
    (f"{COMMENT} unless temporal {{ (count for (r: String). where formerly within 1h {SEARCH}response{{ requestId: r }}) <= 2 }}", "history_forbid_over_response", "Action"),
    # --- ways out for an agent --------------------------------------------------------------------
    (f"{COMMENT} unless temporal {{ at_most(3, 1h, {OWN}request{{ input.internal: context.input.internal }}, {OWN}error{{}}) }}", "history_optional", "Action"),
    (f"{COMMENT} when temporal {{ formerly within 1h {OWN}error{{ input.fields.priority: context.input.fields.priority }} }}", "history_optional", "Action"),
    # --- rules of the library ---------------------------------------------------------------------
    (f"{COMMENT} when temporal {{ at_most(3, 1h, {OWN}request{{}}, {OWN}error{{}}) }}", "history_rule_turned", "at_most"),
    (f"{PERMIT} unless temporal {{ requires_before(1h, {SEARCH}response{{}}) }}", "history_rule_turned", "requires_before"),
    # --- previous ---------------------------------------------------------------------------------
    (f"{COMMENT} when temporal {{ previous within 1h {SEARCH}request{{}} }}", "history_previous", "previous"),
    # --- what cannot happen -----------------------------------------------------------------------
    ('forbid (principal, action == Action::"desk.search", resource) when temporal { formerly within 1h Action::"lonely"::request{} }', "history_never_happens", 'Action::"lonely'),
    # --- the same whatever happens ----------------------------------------------------------------
    (f"{COMMENT} when temporal {{ {COUNT} >= 0 }}", "history_vacuous", "(count"),
    (f"{COMMENT} when temporal {{ {COUNT} < 0 }}", "history_vacuous", "(count"),
    (f"{COMMENT} when temporal {{ 0 > {COUNT} }}", "history_vacuous", "0 >"),
    (f"{COMMENT} when temporal {{ {COUNT} != -1 }}", "history_vacuous", "(count"),
    (f"{COMMENT} when temporal {{ exists (n: Long). ({COUNT} == n && n > 3 && n < 4) }}", "history_vacuous", "n < 4"),
    (f"{COMMENT} when temporal {{ formerly within 1h ({SEARCH}error{{}} && {SEARCH}held{{}}) }}", "history_vacuous", f"{SEARCH}held"),
    (f'{COMMENT} when temporal {{ formerly within 1h ({SEARCH}error{{ error.code: "a" }} && {SEARCH}error{{ error.code: "b" }}) }}', "history_vacuous", 'Action::"desk.search"::error{ error.code: "b"'),
    (f"{COMMENT} when temporal {{ formerly within 1h {SEARCH}error{{}} && !(formerly within 1h {SEARCH}error{{}}) }}", "history_vacuous", "!(formerly"),
    (f"{COMMENT} when temporal {{ formerly within 1h {OWN}request{{ input.id: context.input.id }} }}", "history_vacuous", "formerly"),
    (f"{COMMENT} unless temporal {{ forbidden_after(1h, {OWN}request{{}}, {OWN}error{{}}) }}", "history_vacuous", "forbidden_after"),
    (f"{COMMENT} when temporal {{ {SEARCH}request{{}} && formerly within 1h {SEARCH}error{{}} }}", "history_vacuous", "Action"),
]  # fmt: skip

PLAIN = [
    f"{PERMIT} when temporal {{ formerly within 1h {SEARCH}response{{}} }}",
    f"{COMMENT} when temporal {{ formerly within 1h {SEARCH}request{{}} }}",
    f"{COMMENT} unless temporal {{ formerly within 1h {SEARCH}response{{}} }}",
    f"{PERMIT} when temporal {{ (count for (r: String). where ({LIVE})) <= 3 }}",
    f"{PERMIT} when temporal {{ exists (r: String). ({LIVE}) }}",
    f"{COMMENT} unless temporal {{ at_most(3, 1h, {OWN}request{{}}, {OWN}error{{}}) }}",
    f"{COMMENT} when temporal {{ first_time(1h, {SEARCH}response{{}}) }}",
    f"{COMMENT} unless temporal {{ quiet_period(1h, {SEARCH}request{{}}, {SEARCH}response{{}}, {SEARCH}error{{}}) }}",
    f"{COMMENT} unless temporal {{ cooldown(1h, {OWN}request{{ input.id: context.input.id }}, {OWN}error{{}}) }}",
    f"{COMMENT} when temporal {{ formerly within 1h {OWN}request{{ input.internal: true }} }}",
    f"{COMMENT} when temporal {{ {COUNT} > 0 }}",
    f"{COMMENT} when {{ context.input has internal && temporal {{ formerly within 1h {OWN}error{{ input.internal: context.input.internal }} }} }}",
    f"{PERMIT} when temporal {{ formerly within 1h {OWN}response{{ input.internal: context.input.internal }} }}",
    f"{COMMENT} when temporal {{ exists (n: Long). ({COUNT} == n && n > 3 && n < 5) }}",
    f"{COMMENT} when {{ temporal {{ formerly within 1h {SEARCH}request{{}} }} || temporal {{ formerly within 1h {OWN}error{{}} }} }}",
    (
    'forbid (principal, action == Action::"end_mission", resource) unless temporal { open_close_number(1h, id, '
    'Action::"desk.comment"::response{ input.id: id }, Action::"desk.delete_ticket"::response{ input.id: id }) }'
    ),
]  # fmt: skip


def with_lonely(desk: Desk) -> Desk:
    tool = '\n[tools.lonely]\nsystem = "desk"\neffect = "read"\ninput = { type = "object" }\n'
    return desk.with_file("systems.toml", desk.files["systems.toml"] + tool)


def named(text: str) -> str:
    return f'@id("n") {text};'


@pytest.mark.parametrize(("text", "code", "place"), SUSPECT)
def test_a_condition_that_is_hardly_meant_so_is_pointed_out(
    desk: Desk, text: str, code: str, place: str
) -> None:
    folder = "policies/tenant" if "previous" in text else "policies"
    bundle, found = with_lonely(desk).with_file(f"{folder}/new.dw", named(text)).check()
    assert bundle is not None, [str(f) for f in found]
    said = [f for f in found if f.code.startswith("history_")]
    assert [(f.code, f.severity) for f in said] == [(code, Severity.WARNING)], [
        str(f) for f in said
    ]
    assert named(text)[said[0].location.column - 1 :].startswith(place), said[0].location


@pytest.mark.parametrize("text", PLAIN)
def test_a_condition_that_means_what_it_says_is_not(desk: Desk, text: str) -> None:
    bundle, found = desk.with_file("policies/new.dw", named(text)).check()
    assert bundle is not None, [str(f) for f in found]
    assert [str(f) for f in found if f.location.file == "policies/new.dw"] == []


def test_previous_in_a_mission_of_ones_own_is_only_worth_knowing(desk: Desk) -> None:
    text = f"{COMMENT} when temporal {{ previous within 1h {SEARCH}request{{}} }}"
    found = desk.with_file("policies/new.dw", named(text)).only("history_previous")
    assert found.severity is Severity.INFO


def test_a_tool_that_no_mission_shares_with_the_judged_one_is_of_no_use_in_its_history(
    desk: Desk,
) -> None:
    missions = desk.files["missions.toml"].replace(', "mail.send"', "")
    apart = desk.with_file("missions.toml", missions + (
        '[missions.mailing]\npurpose = "p"\nagents = ["triage"]\ntools = ["mail.send"]\n'
        'domains = ["internet"]\nexpires = "1h"\n'
    ))  # fmt: skip
    text = named(
        f'{COMMENT} when temporal {{ formerly within 1h Action::"mail.send"::request{{}} }}'
    )
    assert apart.with_file("policies/new.dw", text).findings("history_never_happens")
    assert not apart.with_file("policies/user/new.dw", text).findings("history_never_happens")


def test_a_change_of_what_only_history_looks_at_is_observed(desk: Desk) -> None:
    def with_path(path: str) -> Desk:
        text = (
            f'@id("n") @reason("r") @modify("drop input.{path}") {COMMENT} '
            f"when temporal {{ formerly within 1h {SEARCH}error{{ input.query: context.input.body }} "
            f"&& {OWN}request{{ input.internal: true }} }};"
        )
        return desk.with_file("policies/new.dw", text)

    assert with_path("internal").check()[0] is not None
    assert with_path("fields").findings("remedy_blind")
