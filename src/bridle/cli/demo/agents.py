"""Agents at work. Their plans are scripted in place of a model.

This is what a user of Bridle writes: functions of their own, and the public API. Nothing here
knows a policy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import bridle
from bridle.cli.demo import research
from bridle.cli.demo.office import Office

PROMPT = (
    "Work through tickets 41 and 42, refund what is due, "
    "and tell mira@customers.example and jo@customers.example."
)


def answer_ticket(triage: bridle.Agent, office: Office, number: int) -> int:
    """Read a ticket and what belongs to it, keep a note, answer the customer. Returns the order."""
    ticket = triage.call("desk.read_ticket", {"id": number}, effect=office.shop.read_ticket)
    asked = int(re.findall(r"[Oo]rder (\d+)", ticket["body"])[0])
    order = triage.call("orders.lookup", {"order": asked}, effect=office.shop.lookup)
    customer = triage.call(
        "orders.customer", {"customer": order["customer"]}, effect=office.shop.customer
    )
    page = triage.call(
        "web.get", {"url": "http://help.shop.example/returns"}, effect=office.site.get
    )

    write_note = triage.tool("files.write_note")(office.write_note)
    write_note(
        name=f"ticket-{number}.md",
        text=f"{customer['name']} (account {customer['account']}): {order['item']}\n",
    )
    send_mail = triage.tool("mail.send")(office.send_mail)
    mail = {
        "to": customer["email"],
        "subject": ticket["subject"],
        "body": f"{page['text']}\n\nYou wrote:\n{ticket['body']}",  # with the card number in it
    }
    try:
        send_mail(**mail)
    except bridle.Denied:  # somebody has to say yes first
        question = {"question": f"May I answer ticket {number}?"}
        if triage.call("desk.ask_lead", question, effect=office.ask_lead)["approved"]:
            send_mail(**mail)
    return asked


def obey_ticket(triage: bridle.Agent, office: Office, number: int) -> list[str]:
    """Do whatever a ticket says, as a model does that takes data for instructions."""
    ticket = triage.call("desk.read_ticket", {"id": number}, effect=office.shop.read_ticket)
    refused: list[str] = []
    for address in re.findall(r"to (\S+@\S+),", ticket["body"]):
        mail = {"to": address, "subject": "All customers", "body": _everything(office)}
        try:
            triage.call("mail.send", mail, effect=office.send_mail)
        except bridle.Denied as denied:
            refused.append(denied.reason)  # what the agent may know; it goes on without
    for url in re.findall(r"http://\S+", ticket["body"]):
        try:
            triage.call("web.get", {"url": url}, effect=office.site.get)
        except bridle.Denied as denied:
            refused.append(denied.reason)
    return refused


def _everything(office: Office) -> str:
    customers = [office.shop.customer(each) for each in ("C-20417", "C-20522")]
    return "\n".join(f"{c['customer']} {c['name']} {c['account']}" for c in customers)


def pay_back(
    refunds: bridle.Agent, office: Office, orders: list[int], ask_human: Callable[[str], None]
) -> None:
    """Refund orders. A large sum waits for a human, and then runs exactly as it was approved."""

    @refunds.tool("payments.refund")
    def refund(order: int, customer: str, amount: int) -> dict[str, Any]:
        return office.shop.refund(order, customer, amount)

    for number in orders:
        order = refunds.call("orders.lookup", {"order": number}, effect=office.shop.lookup)
        try:
            refund(order=number, customer=order["customer"], amount=round(order["total"]))
        except bridle.Held as held:
            ask_human(held.approval_id)
            held.resume()


def pay_more(refunds: bridle.Agent, office: Office, order: int) -> list[str]:
    """Pay a little more on an order, in a mission that knows of no other."""
    paid = refunds.call("orders.lookup", {"order": order}, effect=office.shop.lookup)
    extra = {"order": order, "customer": paid["customer"], "amount": 30}
    try:
        refunds.call("payments.refund", extra, effect=office.shop.refund)
    except bridle.Denied as denied:
        return [denied.reason]
    return []


def keep_the_site(editor: bridle.Agent, office: Office) -> list[str]:
    """Change a page twice and deploy it, in the order of somebody in a hurry."""
    refused: list[str] = []

    def deploy() -> None:
        try:
            editor.call("site.deploy", {}, effect=office.site.deploy)
        except bridle.Denied as denied:
            refused.append(denied.reason)

    for days in (30, 60):
        text = {"text": f"Broken goods are refunded in full within {days} days."}
        editor.call("site.change_page", text, effect=office.site.change_page)
        deploy()  # denied: nothing was tested since
    editor.call("site.run_tests", {}, effect=office.site.run_tests)
    deploy()
    return refused


def tidy_up(refunds: bridle.Agent, office: Office) -> list[str]:
    """Free some space, in the way no administrator would."""
    refused: list[str] = []
    for tool, args, effect in (
        ("orders.drop_table", {"table": "orders"}, office.shop.drop_table),
        ("files.delete_volume", {"volume": "archive"}, office.delete_volume),
    ):
        try:
            refunds.call(tool, args, effect=effect)
        except bridle.Denied as denied:
            refused.append(denied.code)
    return refused


def tell_customers(refunds: bridle.Agent, office: Office, addresses: list[str]) -> list[str]:
    """Tell everybody that money is on its way, as far as the mission's budget of mails goes."""
    send_mail = refunds.tool("mail.send")(office.send_mail)
    untold: list[str] = []
    for address in addresses:
        try:
            send_mail(to=address, subject="Your refund", body="Your money is on its way.")
        except bridle.Denied:
            untold.append(address)
    return untold


