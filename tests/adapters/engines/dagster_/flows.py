"""Jobs that run in processes of their own: each opens a worker with the key it finds by `KEYS`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from dagster import (
    Config,
    DynamicOut,
    DynamicOutput,
    RetryPolicy,
    job,
    multiprocess_executor,
    op,
)

import bridle
from bridle.adapters.engines import dagster as adapter
from bridle.client.worker import Worker
from bridle.trust.credential import Credential

KEYS = "BRIDLE_TEST_KEYS"
"""The folder with the workload's `key`, the governor's `site`, and the `sink`."""


def opened() -> Worker:
    folder = Path(os.environ[KEYS])
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex((folder / "key").read_text()))
    return bridle.worker(folder / "site", credential=Credential("workload", "worker", private))


if KEYS in os.environ:
    adapter.govern(opened, again=0.3)


def happened(id: int) -> str:  # noqa: A002 - the argument's name
    """Leave a line at the sink: which page, and the process that did it."""
    with (Path(os.environ[KEYS]) / "sink").open("a") as sink:
        sink.write(f"{id} {os.getpid()}\n")
    return f"page {id}"


@adapter.governed("page.get")
def get(id: int) -> str:  # noqa: A002 - the argument's name
    return happened(id)


class Asked(Config):
    numbers: list[int]


@op(out=DynamicOut(int))
def each(config: Asked) -> Iterator[DynamicOutput[int]]:
    for at, number in enumerate(config.numbers):
        yield DynamicOutput(number, mapping_key=f"at{at}")


@op(retry_policy=RetryPolicy(max_retries=2))
def fetch(number: int) -> Any:
    return get(number)


@job(executor_def=multiprocess_executor.configured({"max_concurrent": 2}))
def flow() -> None:
    each().map(fetch)


@job(executor_def=multiprocess_executor.configured({"retries": {"disabled": {}}}))
def patient() -> None:
    each().map(fetch)
