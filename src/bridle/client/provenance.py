"""What an adapter knows of where arguments came from, as it is sent along."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bridle.model.provenance import Provenance

Known = Mapping[str, Provenance]

_encode = msgspec.json.Encoder().encode


def text_of(known: Known | None) -> str:
    """Return it as JSON; empty where nothing is said. Raises `TypeError` for what is none."""
    if not known:
        return ""
    for argument, said in known.items():
        if not isinstance(said, Provenance):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"provenance[{argument!r}] has to be a bridle.Provenance")
    return _encode(dict(known)).decode()
