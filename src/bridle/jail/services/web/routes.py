"""Which tool a request belongs to. One job: from URL and method to the name of a tool.

It decides nothing: the governor judges the request under the tool that is named here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bridle.brokers.performing.http import matches
from bridle.brokers.performing.places import Place, read


def tool_for(rows: Iterable[Mapping[str, Any]], method: str, place: Place) -> str:
    """Return the egress tool of `rows` (as `ToolsOf` answers them) that reaches a place.

    The one that declares the host most exactly; of several such, one with the method. Empty where
    none declares it.
    """
    found = ((_exactness(row, place), method in row["egress"]["methods"], row["name"])
             for row in rows if row.get("egress"))  # fmt: skip
    best = max((each for each in found if each[0]), default=(0, False, ""))
    return str(best[2])


def _exactness(row: Mapping[str, Any], place: Place) -> int:
    egress = row["egress"]
    exact = [_weight(host) for host in egress["hosts"] if matches(host, place)]
    if egress["url"] and read(egress["url"]).origin == place.origin:
        exact.append(_weight(place.host))
    return max(exact, default=0)


def _weight(host: str) -> int:
    """A whole name is more exact than any `*.`, and that the more the longer it is."""
    return len(host) + (0 if host.startswith("*.") else 1_000)
