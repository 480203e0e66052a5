"""Policies that look back: where they may stand, what they can name, what is compiled of them."""

# ruff: noqa: E501
# The tables read best with one policy on one line.

from collections.abc import Callable

import pytest

from bridle.bundle.bundle import Bundle

from .conftest import Desk

COMMENT = 'forbid (principal, action == Action::"desk.comment", resource)'
CALLS = 'forbid (principal, action in Action::"call", resource)'
ANY = "forbid (principal, action, resource)"
END = 'forbid (principal, action == Action::"end_mission", resource)'
DONE = 'formerly within 1h Action::"desk.search"::response{}'
ASKED = 'formerly within 1h Action::"desk.search"::request{}'

PLACES = [
    (
        "governance/new.dw",
        'forbid (principal, action == Action::"start_mission", resource)',
        "history_in_governance",
    ),
    (
        "policies/new.dw",
        'forbid (principal, action in Action::"release", resource)',
        "history_on_results",
    ),
    (
        "policies/new.dw",
        'forbid (principal, action in [Action::"call", Action::"release"], resource)',
        "history_on_results",
    ),
    (
        "policies/user/new.dw",
        'forbid (principal, action == Action::"desk.search:result", resource)',
        "history_on_results",
    ),
    ("policies/agent/new.dw", END, "history_on_closing"),
    (
        "policies/agent/new.dw",
        'forbid (principal, action in Action::"closing", resource)',
        "history_on_closing",
    ),
]

WRONG = [
    ('formerly within 1h Action::"desk.serach"::request{}', "history_unknown_event"),
    ('formerly within 1h Action::"desk.search"::asked{}', "history_unknown_event"),
    ('formerly within 1h Action::"call"::request{}', "history_unknown_event"),
    ('formerly within 1h Action::"desk.search:result"::request{}', "history_unknown_event"),
    ('formerly within 1h Action::"end_mission"::request{}', "history_unknown_event"),
    (
        'formerly within 1h Action::"desk.search"::request{ input.topic: "x" }',
        "history_unknown_field",
    ),
    (
        'formerly within 1h Action::"desk.read_ticket"::request{ output.status: "open" }',
        "history_unknown_field",
    ),
    ('formerly within 1h Action::"desk.search"::request{ team: _ }', "history_unknown_field"),
    ('formerly within 25h Action::"desk.search"::request{}', "history_window"),
    ('formerly within 1h Action::"desk.search"::request{ input.query: context.output.body }', None),
    (
        'formerly within 1h Action::"desk.search"::request{ input.query: context.history.x }',
        "reserved_context",
    ),
    (
        'exists (q: String). formerly within 1h Action::"desk.search"::request{ input.query: p }',
        None,
    ),
]


def leaves(bundle: Bundle | None) -> dict[str, list[str]]:
    assert bundle is not None
    return {p.id: [leaf.scope for leaf in p.leaves] for p in bundle.policies if p.leaves}


def text(policy: str, condition: str = DONE) -> str:
    return f'@id("n") {policy} when temporal {{ {condition} }};'


@pytest.mark.parametrize(("file", "policy", "code"), PLACES)
def test_a_condition_over_history_is_refused_where_no_history_is(
    desk: Desk, file: str, policy: str, code: str
) -> None:
    changed = desk.with_file(file, text(policy))
    found = changed.only(code)
    assert found.location.file == file
    assert found.location.column == text(policy).index("formerly") + 1
    assert changed.check()[0] is None


@pytest.mark.parametrize(
    ("folder", "scope"),
    [
        ("policies", "mission"),
        ("policies/user", "user"),
        ("policies/agent", "agent"),
        ("policies/tenant", "tenant"),
    ],
)
def test_the_folder_of_a_policy_says_whose_history_it_is(
    desk: Desk, folder: str, scope: str
) -> None:
    bundle, found = desk.with_file(f"{folder}/new.dw", text(COMMENT, ASKED)).check()
    assert leaves(bundle) == {"n": [scope]}, [str(f) for f in found]


