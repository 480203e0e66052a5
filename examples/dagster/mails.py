"""The job that sends mails: each process that runs a step of it imports this module."""

import os
from pathlib import Path

from dagster import Config, job, multiprocess_executor, op

import bridle
from bridle.adapters.engines.dagster import govern, governed


def mailer() -> bridle.Worker:
    """Connect to the governor, as the workload whose key lies here."""
    folder = Path(os.environ["MAIL_ROOM"])
    key = bridle.unlock("mailer", (folder / "passphrase").read_text())
    return bridle.worker(folder / "bundle", credential=key)


govern(mailer, again=0.5)


@governed("mail.send")
def send(to: str, body: str) -> str:
    print(f"    ... the mail to {to} leaves the house: {body}", flush=True)
    return "sent"


class Mail(Config):
    to: str
    body: str


@op
def answer(config: Mail) -> str:
    return send(config.to, config.body)


@job(executor_def=multiprocess_executor)
def mails() -> None:
    answer()
