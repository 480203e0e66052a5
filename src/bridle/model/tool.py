"""Systems, their domains, and the tools that act on them. Declared in `systems.toml`."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct, field

from bridle.model.credential import AnyCredential
from bridle.model.performing import Performance

_encode = msgspec.json.Encoder(order="sorted").encode


class EffectClass(StrEnum):
    """What a tool does to the world. `irreversible` cannot be undone by another call."""

    READ = "read"
    WRITE = "write"
    IRREVERSIBLE = "irreversible"


class Domain(Struct, frozen=True, forbid_unknown_fields=True):
    """A boundary that systems share."""

    id: str
    description: str = ""


class System(Struct, frozen=True, forbid_unknown_fields=True):
    """A resource that tools act on. `writes` are folders its tools write (absolute).

    `protocol` is how its tools are reached: `mcp`, or empty where the caller runs them itself.
    `credential` is what opens it, and what no agent holds. `url` is where the governor's side
    reaches it over HTTP, `hosts` what its egress tools may reach (`*.example.com`: all below);
    `private` lets these lie in private networks or on this machine.
    """

    id: str
    domain: str
    owner: str = ""
    environment: str = ""
    labels: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    protocol: str = ""
    credential: AnyCredential | None = None
    url: str = ""
    hosts: tuple[str, ...] = ()
    private: bool = False
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])


class Argument(Struct, frozen=True, forbid_unknown_fields=True):
    """What one argument means. Path `fields.note` names a nested one, `to[]` the items of an array.

    `sink` is `content` for prose that only travels; every other value (`recipient`, `locator`,
    `selector`, `amount`, `command`, …) steers the effect and must be canonical. `int64` widens an
    integer to the full signed 64-bit range. `detect` names the detectors that run on it (None:
    all built-in ones for content, none otherwise). A value that no trusted source says all of
    carries the labels of everything that the mission has read; without `inherits`, only those of
    what was found in it.
    """

    path: str
    sink: str = "selector"
    int64: bool = False
    detect: tuple[str, ...] | None = None
    inherits: bool = True


class Tool(Struct, frozen=True, forbid_unknown_fields=True):
    """One operation of a system.

    `timeout_ms` is the lease of a start. `no_effect` are error codes that prove the effect never
    happened. `input` and `output` are JSON Schema objects (2020-12); a missing `output` means the
    result cannot be typed. `wire` is the name a server knows it by (empty: `name`) and `pin` the
    SHA-256 (hex) of the whole definition that the server gave when a human looked at it. Of a tool
    that is reached through MCP, `output` describes the whole CallToolResult. `detect_output` names
    the detectors for results (None: all). `performed` is how the governor's side carries it out
    (None: somebody else does).
    """

    name: str
    system: str
    effect: EffectClass
    description: str = ""
    idempotent: bool = False
    timeout_ms: int = 60_000
    no_effect: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    trusted: bool = False
    wire: str = ""
    pin: str = ""
    input: dict[str, Any] = field(default_factory=dict[str, Any])
    output: dict[str, Any] | None = None
    arguments: tuple[Argument, ...] = ()
    detect_output: tuple[str, ...] | None = None
    performed: Performance | None = None

    @property
    def shape(self) -> str:
        """What the tool is to a human who approves, as SHA-256 (hex).

        What it acts on and does, what it takes, what its arguments mean, and how it is carried out.
        """
        parts: list[object] = [self.name, self.system, self.effect, self.pin, self.input]
        parts.append(self.arguments)
        if self.performed is not None:
            parts.append((type(self.performed).__name__, self.performed))
        return hashlib.sha256(_encode(parts)).hexdigest()
