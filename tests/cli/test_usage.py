"""Wrong usage and missing surroundings: a message, a code, a way out, and never a traceback."""

from pathlib import Path

import pytest

from conftest import Shell  # noqa: F401
