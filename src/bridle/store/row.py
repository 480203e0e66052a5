"""What every row of durable state has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec import Struct


class Row(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Base of all rows. `INDEXED` columns can be searched by equality (and `<` where numeric).

    Those that are also `FIXED` keep the value a row was first put with: `put` refuses another. The
    ledger witnesses rows but for their `VOLATILE` fields, as if these had the values given there.
    It does so without fields at their defaults: a new field needs one, and keeps it for good.
    """

    TABLE: ClassVar[str]
    KEY: ClassVar[str]
    INDEXED: ClassVar[tuple[str, ...]] = ()
    FIXED: ClassVar[tuple[str, ...]] = ()
    VOLATILE: ClassVar[Mapping[str, Any]] = {}
