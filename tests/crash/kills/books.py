"""The suite's own books: what the world, the journals and the raw store say of one another.

Nothing of Bridle is imported here. Leaves, hashes, chains and ids are read and computed anew.
"""

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

from crash import signed
from crash.kills.journal import read
from crash.kills.office import may_repeat, tool_of

_HARMLESS_ERROR = "refused"


class Books:
    """Everything that was written down in a trial, and what is wrong with it."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.wrong: list[str] = []
        self.world = read(folder / "world")
        self.human = read(folder / "human.journal")
        lines = [line for path in sorted(folder.glob("*.journal")) for line in read(path)]
        self.told = [line for line in lines if line["what"] == "told"]
        self.ended = [line for line in lines if line["what"] == "ended"]
        # Every checkpoint that anybody has seen, in files or in the store.
        self.seen = [line["note"].encode() for line in lines if line["what"] == "seen"]
        self.gone = [line for line in lines if line["what"] == "seen" and not line["note"]]
        self.files = [store.with_name("checkpoint"), folder / "checkpoint.copy"]
        listed = folder / "listed"  # by a governor, if one still opens the store
        self.listed = json.loads(listed.read_text() if listed.exists() else "{}")
        with closing(sqlite3.connect(store)) as database:
            self._read(database)
        # By attempt, the body of its last outcome; empty where there is none.
        self.last: dict[str, dict[str, Any]] = {}
        self.actions = {row["id"]: row for row in self.rows["actions"]}
        self.attempts = {row["id"]: row for row in self.rows["attempts"]}

    def _read(self, database: sqlite3.Connection) -> None:
        self.raw = database.execute(
            'SELECT "index", "chain", "seq", "data", "hash" FROM "leaves" ORDER BY "index"'
        ).fetchall()
        self.sealed = [
            bool(sealed)
            for (sealed,) in database.execute('SELECT "sealed" FROM "leaves" ORDER BY "index"')
        ]
        self.seen += [note for (note,) in database.execute('SELECT "note" FROM "checkpoints"')]
        self.log = database.execute('SELECT "size", "hashes" FROM "log"').fetchone()
        self.heads = dict(database.execute('SELECT "chain", "seq" FROM "chains"').fetchall())
        self.rows = {
            table: [json.loads(doc) for (doc,) in database.execute(f'SELECT "doc" FROM "{table}"')]
            for table in ("actions", "attempts", "holds", "budgets", "log_keys")
        }
        self.leaves = [json.loads(data) for _, _, _, data, _ in self.raw]
        self.whole = database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    def say(self, what: str, found: object) -> None:
        if found:
            self.wrong.append(f"{what}: {found}")


def check(folder: Path, store: Path) -> dict[str, Any]:
    """Return what is wrong, and how much was seen."""
    books = Books(folder, store)
    for look in _LOOKS:
        look(books)
    seen = Counter(leaf["kind"] for leaf in books.leaves)
    return {
        "wrong": books.wrong,
        "seen": {
            "leaves": len(books.leaves),
            "started": seen["started"],
            "told": len(books.told),
            "effects": len(books.world),
            "unknown": len(books.listed.get("unknown", [])),
            "repeated": sum(n - 1 for n in Counter(e["key"] for e in books.world).values()),
            "steps": len({line["key"] for line in books.ended}),
            "checkpoints": len(set(books.seen)),
            "erased": seen["redaction"],
            "interrupted": sum(
                leaf["kind"] == "degraded" and leaf["body"].get("what") == "interrupted"
                for leaf in books.leaves
            ),
            "keys": len(books.rows["log_keys"]),
            "human": len([x for x in books.human if x["what"] in ("settled", "approved")]),
        },
    }


def _log(books: Books) -> None:
    """Whole, in order, each leaf what its hash says, each chain without gap or branch."""
    books.say("the database is damaged", not books.whole)
    books.say("indexes", [r[0] for r in books.raw] != list(range(len(books.raw))))
    heads: dict[str, tuple[int, str]] = {}
    for (index, chain, seq, data, digest), leaf in zip(books.raw, books.leaves, strict=True):
        before, prev = heads.get(chain, (-1, "0" * 64))
        found = hashlib.sha256(b"\0" + data).digest()
        books.say(f"leaf {index} is not what its hash says", found != digest)
        books.say(
            f"leaf {index} does not follow",
            (leaf["chain"], leaf["seq"], seq, leaf["prev"]) != (chain, seq, before + 1, prev),
        )
        heads[chain] = (seq, digest.hex())
    books.say("heads", {chain: seq for chain, (seq, _) in heads.items()} != books.heads)
    books.say("size", books.log[0] != len(books.raw))
    books.say("root", b"".join(_subtrees([r[4] for r in books.raw])) != books.log[1])


def _subtrees(hashes: list[bytes]) -> list[bytes]:
    """The roots of the full subtrees, largest first (RFC 6962, section 2.1)."""
    roots: list[bytes] = []
    at = 0
    for bit in reversed(range(len(hashes).bit_length())):
        size = 1 << bit
        if len(hashes) & size:
            level = hashes[at : at + size]
            while len(level) > 1:
                pairs = zip(level[::2], level[1::2], strict=True)
                level = [hashlib.sha256(b"\1" + a + b).digest() for a, b in pairs]
            roots.append(level[0])
            at += size
    return roots


def _receipts(books: Books) -> None:
    """I7: what was acknowledged lies where its receipt says."""
    hashes = {row[0]: row[4].hex() for row in books.raw}
    lost = [line for line in books.told if hashes.get(line["index"]) != line["hash"]]
    books.say("acknowledged and lost", lost[:3])


def _starts(books: Books) -> None:
    """I4: an action's next start comes after the end of the last; each start is there once."""
    live: dict[str, str] = {}
    for leaf in books.leaves:
        attempt, action = leaf["ids"].get("attempt", ""), leaf["ids"].get("action", "")
        if leaf["kind"] == "started":
            books.say("two live starts", live.get(action, "") and (live[action], attempt))
            books.say("a start twice", attempt in books.last and attempt)
            live[action] = attempt
            books.last[attempt] = {}
        elif leaf["kind"] == "outcome" and not attempt:
            # What a verdict that was never started had reserved came back.
            books.say("an outcome of nothing", leaf["body"]["kind"] != "not_started" and leaf)
        elif leaf["kind"] == "outcome":
            books.say("an outcome without a start", attempt not in books.last and attempt)
            books.last[attempt] = _outcome(books, attempt, leaf["body"])
            if live.get(action) == attempt:
                live[action] = ""
    rows = {row["id"] for row in books.rows["attempts"]}
    books.say("rows and ledger differ on starts", rows ^ set(books.last))


