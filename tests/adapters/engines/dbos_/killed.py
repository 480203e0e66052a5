"""A worker that is killed (`rig`): run as `killed.py FOLDER URL`.

It launches DBOS, which goes on with what was under way, and starts a workflow for each reference,
once each. It ends when all have ended.
"""

import json
import os
import sys
from pathlib import Path

from dbos import DBOS, SetWorkflowAttributes, SetWorkflowID

from adapters.engines.rig import IDS, connected, happen
from bridle.adapters.engines import dbos as adapter

FOLDER = Path(sys.argv[1])


def done(tool: str, number: int) -> str:
    key = f"{DBOS.workflow_id}/{DBOS.step_id}"
    return happen(FOLDER, str(DBOS.workflow_id), key, tool, number)


@adapter.step("page.get")
def get(id: int) -> str:  # noqa: A002 - the argument's name
    return done("page.get", id)


@adapter.step("page.look")
def look(id: int) -> str:  # noqa: A002 - the argument's name
    return done("page.look", id)


@DBOS.workflow(name="pages")
def pages() -> list[str]:
    return [found for number in IDS for found in (get(number), look(number))]


def main(url: str) -> None:
    adapter.govern(connected(FOLDER), again=0.1)
    quick = {"notification_listener_polling_interval_sec": 0.05, "log_level": "CRITICAL"}
    named = {"name": "pages", "application_version": "1", "system_database_url": url}
    DBOS(config={**named, **quick})
    DBOS.launch()
    os.write(1, b"up\n")
    handles = []
    for name, reference in json.loads((FOLDER / "references").read_text()).items():
        with SetWorkflowAttributes({adapter.ATTRIBUTE: reference}), SetWorkflowID(name):
            handles.append(DBOS.start_workflow(pages))
    for handle in handles:
        assert handle.get_result() == [f"page {number}" for number in IDS for _ in range(2)]
    DBOS.destroy()


if __name__ == "__main__":
    main(sys.argv[2])
