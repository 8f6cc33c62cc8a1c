"""What several tests of this room use: independent answers, and instances to ask about."""

from __future__ import annotations

import sys
from pathlib import Path

# The helpers beside the tests: the folder is no package.
sys.path.insert(0, str(Path(__file__).parent))
