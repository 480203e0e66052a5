"""A process that appends to a store and follows it at once, to be killed at any moment."""

import sys
import threading
from pathlib import Path

from bridle.emit.targets import Emission, target
from bridle.model.record import LeafKind
from bridle.store.sqlite import open_store
from ledger import written


def append(store, number: int = 1) -> None:
    """Append records that say nothing."""

    def job(tx) -> None:
        for _ in range(number):
            head = tx.head("mis_1")
            data, digest, _ = written.build(
                LeafKind.DECISION,
                "mis_1",
                head.seq + 1,
                head.hash,
                1_767_225_600_000,
                {"action": f"act_{head.seq}"},
                {"effect": "deny", "tool": "mail.send", "codes": ["forbidden"]},
                {},
                b"",
            )
            tx.append("mis_1", head.seq + 1, data, digest, b"")

    store.write(job)


def main(folder: Path, events: str) -> None:
    store = open_store(folder / "store.db")
    emission = Emission()
    emission.start(folder, [target(events)])
    # The one that kills chooses the moment: this only ends when it does.
    threading.Thread(target=sys.stdin.read, daemon=True).start()
    print("ready", flush=True)
    while True:
        append(store, 5)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
