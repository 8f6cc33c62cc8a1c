from __future__ import annotations

import sys
from pathlib import Path

# The helpers beside the tests: the folder is no package.
sys.path.insert(0, str(Path(__file__).parent))

from streets import all_live as all_live
from town import town as town
