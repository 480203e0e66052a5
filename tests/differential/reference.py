"""The reference's answers. It may refuse a case for reasons that are no part of the language."""

from __future__ import annotations

from dogwood import native

from differential.cases import Case


class DiscardedError(Exception):
    """The reference cannot be asked this."""


def accepts(case: Case) -> bool:
    """Tell whether the reference takes the program for valid."""
    try:
        return bool(native.validate_policy(case.program, case.schema, case.events)["passed"])
    except RuntimeError:
        return False
    except BaseException as stopped:
        if type(stopped).__name__ != "PanicException":
            raise
        raise DiscardedError("panic while validating") from stopped


def verdicts(case: Case) -> str:
    """Return the verdict lines of a valid program."""
    try:
        return str(native.replay(case.program, case.schema, case.log, case.events)).strip()
    except RuntimeError as failed:
        raise DiscardedError(f"replay: {failed}") from failed
    except BaseException as stopped:
        if type(stopped).__name__ != "PanicException":
            raise
        raise DiscardedError("panic while replaying") from stopped
