"""An agent has mails sent by a worker of Celery: one is allowed, one denied, one held."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from celery import Celery
from celery.contrib.testing.worker import start_worker

import bridle
from bridle.adapters.engines.celery import HEADER, DeniedError, govern

MAILS = {
    "ticket-1": {"to": "kim@customer.example", "body": "Your parcel is on its way."},
    "ticket-2": {"to": "eve@elsewhere.example", "body": "All our customers are attached."},
    "ticket-3": {"to": "lee@customer.example", "body": "You get a refund of 20 EUR."},
}
app = Celery("mail-room")


@app.task(name="mail.send", shared=False)
def send(to: str, body: str) -> str:
    print(f"    ... the mail to {to} leaves the house: {body}")
    return to


def main(folder: Path) -> None:
    bundle = shutil.copytree(Path(__file__).parent / "bundle", folder / "bundle")
    credential = key_of_the_workload(folder, bundle)
    governor = bridle.open(bundle)
    triage = governor.start_mission("tickets", user="ana", prompt="Answer them").agent("triage")
    set_up(folder)

    found = {}
    for ticket, mail in MAILS.items():
        tools = {"mail.send": bridle.exactly(mail)}
        reference = triage.dispatch("mailer", task=ticket, tools=tools)
        found[ticket] = app.send_task("mail.send", kwargs=mail, headers={HEADER: reference})
    govern(bridle.worker(bundle, credential=credential), again=0.5)
    # A worker within this process, so that one command shows everything.
    with start_worker(app, pool="solo", perform_ping_check=False, loglevel="CRITICAL"):
        print("ticket-1 allowed:", found["ticket-1"].get(timeout=30))
        try:
            found["ticket-2"].get(timeout=30)
        except DeniedError as denied:
            print("ticket-2 denied:", denied)
        while not (held := governor.approvals()):
            time.sleep(0.1)
        print("ticket-3 held:", held[0]["id"])
        governor.approve(held[0]["id"], as_user="ana")
        print("ticket-3 approved by ana:", found["ticket-3"].get(timeout=30))


def set_up(folder: Path) -> None:
    """Have queue and results lie in folders, where others name Redis or RabbitMQ."""
    for name in ("queue", "control", "results"):
        (folder / name).mkdir()
    queue = {"data_folder_in": folder / "queue", "data_folder_out": folder / "queue"}
    app.conf.update(
        broker_url="filesystem://",
        broker_transport_options={**queue, "control_folder": folder / "control"},
        result_backend=f"file://{folder}/results",
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        broker_connection_retry_on_startup=True,
        worker_hijack_root_logger=False,
    )


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
