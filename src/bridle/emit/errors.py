"""What can go wrong with telling others: never a reason to decide otherwise."""

from __future__ import annotations

from bridle.model.errors import BridleError


class EmitError(BridleError):
    """Events could not be made or handed over. Decisions go on; what was not told is told later."""

    code = "emit_failed"
