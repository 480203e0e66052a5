"""A scripted MCP server: writes every line it gets to `lines`, and does what its folder says.

`python sink.py FOLDER`. Its tools are those of FOLDER/tools.json, read anew at each list; with
FOLDER/pages it lists so many at a time. What a tool does is in its name. Nothing but the standard
library, so it starts fast, and nothing of Bridle.
"""

import json
import os
import sys
import time
from pathlib import Path

FOLDER = Path(sys.argv[1])
LOG = (FOLDER / "lines").open("ab", buffering=0)
OUT = sys.stdout.buffer
slow: list[object] = []


def say(line: bytes) -> None:
    OUT.write(line + b"\n")
    OUT.flush()


def answer(number: object, result: object) -> None:
    text = json.dumps({"jsonrpc": "2.0", "id": number, "result": result}, ensure_ascii=False)
    say(text.encode())


def text(said: str, **more: object) -> dict[str, object]:
    return {"content": [{"type": "text", "text": said}], **more}


def listed(params: dict) -> dict[str, object]:
    tools = json.loads((FOLDER / "tools.json").read_text())["tools"]
    pages = FOLDER / "pages"
    if not pages.exists():
        return {"tools": tools}
    size, start = int(pages.read_text()), int(params.get("cursor", "0"))
    more = {"nextCursor": str(start + size)} if start + size < len(tools) else {}
    return {"tools": tools[start : start + size], **more}


def call(number: object, name: str, args: dict, params: dict) -> None:
    if name == "slow":
        slow.append(number)
    elif name == "flush":
        while slow:
            answer(slow.pop(0), text("late"))
        answer(number, text("flushed"))
    elif name == "die":
        os._exit(3)
    elif name == "hang":
        time.sleep(600)
    elif name == "fail":
        answer(number, text(args.get("text", "it failed"), isError=True))
    elif name == "break":
        error = {"code": -32000, "message": args.get("text", "broken"), "data": {"why": "x"}}
        say(json.dumps({"jsonrpc": "2.0", "id": number, "error": error}).encode())
    elif name == "say":
        # Whatever stands in FOLDER/say, with the id of this call in place of @ID@.
        for line in (FOLDER / "say").read_bytes().split(b"\n"):
            say(line.replace(b"@ID@", json.dumps(number).encode()))
    elif name == "ask" and "inputResponses" not in params:
        wish = {"method": "elicitation/create", "params": {"message": "How many?"}}
        answer(
            number,
            {
                "resultType": "input_required",
                "inputRequests": {"q": wish},
                "requestState": f"state-{number}",
            },
        )
    else:
        answer(number, text(args.get("text", "done"), structuredContent={"tool": name}))


def handle(line: bytes) -> None:
    message = json.loads(line)
    number, method = message.get("id"), message.get("method")
    params = message.get("params") or {}
    if method == "initialize":
        version = params.get("protocolVersion", "2025-11-25")
        capabilities = {"tools": {"listChanged": True}}
        about = {"name": "sink", "version": "1"}
        answer(
            number,
            {"protocolVersion": version, "capabilities": capabilities, "serverInfo": about},
        )
    elif method == "tools/list":
        answer(number, listed(params))
    elif method == "prompts/list" and (FOLDER / "mute").exists():
        pass
    elif method == "tools/call":
        call(number, params["name"], params.get("arguments") or {}, params)
    elif method == "notifications/flush":
        while slow:
            answer(slow.pop(0), text("late"))
    elif number is not None and method is not None:
        answer(number, {})


for received in sys.stdin.buffer:
    LOG.write(received)
    handle(received)
