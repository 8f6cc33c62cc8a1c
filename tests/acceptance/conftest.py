from __future__ import annotations

import sys
from pathlib import Path

# The helpers beside the tests of the devices: the folders are no packages.
sys.path.insert(0, str(Path(__file__).parents[1] / "devices"))
