"""`bridle activate`: a human makes the bundle on disk the active one."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from bridle.bundle.bundle import Bundle
from bridle.cli import choice, findings, terminal
from bridle.cli.commands.bundles import describe
from bridle.cli.operator import Operator, connected
from bridle.cli.root import FINDINGS, Command
from bridle.model.calls import Activate, Status
from bridle.model.errors import BundleError, UnreachableError
