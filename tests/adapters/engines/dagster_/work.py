"""Jobs and assets that are governed: for processes that import them, as Dagster's steps do."""

import threading
from typing import Any

from dagster import (
    Config,
    HookContext,
    RetryPolicy,
    asset,
    in_process_executor,
    job,
    op,
    success_hook,
)

from adapters.conformance.sink import page
from bridle.adapters.engines import dagster as adapter


@adapter.governed("page.get")
def get(id: int) -> Any:  # noqa: A002 - the argument's name
    return page("page.get", id)


@adapter.governed("page.put")
def put(id: int) -> Any:  # noqa: A002 - the argument's name
    return page("page.put", id)


class Asked(Config):
    tool: str = "page.get"
    number: int = 99


@op
def step(config: Asked) -> Any:
    return (get if config.tool == "page.get" else put)(config.number)


@op(retry_policy=RetryPolicy(max_retries=2))
def tried(config: Asked) -> Any:
    return get(config.number)


@op
def stubborn(config: Asked) -> str:
    """Take no refusal for an answer."""
    for _ in range(3):
        try:
            return str(get(config.number))
        except Exception:
            continue
    return "went on"


@op
def beside(config: Asked) -> None:
    """Act in a thread that knows of no step."""
    thread = threading.Thread(target=_quietly, args=(config.number,))
    thread.start()
    thread.join()


def _quietly(number: int) -> None:
    try:
        get(number)
    except Exception:
        return


@success_hook
def afterwards(context: HookContext) -> None:
    get(99)


@op
def nothing() -> None:
    pass


@asset
def stock() -> Any:
    return get(99)


@job(executor_def=in_process_executor)
def pages() -> None:
    step()


@job(executor_def=in_process_executor)
def trying() -> None:
    tried()


@job(executor_def=in_process_executor)
def insisting() -> None:
    stubborn()


@job(executor_def=in_process_executor)
def threading_() -> None:
    beside()


@job(executor_def=in_process_executor, hooks={afterwards})
def hooked() -> None:
    nothing()
