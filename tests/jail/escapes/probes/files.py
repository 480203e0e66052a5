"""What can be read and written of files, devices, descriptors and the environment."""

import contextlib
import os
import stat
from pathlib import Path


def contents(marker, *paths):
    """Read what lies at paths, by every way there that a name can take."""
    for path in paths:
        for way in (
            path, f"/proc/self/root{path}", f"/proc/1/root{path}", f"/proc/self/cwd/../../..{path}",
            f"/..{path}", f"/proc/1/cwd/../../../../..{path}",
        ):  # fmt: skip
            with contextlib.suppress(OSError, UnicodeError):
                if marker in Path(way).read_text():
                    yield way


def linked(marker, target):
    """Lay links to a file into the work folder, by name and hard, and read them."""
    for name, make in (("soft", os.symlink), ("hard", os.link)):
        with contextlib.suppress(OSError):
            make(target, name)
            if marker in Path(name).read_text():
                yield f"{target} by a {name} link"


def written(*folders):
    for folder in folders:
        path = Path(folder, f"written-{os.getpid()}")
        with contextlib.suppress(OSError):
            path.write_text("x")
            path.unlink()
            yield f"{folder} could be written to"


def changed(path):
    with contextlib.suppress(OSError):
        Path(path).write_text("changed inside")
        yield f"{path} was changed"


def opened_for_writing(*paths):
    """Open for writing, and write nothing."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY))
            yield path


def devices():
    plain = {"core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
             "stdout", "tty", "urandom", "zero", "console"}  # fmt: skip
    for name in sorted({path.name for path in Path("/dev").iterdir()} - plain):
        yield f"/dev/{name}"


def device_made(folder):
    with contextlib.suppress(OSError):
        os.mknod(f"{folder}/device", stat.S_IFCHR | 0o666, os.makedev(1, 1))
        yield "a device of its own"


def there(*paths):
    for path in paths:
        if Path(path).exists():
            yield path


def environment(marker):
    for path in ("/proc/self/environ", "/proc/1/environ"):
        with contextlib.suppress(OSError):
            if marker.encode() in Path(path).read_bytes():
                yield path


def descriptors():
    for path in Path("/proc/self/fd").iterdir():
        # What the folder itself was read by is there no more.
        with contextlib.suppress(OSError):
            if int(path.name) > 2:
                yield f"{path.name}: {path.readlink()}"


def standard_reopened():
    """Write over what a standard descriptor's file held before us."""
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/fd/2", os.O_RDWR)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.pwrite(descriptor, b"forged", 0)
            yield "what stood in the file before"
