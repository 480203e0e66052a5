"""Callers who proved who they are, for tests of a governor."""

from bridle.model.calls import Caller, Failed
from bridle.trust import credential
from bridle.trust.credential import Credential
from bridle.trust.proof import Challenge
from governor.desk import Desk, changed

HUMAN = Caller(operator=True, method="peer:1000", uid=1000)
SERVICE = Caller(operator=False, method="peer:1002", uid=1002)

ANA, BEN, CLEO = (credential.generate("user", name) for name in ("ana", "ben", "cleo"))
PORTAL = credential.generate("workload", "portal")


def keyed(*edits: tuple[str, str, str], **keys: Credential) -> dict[str, str]:
    """The desk's files, in which these users have keys, and a workload that may speak for users."""
    added = [
        ("agents.toml", f"[users.{name}]\n", f'[users.{name}]\nkey = "{each.public}"\n')
        for name, each in (keys or {"ana": ANA, "ben": BEN}).items()
    ]
    portal = f'[workloads.portal]\nmay_assert_user = true\nkey = "{PORTAL.public}"\n'
    return changed(*added, ("agents.toml", "", portal), *edits)


def role_of(caller: Caller) -> str:
    return "operator" if caller.operator else "agent"


def answered(desk: Desk, who: Credential, caller: Caller) -> Caller | Failed:
    """What the governor makes of a login."""
    challenge = Challenge(store="s", nonce="5a" * 32, role=role_of(caller))
    return desk.governor.login(caller, who.login(challenge), challenge)


def proved(desk: Desk, who: Credential, caller: Caller | None = None) -> Caller:
    """A caller who logged in."""
    caller = caller or (HUMAN if who.kind == "user" else SERVICE)
    found = answered(desk, who, caller)
    assert isinstance(found, Caller), found
    return found
