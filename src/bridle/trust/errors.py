"""What can be wrong with a key that somebody keeps."""

from __future__ import annotations

from bridle.model.errors import BridleError


class KeyFileError(BridleError):
    """A key file that is missing, open to others, broken, or shut to this passphrase."""

    code = "key_invalid"
