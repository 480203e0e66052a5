"""Trust files (C2SP `tlog-policy`): which logs an auditor believes, and which witnesses it takes.

The auditor's own file, and the `trust-policy` of an export, which only says what the log says of
itself. Octets, not Unicode: names are compared as bytes. Format: <https://c2sp.org/tlog-policy>.
Logs sign with keys of type 01 and witnesses with type 04; other types are refused rather than
passed over, since a line nobody can verify would weaken the quorum or block it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn

from msgspec import Struct, structs

from bridle.ledger import checkpoint, cosignature, note
from bridle.ledger.checkpoint import Signed
from bridle.ledger.errors import LedgerError
from bridle.ledger.note import COSIGNATURE, ED25519, Key

MOST_BYTES = 1 << 20
MOST_LINES = 4_096
"""Most lines that are neither empty nor comments."""

_OCTETS = re.compile(rb"[\t\n\x20-\x7e\x80-\xff]*")
_FIELD = re.compile(rb"[^ \t]+")
_COUNT = re.compile(rb"[1-9][0-9]{0,5}")
_NONE = b"none"


class Group(Struct, frozen=True):
    """A group of witnesses and earlier groups: it witnesses once `needed` of its members do."""

    name: bytes
    needed: int
    members: tuple[bytes, ...]


class Trust(Struct, frozen=True):
    """What a trust file says. `keys` are those of logs, `witnesses` are by name.

    `quorum` names a witness or a group; `None` asks for no cosignature.
    """

    keys: tuple[Key, ...]
    witnesses: dict[bytes, Key]
    groups: tuple[Group, ...]
    quorum: bytes | None

    def read(self, data: bytes, learned: Iterable[Key] = ()) -> Signed:
        """Read a checkpoint that one of the logs signed and the quorum of witnesses cosigned.

        `learned` are further keys of the logs, which a verified record has named. Times of
        cosignatures are returned and not judged. Raises `LedgerError`: `quorum_missed`, and as
        `bridle.ledger.checkpoint.read`; a wrong line by any known witness refuses the note.
        """
        signed = checkpoint.read(data, (*self.keys, *learned))
        cosigned = cosignature.verify(signed.note, self.witnesses.values())
        if not self.satisfied({each.key for each in cosigned}):
            raise LedgerError(
                "too few of the witnesses you ask for have cosigned it",
                code="quorum_missed",
                hint="Ask the log's operator for a checkpoint with their cosignatures.",
            )
        return structs.replace(signed, cosigned=cosigned)

    def satisfied(self, by: set[Key]) -> bool:
        """Tell whether these witnesses make the quorum."""
        if self.quorum is None:
            return True
        there = {name for name, each in self.witnesses.items() if each in by}
        for group in self.groups:  # in order: a group names earlier ones only
            if sum(name in there for name in group.members) >= group.needed:
                there.add(group.name)
        return self.quorum in there


def parse(data: bytes) -> Trust:
    """Read a trust file of at most 1 MiB and 4,096 lines that say something.

    Raises `LedgerError` (`trust_invalid`) that names the line.
    """
    if len(data) > MOST_BYTES:
        raise _invalid(0, f"it is longer than {MOST_BYTES} bytes")
    # A file that was cut short within a name could ask for less than its author wrote.
    if not data.endswith(b"\n"):
        raise _invalid(data.count(b"\n") + 1, "the last line does not end in a newline")
    reading = _Reading()
    for number, line in enumerate(data[:-1].split(b"\n"), 1):
        reading.line(number, line)
    return reading.trust()


def render(keys: Iterable[Key]) -> bytes:
    """Write the trust file that takes these keys of a log and asks for no witness.

    Raises `LedgerError` (`trust_invalid`) for keys that `parse` would not read back.
    """
    logs = tuple(keys)
    data = "".join([*(f"log {each}\n" for each in logs), "quorum none\n"]).encode()
    if parse(data).keys != logs:
        raise _invalid(0, "a key would not read back")
    return data


class _Reading:
    """A trust file as far as it has been read."""

    def __init__(self) -> None:
        self.number = self.lines = 0
        self.logs: list[Key] = []
        self.witnesses: dict[bytes, Key] = {}
        self.groups: dict[bytes, Group] = {}
        self.quorums: list[bytes] = []
        self.members: set[bytes] = set()
        self.public: set[bytes] = set()

    def line(self, number: int, line: bytes) -> None:
        self.number = number
        if not _OCTETS.fullmatch(line):
            self.refuse("it holds a control character; lines end in a bare newline")
        fields: list[bytes] = _FIELD.findall(line)
        if not fields or fields[0].startswith(b"#"):
            return
        self.lines += 1
        if self.lines > MOST_LINES:
            self.refuse(f"there are more than {MOST_LINES} lines")
        match fields:
            case [b"log", vkey] | [b"log", vkey, _]:
                self.logs.append(self.key(vkey, ED25519, "a log signs with a key of type 01"))
            case [b"witness", name, vkey] | [b"witness", name, vkey, _]:
                key = self.key(vkey, COSIGNATURE, "a witness signs with a key of type 04")
                self.witnesses[self.new(name)] = key
            case [b"group", name, needed, *members]:
                self.group(name, needed, members)
            case [b"quorum", name]:
                self.quorum(name)
            case _:
                self.refuse("it is no line of a trust file: log, witness, group or quorum")

    def key(self, text: bytes, kind: int, otherwise: str) -> Key:
        try:
            found = note.key(text.decode())
        except (UnicodeDecodeError, LedgerError):
            self.refuse("it holds no verifier key for Ed25519")
        if found.kind != kind:
            self.refuse(otherwise)
        if found.public in self.public:
            self.refuse("its public key stands in an earlier line")
        self.public.add(found.public)
        return found

    def group(self, name: bytes, needed: bytes, members: list[bytes]) -> None:
        count = {b"any": 1, b"all": len(members)}.get(needed, 0)
        if _COUNT.fullmatch(needed):
            count = int(needed)
        if not 1 <= count <= len(members):
            self.refuse("a group asks for `any`, `all` or a number of the members it names")
        for each in members:
            self.known(each)
            if each in self.members:
                self.refuse("a member stands in a group already")
            self.members.add(each)
        self.groups[self.new(name)] = Group(name, count, tuple(members))

    def quorum(self, name: bytes) -> None:
        if self.quorums:
            self.refuse("there is a quorum already")
        if name != _NONE:
            self.known(name)
        self.quorums.append(name)

    def new(self, name: bytes) -> bytes:
        if name == _NONE or name in self.witnesses or name in self.groups:
            self.refuse("the name is taken")
        return name

    def known(self, name: bytes) -> None:
        if name not in self.witnesses and name not in self.groups:
            self.refuse("it names a witness or group that no earlier line defines")

    def refuse(self, why: str) -> NoReturn:
        raise _invalid(self.number, why)

    def trust(self) -> Trust:
        if not self.quorums:
            self.refuse("there is no quorum; `quorum none` asks for no witness")
        (quorum,) = self.quorums
        named = None if quorum == _NONE else quorum
        return Trust(tuple(self.logs), self.witnesses, tuple(self.groups.values()), named)


def _invalid(line: int, why: str) -> LedgerError:
    place = f"line {line} of the trust file" if line else "the trust file"
    return LedgerError(
        f"{place}: {why}", code="trust_invalid", hint="Its form: https://c2sp.org/tlog-policy"
    )
