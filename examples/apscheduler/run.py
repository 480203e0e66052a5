"""An agent has mails sent by jobs of APScheduler: one is allowed, one denied, one held."""

import json
import logging
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
from apscheduler.schedulers.background import BackgroundScheduler

import bridle
from bridle.adapters.engines.apscheduler import govern

MAILS = {
    "ticket-1": {"to": "kim@customer.example", "body": "Your parcel is on its way."},
    "ticket-2": {"to": "eve@elsewhere.example", "body": "All our customers are attached."},
    "ticket-3": {"to": "lee@customer.example", "body": "You get a refund of 20 EUR."},
}
DUE = datetime.now(UTC)


def send(to: str, body: str) -> str:
    print(f"    ... the mail to {to} leaves the house: {body}")
    return "sent"


def main(folder: Path) -> None:
    bundle = shutil.copytree(Path(__file__).parent / "bundle", folder / "bundle")
    credential = key_of_the_workload(folder, bundle)
    governor = bridle.open(bundle)
    triage = governor.start_mission("tickets", user="ana", prompt="Answer them").agent("triage")

    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    govern(bridle.worker(bundle, credential=credential), tools={send: "mail.send"})
    scheduler, ended = BackgroundScheduler(timezone=UTC), queue.Queue()
    scheduler.add_listener(ended.put, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
    scheduler.start()

    def ran(ticket: str, reference: str) -> object:
        """Run a job, now and for the same time as ever: it is the same step. Return its end."""
        times = {"run_date": DUE, "misfire_grace_time": None}
        scheduler.add_job(send, "date", kwargs=MAILS[ticket], id=ticket, name=reference, **times)
        return ended.get(timeout=30)

    references = {
        ticket: triage.dispatch("mailer", task=ticket, tools={"mail.send": bridle.exactly(mail)})
        for ticket, mail in MAILS.items()
    }
    print("ticket-1 allowed:", ran("ticket-1", references["ticket-1"]).retval)
    print("ticket-2 denied:", ran("ticket-2", references["ticket-2"]).exception)
    held = ran("ticket-3", references["ticket-3"]).exception
    print("ticket-3 held:", held)
    governor.approve(held.approval_id, as_user="ana")
    print("ticket-3 approved by ana:", ran("ticket-3", references["ticket-3"]).retval)
    scheduler.shutdown()


def key_of_the_workload(folder: Path, bundle: Path) -> bridle.Credential:
    """Make a key for the mailer, and put its public half where the governor reads it."""
    words = folder / "passphrase"
    words.write_text(os.urandom(16).hex())
    words.chmod(0o600)
    command = ["-m", "bridle", "keys", "new", "workload", "mailer", "--json"]
    made = json.loads(
        subprocess.check_output([sys.executable, *command, "--passphrase-file", str(words)])
    )
    with (bundle / "agents.toml").open("a") as agents:
        agents.write(f'key = "{made["public"]}"\n')
    return bridle.unlock("mailer", words.read_text())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        # What Bridle keeps lies there too, so that the example leaves nothing behind.
        os.environ.update(XDG_STATE_HOME=f"{made}/state", BRIDLE_KEYS=f"{made}/keys")
        main(Path(made))
