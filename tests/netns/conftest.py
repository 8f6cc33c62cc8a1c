from __future__ import annotations

import sys
from pathlib import Path

# The helpers beside the tests, and those for devices as processes: the folders are no packages.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "devices")]
