"""Node-RED on the bench of the conformance suite: a real server, started for each run."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.conformance.bench import Came
from adapters.conformance.sink import AT
from adapters.engines.nodered_ import server
from bridle.client.worker import Worker

# A node that has no place is one of configuration, and no node has the name of a type.
PLACED: Mapping[str, Any] = {"z": "tab1", "x": 100, "y": 100}
FLOWS = [
    {"id": "tab1", "type": "tab", "label": "pages"},
    {"id": "in1", "type": "inbox", "wires": [["url1"]], **PLACED},
    {
        "id": "url1",
        "type": "function",
        "func": f"msg.url = `${{env.get('{AT}')}}/${{msg.tool}}/${{msg.number}}`; return msg;",
        "outputs": 1,
        "wires": [["page1"]],
        **PLACED,
    },
    {
        "id": "page1",
        "type": "http request",
        "method": "GET",
        "ret": "obj",
        "wires": [["out1"]],
        **PLACED,
    },
    {"id": "catch1", "type": "catch", "wires": [["out1"]], **PLACED},
    {"id": "out1", "type": "outbox", "wires": [], **PLACED},
]


class Bench:
    """A user directory and its inbox, over all trials; a Node-RED for each run."""

    gaps: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        if not server.RED.exists():
            pytest.skip("not run: `make nodered` brings Node-RED")
        self.user = folder / "user"
        self._inbox = folder / "inbox"
        self._inbox.mkdir()
        self._items = itertools.count()
        self._given: dict[str, tuple[dict[str, Any], int]] = {}
        server.installed(self.user, FLOWS)

    @contextmanager
    def running(self, carrier: Worker, **environ: str) -> Iterator[None]:
        with (
            server.gateway(carrier, self._inbox.parent) as url,
            server.running(self.user, url, BENCH_INBOX=str(self._inbox), **environ),
        ):
            yield

    def submit(
        self, reference: str, number: int, *, tool: str = "page.get", deliveries: int = 1
    ) -> Any:
        item = f"item{next(self._items)}"
        given = {"_msgid": item, "tool": tool, "number": number, "bridle": reference}
        self._given[item] = given, deliveries
        self._put(f"{item}.0", given)
        return item

    def put(self, message: Mapping[str, Any]) -> str:
        """Put a message into the inbox, as it is but for its id; return what names it."""
        item = f"item{next(self._items)}"
        self._put(item, {"_msgid": item, **message})
        return item

    def sent(self, message: Mapping[str, Any], *, within: float) -> Came:
        """Send a message and wait for what came of it."""
        return self.came_of(self.put(message), within)

    def came(self, item: str, *, within: float = 20.0) -> Came:
        given, deliveries = self._given[item]
        came = self.came_of(f"{item}.0", within)
        for again in range(1, deliveries):
            self._put(f"{item}.{again}", given)
            came = self.came_of(f"{item}.{again}", within)
        return came

    def again(self, item: Any) -> None:
        raise NotImplementedError("what is held waits where it is, or comes again")

    def bypasses(self) -> Mapping[str, Callable[[], object]]:
        def sent(**message: Any) -> Callable[[], object]:
            def send() -> Came:
                return self.sent({"tool": "page.get", "number": 99, **message}, within=3.0)

            return send

        return {
            "a message that names nobody": sent(),
            "a reference that is none": sent(bridle="v1; nonsense"),
            "a reference that is no text": sent(bridle={"reference": ""}),
            "a tool that is none": sent(tool="page.own", bridle=""),
            "a message without an id": sent(_msgid=None),
            "an address that the message brings itself": sent(url=f"{os.environ[AT]}/page.get/99"),
        }

    def stored(self) -> bytes:
        kept = [each for each in self.user.rglob("*") if each.is_file()]
        return b"".join(each.read_bytes() for each in kept if "node_modules" not in each.parts)

    def close(self) -> None:
        """Nothing runs between trials."""

    def _put(self, name: str, given: dict[str, Any]) -> None:
        part = self._inbox / f"{name}.part"
        part.write_text(json.dumps(given))
        part.rename(self._inbox / f"{name}.json")

    def came_of(self, name: str, within: float) -> Came:
        """Wait for what came of what was put under this name."""
        path = self._inbox / f"{name}.json.came"
        end = time.monotonic() + within
        while time.monotonic() < end:
            if path.exists():
                found = json.loads(path.read_text())
                return Came(found["kind"], found.get("value"), found.get("text", ""))
            time.sleep(0.02)
        return Came("waiting")


def make(folder: Path) -> Bench:
    return Bench(folder)
