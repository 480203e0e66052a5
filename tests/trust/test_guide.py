"""The guide on handing work on: it runs as it stands, with the demo's bundle."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.bundle.load import load_files
from trust.office import edited

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/delegation.md").read_text("utf-8")


def test_the_guide_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    shutil.copytree(ROOT / "src/bridle/cli/demo/bundle", home / "bundle")
    monkeypatch.chdir(home)
    real = bridle.open
    monkeypatch.setattr(bridle, "open", lambda bundle: real(bundle, embedded=True))
    ran: list[tuple[str, Any]] = []

    def fetch(url: str) -> dict[str, Any]:
        ran.append(("web.get", url))
        return {"status": 200, "text": "two years"}

    def read_ticket(id: int) -> None:  # noqa: A002
        ran.append(("desk.read_ticket", id))

    names: dict[str, Any] = {"fetch": fetch, "read_ticket": read_ticket}
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 5
    try:
        for block in blocks:
            exec(block, names)
        # Nothing but what both grants allow was reached.
        assert ran == [("web.get", "http://help.shop.example/warranty")] * 2
        with pytest.raises(bridle.Denied) as denied:
            names["researcher"].call("web.get", {"url": ran[0][1]}, effect=fetch)
        assert denied.value.code == "revoked"
        assert names["reader"].grant == names["offer"].grant
        assert names["triage"].revoke(names["reader"]).running == []
    finally:
        names["gov"].close()


def test_the_permits_on_the_page_are_some() -> None:
    permits = re.findall(r"```cedar\n(.*?)```", PAGE, re.DOTALL)
    assert len(permits) == 2
    named = "".join(f'[agents.{name}]\nowner = "ana"\n' for name in ("triage", "researcher"))
    crew = ("agents.toml", "[agents.scout]", f"{named}[workloads.mailer]\n[agents.scout]")
    load_files(edited(crew, ("governance/page.dw", "", "".join(permits))))
