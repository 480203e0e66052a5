# ruff: noqa: E501 - prose of a page
"""Prints what the suite tries: each way out, the wall before it, and what shows that it holds."""

from jail.escapes.points import POINTS

_OVER = (
    ("a process that outlives its jail", "--unshare-pid, --as-pid-1", "test_over.py"),
    ("a jail that outlives whoever started it", "--die-with-parent", "test_over.py"),
    ("typing into the terminal (TIOCSTI)", "filter: ioctl", "test_over.py"),
    ("a file that is handed in, opened anew", "pipes in its place", "test_over.py"),
    ("setuid programs", "no new privileges, one user is mapped", "test_over.py"),
    ("calls of x32, calls to come", "filter: numbers", "test_over.py"),
    ("the session's handle and key", "both stay outside", "test_gate.py"),
    ("the relay, traced or ended", "filter: ptrace; it is the first process", "test_gate.py"),
    ("URLs of hosts that are not declared", "the governor decides on each", "test_gate.py"),
    ("other services of the socket", "the warden knows those it was given", "test_gate.py"),
    ("descriptors over the socket", "the warden takes none", "test_gate.py"),
)


def table() -> str:
    """Return the table as Markdown."""
    rows = [(point.name, point.wall, "test_points.py") for point in POINTS] + list(_OVER)
    lines = ["| way out | what stands before it | shown by |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {way} | {wall} | `{test}` |" for way, wall, test in rows)])


PAGE = """# Ways out of a jail

Each is tried by a program that runs inside (`tests/jail/escapes/probes`), and reached nothing. Each is tried once more in a jail without the wall before it, where it must reach something: so a test that could not notice an escape fails. Only loopback and the jail itself are targets; families of sockets are created and never connected. `make jail` runs all of it.

{table}

What a jail does not keep is in [In a jail](../jail.md#what-to-keep-in-mind): memory that the kernel holds for sockets and pipes is only counted where the jail has a control group of its own, the work folder is as large as its disk, and the kernel itself is trusted.
"""


def page() -> str:
    """Return `docs/reference/jail-escapes.md`."""
    return PAGE.format(table=table())


if __name__ == "__main__":
    print(page(), end="")
