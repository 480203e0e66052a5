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


if __name__ == "__main__":
    print(table())
