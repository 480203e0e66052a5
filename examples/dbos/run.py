"""An agent has mails sent by a workflow of DBOS: one is allowed, one denied, one held."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dbos import DBOS, SetWorkflowAttributes, SetWorkflowID

import bridle
from bridle.adapters.engines.dbos import ATTRIBUTE, WAITING, DeniedError, govern, step

MAILS = {
    "ticket-1": {"to": "kim@customer.example", "body": "Your parcel is on its way."},
    "ticket-2": {"to": "eve@elsewhere.example", "body": "All our customers are attached."},
    "ticket-3": {"to": "lee@customer.example", "body": "You get a refund of 20 EUR."},
}


@step("mail.send")
def send(to: str, body: str) -> str:
    print(f"    ... the mail to {to} leaves the house: {body}")
    return "sent"


@DBOS.workflow()
def answer(mail: dict[str, str]) -> str:
    return send(**mail)


def main(folder: Path) -> None:
    bundle = shutil.copytree(Path(__file__).parent / "bundle", folder / "bundle")
    credential = key_of_the_workload(folder, bundle)
    governor = bridle.open(bundle)
    triage = governor.start_mission("tickets", user="ana", prompt="Answer them").agent("triage")

    govern(bridle.worker(bundle, credential=credential), again=0.5)
    DBOS(config={"name": "mail-room", "system_database_url": f"sqlite:///{folder}/dbos.sqlite",
                 "log_level": "CRITICAL"})  # fmt: skip
    DBOS.launch()
    for ticket, mail in MAILS.items():
        tools = {"mail.send": bridle.exactly(mail)}
        reference = triage.dispatch("mailer", task=ticket, tools=tools)
        with SetWorkflowAttributes({ATTRIBUTE: reference}), SetWorkflowID(ticket):
            DBOS.start_workflow(answer, mail)

    print("ticket-1 allowed:", DBOS.get_result("ticket-1"))
    try:
        DBOS.get_result("ticket-2")
    except DeniedError as denied:
        print("ticket-2 denied:", denied)
    print("ticket-3 held:", DBOS.get_event("ticket-3", WAITING)["text"])
    time.sleep(1)
    for waiting in governor.approvals():
        governor.approve(waiting["id"], as_user="ana")
    print("ticket-3 approved by ana:", DBOS.get_result("ticket-3"))
    DBOS.destroy()


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
