"""What can be wrong with a jail. One job: the type of error, and its codes."""

from __future__ import annotations

from bridle.model.errors import BridleError


class JailError(BridleError):
    """A jail that was not started, or did not start its command. Nothing ran unjailed instead.

    Codes: `jail_unavailable` (kernel or bubblewrap lack something), `jail_refused` (a folder,
    limit or user that a jail must not have), `jail_failed` (its command could not be started).
    """

    code = "jail_unavailable"
