"""The bundles of the evaluation keep what their administrator promises, in every setting."""

import re

import pytest

from bench.agentdojo import settings
from bridle.bundle.load import load
from bridle.governor.scenarios import run_scenarios

SUITES = ("banking", "slack", "travel", "workspace")


@pytest.mark.parametrize("suite", SUITES)
def test_every_scenario_of_a_bundle_holds(suite: str) -> None:
    results = run_scenarios(load(settings.BUNDLES / suite))
    assert results
    assert [r for r in results if not r.passed] == []


@pytest.mark.parametrize("suite", SUITES)
def test_a_bundle_is_whole_in_every_setting(suite: str) -> None:
    for setting in settings.settings():
        with settings.bundle(setting, suite) as folder:
            assert load(folder).policies


@pytest.mark.parametrize("suite", SUITES)
def test_no_rule_names_a_value_of_an_environment(suite: str) -> None:
    """Texts in policies are names that the bundle declares, kinds of text, and the user's own."""
    bundle = load(settings.BUNDLES / suite)
    declared = {*bundle.tools, *bundle.systems, *bundle.domains, "assistant", "user"}
    kinds = {"write", "irreversible", "call", "read", "user-approvals"}
    kinds |= {"url", "bare_link", "email", "iban", "phone", "payment_card"}
    for file in (settings.BUNDLES / suite / "policies").glob("*.dw"):
        text = re.sub(r"//.*|@(?:id|reason)\(.*\)", "", file.read_text())
        assert set(re.findall(r'"([^"]*)"', text)) <= declared | kinds, file.name
