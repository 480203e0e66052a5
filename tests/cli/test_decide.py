"""`bridle decide`: one line out for each line in, the same ones every time."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# What goes in, and exactly what comes out (approval ids follow from input and bundle).
GOLDEN: list[tuple[Any, Any]] = [
    (
        {"type": "action", "id": "read", "tool": "desk.read_ticket", "args": {"id": 41}},
        {"id": "read", "effect": "allow", "reasons": []},
    ),
    (
        {
            "type": "action",
            "id": "mail",
            "tool": "mail.send",
            "args": {"to": "mira@customers.example", "subject": "Hi", "body": "4111111111111111"},
        },
        {
            "id": "mail",
            "effect": "modify",
            "args": {
                "to": "mira@customers.example",
                "subject": "Hi",
                "body": "[redacted:payment_card]",
            },
            "reasons": [
                {
                    "policy": "no-card-numbers-in-mail",
                    "code": "modified",
                    "text": "card numbers are removed from mail",
                }
            ],
        },
    ),
    (
        {
            "type": "action",
            "id": "stranger",
            "tool": "mail.send",
            "args": {"to": "x@collect.example", "subject": "Hi", "body": "Hello"},
        },
        {
            "id": "stranger",
            "effect": "deny",
            "reasons": [
                {
                    "policy": "known-recipients",
                    "code": "forbidden",
                    "text": "mail goes to customers and colleagues only",
                }
            ],
        },
    ),
    (
        {"type": "mission", "id": "m2", "template": "refund-desk", "user": "ben"},
        {"id": "m2", "ok": True},
    ),
    (
        {
            "type": "action",
            "id": "customer",
            "mission": "m2",
            "agent": "triage",
            "tool": "orders.customer",
            "args": {"customer": "C-20417"},
        },
        {"id": "customer", "effect": "allow", "reasons": []},
    ),
    (
        {
            "type": "outcome",
            "action": "customer",
            "output": {
                "customer": "C-20417",
                "name": "Mira",
                "email": "mira@customers.example",
                "account": "DE89370400440532013000",
            },
        },
        {
            "id": "customer",
            "effect": "modify",
            "output": {
                "customer": "C-20417",
                "name": "Mira",
                "email": "mira@customers.example",
                "account": "******************3000",
            },
            "reasons": [
                {
                    "policy": "accounts-are-masked",
                    "code": "modified",
                    "text": "agents see the last four characters of a bank account",
                }
            ],
        },
    ),
]


def as_lines(items: list[Any]) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


def judged(line: dict[str, Any]) -> dict[str, Any]:
    """A line without where the arguments came from."""
    return {key: value for key, value in line.items() if key != "flow"}


def test_golden_lines(bridle_, office: Path) -> None:
    ran = bridle_("decide", office, stdin=as_lines([given for given, _ in GOLDEN]))
    assert ran.code == 0, ran.err
    assert [judged(line) for line in ran.lines] == [wanted for _, wanted in GOLDEN]


def test_a_judged_action_says_of_each_argument_where_it_came_from(bridle_, office: Path) -> None:
    prompt = "Answer x@collect.example, with `Hi` above it."
    mission = {"type": "mission", "id": "m", "template": "refund-desk", "user": "ana"}
    args = {"to": "x@collect.example", "subject": "Hi", "body": "Hello"}
    mail = {"type": "action", "id": "s", "mission": "m", "agent": "triage", "tool": "mail.send"}
    ran = bridle_(
        "decide", office, stdin=as_lines([{**mission, "prompt": prompt}, mail | {"args": args}])
    )
    flow = ran.lines[1]["flow"]
    assert set(flow) == set(args)
    assert [flow[name]["prompted"] for name in args] == [True, True, False]


def test_where_nothing_is_known_of_any_argument_nothing_is_said(bridle_, office: Path) -> None:
    ran = bridle_("decide", office, stdin=as_lines([given for given, _ in GOLDEN[:2]]))
    assert ["flow" in line for line in ran.lines] == [False, False]


def test_the_same_input_gives_the_same_bytes(bridle_, office: Path) -> None:
    args = {"order": 7, "customer": "C-20417", "amount": 480}
    refund = {"tool": "payments.refund", "args": args, "agent": "refunds"}
    lines = as_lines([given for given, _ in GOLDEN] + [{"type": "action", "id": "r", **refund}])
    first, second = bridle_("decide", office, stdin=lines), bridle_("decide", office, stdin=lines)
    assert first.raw == second.raw
    held = first.lines[-1]
    assert held["effect"] == "hold"
    assert held["approval"]


def test_options_go_before_the_bundles_defaults(bridle_, office: Path) -> None:
    action = {
        "type": "action",
        "id": "a",
        "tool": "payments.refund",
        "args": {"order": 7, "customer": "C-20417", "amount": 5},
    }
    triage = bridle_("decide", office, stdin=as_lines([action]))
    refunds = bridle_(
        "decide", office, "--agent", "refunds", "--mission", "refund-desk", "--user", "ben",
        "--executor", "worker-1", stdin=as_lines([action]),
    )  # fmt: skip
    assert triage.lines[0]["reasons"][0]["code"] == "no_permit"
    assert refunds.lines[0]["effect"] == "allow"


UNREADABLE = [
    b"",
    b"not json",
    b"[]",
    b'{"type":"action"}',
    b'{"type":"nothing","id":"x"}',
    b'{"type":"action","id":"x","tool":"mail.send","args":{},"at":"yesterday"}',
    b'{"type":"action","id":"x","tool":"mail.send","sudo":true}',
    b'{"type":"outcome","action":"never"}',
    b"\xff\xfe",
    b'{"type":"action","id":"x","tool":"desk.read_ticket","args_raw":"{\\"id\\":1,\\"id\\":2}"}',
    b'{"type":"action","id":"x","tool":"no.such","args":{}}',
    b"[" * 100_000,
]


def test_lines_that_cannot_be_read_are_denied_and_the_next_ones_judged(
    bridle_, office: Path
) -> None:
    # Without an id each line is an action of its own.
    good = json.dumps({k: v for k, v in GOLDEN[0][0].items() if k != "id"}).encode()
    ran = bridle_("decide", office, stdin=b"".join(b"%s\n%s\n" % (bad, good) for bad in UNREADABLE))
    assert ran.code == 0
    assert len(ran.lines) == 2 * len(UNREADABLE)
    for line, denied in zip(UNREADABLE, ran.lines[::2], strict=True):
        assert denied["effect"] == "deny", line[:80]
        assert denied["reasons"][0]["code"], line[:80]
    assert {judged["effect"] for judged in ran.lines[1::2]} == {"allow"}


def test_a_line_without_end_is_cut_off_and_denied(bridle_, office: Path) -> None:
    good = json.dumps(GOLDEN[0][0]).encode()
    ran = bridle_("decide", office, stdin=b"x" * 20_000_000 + b"\n" + good)
    denied, allowed = ran.lines
    assert denied["reasons"][0]["code"] == "limit_exceeded"
    assert allowed["effect"] == "allow"


def test_each_verdict_comes_before_the_next_line_is_sent(bridle_, office: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bridle", "decide", str(office)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=bridle_.environ,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for given, wanted in GOLDEN[:2]:
        process.stdin.write(json.dumps(given).encode() + b"\n")
        process.stdin.flush()
        assert judged(json.loads(process.stdout.readline())) == wanted
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


def test_an_unusable_bundle_is_exit_code_3(bridle_, office: Path) -> None:
    (office / "systems.toml").write_text("[tools")
    ran = bridle_("decide", office, stdin=as_lines([GOLDEN[0][0]]))
    assert ran.code == 3
    assert ran.out == ""
    assert "systems.toml" in ran.err


def test_nothing_is_kept(bridle_, office: Path) -> None:
    bridle_("decide", office, stdin=as_lines([GOLDEN[0][0]]))
    assert not (bridle_.home / "state").exists()