def _outcome(books: Books, attempt: str, body: dict[str, Any]) -> dict[str, Any]:
    """How an attempt stands after one more outcome. Only a human's word may be contradicted."""
    before = books.last.get(attempt, {})
    if "contradicts" not in body:
        books.say("an outcome twice", before and before["kind"] != "unknown" and attempt)
        return body
    # The human looked before a slow client had told: now there is doubt, until a human looks again.
    books.say("a contradiction", not (before.get("by_human") or "doubted" in before) and attempt)
    return before if before.get("kind") == "ok" else {"kind": "unknown", "doubted": True}


def _effects(books: Books) -> None:
    """I1 and I4: each effect has its start, each start one effect, nothing forbidden happened."""
    by_attempt = Counter(line["attempt"] for line in books.world)
    books.say("effects without a record", sorted(set(by_attempt) - set(books.last))[:3])
    books.say("an attempt took effect twice", [a for a, n in by_attempt.items() if n > 1])
    books.say("the forbidden", [e for e in books.world if tool_of(e["key"]) == "log.burn"])
    for line in books.world:
        row = books.attempts.get(line["attempt"])
        other = row is not None and row["action"] != _action(books, row, line["key"])
        books.say("an effect under another's start", other and line)
    permits = _permits(books)
    found: dict[str, list[int]] = defaultdict(list)
    for line in books.world:
        if not may_repeat(line["key"]):
            found[line["key"]].append(line["t"])
    for key, times in found.items():
        for number, time in enumerate(sorted(times)):
            given = sum(at < time for at in permits.get(key, ()))
            books.say("run twice without a human", number > given and (key, number + 1))


def _action(books: Books, row: dict[str, Any], key: str) -> str:
    """The id of the action that a key names (length-prefixed parts, hashed)."""
    parts = (row["mission"], row["agent"], "python", key)
    text = b"".join(f"{len(part.encode())}:{part}".encode() for part in parts)
    return "act_" + hashlib.sha256(text).hexdigest()[:32]


def _permits(books: Books) -> dict[str, list[int]]:
    """When a human let a step that may have happened be done once more, by key."""
    keys = {
        _action(books, row, line["key"]): line["key"]
        for line in books.ended + books.world
        for row in ({"mission": m, "agent": a} for m, a in _places(books))
    }
    found: dict[str, list[int]] = defaultdict(list)
    for line in books.human:
        action = ""
        if line["what"] == "settling" and line["kind"] == "not_started":
            action = books.attempts[line["attempt"]]["action"]
        elif line["what"] == "approving" and line["doubts"]:
            action = line["action"]
        if action in keys:
            found[keys[action]].append(line["t"])
    return found


def _places(books: Books) -> set[tuple[str, str]]:
    return {(row["mission"], row["agent"]) for row in books.rows["actions"]}


def _ends(books: Books) -> None:
    """A step that ended well took effect, and has one result for ever."""
    results: dict[str, list[Any]] = defaultdict(list)
    for line in books.ended:
        if line["how"] == "ok":
            results[line["key"]].append(line["result"])
    for key, found in results.items():
        books.say("two results of one step", any(each != found[0] for each in found) and key)
        happened = [line["attempt"] for line in books.world if line["key"] == key]
        books.say("a result of nothing", found[0]["attempt"] not in happened and key)
    forbidden = {line["how"] for line in books.ended if tool_of(line["key"]) == "log.burn"}
    books.say("the forbidden ended otherwise", forbidden - {"forbidden"})


