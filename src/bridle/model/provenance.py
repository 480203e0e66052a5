"""What whoever asks knows of where an argument came from."""

from __future__ import annotations

from msgspec import Struct


class Provenance(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where an argument came from, as far as an adapter knows: it adds to what is found.

    `labels` are labels of the bundle that the value carries. `read` are ids of actions of the same
    mission whose results it was made from: it carries the labels of these, comes from their systems
    and, where nobody vouches for one of them, is not trusted. Nothing said here takes a label away
    or makes a value trusted. At most 64 arguments, 64 labels and 64 actions each.
    """

    labels: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
