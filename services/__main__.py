"""Writes the WSDL of the project's own services into a directory: `python -m gossip_ws.services DIRECTORY`."""

import sys
from pathlib import Path

from gossip_ws.services import builtin_wsdl

if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
    sys.exit("usage: python -m gossip_ws.services DIRECTORY")
for name, document in builtin_wsdl().items():
    (Path(sys.argv[1]) / name).write_bytes(document)
