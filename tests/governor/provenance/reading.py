"""Policies that ask where arguments came from, and a desk that shows what is kept of it."""

from typing import Any

from bridle.governor.provenance import chain
from bridle.model import calls
from bridle.model.verdict import Release
from bridle.store.rows import MissionRow, ReadRow, SourceRow
from governor.desk import Desk, changed

SYSTEMS = """
[systems.crm]
domain = "house"
labels = ["customer"]
[systems.web]
domain = "street"
[systems.mail]
domain = "street"

[tools."crm.find"]
system = "crm"
effect = "read"
idempotent = true
trusted = true
labels = ["pii"]
timeout = "30s"
input = { type = "object", properties = { id = { type = "integer" } } }

[tools."web.get"]
system = "web"
effect = "read"
idempotent = true
timeout = "30s"
no_effect = ["not_found"]
input = { type = "object", properties = { url = { type = "string" } } }
arguments.url = { sink = "locator" }

[tools."mail.send"]
system = "mail"
effect = "write"
timeout = "30s"
[tools."mail.send".input]
type = "object"
required = ["to"]
properties = { to = { type = "string" }, body = { type = "string" }, cc = { type = "string" } }
[tools."mail.send".arguments]
to = { sink = "recipient" }
cc = { sink = "recipient", inherits = false }
body = { sink = "content" }

[tools."mail.forward"]
system = "mail"
effect = "write"
[tools."mail.forward".input]
type = "object"
required = ["to"]
properties = { to = { type = "string" } }
[tools."mail.forward".arguments]
to = { sink = "recipient" }

[tools."note.share"]
system = "notes"
effect = "write"
[tools."note.share".input]
type = "object"
required = ["to"]
properties = { to = { type = "string" } }
[tools."note.share".arguments]
to = { sink = "recipient" }
"""

RULES = """
@id("known-recipients") @reason("nobody we know said so") @hold("leads")
forbid (principal, action in Action::"call", resource)
when { context has sinks && context.sinks has recipient && !context.sinks.recipient.trusted };
"""

TEMPLATE = """"bell.ring", "crm.find", "web.get", "mail.*"]
labels = ["office"]
constants = ["copy audit@house.example"]
clearance = ["pii"]
domains"""

PLAIN = changed(
    ("systems.toml", "", SYSTEMS),
    (
        "missions.toml",
        '"bell.ring"]\ndomains',
        TEMPLATE,
    ),
    ("bridle.toml", "", '[labels.detected]\npayment_card = ["pci"]\n'),
    ("bridle.toml", "result_bytes = 2000", "result_bytes = 400000"),
)
"""Nobody asks where anything came from."""

FILES = {**PLAIN, "policies/origins.dw": RULES}

CARD = "4111 1111 1111 1111"


class ReadingDesk(Desk):
    """A desk whose policies ask where arguments came from."""

    def __init__(self, files: dict[str, str] = FILES, **how: Any) -> None:
        super().__init__(files, **how)

    def result(self, tool: str, key: str, output: str, **given: Any) -> Release:
        """Run a tool that returns this."""
        return self.observe(self.act(tool, key, **given).attempt, output)

    def say(self, prompt: str, user: str = "ana") -> None:
        """What a user says next."""
        self.done(calls.AddPrompt(mission=self.mission, user=user, prompt=prompt))

    def row(self, mission: str = "") -> MissionRow:
        key = mission or self.mission
        found = self.core.write(lambda turn: turn.tx.get(MissionRow, key))
        assert found is not None
        return found

    def labels(self) -> list[str]:
        """Those of everything that the mission has read."""
        return list(self.row().labels)

    def sources(self, mission: str = "") -> list[SourceRow]:
        """What is kept of what the mission has read, in order."""
        key = mission or self.mission

        def read(turn: Any) -> list[SourceRow]:
            row = turn.tx.get(ReadRow, key)
            return chain.kept(turn, row) if row is not None else []

        return self.core.write(read)

    def kinds(self) -> list[str]:
        """The same at a glance: `kind about [trusted]`."""
        return [
            f"{row.kind} {row.tool or row.about}{' trusted' if row.trusted else ''}"
            for row in self.sources()
        ]

    def forget(self) -> None:
        """As if another process went on: nothing is in memory."""
        self.core.shelf.clear()
        self.core.indexes.clear()