@pytest.mark.parametrize(("condition", "code"), WRONG)
def test_a_condition_that_could_never_be_what_it_says_is_an_error_at_its_place(
    policy: Callable[[str], Desk], condition: str, code: str | None
) -> None:
    bundle, found = policy(text(COMMENT, condition)).check()
    errors = [f for f in found if f.severity == "error"]
    assert bundle is None
    assert all(f.location.file == "policies/new.dw" and f.location.column for f in errors)
    assert code is None or code in {f.code for f in errors}, [str(f) for f in errors]


def test_results_are_known_of_responses_and_of_them_alone(policy: Callable[[str], Desk]) -> None:
    found = 'formerly within 1h Action::"desk.read_ticket"::response{ output.customer.id: "c", input.id: 5 }'
    assert policy(text(COMMENT, found)).check()[0] is not None


def test_the_user_is_named_in_a_users_history(desk: Desk) -> None:
    asked = 'formerly within 1h Action::"desk.search"::request{ user: context.user }'
    assert desk.with_file("policies/user/new.dw", text(COMMENT, asked)).check()[0] is not None


def test_a_window_may_be_as_long_as_the_manifest_says(desk: Desk) -> None:
    wide = desk.with_file("policies/new.dw", text(COMMENT, ASKED.replace("1h", "7d")))
    assert wide.findings("history_window")
    manifest = desk.files["bridle.toml"] + '\n[history]\nmax_window = "7d"\n'
    bundle, found = wide.with_file("bridle.toml", manifest).check()
    assert bundle is not None, [str(f) for f in found]
    assert bundle.manifest.history.max_window_s == 7 * 86_400
    assert bundle.schemas.events["mission"].startswith("max_window = 604800s\n")


@pytest.mark.parametrize("length", ["0s", "1500ms", "367d", "long"])
def test_a_reach_that_is_no_length_is_an_error(desk: Desk, length: str) -> None:
    manifest = desk.files["bridle.toml"] + f'\n[history]\nmax_window = "{length}"\n'
    assert desk.with_file("bridle.toml", manifest).findings("bad_value")


def test_a_policy_that_names_no_action_judges_calls_when_it_looks_back(
    policy: Callable[[str], Desk],
) -> None:
    bundle, _ = policy(text(ANY, ASKED)).check()
    assert bundle is not None
    found = next(p for p in bundle.policies if p.id == "n")
    assert [str(e.id) for e in found.node.action.entities] == ["call"]  # type: ignore[union-attr]
    name = found.leaves[0].name
    for line in bundle.schemas.tools.splitlines():
        if line.startswith("action ") and "appliesTo" in line:
            assert (name in line) is (":result" not in line), line


def test_a_bundle_that_never_looks_back_has_no_truths_in_its_schemas(desk: Desk) -> None:
    bundle, _ = desk.check()
    assert bundle is not None
    assert '"history"' not in bundle.schemas.tools + bundle.schemas.judging


def test_equal_conditions_are_one_truth_and_other_scopes_have_their_own(desk: Desk) -> None:
    twice = text(COMMENT, ASKED) + text(CALLS, ASKED).replace('"n"', '"m"')
    other = text(CALLS, ASKED).replace('"n"', '"u"')
    bundle, _ = (
        desk.with_file("policies/new.dw", twice).with_file("policies/user/new.dw", other).check()
    )
    assert bundle is not None
    names = {p.id: p.leaves[0].name for p in bundle.policies if p.leaves}
    assert names["n"] == names["m"] != names["u"]


# --- what is Bridle's own -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        "context.history.h0123456789abcdef",
        "context has history",
        'context["history"] == true',
        'context has "history"',
        "context // as it were\n . history . x",
    ],
)
def test_a_policy_cannot_read_truths_it_did_not_state(
    policy: Callable[[str], Desk], condition: str
) -> None:
    changed = policy(f'@id("n") {COMMENT} when {{ {condition} }};')
    assert changed.findings("reserved_context")
    assert changed.check()[0] is None


