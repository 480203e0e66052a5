"""Keys and what they prove: grants, chains of them, proofs, status. Works without a governor.

Pure but for the files that keep keys and versions. Everything is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridle.trust.context import Carrier, Reference
    from bridle.trust.grants.chain import Chain, Link
    from bridle.trust.grants.chain import read as read_chain
    from bridle.trust.grants.claims import Claims, Detail, Predicate, Range, ToolGrant
    from bridle.trust.grants.codes import GrantCode, GrantError
    from bridle.trust.grants.issue import attenuate, issue_root
    from bridle.trust.grants.reach import unreachable
    from bridle.trust.grants.roots import RootKey, Roots
    from bridle.trust.grants.verify import Request, Verifier, verify
    from bridle.trust.grants.wording import caveats
    from bridle.trust.holder import Holder, Nonces, Statement
    from bridle.trust.keystore import FileKeyStore, KeyStore, Signer
    from bridle.trust.status import NOTHING_REVOKED, Keeper, Status, StatusList

_FROM = {
    "Carrier": ("bridle.trust.context", "Carrier"),
    "Chain": ("bridle.trust.grants.chain", "Chain"),
    "Claims": ("bridle.trust.grants.claims", "Claims"),
    "Detail": ("bridle.trust.grants.claims", "Detail"),
    "FileKeyStore": ("bridle.trust.keystore", "FileKeyStore"),
    "GrantCode": ("bridle.trust.grants.codes", "GrantCode"),
    "GrantError": ("bridle.trust.grants.codes", "GrantError"),
    "Holder": ("bridle.trust.holder", "Holder"),
    "Keeper": ("bridle.trust.status", "Keeper"),
    "KeyStore": ("bridle.trust.keystore", "KeyStore"),
    "Link": ("bridle.trust.grants.chain", "Link"),
    "NOTHING_REVOKED": ("bridle.trust.status", "NOTHING_REVOKED"),
    "Nonces": ("bridle.trust.holder", "Nonces"),
    "Predicate": ("bridle.trust.grants.claims", "Predicate"),
    "Range": ("bridle.trust.grants.claims", "Range"),
    "Reference": ("bridle.trust.context", "Reference"),
    "Request": ("bridle.trust.grants.verify", "Request"),
    "RootKey": ("bridle.trust.grants.roots", "RootKey"),
    "Roots": ("bridle.trust.grants.roots", "Roots"),
    "Signer": ("bridle.trust.keystore", "Signer"),
    "Statement": ("bridle.trust.holder", "Statement"),
    "Status": ("bridle.trust.status", "Status"),
    "StatusList": ("bridle.trust.status", "StatusList"),
    "ToolGrant": ("bridle.trust.grants.claims", "ToolGrant"),
    "Verifier": ("bridle.trust.grants.verify", "Verifier"),
    "attenuate": ("bridle.trust.grants.issue", "attenuate"),
    "caveats": ("bridle.trust.grants.wording", "caveats"),
    "issue_root": ("bridle.trust.grants.issue", "issue_root"),
    "read_chain": ("bridle.trust.grants.chain", "read"),
    "unreachable": ("bridle.trust.grants.reach", "unreachable"),
    "verify": ("bridle.trust.grants.verify", "verify"),
}

__all__ = [
    "NOTHING_REVOKED",
    "Carrier",
    "Chain",
    "Claims",
    "Detail",
    "FileKeyStore",
    "GrantCode",
    "GrantError",
    "Holder",
    "Keeper",
    "KeyStore",
    "Link",
    "Nonces",
    "Predicate",
    "Range",
    "Reference",
    "Request",
    "RootKey",
    "Roots",
    "Signer",
    "Statement",
    "Status",
    "StatusList",
    "ToolGrant",
    "Verifier",
    "attenuate",
    "caveats",
    "issue_root",
    "read_chain",
    "unreachable",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module 'bridle.trust' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _FROM[name]
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
