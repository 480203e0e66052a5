"""What one link of a chain says: its claims, as they are written and signed.

Names are those of RFC 7519 (`jti`, `iss`, `sub`, `aud`, `iat`, `exp`), RFC 7800 (`cnf`), RFC 9396
(`authorization_details`) and draft-niyikiza-oauth-attenuating-agent-tokens (`del_depth`,
`del_max_depth`, `par_hash`). A payload is the one JSON text that these structs encode to: members
in this order, those at their defaults left out, no space. Any other text is refused, so that
nothing can be read in two ways.
"""

from __future__ import annotations

from msgspec import Struct

Scalar = str | int | bool
"""What a predicate compares to. Fractions appear in `range` only, as decimal text."""


class Range(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Inclusive bounds of a number: an integer, or a decimal as text (`"0.5"`)."""

    min: int | str | None = None
    max: int | str | None = None


class Predicate(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    gc=False,
    rename={"in_": "in"},
):
    """One test of one argument: exactly one member is given. Total and linear in the value.

    `eq` and `in` compare type and value; `prefix`, `suffix` (texts), `re2` (a whole-match pattern),
    `path_under` (an absolute POSIX path), `host` (names of an http(s) URL's host, `*.` for any
    below) and `cidr` (networks of an IP address) hold for texts; `range` for numbers; `subset` for
    arrays, each item of which must be one of these; `any` (true) for everything, absence included;
    `sha256` (64 hex digits) for the one value of that digest (`matching.digests`).
    """

    eq: Scalar | None = None
    in_: tuple[Scalar, ...] | None = None
    range: Range | None = None
    prefix: str | None = None
    suffix: str | None = None
    path_under: str | None = None
    host: tuple[str, ...] | None = None
    cidr: tuple[str, ...] | None = None
    subset: tuple[Scalar, ...] | None = None
    re2: str | None = None
    any: bool | None = None
    sha256: str | None = None


class ToolGrant(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """How a tool may be used: by top-level argument, what it must satisfy.

    Without `args` anything. With them, an argument that has no predicate is refused, and so is one
    that is absent, unless its predicate is `any`.
    """

    args: dict[str, Predicate] | None = None


class Detail(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One entry of `authorization_details` (RFC 9396). An action is allowed where one entry does.

    `tools` are exact names, `prefix.*` or `*`; where several match, each must allow. `domains` and
    `effects` (`read`, `write`, `irreversible`) narrow further where they are given.
    """

    type: str
    tools: dict[str, ToolGrant]
    domains: tuple[str, ...] | None = None
    effects: tuple[str, ...] | None = None


DETAIL_TYPE = "bridle_action"


class Jwk(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An Ed25519 public key (RFC 8037): `x` is base64url without padding."""

    kty: str
    crv: str
    x: str


class Confirmation(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The key that its holder proves (RFC 7800)."""

    jwk: Jwk


class Claims(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The claims of one link.

    `iss` is the governor (`bridle:<store id>`) of the root, the fingerprint of the parent's key of
    any other; `aud` is the governor throughout. `sub` is the user for whom all of it happens,
    `agent` who may act. `iat`, `exp` are seconds since the epoch. `del_depth` counts from 0 at the
    root. `par_hash` is the digest of the parent (root: empty). `bud` caps budgets of the mission
    by name (a decimal as text) for everything below, `calls` always exists. `lbl` are the most
    labels that tools used may have (None: any).
    """

    jti: str
    iss: str
    sub: str
    agent: str
    aud: str
    iat: int
    exp: int
    cnf: Confirmation
    del_depth: int
    del_max_depth: int
    mis: str
    authorization_details: tuple[Detail, ...]
    par_hash: str = ""
    task: str = ""
    bud: dict[str, str] = {}
    lbl: tuple[str, ...] | None = None
