"""What an action keeps beside its row, sealed: the text that may execute, and a stored result."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from bridle.governor.ground.records import Recorder


class Kept(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was asked for and what came of it, as texts.

    `args` may execute; `output` is the result as the effect returned it, `released` as the agent
    may see it where a release rewrote it. `judged` says that a rule has judged the output.
    """

    requested: str = ""
    args: str = ""
    output: str = ""
    opaque: bool = False
    release: str = ""
    released: str = ""
    judged: bool = False
    reasons: list[dict[str, str]] = []


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Kept)


def put(recorder: Recorder, action: str, kept: Kept) -> bytes:
    """Seal what an action keeps, bound to its id."""
    return recorder.seal(_encoder.encode(kept), action)


def get(recorder: Recorder, action: str, sealed: bytes) -> Kept:
    """Open what an action keeps."""
    return _decoder.decode(recorder.unseal(sealed, action)) if sealed else Kept()
