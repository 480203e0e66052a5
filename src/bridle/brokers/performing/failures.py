"""What goes wrong while the governor's side carries an action out, and whether it took effect."""

from __future__ import annotations

from bridle.model.errors import BridleError, NotReachedError


class PerformError(BridleError):
    """The action was begun and has no result; whether it took effect, the code may say.

    Codes: `timed_out`, `stopped`, `connection_broken`, `answer_invalid`, `answer_too_large`,
    `answer_encoded`, `answer_truncated`, and those of the performer of SQL. Messages hold no secret
    and nothing that the other side said.
    """

    code = "perform_failed"


class UnreachedError(PerformError, NotReachedError):
    """Nothing was sent: the action took no effect.

    Codes: `argument_refused`, `header_refused`, `url_refused`, `host_refused`, `address_refused`,
    `name_unknown`, `connection_refused`, `tls_failed`, `timed_out`, `stopped`,
    `credential_unusable`.
    """

    code = "not_reached"
