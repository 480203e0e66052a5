"""Collects what each case came to, prints the matrix, and keeps it where that is asked for."""

from collections.abc import Generator

import pytest

from adapters.conformance import cases, matrix

FOUND: matrix.Found = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep-matrix", action="store_true", help="write what conformance found down")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    given = getattr(item, "callspec", None)
    if given is None or "title" not in given.params or "engine" not in given.params:
        return report
    name, title = given.params["engine"], given.params["title"]
    if report.when == "call" or (report.failed and title not in FOUND.get(name, {})):
        bench = item.funcargs.get("engine")
        gap = "" if bench is None else bench.gaps.get(title, "")
        FOUND.setdefault(name, {})[title] = matrix.cell(report.outcome, gap)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not FOUND:
        return
    terminalreporter.section("adapters")
    terminalreporter.write_line(matrix.printed(FOUND, list(cases.CASES)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if FOUND and session.config.getoption("--keep-matrix", default=False):
        matrix.keep(FOUND, list(cases.CASES))
