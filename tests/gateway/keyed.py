"""An office whose system needs a credential, and whose workload has a key."""

from pathlib import Path

from bridle.model.calls import SecretVerb
from bridle.trust import credential, keyfile
from gateway.office import Office

SECRET = "opens/the sink+4711"
META = "sink.example/token"
PASSPHRASE = "tall grass"

MCP = f"""
[systems.sink.credential]
broker = "sealed"
use = "mcp"
meta = "{META}"
secret = "sink-key"
"""
OTHERS = """
@id("others") permit (principal, action, resource)
unless { action == Action::"vend_credential" };
"""
MAY_USE = """
@id("may-use") permit (principal == Agent::"clerk", action == Action::"vend_credential",
  resource == System::"sink");
"""


def prepared(
    folder: Path,
    *,
    declared: str = MCP,
    governance: str = OTHERS + MAY_USE,
    separate: bool = True,
) -> Office:
    """An office whose server needs a credential, and whose proxy has a key."""
    office = Office(folder)
    key = credential.generate("workload", "proxy")
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    for path, data in (
        (keys / "proxy.json", keyfile.seal(key, PASSPHRASE, cost=15)),
        (folder / "passphrase", PASSPHRASE.encode()),
    ):
        path.write_bytes(data)
        path.chmod(0o600)
    office.environment |= {"BRIDLE_KEYS": str(keys)}
    office.key = key
    apart = "\nseparate = true" if separate else ""
    _append(office.bundle / "agents.toml", "[workloads.proxy]", f'key = "{key.public}"{apart}')
    systems = office.bundle / "systems.toml"
    systems.write_text(systems.read_text() + declared)
    (office.bundle / "governance").mkdir(exist_ok=True)
    (office.bundle / "governance" / "rules.cedar").write_text(governance)
    return office


def _append(file: Path, table: str, line: str) -> None:
    file.write_text(file.read_text().replace(table, f"{table}\n{line}"))


def seal(office: Office, value: str = SECRET) -> None:
    office.governor.rows(SecretVerb(verb="set", name="sink-key", value=value, as_user="ben"))