@pytest.mark.parametrize(
    "condition",
    [
        "(context).history.{leaf}",
        '(context // as it were\n)["h\\x69story"].{leaf}',
        'context["h\\u{{69}}story"].{leaf}',
        '{{"a": context}}.a.history.{leaf}',
        '{{"a": {{"b": context}}}}.a.b["history"].{leaf}',
        "(if true then context else context).history.{leaf}",
        "!((context) has history.{leaf})",
        'context has "h\\x69story"',
        '{{"a": context}} has a.history',
        "peek(context)",
        "(context).history has {leaf}",
    ],
)
def test_nor_by_another_spelling_the_truth_of_another_policy(
    policy: Callable[[str], Desk], condition: str
) -> None:
    looking = f'@id("a") {COMMENT} when temporal {{ {DONE} }};'
    bundle, _ = policy(looking).check()
    assert bundle is not None
    (name,) = [leaf.name for p in bundle.policies if p.id == "a" for leaf in p.leaves]
    peeking = f"def cedar peek(?c) {{ ?c.history.{name} }};\n"
    changed = policy(
        f'{peeking}{looking}\n@id("b") {COMMENT} when {{ {condition.format(leaf=name)} }};'
    )
    assert changed.only("reserved_context").location.line >= 3
    assert changed.check()[0] is None


def test_history_is_a_name_like_any_other_elsewhere(policy: Callable[[str], Desk]) -> None:
    text = f'@id("a") {COMMENT} when {{ principal has history && context.user has history }};'
    assert policy(text).findings("reserved_context") == []


def test_what_moves_to_another_history_is_another_policy_for_approvals(desk: Desk) -> None:
    text = f'@id("a") {COMMENT} when temporal {{ {DONE} }};'
    digests = set[str]()
    for folder in ("policies", "policies/user", "policies/agent", "policies/tenant"):
        bundle, _ = desk.with_file(f"{folder}/new.dw", text).check()
        assert bundle is not None
        digests |= {p.digest for p in bundle.policies if p.id == "a"}
    assert len(digests) == 4


def test_a_rule_of_the_library_is_not_disarmed_in_silence(desk: Desk) -> None:
    own = "def temporal at_most(?n, ?w, ?call, ?error) { formerly within ?w ?call };"
    found = desk.with_file("macros/own.dw", own).only("macro_replaced")
    assert str(found.location) == "macros/own.dw:1:14"
    assert "<library>/limits.dw" in found.message
    assert desk.with_file("policies/user/own.dw", own).only("macro_replaced")


def test_nor_one_of_the_bundle_by_a_single_file(desk: Desk) -> None:
    changed = desk.with_file("macros/rules.dw", RULE).with_file("policies/new.dw", RULE)
    found = changed.only("macro_replaced")
    assert found.location.file == "policies/new.dw"
    assert "macros/rules.dw" in found.message


@pytest.mark.parametrize(
    ("entity", "field"),
    [("Agent", "callerPrincipal"), ("System", "callerResource"), ("User", "user")],
)
def test_a_misspelt_agent_does_not_make_a_forbid_silent(
    policy: Callable[[str], Desk], entity: str, field: str
) -> None:
    condition = (
        f'formerly within 1h Action::"desk.search"::request{{ {field}: {entity}::"nobody" }}'
    )
    found = policy(text(COMMENT, condition)).only("unknown_entity")
    assert (found.location.line, "'nobody'" in found.message) == (1, True)


def test_what_names_no_action_is_said_to_judge_calls_alone(policy: Callable[[str], Desk]) -> None:
    hidden = f'@id("n") {ANY} when {{ context has output || temporal {{ {DONE} }} }};'
    assert policy(hidden).only("history_calls_only").severity == "info"
    assert policy(text(CALLS)).findings("history_calls_only") == []


def test_a_macro_cannot_read_them_either(desk: Desk) -> None:
    macro = "def cedar past() { context.history.h0123456789abcdef };"
    assert (
        desk.with_file("macros/m.dw", macro).only("reserved_context").location.file == "macros/m.dw"
    )


@pytest.mark.parametrize("name", ["closing", "end_mission"])
def test_the_end_of_a_mission_is_no_name_for_a_tool(desk: Desk, name: str) -> None:
    tool = f'\n[tools."{name}"]\nsystem = "desk"\neffect = "read"\ninput = {{ type = "object" }}\n'
    systems = desk.files["systems.toml"] + tool
    assert desk.with_file("systems.toml", systems).findings("bad_tool_name")


# --- macros ---------------------------------------------------------------------------------------

RULE = 'def temporal asked(?w) { formerly within ?w Action::"desk.search"::request{} };'


