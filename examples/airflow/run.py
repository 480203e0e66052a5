"""An agent has mails sent by a DAG of Airflow: one is allowed, one denied, one held."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bridle
from bridle.adapters.engines.airflow import CONF

HERE = Path(__file__).parent
MAILS = {
    "ticket-1": {"to": "kim@customer.example", "body": "Your parcel is on its way."},
    "ticket-2": {"to": "eve@elsewhere.example", "body": "All our customers are attached."},
    "ticket-3": {"to": "lee@customer.example", "body": "You get a refund of 20 EUR."},
}


def main(folder: Path) -> None:
    bundle = shutil.copytree(HERE / "bundle", folder / "bundle")
    key_of_the_workload(folder, bundle)
    os.environ["BRIDLE_BUNDLE"] = str(bundle)
    shutil.copytree(HERE / "dags", folder / "airflow" / "dags")
    shutil.copytree(HERE / "config", folder / "airflow" / "config")
    airflow("db", "migrate").communicate()
    governor = bridle.open(bundle)
    triage = governor.start_mission("tickets", user="ana", prompt="Answer them").agent("triage")

    runs = {}
    for ticket, mail in MAILS.items():
        tools = {"mail.send": bridle.exactly(mail)}
        reference = triage.dispatch("mailer", task=ticket, tools=tools)
        conf = json.dumps({**mail, CONF: reference})
        runs[ticket] = airflow("dags", "test", "answers", "--conf", conf)
        if ticket == "ticket-1":
            print("ticket-1 allowed:", sent(runs[ticket]))
        elif ticket == "ticket-2":
            said = runs[ticket].communicate()[0]
            print("ticket-2 denied:", re.findall(r"DeniedError: (.*)", said)[-1])
    while not governor.approvals():
        time.sleep(0.2)
    (waiting,) = governor.approvals()
    print("ticket-3 held:", waiting["id"])
    governor.approve(waiting["id"], as_user="ana")
    print("ticket-3 approved by ana:", sent(runs["ticket-3"]))


def sent(run: "subprocess.Popen[str]") -> str:
    """Wait for a run, show which mail left the house, and return whom it went to."""
    said = run.communicate()[0]
    (line,) = re.findall(r"\.\.\. the mail to .*?(?=\s*(?:\[|$))", said, re.MULTILINE)[:1]
    print("   ", line)
    return line.split()[4]


def airflow(*words: str) -> "subprocess.Popen[str]":
    """Start a command of Airflow."""
    command = [sys.executable, "-m", "airflow", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def key_of_the_workload(folder: Path, bundle: Path) -> None:
    """Make a key for the mailer, and put its public half where the governor reads it."""
    words = folder / "passphrase"
    words.write_text(os.urandom(16).hex())
    words.chmod(0o600)
    os.environ["BRIDLE_PASSPHRASE_FILE"] = str(words)
    command = [sys.executable, "-m", "bridle", "keys", "new", "workload", "mailer", "--json"]
    made = json.loads(subprocess.check_output(command))
    with (bundle / "agents.toml").open("a") as agents:
        agents.write(f'key = "{made["public"]}"\n')


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        # What Bridle keeps lies there too, so that the example leaves nothing behind.
        os.environ.update(
            XDG_STATE_HOME=f"{made}/state",
            BRIDLE_KEYS=f"{made}/keys",
            AIRFLOW_HOME=f"{made}/airflow",
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
        )
        main(Path(made))
