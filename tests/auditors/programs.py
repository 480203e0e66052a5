"""The programs that check Bridle's ledger, and Bridle itself, behind one way to ask.

Each can do some of: `open` a checkpoint, or any `note`; recompute a log's root from its `entries`,
read its `tiles`, `prove` leaves, prove how it has `grown`; check an `inclusion`, a `consistency`, a
`receipt`, a whole `export`; `write` a log. Bytes go in and come out as bytes, whatever is spoken
underneath.
"""

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from auditors import toolchain
from bridle.audit.exports import reading
from bridle.ledger import checkpoint, note, receipt, tiles, trustfile
from bridle.ledger.tree import consistent, frontier_of, includes, leaf_hash
from bridle.model.errors import BridleError

FOREIGN = Path(__file__).resolve().parent / "foreign"
PYTHON = toolchain.ENVIRONMENT / "bin" / "python"
COMMANDS = {
    "go": [str(toolchain.AUDITOR)],
    **{
        name: [str(PYTHON), str(FOREIGN / f"with_{name.replace('-', '_')}.py")]
        for name in ("pymerkle", "scitt-cose", "sigstore", "tlog-scales")
    },
}
ABLE = {
    "go": (
        "open", "note", "entries", "tiles", "prove", "grown", "inclusion", "consistency",
        "receipt", "write", "key", "sign",
    ),
    "tlog-scales": (
        "open", "entries", "tiles", "prove", "grown", "inclusion", "consistency", "receipt",
        "write", "cosign",
    ),
    "scitt-cose": ("entries", "prove", "grown", "inclusion", "consistency"),
    "pymerkle": ("entries", "root", "prove", "grown", "inclusion"),
    "sigstore": ("open", "inclusion", "receipt"),
    "bridle": ("open", "note", "entries", "export", "inclusion", "consistency", "receipt"),
}  # fmt: skip
BYTES = {"data", "leaf", "root", "old_root"}
LISTS = {"leaves", "proof", "roots", "hashes"}

Answer = dict[str, Any]


class RefusedError(Exception):
    """What the program was asked to check does not hold; its own words."""


class Program:
    """A program that others wrote, started once and asked a line at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            COMMANDS[name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**toolchain.environ(), "PYTHONDONTWRITEBYTECODE": "1"},
            text=True,
        )

    def ask(self, do: str, **asked: Any) -> Answer:
        """Ask; the answer, or `RefusedError`."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"do": do, **_written(asked)}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"{self.name} has ended"
        answer = json.loads(line)
        if not answer.pop("ok"):
            raise RefusedError(answer["why"])
        return _read(answer)

    def end(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0


class Bridle:
    """Bridle's own ledger, asked the same questions."""

    name = "bridle"

    def ask(self, do: str, **asked: Any) -> Answer:
        """Ask; the answer, or `RefusedError`."""
        try:
            return ANSWERS[do](**asked)
        except (BridleError, OSError) as error:
            raise RefusedError(str(error)) from error

    def end(self) -> None: ...


Programs = dict[str, Program | Bridle]


def _open(data: bytes, keys: list[str]) -> Answer:
    found = checkpoint.read(data, map(note.key, keys))
    return {
        "text": found.note.text,
        "signed": [each.name for each in found.keys],
        "size": found.checkpoint.size,
        "root": found.checkpoint.root,
    }


def _note(data: bytes, keys: list[str]) -> Answer:
    found = note.parse(data)
    signed = note.verify(found, map(note.key, keys))
    return {"text": found.text, "signed": [each.name for each in signed]}


def _entries(dir: str, keys: list[str]) -> Answer:  # noqa: A002 - the question's own word
    """Recompute the root from the entries, and every tile from them."""
    claimed = checkpoint.read(Path(dir, "checkpoint").read_bytes(), map(note.key, keys)).checkpoint
    level: list[bytes] = []
    for tile in tiles.tiles_of(claimed.size):
        if tile.level == 0:
            level += map(leaf_hash, tiles.leaves(_capped(Path(dir, tile.bundle))))
    if (len(level), frontier_of(level).root()) != (claimed.size, claimed.root):
        raise RefusedError("another root")
    height = 0
    for tile in tiles.tiles_of(claimed.size):
        if tile.level > height:
            height, level = tile.level, _above(level)
        expected = level[tile.start : tile.start + tile.width]
        if _capped(Path(dir, tile.path)) != b"".join(expected):
            raise RefusedError(f"another {tile.path}")
    return {"size": claimed.size, "root": claimed.root}


def _export(dir: str, keys: list[str]) -> Answer:  # noqa: A002 - the question's own word
    """Verify an export, all of it, as `bridle audit verify --export` does."""
    trust = trustfile.parse(trustfile.render(map(note.key, keys)))
    found = reading.verify(Path(dir), trust)
    if not (found.ok and found.word.trusted and found.word.newest):
        raise RefusedError(", ".join(each.code for each in found.report.findings))
    return {"size": found.word.newest.size, "root": bytes.fromhex(found.word.newest.root)}


def _capped(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(tiles.WIDTH * (1 << 16))


def _above(level: list[bytes]) -> list[bytes]:
    full = range(0, len(level) - len(level) % tiles.WIDTH, tiles.WIDTH)
    return [frontier_of(level[at : at + tiles.WIDTH]).root() for at in full]


def _inclusion(index: int, size: int, leaf: bytes, proof: list[bytes], root: bytes) -> Answer:
    return _held(includes(index, size, leaf_hash(leaf), proof, root))


def _consistency(
    old: int, size: int, old_root: bytes, root: bytes, proof: list[bytes]
) -> Answer:  # fmt: skip
    return _held(consistent(old, size, old_root, root, proof))


def _receipt(data: bytes, leaf: bytes, keys: list[str]) -> Answer:
    read = receipt.parse(data)
    return {"index": read.index, "size": _size(receipt.verify(read, leaf, map(note.key, keys)))}


def _size(signed: checkpoint.Signed) -> int:
    return signed.checkpoint.size


def _held(holds: bool) -> Answer:
    if not holds:
        raise RefusedError("it does not hold")
    return {}


ANSWERS: dict[str, Callable[..., Answer]] = {
    "open": _open,
    "note": _note,
    "entries": _entries,
    "export": _export,
    "inclusion": _inclusion,
    "consistency": _consistency,
    "receipt": _receipt,
}


def _written(asked: Answer) -> Answer:
    return {name: _b64(value) for name, value in asked.items()}


def _b64(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Path):
        return str(value)
    return [_b64(each) for each in value] if isinstance(value, list | tuple) else value


def _read(answer: Answer) -> Answer:
    for name, value in answer.items():
        if name in BYTES:
            answer[name] = base64.b64decode(value)
        elif name in LISTS:
            answer[name] = [base64.b64decode(each) for each in value]
        elif name == "proofs":
            answer[name] = [[base64.b64decode(each) for each in proof or []] for proof in value]
    return answer
