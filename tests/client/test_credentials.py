"""Credentials in Python: the page's examples, and a governor in this very process."""

import re
import shutil
from pathlib import Path

import pytest

import bridle
from bridle.model.errors import RefusedError
from bridle.trust import credential, folder
from client.scripted import served
from governor.desk import Desk
from governor.proving import BEN, PORTAL, keyed

ROOT = Path(__file__).resolve().parents[2]
OFFICE = ROOT / "src" / "bridle" / "cli" / "demo" / "bundle"
BLOCKS = re.findall(r"```py\n(.*?)```", (ROOT / "docs" / "python.md").read_text("utf-8"), re.DOTALL)
WORDS = "correct horse"


def test_the_pages_examples_of_keys_run_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDLE_KEYS", str(tmp_path / "keys"))
    for who in (BEN, PORTAL):
        folder.write(who, WORDS)
    monkeypatch.setattr(
        bridle, "open", lambda bundle, credential: bridle.connect(tmp_path, credential=credential)
    )
    desk = Desk(keyed())
    hold = desk.decide("bank.pay", "p", amount=60).approval
    names = {"bridle": bridle, "passphrase": WORDS, "approval_id": hold, "sockets": tmp_path}
    with served(desk.governor, tmp_path):
        for block in BLOCKS:
            exec(block.replace('"ticket-desk"', '"office"'), names)
        names["gov"].close()
        names["desk"].close()
    assert len(BLOCKS) == 2
    assert desk.hold(hold).votes[0]["user"] == "ben"
    assert desk.leaves("mission")[-1].ids["method"] == "workload:portal"


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    bundle = tmp_path / "bundle"
    shutil.copytree(OFFICE, bundle)
    agents = bundle / "agents.toml"
    head = "[users.ben]\n"
    agents.write_text(agents.read_text().replace(head, f'{head}key = "{BEN.public}"\n'))
    return bundle


def test_an_embedded_governor_asks_for_the_key_too(office: Path) -> None:
    with bridle.open(office, embedded=True) as gov:
        refunds = gov.start_mission("refund-desk", user="ana").agent("refunds")
        with pytest.raises(bridle.Held) as held:
            refunds.call(
                "payments.refund",
                {"order": 1, "customer": "C-20417", "amount": 300},
                effect=lambda **_: None,
            )
        with pytest.raises(RefusedError) as refused:
            gov.approve(held.value.approval_id, as_user="ben")
        assert refused.value.code == "key_needed"
    with bridle.open(office, embedded=True, credential=BEN) as gov:
        # Irreversible, and approved: nobody but this process is there to be told apart.
        assert gov.approve(held.value.approval_id) == "approved"


def test_an_embedded_governor_that_a_credential_does_not_open_lets_go_of_its_store(
    office: Path,
) -> None:
    for who in (credential.generate("user", "ben"), PORTAL):
        with pytest.raises(RefusedError):
            bridle.open(office, embedded=True, credential=who)
    with bridle.open(office, embedded=True, credential=BEN) as gov:
        assert gov.status()["level"] == "embedded"
