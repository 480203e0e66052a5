"""Two agents of LangChain answer and refund: allowed, denied, held and resumed."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain.messages import AIMessage
from langchain.tools import tool
from langchain_core.language_models import GenericFakeChatModel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

import bridle
from bridle.adapters.frameworks.langchain import Governed

BODY = "You get your money back."
SCRIPT = {
    "ticket-1": ("send_mail", {"to": "kim@customer.example", "body": BODY}),
    "ticket-2": ("send_mail", {"to": "eve@elsewhere.example", "body": BODY}),
    "ticket-3": ("pay_back", {"order": "O-3", "amount": 500}),
}
TOOLS = {"send_mail": "mail.send", "pay_back": "payments.refund"}


@tool
def send_mail(to: str, body: str) -> str:
    """Send a mail to a customer."""
    print(f"    ... the mail to {to} leaves the house: {body}")
    return "sent"


@tool
def pay_back(order: str, amount: int) -> str:
    """Pay money back for an order."""
    print(f"    ... {amount} EUR are paid back for {order}")
    return "paid"


class Scripted(GenericFakeChatModel):
    """What stands in for a model, so that the example needs none."""

    def bind_tools(self, tools: Any, **more: Any) -> "Scripted":
        """Take any tools: the script says which are called."""
        del tools, more
        return self


def model(name: str) -> Scripted:
    """Make a model that settles this ticket with one call."""
    tool_name, arguments = SCRIPT[name]
    call = {"name": tool_name, "args": arguments, "id": "call-1"}
    return Scripted(messages=iter([AIMessage("", tool_calls=[call]), AIMessage("Settled.")]))


def main(bundle: Path) -> None:
    governor = bridle.open(bundle)
    triage = governor.start_mission("tickets", user="ana", prompt="Settle them").agent("triage")
    refunds = triage.delegate("refunds", tools=["payments.refund"])

    for name, agent in {"ticket-1": triage, "ticket-2": triage, "ticket-3": refunds}.items():
        desk = create_agent(
            model(name),
            [send_mail, pay_back],
            middleware=[Governed(agent, TOOLS)],  # the one line
            checkpointer=InMemorySaver(),
        )
        where: Any = {"configurable": {"thread_id": name}}
        found = desk.invoke({"messages": [("user", f"Settle {name}")]}, where)
        if "__interrupt__" in found:
            waits = found["__interrupt__"][0].value
            print(f"{name} held:", waits["text"])
            governor.approve(waits["approval"], as_user="ana")
            found = desk.invoke(Command(resume=True), where)
            print(f"{name} approved by ana:", found["messages"][-2].content)
            continue
        answer = found["messages"][-2]
        print(name, "denied:" if answer.status == "error" else "allowed:", answer.content)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        # What Bridle keeps lies there too, so that the example leaves nothing behind.
        os.environ.update(XDG_STATE_HOME=f"{made}/state", BRIDLE_KEYS=f"{made}/keys")
        main(shutil.copytree(Path(__file__).parent / "bundle", Path(made) / "bundle"))
