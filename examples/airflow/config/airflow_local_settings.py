"""What every process of this Airflow loads: the gate, and which task is which tool."""

import os
from pathlib import Path

import bridle
from bridle.adapters.engines import airflow as adapter

MAILER = bridle.unlock("mailer", Path(os.environ["BRIDLE_PASSPHRASE_FILE"]).read_text())

adapter.govern(
    lambda: bridle.worker(os.environ["BRIDLE_BUNDLE"], credential=MAILER),
    tools={"answers.send": "mail.send"},
    again=0.5,
)
