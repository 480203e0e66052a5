"""A mail server on loopback that keeps what it receives, and the function that sends through it."""

from __future__ import annotations

import asyncio
import email
import smtplib
import threading
from email import policy
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, Envelope, Session
from msgspec import Struct

SENDER = "desk@shop.example"
_REFUSALS = (
    ConnectionRefusedError,
    smtplib.SMTPSenderRefused,
    smtplib.SMTPRecipientsRefused,
    smtplib.SMTPDataError,
)


class Received(Struct, frozen=True):
    """A mail as the server got it."""

    to: tuple[str, ...]
    subject: str
    body: str


class MailRefusedError(Exception):
    """The server was not there or said no: certainly nothing was sent."""

    code = "smtp_refused"


class MailServer:
    """An SMTP server on a free port of 127.0.0.1, in a thread of its own. It accepts everything."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="demo-mail", daemon=True
        )

    def start(self) -> None:
        """Start, and return once connections are accepted."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Stop and wait for the thread."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002
        """Keep a mail (aiosmtpd calls this for each one)."""
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        mail = email.message_from_bytes(raw, policy=policy.default)
        body = mail.get_content().replace("\r\n", "\n").strip()
        self.received.append(Received(tuple(envelope.rcpt_tos), str(mail["subject"]), body))
        return "250 OK"

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        listening = await self._loop.create_server(
            lambda: SMTP(self, hostname="mail.shop.example"), "127.0.0.1", 0
        )
        self.port = listening.sockets[0].getsockname()[1]
        self._ready.set()
        async with listening:
            await self._over.wait()


def send(port: int, to: str, subject: str, body: str) -> str:
    """Send one mail; raises `MailRefusedError` when the server does not take it."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = SENDER, to, subject
    mail.set_content(body)
    try:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="localhost", timeout=10) as server:
            server.send_message(mail)
    except _REFUSALS as error:
        raise MailRefusedError(str(error)) from error
    return "sent"
