"""policies/ and governance/ → compiled policies with unique ids, preludes included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from bridle.bundle import boundaries
from bridle.bundle.boundaries import Boundaries
from bridle.bundle.packaged import prelude
from bridle.bundle.parse import history
from bridle.bundle.parse.table import Findings
from bridle.language import library
from bridle.language.compile import compile_file, compile_prelude
from bridle.language.lexer import Source
from bridle.language.lowering import Room
from bridle.language.policy import Policy, PolicySetName
from bridle.language.source import contents
from bridle.language.temporal.macros import Macros
from bridle.model.finding import Location
from bridle.model.identity import ApproverGroup

SUFFIXES = (".dw", ".cedar")
_FOLDERS = {
    "policies": (PolicySetName.TOOLS, "mission"),
    "policies/user": (PolicySetName.TOOLS, "user"),
    "policies/agent": (PolicySetName.TOOLS, "agent"),
    "policies/tenant": (PolicySetName.TOOLS, "tenant"),
    "governance": (PolicySetName.GOVERNANCE, "mission"),
}


def place_of(name: str) -> tuple[PolicySetName, str] | None:
    """Return the set and the history scope of a policy file, None for other files."""
    folder, _, file = name.rpartition("/")
    return _FOLDERS.get(folder) if file.endswith(SUFFIXES) else None


def is_macro_file(name: str) -> bool:
    """Whether a file holds definitions that all policies of the bundle may use."""
    folder, _, file = name.rpartition("/")
    return folder == "macros" and file.endswith(".dw")


def read(
    files: dict[str, str],
    approvers: dict[str, ApproverGroup],
    findings: Findings,
    bounds: Boundaries = Boundaries(),  # noqa: B008 - frozen
) -> tuple[Policy, ...]:
    """Compile all policy files in the order of their names, then what boundaries say.

    Policies with errors are absent.
    """
    macros = _macros(files, findings)
    found, governed, room = list[Policy](), False, Room()
    for name in sorted(files):
        place = place_of(name)
        if place is None:
            continue
        governed |= place[0] is PolicySetName.GOVERNANCE
        history.reserved(name, files[name], findings)
        policies, wrong = compile_file(name, files[name], *place, macros=macros, room=room)
        findings.found += wrong
        found += _settled(policies, files, name, findings)
    found += _bounded(bounds, room, findings)
    own = [*_with_prelude("tools", PolicySetName.TOOLS)]
    if not governed:
        own += _with_prelude("governance", PolicySetName.GOVERNANCE)
    return (*own, *(_held(p, approvers, findings) for p in _unique(found, findings)))


def _bounded(bounds: Boundaries, room: Room, findings: Findings) -> tuple[Policy, ...]:
    # INVARIANT: with the library's macros only, so that no definition of a bundle's own changes
    # what a rule says.
    place = (PolicySetName.TOOLS, "mission")
    policies, wrong = compile_file(
        boundaries.FILE, bounds.text, *place, macros=library.library(), room=room
    )
    findings.found += wrong
    return policies


def _macros(files: dict[str, str], findings: Findings) -> Macros:
    """Return the macros that all policies may call: those of the bundle, over the library's."""
    own = {name: text for name, text in files.items() if is_macro_file(name)}
    for name, text in own.items():
        history.reserved(name, text, findings)
    macros, wrong = library.read(own, library.library())
    findings.found += wrong
    for name, text in files.items():
        if name in own or place_of(name) is not None:
            _replacing(Source(name, text), library.library() if name in own else macros, findings)
    return macros


def _replacing(source: Source, under: Macros, findings: Findings) -> None:
    """Report definitions that change what a call says elsewhere, or in the library's page."""
    if "def" not in source.text:
        return
    for made in contents(source).definitions:
        replaced = under.get(made.name.text)
        if replaced is not None:
            findings.warning(
                made.location,
                "macro_replaced",
                f"`{replaced.name}` takes the place of the macro at {replaced.location}",
                "give it a name of its own, so that a call says which one it means",
            )


def _settled(
    policies: Iterable[Policy], files: dict[str, str], name: str, findings: Findings
) -> Iterator[Policy]:
    looking = [p for p in policies if p.leaves]
    shared = {n: files[n] for n in files if n == name or is_macro_file(n)} if looking else {}
    defined = history.defined(shared)
    for policy in policies:
        settled = history.settle(policy, findings)
        if settled is not None:
            yield history.plain(settled, defined)


def _with_prelude(name: str, set_name: PolicySetName) -> tuple[Policy, ...]:
    return compile_prelude(f"<prelude>/{name}.dw", prelude(name), set_name)


def _unique(policies: list[Policy], findings: Findings) -> list[Policy]:
    seen = dict[str, Location]()
    for policy in policies:
        first = seen.setdefault(policy.id, policy.location)
        if first is not policy.location:
            findings.error(
                policy.location,
                "duplicate_id",
                f"the @id {policy.id} is taken by the policy at {first}",
                "ids are unique in the whole bundle",
            )
    return policies


def _held(policy: Policy, approvers: dict[str, ApproverGroup], findings: Findings) -> Policy:
    """Check the groups of a hold and fill in how many humans each needs."""
    if not policy.hold:
        return policy
    resolved = list[tuple[str, int]]()
    for group, need in policy.hold:
        known = approvers.get(group)
        if known is None:
            findings.error(
                policy.location,
                "unknown_approvers",
                f"the hold of {policy.id} names {group!r}, which is no approver group",
                "declare it in agents.toml as [approvers.NAME]",
            )
        resolved.append((group, need or (known.need if known else 1)))
    return msgspec.structs.replace(policy, hold=tuple(resolved))
