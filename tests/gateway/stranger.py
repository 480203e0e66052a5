"""An MCP client in a process of its own: starts a proxy, calls `echo` and `say`, and then waits.

`python stranger.py COMMAND…`. Says `ready` and what it was answered; ends with its standard input.
"""

import json
import subprocess
import sys

proxy = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
kept: list[bytes] = []


def ask(number: int, method: str, params: object) -> None:
    line = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    proxy.stdin.write(json.dumps(line).encode() + b"\n")
    proxy.stdin.flush()
    while True:
        kept.append(proxy.stdout.readline())
        if json.loads(kept[-1]).get("id") == number:
            return


ask(1, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}})
proxy.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
ask(2, "tools/call", {"name": "echo", "arguments": {"text": "hello"}})
ask(3, "tools/call", {"name": "say"})
sys.stdout.write(json.dumps({"ready": proxy.pid, "answer": kept[-1].decode()}) + "\n")
sys.stdout.flush()
sys.stdin.read()
proxy.stdin.close()
proxy.wait(30)
