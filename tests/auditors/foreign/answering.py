"""Answers questions as the Go program does, a JSON object a line. Nothing of Bridle is in here."""

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
Do = Callable[[dict[str, Any]], Answer | None]


class RefusedError(Exception):
    """What the program checked does not hold."""


def serve(answers: dict[str, Do]) -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        do = answers[asked["do"]]
        try:
            answer = {"ok": True, **(do(asked) or {})}
        except Exception as error:
            answer = {"ok": False, "why": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def raw(text: str) -> bytes:
    return base64.b64decode(text)


def raws(texts: list[str]) -> list[bytes]:
    return [raw(each) for each in texts]


def claimed(folder: str) -> tuple[int, bytes]:
    """Read size and root of a checkpoint, for programs that know trees only."""
    lines = Path(folder, "checkpoint").read_text("utf-8").split("\n")
    return int(lines[1]), raw(lines[2])


def entries(folder: str, size: int) -> list[bytes]:
    """Read the entries of a log (c2sp.org/tlog-tiles), for programs that know trees only."""
    found: list[bytes] = []
    for start in range(0, size, 256):
        width = min(256, size - start)
        groups = [f"{start // 256 % 1000:03d}"]
        above = start // 256 // 1000
        while above:
            groups.insert(0, f"x{above % 1000:03d}")
            above //= 1000
        name = "/".join(groups) + ("" if width == 256 else f".p/{width}")
        data = Path(folder, "tile", "entries", name).read_bytes()
        for _ in range(width):
            length = int.from_bytes(data[:2], "big")
            if len(data) < 2 + length:
                raise RefusedError("a bundle is too short")
            found.append(data[2 : 2 + length])
            data = data[2 + length :]
        if data:
            raise RefusedError("a bundle is too long")
    return found
