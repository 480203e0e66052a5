"""An agent has mails sent by a flow of Node-RED: one is allowed, one denied, one held."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import bridle
from bridle.adapters import node_red
from bridle.trust.context import HEADER

NODE_RED = os.environ.get("NODE_RED", "")
PORT = 18_801
MAILS = {
    "ticket-1": {"to": "kim@customer.example", "body": "Your parcel is on its way."},
    "ticket-2": {"to": "eve@elsewhere.example", "body": "All our customers are attached."},
    "ticket-3": {"to": "lee@customer.example", "body": "You get a refund of 20 EUR."},
}


class Mail(BaseHTTPRequestHandler):
    """The service that mails are sent by."""

    def do_POST(self) -> None:
        """Send a mail."""
        mail = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(f"    ... the mail to {mail['to']} leaves the house: {mail['body']}", flush=True)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(mail["to"].encode())

    def log_message(self, *words: object) -> None:
        """Say nothing of requests."""


def main(folder: Path, ends: ExitStack) -> None:
    bundle = shutil.copytree(Path(__file__).parent / "bundle", folder / "bundle")
    words = key_of_the_workload(folder, bundle)
    governor = ends.enter_context(bridle.open(bundle))
    triage = governor.start_mission("tickets", user="ana", prompt="Answer them").agent("triage")
    service = HTTPServer(("127.0.0.1", 0), Mail)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    url, token = ends.enter_context(gateway(folder, bundle, words))
    mails = f"http://127.0.0.1:{service.server_port}"
    ends.enter_context(flows(folder, BRIDLE_URL=url, BRIDLE_TOKEN=token, MAIL_SERVICE=mails))

    said = {}
    for ticket, mail in MAILS.items():
        tools = {"mail.send": bridle.exactly(mail)}
        reference = triage.dispatch("mailer", task=ticket, tools=tools)
        if ticket != "ticket-3":
            said[ticket] = post(mail, reference)
    print("ticket-1 allowed:", said["ticket-1"])
    print("ticket-2 denied:", said["ticket-2"])
    late = threading.Thread(target=lambda: said.update({"ticket-3": post(mail, reference)}))
    late.start()
    while not governor.approvals():
        time.sleep(0.1)
    (waiting,) = governor.approvals()
    print("ticket-3 held:", waiting["id"])
    governor.approve(waiting["id"], as_user="ana")
    late.join()
    print("ticket-3 approved by ana:", said["ticket-3"])


def post(mail: dict[str, str], reference: str) -> str:
    """Give a mail to the flow, and return what it answers."""
    headers = {"Content-Type": "application/json", HEADER: reference}
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/mail", json.dumps(mail).encode(), headers
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own
            return str(answer.read().decode())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.read().decode()


@contextmanager
def gateway(folder: Path, bundle: Path, words: Path) -> Iterator[tuple[str, str]]:
    """Run `bridle http serve` with one point; yield its URL and the point's token."""
    bridle_ = [sys.executable, "-m", "bridle"]
    made = json.loads(subprocess.check_output([*bridle_, "http", "token", "flows", "--json"]))
    config = folder / "http.toml"
    config.write_text(f'format = 1\n[points.flows]\ntoken = "{made["digest"]}"\nmay = ["act"]\n')
    command = [*bridle_, "http", "serve", str(bundle), "--config", str(config), "--json"]
    command += ["--as-workload", "mailer", "--listen", "127.0.0.1:0"]
    command += ["--passphrase-file", str(words)]
    with running(command, '"ready"') as line:
        yield json.loads(line)["url"], made["token"]


@contextmanager
def flows(folder: Path, **environ: str) -> Iterator[None]:
    """Run Node-RED with the flows and the plugin."""
    user = shutil.copytree(Path(__file__).parent / "node-red", folder / "user")
    # What `npm install` of that folder does.
    shutil.copytree(node_red.FOLDER, user / "node_modules" / "bridle-node-red")
    program = [os.environ.get("NODE", "node"), NODE_RED] if NODE_RED else ["node-red"]
    command = [*program, "--userDir", str(user), "--settings", str(user / "settings.js")]
    with running([*command, "--port", str(PORT)], "Started flows", **environ):
        yield


@contextmanager
def running(command: list[str], ready: str, **environ: str) -> Iterator[str]:
    """Run a program until the end of the block; yield the line that says it is ready."""
    process: Any = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environ}
    )
    with process:
        try:
            line = next((line for line in process.stdout if ready in line), "")
            if not line:
                sys.exit(f"{command[0]} did not start")
            yield line
        finally:
            process.terminate()


def key_of_the_workload(folder: Path, bundle: Path) -> Path:
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
    return words


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made, ExitStack() as ends:
        # What Bridle keeps lies there too, so that the example leaves nothing behind.
        os.environ.update(XDG_STATE_HOME=f"{made}/state", BRIDLE_KEYS=f"{made}/keys")
        main(Path(made), ends)