def test_a_bundles_macros_serve_all_its_policies(desk: Desk) -> None:
    changed = desk.with_file("macros/asked.dw", RULE)
    changed = changed.with_file(
        "policies/a.dw", f'@id("a") {COMMENT} when temporal {{ asked(1h) }};'
    )
    changed = changed.with_file(
        "policies/user/b.dw", f'@id("b") {COMMENT} when temporal {{ asked(2h) }};'
    )
    assert leaves(changed.check()[0]) == {"a": ["mission"], "b": ["user"]}


def test_macros_count_towards_the_digest_of_the_bundle_and_of_what_calls_them(desk: Desk) -> None:
    calling = desk.with_file("policies/a.dw", f'@id("a") {COMMENT} when temporal {{ asked(1h) }};')
    one, _ = calling.with_file("macros/asked.dw", RULE).check()
    other, _ = calling.with_file("macros/asked.dw", RULE.replace("request", "response")).check()
    assert one is not None
    assert other is not None
    assert one.digest != other.digest
    assert [p.digest for p in one.policies if p.id == "a"] != [
        p.digest for p in other.policies if p.id == "a"
    ]


def test_a_definition_of_the_bundle_wins_over_the_library(desk: Desk) -> None:
    rule = f'@id("a") {COMMENT} unless temporal {{ requires_before(1h, Action::"desk.search"::response{{}}) }};'
    own = "def temporal requires_before(?w, ?p) { !(formerly within ?w ?p) };"
    library, _ = desk.with_file("policies/a.dw", rule).check()
    mine, _ = desk.with_file("policies/a.dw", rule).with_file("macros/own.dw", own).check()
    assert library is not None
    assert mine is not None
    digest = {b.digest: next(p.leaves[0] for p in b.policies if p.leaves) for b in (library, mine)}
    assert digest[library.digest].digest != digest[mine.digest].digest
    assert digest[library.digest].written is not None
    assert digest[mine.digest].written is None


@pytest.mark.parametrize("name", ["macros/rules.cedar", "macros/more/rules.dw", "macros/RULES.DW"])
def test_macros_that_would_not_be_read_are_refused(desk: Desk, name: str) -> None:
    assert desk.with_file(name, RULE).only("unread_policy").location.file == name


def test_a_policy_among_macros_is_refused(desk: Desk) -> None:
    assert desk.with_file("macros/rules.dw", f'@id("a") {COMMENT};').only("not_a_macro")


# --- the end of a mission -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy_text",
    [
        f'@id("n") {END} when {{ context.mission.template == "reading" }};',
        f'@id("n") {END} when temporal {{ {ASKED} }};',
        f'@id("n") @enforce("shadow") {END} when temporal {{ {ASKED} }};',
        '@id("n") forbid (principal in Team::"support", action in Action::"closing", resource);',
    ],
)
def test_an_obligation_is_a_forbid_on_the_end_of_a_mission(
    policy: Callable[[str], Desk], policy_text: str
) -> None:
    bundle, found = policy(policy_text).check()
    assert bundle is not None, [str(f) for f in found]
    assert [f for f in found if f.location.file == "policies/new.dw"] == []


def test_an_obligation_cannot_read_what_a_missions_end_has_not(
    policy: Callable[[str], Desk],
) -> None:
    assert policy(f'@id("n") {END} when {{ context.input.id == 1 }};').check()[0] is None
    assert (
        policy(text(END, ASKED.replace("{}", "{ input.query: context.input.query }"))).check()[0]
        is None
    )


def test_an_obligation_has_no_remedy(policy: Callable[[str], Desk]) -> None:
    changed = policy(f'@id("n") @reason("r") @hold("finance") {END};')
    assert changed.only("remedy_on_closing").location.column == 10 + 13


def test_a_permit_on_the_end_of_a_mission_means_nothing(policy: Callable[[str], Desk]) -> None:
    permit = '@id("n") permit (principal, action == Action::"end_mission", resource);'
    assert policy(permit).only("never_applies")


def test_policies_on_all_actions_are_checked_without_the_end_of_a_mission(
    policy: Callable[[str], Desk],
) -> None:
    anyone = '@id("n") forbid (principal, action, resource) when { principal.version == "0" };'
    bundle, found = policy(anyone).check()
    assert bundle is not None, [str(f) for f in found]
