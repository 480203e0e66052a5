"""What is revoked, for those who verify offline: a signed list, and the newest version seen.

The list is a compact JWS that a governor signs with its key for grants. It names what was revoked,
and says nothing of what was granted. It only ever grows: whoever keeps the version seen last
(`Keeper`) refuses an older list, whose signature is as good. The governor itself asks its store.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Struct

from bridle.model import public_key
from bridle.trust.grants import jws
from bridle.trust.grants.codes import GrantCode, GrantError

if TYPE_CHECKING:
    from bridle.trust.grants.chain import Link
    from bridle.trust.grants.jws import Signs
    from bridle.trust.grants.roots import Roots

SKEW_S = 60
"""How far another clock may be ahead, seconds."""
MAX_BYTES = 256 * 1_024 * 1_024
"""Of a list; one of a million grants has about 130 MB."""

_LATEST_S = 253_402_300_799
_MAX_KEPT_BYTES = 1_024 * 1_024
_KINDS = ("grant", "key", "agent", "mission", "user")


class Status(Protocol):
    """Knows what is revoked."""

    def revoked(self, link: Link, /) -> bool:
        """Whether this link is dead, be it by its grant, key, agent, mission or user."""
        ...


class _NothingRevoked:
    def revoked(self, link: Link, /) -> bool:
        del link
        return False


NOTHING_REVOKED: Status = _NothingRevoked()
"""For chains that were never published, and for tests: nothing is dead but by the clock."""


class StatusList(Struct, frozen=True, forbid_unknown_fields=True):
    """What governor `iss` (`bridle:<store id>`) had revoked at `iat`. Good until before `exp`.

    `version` counts its revocations. `revoked` maps `grant:<digest>`, `key:<fingerprint>`,
    `agent:<name>`, `mission:<id>`, `user:<id>` to when it was revoked (milliseconds since the
    epoch). What an agent or a user was granted later is alive. `iat` and `exp` are seconds.
    """

    version: int
    iat: int
    exp: int
    iss: str
    revoked_at: dict[str, int] = msgspec.field(name="revoked")

    def revoked(self, link: Link, /) -> bool:
        """Whether this link is dead. Costs the same however long the list is.

        Raises `GrantError` (`status_invalid`) for a link of another governor than the list's.
        """
        claims = link.claims
        if claims.aud != self.iss:
            raise GrantError(GrantCode.STATUS_INVALID, "the status list is of another governor")
        known = self.revoked_at
        if "grant:" + link.digest in known or _key_id(link.key) in known:
            return True
        if "mission:" + claims.mis in known:
            return True
        granted = claims.iat * 1_000
        return granted <= max(
            known.get("agent:" + claims.agent, -1), known.get("user:" + claims.sub, -1)
        )

    def names_key(self, key: str) -> bool:
        """Whether a public key (`ed25519:…`) is revoked, such as the one that signed a root."""
        return bool(key) and "key:" + public_key.fingerprint(key) in self.revoked_at

    def at(self, now_s: int) -> StatusList:
        """Return this list, to be asked at `now_s`. Raises `GrantError` (`status_stale`)."""
        if now_s >= self.exp:
            raise GrantError(
                GrantCode.STATUS_STALE,
                "the status list has expired: what was revoked since is not known",
                hint="`bridle grant status` asks the governor for a new one",
            )
        return self


_DECODER = msgspec.json.Decoder(StatusList)
_ENCODER = msgspec.json.Encoder()


def sign(status: StatusList, private: Signs) -> str:
    """Return the list as a compact JWS. Takes time linear in its length."""
    return jws.sign(_ENCODER.encode(status), private, jws.STATUS_HEADER)


def read(text: str, roots: Roots, now_s: int, *, skew_s: int = SKEW_S) -> StatusList:
    """Return the list that one of the pinned keys signed, and that is good at `now_s`.

    Raises `GrantError`: `status_invalid` for whatever is none, `status_stale` for an expired one.
    That no newer one was seen is for a `Keeper` to say.
    """
    if len(text) > MAX_BYTES:
        raise _invalid(f"a status list has {MAX_BYTES} bytes at most")
    try:
        signed = jws.split(text, jws.STATUS_HEADER)
        roots.require(roots.signer(signed.signing_input, signed.signature), now_s, skew_s)
    except GrantError as error:
        raise GrantError(GrantCode.STATUS_INVALID, error.message, hint=error.hint) from None
    status = _parsed(signed.payload)
    if status.iat > now_s + skew_s:
        raise _invalid(f"the status list is of later than {skew_s} s from now")
    return status.at(now_s)


def _parsed(payload: bytes) -> StatusList:
    try:
        status = _DECODER.decode(payload)
        same = _ENCODER.encode(status) == payload
    except (ValueError, RecursionError, OverflowError):
        raise _invalid("this is no status list") from None
    if not same or status.version < 0 or not 0 <= status.iat < status.exp <= _LATEST_S:
        raise _invalid("this is not the one text of a status list")
    if not all(each.partition(":")[0] in _KINDS for each in status.revoked_at):
        raise _invalid(f"what is revoked is one of {', '.join(_KINDS)}")
    return status


@lru_cache(maxsize=4_096)
def _key_id(key: bytes) -> str:
    return "key:" + sha256(key).hexdigest()


def _invalid(message: str) -> GrantError:
    return GrantError(GrantCode.STATUS_INVALID, message)


class Keeper:
    """Remembers, in a file, the newest list seen of each governor, and refuses older ones.

    For any number of processes: a lock beside the file (`.lock`) orders them. The file is this
    user's alone (0600), is replaced whole and is on disk before a list is answered for.
    """

    def __init__(self, path: Path) -> None:
        """Keep versions in the file `path`, which need not be there yet; its folder must be."""
        self._path = path

    def admit(self, status: StatusList) -> StatusList:
        """Return `status` once it is remembered; no older one is admitted from then on.

        Raises `GrantError`: `status_rolled_back` for a list older than one that was admitted (by
        its version, or of one version by its time), `status_invalid` where the file cannot be read
        or written, or is not this user's alone.
        """
        try:
            with self._alone():
                seen = self._seen()
                last = seen.get(status.iss, (-1, -1))
                mine = (status.version, status.iat)
                # INVARIANT: I5 what was once known to be revoked stays so, also after a restart.
                if mine < last:
                    raise GrantError(
                        GrantCode.STATUS_ROLLED_BACK,
                        f"version {status.version} is older than one seen before ({last[0]})",
                        hint="`bridle grant status` asks the governor for the newest",
                    )
                if mine > last:
                    self._keep({**seen, status.iss: mine})
        except OSError as problem:
            raise _invalid(
                f"{self._path} cannot be used to keep versions: {problem.strerror}"
            ) from problem
        return status

    @contextmanager
    def _alone(self) -> Generator[None]:
        # The lock is a file of its own: the other is replaced, and a lock on it would go with it.
        lock = self._path.with_name(f"{self._path.name}.lock")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(lock, flags, 0o600)
        try:
            _assert_ours(descriptor, lock)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _seen(self) -> dict[str, tuple[int, int]]:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(self._path, flags)
        except FileNotFoundError:
            return {}
        with open(descriptor, "rb") as file:  # noqa: PTH123
            _assert_ours(descriptor, self._path)
            data = file.read(_MAX_KEPT_BYTES + 1)
        try:
            # What cannot be read might have named a newer version: nothing is admitted then.
            return _KEPT.decode(data)
        except msgspec.MsgspecError:
            raise _invalid(f"{self._path} does not hold versions of status lists") from None

    def _keep(self, seen: Mapping[str, tuple[int, int]]) -> None:
        draft = self._path.with_name(f".{self._path.name}.{os.urandom(8).hex()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            with open(os.open(draft, flags, 0o600), "wb") as file:  # noqa: PTH123
                file.write(msgspec.json.encode(seen))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        finally:
            with suppress(FileNotFoundError):
                draft.unlink()
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


_KEPT = msgspec.json.Decoder(dict[str, tuple[int, int]])


def _assert_ours(descriptor: int, path: Path) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise GrantError(
            GrantCode.STATUS_INVALID,
            f"{path} is not this user's alone: mode {stat.S_IMODE(status.st_mode):04o}",
            hint="remove it if nobody else could write to it, and have a new list admitted",
        )
