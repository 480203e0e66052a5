"""A small store written by hand, so that a test can decide what every record of it says."""

import shutil
from pathlib import Path
from typing import Any

from bridle.audit.exports import reading, writing
from bridle.audit.word import Given
from bridle.bundle.load import digest_of
from bridle.ledger import checkpoint, leaf, seal
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.note import Signer
from bridle.ledger.trustfile import Trust
from bridle.model.record import LeafKind
from bridle.store.base import Tx
from bridle.store.place import Place
from bridle.store.rows import BundleRow, PayloadKeyRow
from bridle.store.sqlite import open_store

ORIGIN = "log.example/desk/1"
FIRST, SECOND, STRANGER = (Signer(ORIGIN, bytes([n]) * 32) for n in (1, 2, 3))
BUNDLE = {
    "bridle.toml": 'name = "desk"\n',
    "systems.toml": "# none\n",
    "agents.toml": "",
    "missions.toml": "",
    "policies/one.dw": "permit (principal, action, resource);\n",
}


def trusting(*signers: Signer) -> Trust:
    return Trust(tuple(each.key for each in signers or (FIRST,)), {}, (), None)


class History:
    """Writes records, and signs with the keys it has on record. `close` before anyone reads."""

    def __init__(self, folder: Path, *, salt: int = 0) -> None:
        self.folder = folder
        self.salt = salt
        self.drawn = 0
        (folder / "keys").mkdir(parents=True, mode=0o700)
        folder.chmod(0o700)
        secret = bytes(range(32))
        (folder / "keys" / "payload.key").write_bytes(secret)
        (folder / "keys" / "payload.key").chmod(0o600)
        self.ring = seal.Keyring(secret)
        self.store = open_store(folder / "store.db")
        self.signers: list[Signer] = []
        self.time = 1_767_225_600_000

    @property
    def place(self) -> Place:
        return Place("test", self.folder, self.folder)

    def draw(self, count: int) -> bytes:
        """Bytes that no other draw of this history gives: no test needs them to be random."""
        self.drawn += 1
        unit = b"%d.%d|" % (self.salt, self.drawn)
        return (unit * (count // len(unit) + 1))[:count]

    def append(
        self,
        tx: Tx,
        kind: LeafKind,
        chain: str,
        body: dict[str, Any],
        *,
        ids: dict[str, str] | None = None,
        fields: dict[str, bytes] | None = None,
    ) -> int:
        head = tx.head(chain)
        at = chain, head.seq + 1
        openings = leaf.openings_of(fields or {}, self.draw(32 * len(fields or {})))
        sealed = self.seal(tx, chain, at[1], openings) if openings else b""
        named = {"sealed": leaf.sealed_digest(sealed)} if sealed else {}
        self.time += 1
        commit = leaf.commitments_to(openings)
        data, digest = leaf.write(
            kind, *at, head.hash, self.time, ids or {}, {**body, **named}, commit
        )
        return tx.append(*at, data, digest, sealed)

    def seal(self, tx: Tx, chain: str, seq: int, openings: dict[str, leaf.Opening]) -> bytes:
        row = tx.get(PayloadKeyRow, chain)
        if row is None:
            wrapped = self.ring.wrap(chain, self.draw(32), self.draw(12))
            row = PayloadKeyRow(chain=chain, sealed=wrapped, created=self.time)
            tx.put(row)
        place = seal.place(chain, seq)
        return self.ring.sealer(chain, row.sealed).seal(openings, place, self.draw(12))

    def write(self, kind: LeafKind, chain: str, body: dict[str, Any], **more: Any) -> int:
        return self.store.write(lambda tx: self.append(tx, kind, chain, body, **more))

    def key(self, signer: Signer, state: str = "added") -> None:
        """Put a key on record and sign, as a governor does in one transaction."""
        body = {"what": "key", "key": str(signer.key), "state": state}
        self.write(LeafKind.LOG, "system", body)
        self.signers = [each for each in self.signers if each is not signer]
        self.signers += [signer] * (state == "added")
        self.sign()

    def activate(self, files: dict[str, str] | None = None) -> None:
        files = files or BUNDLE
        digest = digest_of(files)
        row = BundleRow(digest=digest, name="desk", version="1", activated=1, files=files)
        self.store.write(lambda tx: tx.put(row))
        self.write(LeafKind.POLICY, "system", {"what": "activate", "digest": digest})

    def sign(self, *, file: bool = True) -> bytes:
        def job(tx: Tx) -> bytes:
            frontier, kept = tx.frontier(), tx.checkpoints()
            data = checkpoint.sign(Checkpoint(ORIGIN, frontier.size, frontier.root()), self.signers)
            same = bool(kept) and _lines(kept[-1]) == _lines(data)
            instead = checkpoint_size(kept[-1]) if same else None
            tx.put_checkpoint(frontier.size, data, instead=instead)
            return data

        data = self.store.write(job)
        if file:
            (self.folder / "checkpoint").write_bytes(data)
        return data

    def work(self, count: int = 1, chain: str = "mis_1") -> None:
        """Decisions and what came of them."""

        def job(tx: Tx) -> None:
            for number in range(count):
                ids = {"mission": chain, "action": f"act_{self.drawn}", "agent": "clerk"}
                fields = {"args": b'{"n":%d}' % number, "reason": "weil es läuft".encode()}
                body = {"effect": "allow"}
                self.append(tx, LeafKind.DECISION, chain, body, ids=ids, fields=fields)
                result = {"output": b"1"}
                self.append(tx, LeafKind.OUTCOME, chain, {"kind": "ok"}, ids=ids, fields=result)

        self.store.write(job)

    def redact(self, chain: str) -> None:
        def job(tx: Tx) -> None:
            below = tx.frontier().size
            count = tx.erase(chain)
            tx.delete(PayloadKeyRow, chain)
            body = {"what": "mission", "below": below, "records": count, "basis": "asked"}
            self.append(tx, LeafKind.REDACTION, chain, body)

        self.store.write(job)

    def export(self, out: Path, *, opened: bool = True) -> Path:
        writing.export(self.place, out, opened=opened)
        return out

    def close(self) -> None:
        self.store.close()


def checkpoint_size(data: bytes) -> int:
    return int(data.split(b"\n")[1])


def _lines(data: bytes) -> list[bytes]:
    return [line.split()[1] for line in data.split(b"\n") if line.startswith("—".encode())] + [
        line.split()[2][:5] for line in data.split(b"\n") if line.startswith("—".encode())
    ]


def small(folder: Path, *, salt: int = 0) -> History:
    """Every kind of thing that an export holds, in a dozen records; the second key signs it."""
    made = History(folder, salt=salt)
    made.key(FIRST)
    made.activate()
    made.work()
    made.key(SECOND)
    made.work(chain="mis_2")
    made.redact("mis_2")
    made.key(FIRST, "retired")
    made.work()
    made.sign()
    return made


def codes(folder: Path, *signers: Signer, kept: tuple[bytes, ...] = ()) -> set[str]:
    """Verify an export with the public key alone; return the codes of its flaws."""
    given = tuple(Given("kept", data, own=False) for data in kept)
    return {flaw.code for flaw in reading.verify(folder, trusting(*signers), given).report.findings}


def copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to, symlinks=True)
    return to
