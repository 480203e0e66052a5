"""A small MCP server on stdio that only lists tools, well or badly: `lister.py FILE [MODE…]`.

FILE is the JSON of its definitions. Runs on the plain interpreter.
"""

import json
import os
import sys
import time
from pathlib import Path

TOOLS = json.loads(Path(sys.argv[1]).read_text("utf-8"))
MODES = set(sys.argv[2:])


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def ask(method):
    """Ask the client something, as servers do at any moment; return its answer."""
    send({"id": "mine", "method": method, "params": {}})
    return json.loads(sys.stdin.readline())


def initialized(params):
    if "stateless" in MODES:
        return {"error": {"code": -32601, "message": "no such method"}}
    assert params["clientInfo"]["name"]
    return {
        "result": {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "acme/mcp-server-lister", "version": "1.2"},
        }
    }


def listed(params):
    if "stateless" in MODES:
        assert params["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    if "chatty" in MODES:
        assert "result" in ask("ping")
        assert ask("roots/list")["error"]["code"] == -32601
        send({"method": "notifications/message", "params": {"data": "hello"}})
    if "refuses" in MODES:
        return {"error": {"code": -32603, "message": "not today"}}
    if "endless" in MODES:
        return {"result": {"tools": [], "nextCursor": "more"}}
    if "odd" in MODES:
        return {"result": {"tools": "many"}}
    if "pages" not in MODES:
        return {"result": {"tools": TOOLS}}
    number = int(params.get("cursor", 0))
    more = {"nextCursor": str(number + 1)} if number + 1 < len(TOOLS) else {}
    return {"result": {"tools": TOOLS[number : number + 1], **more}}


def main():
    if "child" in MODES and os.fork() == 0:
        time.sleep(1_000)
    if "chatty" in MODES:
        print("Lister is up!", flush=True)
    print("lister: started", file=sys.stderr, flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        if "silent" in MODES:
            time.sleep(1_000)
        if "dies" in MODES:
            sys.exit("lister: out of cheese")
        if message["method"] == "initialize":
            answer = initialized(message["params"])
        elif message["method"] == "server/discover":
            answer = {"result": {"serverInfo": {"name": "lister", "version": "2"}}}
        elif message["method"] == "tools/list":
            answer = listed(message.get("params", {}))
        elif "id" in message:
            answer = {"error": {"code": -32601, "message": "no such method"}}
        else:
            continue
        send({"id": message["id"], **answer})
    if "lingers" in MODES:
        time.sleep(1_000)


main()
