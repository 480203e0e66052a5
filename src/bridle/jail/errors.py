"""What can be wrong with a jail. One job: the type of error, and its codes."""

from __future__ import annotations

from bridle.model.errors import BridleError


class JailError(BridleError):
    """A jail that was not started, or did not start its command. Nothing ran unjailed instead.

    Codes: `jail_unavailable` (kernel or bubblewrap lack something), `jail_refused` (a folder,
    limit or user that a jail must not have), `jail_failed` (its command could not be started).
    """

    code = "jail_unavailable"


def of_bubblewrap(errors: str, why: str = "it said nothing") -> JailError:
    """Return why bubblewrap made no jail, of what it wrote on its standard error."""
    said = (errors.strip().splitlines() or [why])[-1]
    hint = "the user of the jail must be able to reach each folder that it is given"
    if "uid map" in said or "namespace" in said or "RTM_NEWADDR" in said or "loopback" in said:
        hint = (
            "let this user make user namespaces: on Ubuntu 24.04 and later AppArmor must allow "
            "bwrap (a profile with `userns,`), in a container the runtime must"
        )
    return JailError(f"bubblewrap cannot make the jail: {said}", hint=hint)
