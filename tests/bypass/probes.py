"""The probes as data: 300 of the shared vectors and our own beside them."""

import json
from pathlib import Path

import msgspec

TESTS = Path(__file__).resolve().parent.parent
BUNDLE = TESTS / "bundles" / "bypass"
DATA = TESTS / "data" / "bypass"


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One call and the effect it must have. `raw`: the text, where a value cannot show it."""

    id: str
    category: str
    tool: str
    args: dict | None
    note: str
    expect: str
    raw: str | None = None
    needs: str = ""

    @property
    def text(self) -> str:
        """The arguments as they travel: `raw`, or the value as plain JSON."""
        return json.dumps(self.args, ensure_ascii=False) if self.raw is None else self.raw

    @property
    def ruled(self) -> str:
        """What the governor says: what only the open file shows passes it and stops at the tool."""
        return "allow" if self.needs == "symlinks" else self.expect


def read(name: str) -> list[Probe]:
    """Return the probes of one file."""
    decoder = msgspec.json.Decoder(Probe)
    return [decoder.decode(line) for line in (DATA / name).read_bytes().splitlines()]


SHARED = read("probes.jsonl")
OURS = read("ours.jsonl")
PROBES = SHARED + OURS
