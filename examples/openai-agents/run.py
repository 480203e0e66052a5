"""Two agents of the OpenAI Agents SDK answer and refund: allowed, denied, held and resumed."""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from agents import Agent, Runner, function_tool, set_tracing_disabled
from agents.items import ToolCallOutputItem
from agents.testing import ScriptedModel, assistant_message, function_call

import bridle
from bridle.adapters.frameworks.openai import governed

BODY = "You get your money back."
SCRIPT: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "ticket-1": [("send_mail", {"to": "kim@customer.example", "body": BODY})],
    "ticket-2": [("send_mail", {"to": "eve@elsewhere.example", "body": BODY})],
    "ticket-3": [
        ("transfer_to_refunds", {}),
        ("pay_back", {"order": "O-3", "amount": 500}),
    ],
}
NAMES = {"send_mail": "mail.send", "pay_back": "payments.refund"}


@function_tool
def send_mail(to: str, body: str) -> str:
    """Send a mail to a customer."""
    print(f"    ... the mail to {to} leaves the house: {body}")
    return "sent"


@function_tool
def pay_back(order: str, amount: int) -> str:
    """Pay money back for an order."""
    print(f"    ... {amount} EUR are paid back for {order}")
    return "paid"


def model(name: str) -> ScriptedModel:
    """Make what stands in for a model, so that the example needs none."""
    calls = [
        [function_call(tool, arguments, call_id=f"call-{at}")]
        for at, (tool, arguments) in enumerate(SCRIPT[name])
    ]
    return ScriptedModel([*calls, [assistant_message("Settled.")]])


def said(found: Any) -> list[str]:
    """Return what the tools of a run answered."""
    return [each.output for each in found.new_items if isinstance(each, ToolCallOutputItem)]


async def main(bundle: Path) -> None:
    governor = bridle.open(bundle)
    triage = governor.start_mission("tickets", user="ana", prompt="Settle them").agent("triage")
    refunds = triage.delegate("refunds", tools=["payments.refund"])

    for name in SCRIPT:
        scripted = model(name)
        cashier = Agent(
            "refunds", model=scripted, tools=governed(refunds, [pay_back], NAMES, task=name)
        )
        desk = Agent(
            "triage",
            model=scripted,
            tools=governed(triage, [send_mail], NAMES, task=name),  # the one line
            handoffs=[cashier],
        )
        found = await Runner.run(desk, f"Settle {name}")
        if not found.interruptions:
            (answer,) = said(found)
            print(name, "allowed:" if answer == "sent" else "denied:", answer)
            continue
        (waits,) = governor.approvals()
        print(f"{name} held:", waits["tool"], "waits for a human")
        governor.approve(waits["id"], as_user="ana")
        state = found.to_state()
        state.approve(found.interruptions[0])
        print(f"{name} approved by ana:", said(await Runner.run(desk, state))[-1])


if __name__ == "__main__":
    set_tracing_disabled(True)
    with tempfile.TemporaryDirectory() as made:
        # What Bridle keeps lies there too, so that the example leaves nothing behind.
        os.environ.update(XDG_STATE_HOME=f"{made}/state", BRIDLE_KEYS=f"{made}/keys")
        asyncio.run(main(shutil.copytree(Path(__file__).parent / "bundle", Path(made) / "bundle")))
