"""What the docs say of adapters is what was seen on the real engines."""

from adapters.conformance import matrix
from adapters.conformance.bench import GAPS
from adapters.conformance.cases import CASES


def test_the_page_has_what_the_last_run_found() -> None:
    assert matrix.on_page() == matrix.table(matrix.read(), list(CASES))


def test_every_adapter_was_run_against_every_case() -> None:
    assert set(matrix.read()) == set(matrix.ENGINES)
    for name, row in matrix.read().items():
        assert list(row) == sorted(CASES), name


def test_there_are_no_gaps_but_those_that_the_design_allows() -> None:
    for name, row in matrix.read().items():
        for title, said in row.items():
            assert said == "pass" or said in GAPS.get(title, ()), (name, title)
