"""Leases on the command line: from a worker in a process of its own to a revocation that waits."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridle
from bridle.trust import credential

VALUE = "crm-key-of-the-house-4711"
CRATE = credential.generate("workload", "crate")
FILES = {
    "bridle.toml": 'format = 1\nname = "leased"\noperators = ["ana"]\n',
    "agents.toml": '[users.ana]\n[agents.clerk]\nowner = "ana"\n'
    f'[workloads.crate]\nkey = "{CRATE.public}"\nseparate = true\n',
    "missions.toml": '[missions.office]\nagents = ["clerk"]\ntools = ["*"]\ndomains = ["house"]\n'
    'expires = "8h"\n',
    "systems.toml": """
[domains.house]
[systems.crm]
domain = "house"
[systems.crm.credential]
broker = "sealed"
use = "worker"
secret = "crm-key"
[tools."crm.find"]
system = "crm"
effect = "read"
idempotent = true
input = { type = "object" }
""",
    "policies/permits.dw": '@id("work") permit (principal, action in Action::"call", resource);\n',
    "governance/permits.dw": '@id("all") permit (principal, action, resource);\n',
}


@pytest.fixture
def desk(bridle_, tmp_path: Path, serving) -> Path:
    folder = tmp_path / "leased"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    serving(folder)
    done = bridle_("secrets", "set", "crm-key", folder, "--as", "ana", "--json", stdin=VALUE + "\n")
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def worker(gov: bridle.Bridle, desk: Path) -> Iterator[bridle.Bridle]:
    with bridle.connect(desk, role="agent", credential=CRATE) as connected:
        yield connected


def test_a_lease_is_seen_while_it_is_and_a_revocation_waits_for_its_end(
    bridle_, desk: Path, gov: bridle.Bridle, worker: bridle.Bridle
) -> None:
    given, go_on, found = threading.Event(), threading.Event(), []

    def effect() -> str:
        with bridle.credential() as crm:
            found.append(crm.reveal())
            given.set()
            assert go_on.wait(30)
        return "done"

    mission = gov.start_mission("office", user="ana")
    handed = mission.session("clerk", executor="crate")
    agent = worker.attach(handed, mission=mission.id, agent="clerk")
    thread = threading.Thread(target=lambda: agent.call("crm.find", effect=effect))
    thread.start()
    assert given.wait(30)
    (row,) = bridle_("leases", desk, "--json").json
    assert (row["state"], row["system"], row["executor"]) == ("live", "crm", "crate")
    assert bridle_("status", desk, "--json").json["leases"] == 1
    assert VALUE not in bridle_("leases", desk, "--all").out
    revoked = bridle_(
        "revoke", "agent", "clerk", desk, "--as", "ana", "--yes", "--wait", "0", "--json"
    ).json
    assert "lease" in {row["kind"] for row in revoked["stopped"]}
    go_on.set()
    thread.join(30)
    done = bridle_(
        "revoke", "agent", "clerk", desk, "--as", "ana", "--yes", "--wait", "20", "--json"
    )
    assert (done.code, done.json["left"]) == (0, [])
    assert found == [VALUE]
    assert bridle_("leases", desk, "--json").json == []
    (ended,) = bridle_("leases", desk, "--all", "--json").json
    assert ended["state"] == "ended"
