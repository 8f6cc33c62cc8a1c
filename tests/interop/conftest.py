from __future__ import annotations

import sys
from pathlib import Path

# The helpers beside these tests and beside those of the devices: the folders are no packages.
sys.path.insert(0, str(Path(__file__).parents[1] / "devices"))
sys.path.insert(0, str(Path(__file__).parent))

from peers import single as single
from town import town as town
