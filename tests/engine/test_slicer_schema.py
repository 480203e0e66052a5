"""The slicer's idea of who is in what is the one of the generated schema."""

import json
from pathlib import Path

import cedarpy
import pytest

from bridle.bundle.load import load
from bridle.engine.cedar.entities import entities, kin_of_agent, kin_of_system, kin_of_user
from bridle.engine.engine import Engine
from bridle.engine.parties import action_kin
from engine import judging

ROOT = Path(__file__).parents[2]
BUNDLES = [
    ROOT / "src" / "bridle" / "cli" / "demo" / "bundle",
    ROOT / "tests" / "bundles" / "desk",
    ROOT / "tests" / "bundles" / "bypass",
]


@pytest.fixture(scope="module", params=BUNDLES, ids=lambda p: p.name)
def office(request):
    return load(request.param)


def within(schema, graph):
    """Cedar's own hierarchy: every entity with everything it is in, itself included."""
    text = judging.encode(list(graph))
    parents = {}
    for entity in json.loads(
        str(cedarpy.Entities.from_json_str(text, cedarpy.Schema.from_str(schema)))
    ):
        above = {_name(p) for p in entity["parents"]}
        parents[_name(entity["uid"])] = above | {_name(entity["uid"])}
    return parents


def _name(uid):
    uid = uid.get("__entity", uid)
    return f"{uid['type']}::{uid['id']}"


def named(kin):
    return {f"{u.type}::{u.id}" for u in kin.within}


def test_actions_are_in_the_groups_the_slicer_puts_them_in(office):
    cedar = within(office.schemas.tools, [])
    for tool in office.tools.values():
        for result in (False, True):
            kin = action_kin(tool.name, tool.effect.value, result=result)
            own = f"Action::{kin.own.id}"
            closed = set().union(*(cedar[a] for a in cedar[own]))
            assert named(kin) == closed


def test_entities_are_in_what_the_slicer_puts_them_in(office):
    for schema in (office.schemas.tools, office.schemas.governance):
        cedar = within(schema, entities(office))
        for agent in office.agents:
            assert named(kin_of_agent(office, agent)) == cedar[f"Agent::{agent}"]
        for user in office.users:
            assert named(kin_of_user(office, user)) == cedar[f"User::{user}"]
        for system in office.systems:
            assert named(kin_of_system(office, system)) == cedar[f"System::{system}"]


def test_an_engine_takes_every_bundle_of_the_house(office):
    engine = Engine(office)
    assert engine.bundle is office
    for tool in office.tools:
        assert engine.has_release_rules(tool) in {True, False}
