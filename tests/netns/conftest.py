from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The helpers beside the tests, and those for devices as processes: the folders are no packages.
sys.path.insert(0, str(Path(__file__).parents[1] / "devices"))
sys.path.insert(0, str(Path(__file__).parent))

from laboratory import why_not


@pytest.fixture(scope="session")
def permitted() -> None:
    """Skips, with what is missing, where no laboratory can be built."""
    if reason := why_not():
        pytest.skip(reason)