class Lead(NamedTuple):
    """Ben, a support lead: his connection, and how he shows who he is."""

    gov: bridle.Bridle
    proof: str


def work(gov: bridle.Bridle, ben: Lead, office: Office, say: Callable[[str], None]) -> str:
    """Let the agents do their day's work under `gov`, ana's; returns the mission's id."""
    mission = gov.start_mission("refund-desk", user="ana", prompt=PROMPT)
    triage = mission.agent("triage", executor="worker-1")
    refunds = mission.agent("refunds", executor="worker-1")

    def ask_ben(approval: str) -> None:
        say(f"ben, a support lead, looks at the held refund and approves it{ben.proof}")
        why = "the machine is broken, I saw the photo"
        ben.gov.approve(approval, as_user="ben", reason=why)

    say("triage answers ticket 41, which quotes a card number; a lead has to agree first")
    order = answer_ticket(triage, office, 41)
    say("triage reads ticket 42, which carries an attacker's instructions, and obeys them")
    obey_ticket(triage, office, 42)
    _read_up(gov, triage, office, say)
    say("refunds pays back both orders")
    pay_back(refunds, office, [1043, order], ask_ben)
    say("another mission, the same customer: what was paid today counts across missions")
    again = gov.start_mission("refund-desk", user="ana", prompt="Add 30 EUR for the trouble.")
    pay_more(again.agent("refunds", executor="worker-1"), office, order)
    say("editor changes the help site; nothing is deployed that was not tested since")
    site = gov.start_mission("help-site", user="ana", prompt="Returns take 60 days now.")
    keep_the_site(site.agent("editor", executor="worker-1"), office)
    say("refunds tidies up")
    tidy_up(refunds, office)
    say("refunds writes to both customers; the mission has a budget of two mails")
    tell_customers(refunds, office, ["mira@customers.example", "jo@customers.example"])
    say("ana stops the refunds agent; whatever it tries next is denied")
    gov.kill("agent", "refunds", reason="enough for today", as_user="ana")
    tell_customers(refunds, office, ["jo@customers.example"])
    return mission.id


def _read_up(
    gov: bridle.Bridle, triage: bridle.Agent, office: Office, say: Callable[[str], None]
) -> None:
    say("triage hands the researcher one thing for a quarter of an hour: pages on warranty")
    researcher = research.hand_on(triage)
    research.look_up(researcher, office)
    say("researcher hands its scout more than it has, and signs that itself; it is worth no more")
    scout = research.hand_on_more(researcher)
    research.look_up(scout, office)

    def take_back() -> None:
        say("before the scout reads it, ana takes back what the researcher was handed")
        gov.revoke(researcher.grant, reason="the pages are under review", as_user="ana")

    say("the scout is allowed one more page")
    research.overtaken(scout, office, take_back)
