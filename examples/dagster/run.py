"""An agent has mails sent by a job of Dagster: one is allowed, one denied, one held."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dagster import DagsterInstance, execute_job, reconstructable
from mails import mails

import bridle
from bridle.adapters.engines.dagster import TAG

MAILS = {
    "ticket-1": {"to": "kim@customer.example", "body": "Your parcel is on its way."},
    "ticket-2": {"to": "eve@elsewhere.example", "body": "All our customers are attached."},
    "ticket-3": {"to": "lee@customer.example", "body": "You get a refund of 20 EUR."},
}


def main(folder: Path) -> None:
    bundle = shutil.copytree(Path(__file__).parent / "bundle", folder / "bundle")
    make_key_of_the_workload(folder, bundle)
    governor = bridle.open(bundle)
    triage = governor.start_mission("tickets", user="ana", prompt="Answer them").agent("triage")

    def ran(ticket: str) -> str:
        tools = {"mail.send": bridle.exactly(MAILS[ticket])}
        reference = triage.dispatch("mailer", task=ticket, tools=tools)
        return launched(folder / ticket, MAILS[ticket], reference)

    print("ticket-1 allowed:", ran("ticket-1"), flush=True)
    print("ticket-2 denied:", ran("ticket-2"), flush=True)
    with ThreadPoolExecutor(1) as pool:
        third = pool.submit(ran, "ticket-3")
        while not (waiting := governor.approvals()):
            time.sleep(0.1)
        print("ticket-3 held:", waiting[0]["id"], flush=True)
        time.sleep(1)
        governor.approve(waiting[0]["id"], as_user="ana")
        print("ticket-3 approved by ana:", third.result(), flush=True)


def launched(home: Path, mail: dict[str, str], reference: str) -> str:
    """Launch a run for a mail and wait for its end. Returns what came of it."""
    home.mkdir()
    quiet = {"telemetry": {"enabled": False}, "python_logs": {"python_log_level": "CRITICAL"}}
    with (
        DagsterInstance.local_temp(str(home), overrides=quiet) as instance,
        execute_job(
            reconstructable(mails),
            instance,
            run_config={
                "ops": {"answer": {"config": mail}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            tags={TAG: reference},
        ) as result,
    ):
        if result.success:
            return result.output_for_node("answer")
        (failed,) = result.get_step_failure_events()
        return failed.step_failure_data.user_failure_data.description


def make_key_of_the_workload(folder: Path, bundle: Path) -> None:
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


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        # What Bridle keeps lies there too, so that the example leaves nothing behind.
        os.environ.update(XDG_STATE_HOME=f"{made}/state", BRIDLE_KEYS=f"{made}/keys")
        os.environ["MAIL_ROOM"] = made
        main(Path(made))
