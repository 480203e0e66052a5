"""Two agents have a graph of LangGraph answer and refund: allowed, denied, held and resumed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

import bridle
from bridle.adapters.engines.langgraph import CONTEXT, DeniedError, govern, governed, handed

BODY = "You get your money back."
TICKETS = {
    "ticket-1": ({"to": "kim@customer.example", "body": BODY}, {"order": "O-1", "amount": 20}),
    "ticket-2": ({"to": "eve@elsewhere.example", "body": BODY}, {"order": "O-2", "amount": 20}),
    "ticket-3": ({"to": "lee@customer.example", "body": BODY}, {"order": "O-3", "amount": 500}),
}


class Ticket(TypedDict, total=False):
    mail: dict[str, str]
    refund: dict[str, Any]
    refunds: str  # the reference of the agent that the refund was handed to
    done: str


@governed("mail.send")
def send(to: str, body: str) -> str:
    print(f"    ... the mail to {to} leaves the house: {body}")
    return "sent"


@governed("payments.refund")
def refund(order: str, amount: int) -> str:
    print(f"    ... {amount} EUR are paid back for {order}")
    return "paid"


def answer(ticket: Ticket) -> Ticket:
    return {"done": send(**ticket["mail"])}


def pay(ticket: Ticket) -> Ticket:
    with handed(ticket["refunds"]):
        return {"done": f"{ticket['done']} and {refund(**ticket['refund'])}"}


def main(folder: Path) -> None:
    bundle = shutil.copytree(Path(__file__).parent / "bundle", folder / "bundle")
    credential = key_of_the_workload(folder, bundle)
    governor = bridle.open(bundle)
    triage = governor.start_mission("tickets", user="ana", prompt="Settle them").agent("triage")
    refunds = triage.delegate("refunds", tools=["payments.refund"])

    govern(bridle.worker(bundle, credential=credential))
    graph = StateGraph(Ticket)
    graph.add_node("answer", answer)
    graph.add_node("pay", pay)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", "pay")
    with SqliteSaver.from_conn_string(f"{folder}/checkpoints.sqlite") as saver:
        desk = graph.compile(saver)
        for name, (mail, payment) in TICKETS.items():
            ours = triage.dispatch("desk", task=name, tools={"mail.send": bridle.exactly(mail)})
            theirs = refunds.dispatch(
                "desk", task=name, tools={"payments.refund": bridle.exactly(payment)}
            )
            where: Any = {"configurable": {"thread_id": name, CONTEXT: ours}}
            try:
                found = desk.invoke({"mail": mail, "refund": payment, "refunds": theirs}, where)
            except DeniedError as denied:
                print(f"{name} denied:", denied)
                continue
            if "__interrupt__" not in found:
                print(f"{name} allowed:", found["done"])
                continue
            print(f"{name} held:", found["__interrupt__"][0].value["text"])
            governor.approve(found["__interrupt__"][0].value["approval"], as_user="ana")
            print(f"{name} approved by ana:", desk.invoke(Command(resume=True), where)["done"])


def key_of_the_workload(folder: Path, bundle: Path) -> bridle.Credential:
    """Make a key for the desk, and put its public half where the governor reads it."""
    words = folder / "passphrase"
    words.write_text(os.urandom(16).hex())
    words.chmod(0o600)
    command = ["-m", "bridle", "keys", "new", "workload", "desk", "--json"]
    made = json.loads(
        subprocess.check_output([sys.executable, *command, "--passphrase-file", str(words)])
    )
    with (bundle / "agents.toml").open("a") as agents:
        agents.write(f'key = "{made["public"]}"\n')
    return bridle.unlock("desk", words.read_text())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        # What Bridle keeps lies there too, so that the example leaves nothing behind.
        os.environ.update(XDG_STATE_HOME=f"{made}/state", BRIDLE_KEYS=f"{made}/keys")
        main(Path(made))
