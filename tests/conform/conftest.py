import sys
from pathlib import Path

# Helper modules beside the tests are imported by their own names.
sys.path.insert(0, str(Path(__file__).parent))
