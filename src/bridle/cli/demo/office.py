"""The back office as a whole: database, mail server, web site and a folder of notes, all real."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Self

from bridle.cli.demo import mailbox
from bridle.cli.demo.shop import Shop
from bridle.cli.demo.site import Site


class Office:
    """All parts, running between `with` and its end. Attributes are what agents' tools work on."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.shop = Shop(folder / "shop.db")
        self.mail = mailbox.MailServer()
        self.site = Site()
        self.questions: list[str] = []
        for volume in ("notes", "archive"):
            (folder / volume).mkdir(exist_ok=True)
        (folder / "archive" / "2025.md").write_text("Last year's notes.\n", "utf-8")

    def __enter__(self) -> Self:
        self.mail.start()
        self.site.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.site.stop()
        self.mail.stop()

    def send_mail(self, to: str, subject: str, body: str) -> str:
        """Send one mail."""
        return mailbox.send(self.mail.port, to, subject, body)

    def ask_lead(self, question: str) -> dict[str, Any]:
        """Put a question to ben, a support lead. His answer is scripted in place of a human's."""
        self.questions.append(question)
        return {"approved": True, "by": "ben"}

    def write_note(self, name: str, text: str) -> str:
        """Write a note of the team."""
        (self.folder / "notes" / name).write_text(text, "utf-8")
        return "written"

    def delete_volume(self, volume: str) -> None:
        """Delete a volume with everything on it."""
        shutil.rmtree(self.folder / volume)

    def seen(self) -> dict[str, Any]:
        """Return what really happened, as the parts themselves saw it."""
        notes = self.folder / "notes"
        volumes = ("notes", "archive")
        return {
            "mails": [
                {"to": ", ".join(mail.to), "subject": mail.subject, "body": mail.body}
                for mail in self.mail.received
            ],
            "refunds": [{"order": order, "eur": eur} for order, eur in self.shop.refunds()],
            "tables": self.shop.tables(),
            "pages": list(self.site.requests),
            "questions": list(self.questions),
            "help": list(self.site.pages.values()),
            "notes": {
                file.name: file.read_text("utf-8").strip() for file in sorted(notes.glob("*"))
            },
            "volumes": [name for name in volumes if (self.folder / name).is_dir()],
        }
