"""What every jail sees of the machine. One job: system folders, an /etc of its own, Python.

Nothing here is the user's: no home, no /var, no /run, of /etc only what programs need to start.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import msgspec

import bridle
from bridle.jail.profile import GID, HOME, HOSTNAME, UID

_ROOTS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives", "ca-certificates", "crypto-policies", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "mime.types", "pki/ca-trust/extracted", "pki/tls/cert.pem",
    "pki/tls/certs", "pki/tls/openssl.cnf", "protocols", "services", "ssl/cert.pem", "ssl/certs",
    "ssl/openssl.cnf", "terminfo",
)  # fmt: skip

WRITTEN = {
    "passwd": f"root:x:0:0::/nonexistent:/bin/false\nagent:x:{UID}:{GID}::{HOME}:/bin/sh\n"
    "nobody:x:65534:65534::/nonexistent:/bin/false\n",
    "group": f"root:x:0:\nagent:x:{GID}:\nnogroup:x:65534:\n",
    "hosts": f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n",
    "hostname": f"{HOSTNAME}\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\n",
    "resolv.conf": "# No name server can be reached from here.\n",
}
"""The files of /etc that are the jail's own."""


def links() -> list[tuple[str, str]]:
    """Return the folders of / that are symbolic links into /usr: where to, and which."""
    return [
        (str(root.readlink()), str(root))
        for root in (Path("/", name) for name in _ROOTS)
        if root.is_symlink()
    ]


def folders() -> list[Path]:
    """Return the system folders, and the files and folders of /etc that can be seen."""
    own = [Path("/usr"), *(Path("/", name) for name in _ROOTS)]
    named = [Path("/etc", name) for name in _ETC]
    return [path for path in own if path.is_dir() and not path.is_symlink()] + [
        path for path in named if path.exists()
    ]


def python() -> list[Path]:
    """Return where the interpreter that runs this lies, its packages and Bridle itself."""
    wanted = [
        *map(Path, (sys.base_prefix, sys.prefix, sys.base_exec_prefix, sys.exec_prefix)),
        *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")),
        Path(msgspec.__file__).parents[1],
        Path(bridle.__file__).parent,
    ]
    # A prefix of /usr is seen anyway, and one of / would show everything.
    found = [
        path
        for path in dict.fromkeys(each.resolve() for each in wanted)
        if path.is_dir() and len(path.parts) > 2 and not path.is_relative_to("/usr")
    ]
    return [path for path in found if not any(path.is_relative_to(each) for each in found
            if each != path)]  # fmt: skip
