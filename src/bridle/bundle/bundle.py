"""A loaded, checked bundle: everything the engine and the governor need, frozen."""

from __future__ import annotations

from itertools import chain

from msgspec import Struct, field

from bridle.bundle.boundaries import FILE as BOUNDARIES
from bridle.language.policy import Policy
from bridle.model.identity import Agent, ApproverGroup, Team, User, Workload
from bridle.model.mission import MissionTemplate
from bridle.model.tool import Domain, System, Tool


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """Ceilings on input, in bytes or code points as named. Reaching one is `limit_exceeded`."""

    args_bytes: int = 65_536
    result_bytes: int = 1_048_576
    depth: int = 16
    string: int = 32_768
    items: int = 1_024
    keys: int = 256
    pending_holds: int = 20
    pending_holds_mission: int = 100
    hold_expiry_ms: int = 86_400_000
    history_events: int = 100_000
    history_matches: int = 2_000


class Defaults(Struct, frozen=True, forbid_unknown_fields=True):
    """Who and what `bridle decide` and the demo assume when nothing else is said."""

    mission: str = ""
    user: str = ""
    agent: str = ""
    executor: str = ""


class Detector(Struct, frozen=True, forbid_unknown_fields=True):
    """A detector of the bundle's own: a re2 pattern, searched in every view of a text."""

    name: str
    pattern: str


class HistoryTerms(Struct, frozen=True, forbid_unknown_fields=True):
    """`[history]`: how far back a window of a policy may reach, in seconds."""

    max_window_s: int = 86_400


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """`bridle.toml`. With `require_keys`, no human acts on the word of a connection's uid alone.

    `origin` is the name of the store's log, under which checkpoints are signed (empty: one is
    made up). `detected` maps a detector to the labels that the values it finds carry.
    """

    name: str
    version: str = "0"
    durability: str = "strict"
    relaxed_ms: int = 50
    operators: tuple[str, ...] = ()
    defaults: Defaults = field(default_factory=Defaults)
    limits: Limits = field(default_factory=Limits)
    detectors: tuple[Detector, ...] = ()
    require_keys: bool = False
    origin: str = ""
    history: HistoryTerms = field(default_factory=HistoryTerms)
    detected: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


class Schemas(Struct, frozen=True):
    """Generated Cedar schemas (human syntax), and event schemas by scope.

    Policies are validated under `calls` and `governance`, and under `tools` where they name the end
    of a mission, which `calls` leaves out. `logged` is `tools` with a call's `output` beside its
    `input`: what events are derived from. `judging` is `tools` with everything in `context` but
    `input` and `output` optional: requests carry only what some policy reads.
    """

    tools: str
    governance: str
    judging: str
    events: dict[str, str] = {}
    calls: str = ""
    logged: str = ""


class Bundle(Struct, frozen=True):
    """One version of a bundle.

    `digest` is the SHA-256 (hex) over the names and bytes of `files`; `schema/` is generated and
    not part of it (but `schema/extra.cedarschema` is). Mappings are keyed by id. `untyped` maps a
    tool to the argument paths that Cedar cannot see, with the reason. `boundaries` is the text of
    the policies that `[boundaries]` stands for.
    """

    digest: str
    root: str
    files: dict[str, str]
    manifest: Manifest
    domains: dict[str, Domain]
    systems: dict[str, System]
    tools: dict[str, Tool]
    teams: dict[str, Team]
    users: dict[str, User]
    agents: dict[str, Agent]
    workloads: dict[str, Workload]
    approvers: dict[str, ApproverGroup]
    missions: dict[str, MissionTemplate]
    policies: tuple[Policy, ...]
    schemas: Schemas
    untyped: dict[str, dict[str, str]] = {}
    boundaries: str = ""

    @property
    def texts(self) -> dict[str, str]:
        """The files, and what was generated from them, by the names that places give."""
        return {**self.files, BOUNDARIES: self.boundaries} if self.boundaries else self.files

    @property
    def labels(self) -> frozenset[str]:
        """Every label that something here can carry, or a mission may read."""
        return frozenset(
            chain(
                *(s.labels for s in self.systems.values()),
                *(t.labels for t in self.tools.values()),
                *((*m.labels, *m.clearance) for m in self.missions.values()),
                *self.manifest.detected.values(),
            )
        )