def _surfaced(books: Books) -> None:
    """Every start that nobody reported is listed as unknown; nothing runs for ever."""
    silent = {
        attempt for attempt, body in books.last.items() if not body or body["kind"] == "unknown"
    }
    books.say("unknown, but not listed", silent ^ set(books.listed.get("unknown", [])))
    books.say("still running", books.listed.get("started", []))


def _charges(books: Books) -> None:
    """Each action that may have taken effect is charged once, to all who pay; nothing else is."""
    used = {row["id"]: row["used"] for row in books.rows["budgets"]}
    due: Counter[str] = Counter()
    for row in books.rows["actions"]:
        mine = [a["id"] for a in books.rows["attempts"] if a["action"] == row["id"]]
        doubted = any(not _harmless(books.last.get(attempt, {})) for attempt in mine)
        amount = 10_000 * (doubted or row["state"] == "decided")
        due[f"{row['mission']}/0/calls"] += amount
        due[row["agent"]] += amount
    missions = {key: amount for key, amount in used.items() if key in due}
    books.say("charges", {k: (due[k], n) for k, n in missions.items() if due[k] != n})
    # Agents and the one user pay under pseudonyms: what they paid tells who they are.
    of = {
        kind: [n for key, n in used.items() if key.startswith(kind)] for kind in ("agent", "user")
    }
    agents = [due[name] for name in ("clerk", "porter")]
    books.say("charges of agents", sorted(of["agent"]) != sorted(agents) and (of, agents))
    books.say("charges of the user", of["user"] != [sum(agents)] and (of, agents))
    written: Counter[str] = Counter()
    for leaf in books.leaves:
        written.update(leaf["body"].get("charged", {}))
        written.subtract(leaf["body"].get("returned", {}))
    books.say("rows and ledger differ on charges", dict(written) != used and (used, written))


def _harmless(body: dict[str, Any]) -> bool:
    kind = body.get("kind")
    return kind == "not_started" or (kind == "error" and body.get("error") == _HARMLESS_ERROR)


def _holds(books: Books) -> None:
    """A hold that an agent was told of is there; what a human was told of it stands."""
    holds = {row["id"]: row for row in books.rows["holds"]}
    told = {line["hold"] for line in books.told if line["hold"]}
    books.say("holds lost", told - set(holds))
    stands = {"approved": {"approved", "used", "void"}, "denied": {"denied", "void"}}
    for line in books.human:
        if line.get("status") in stands:
            status = holds.get(line["hold"], {}).get("status")
            what = f"{line['status']}, but {status}"
            books.say(what, status not in stands[line["status"]] and line["hold"])


def _humans(books: Books) -> None:
    """What a human settled, and was told so, stands in the ledger once."""
    by_human = Counter(
        leaf["ids"]["attempt"]
        for leaf in books.leaves
        if leaf["kind"] == "outcome" and leaf["body"].get("by_human")
    )
    settled = {line["attempt"] for line in books.human if line["what"] == "settled"}
    books.say("settled and lost", settled - set(by_human))
    books.say("settled twice", [attempt for attempt, n in by_human.items() if n > 1])


def _signed(books: Books) -> None:
    """No two checkpoints contradict one another: all that anybody saw are of this log's past."""
    books.say("a checkpoint was taken away", books.gone)
    files = [file.read_bytes() for file in books.files]
    leaves = [row[3] for row in books.raw]
    wrong = signed.contradictions(leaves, [*filter(None, books.seen), *files])
    books.say("a signed checkpoint is contradicted", wrong[:3])
    books.say("how governors ended", signed.unbalanced(books.leaves)[:3])
    if not wrong:
        sizes = [signed.read(note, signed.keys_on_record(books.leaves)).size for note in files]
        books.say("closed, and not all of it is signed", sizes != [len(leaves)] * 2 and sizes)


def _keys(books: Books) -> None:
    """Whoever was told that a key signs, or no more, was told the truth."""
    rows = {row["id"]: row for row in books.rows["log_keys"]}
    told = {key for line in books.human if line["what"] == "signs" for key in line["keys"]}
    retired = {line["key"] for line in books.human if line["what"] == "retired"}
    books.say("keys lost", (told | retired) - set(rows))
    # A row leaves out what is as it was at first: that of a key that signs has no `retired`.
    signing = [key for key in retired & set(rows) if not rows[key].get("retired")]
    books.say("keys that sign again", signing)


def _erased(books: Books) -> None:
    """What a human was told is erased is gone; nothing is gone by halves, or without a record."""
    missions = {line["mission"] for line in books.human if line["what"] == "redacted"}
    below = {
        leaf["chain"]: leaf["body"]["below"] for leaf in books.leaves if leaf["kind"] == "redaction"
    }
    books.say("erased, and not on record", missions - set(below))
    for index, leaf in enumerate(books.leaves):
        if leaf["commit"] and books.sealed[index] == (index < below.get(leaf["chain"], 0)):
            books.say("erased by halves", (leaf["chain"], index))


_LOOKS = (
    *(_log, _receipts, _starts, _effects, _ends, _surfaced, _charges, _holds, _humans),
    *(_signed, _keys, _erased),
)
