"""`python -m tests.scenarios --write` makes the transcripts anew; without it, says which differ."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.scenarios.stories import STORIES, transcript

HERE = Path(__file__).parent


def main() -> int:
    changed = []
    for name in STORIES:
        file, told = HERE / f"{name}.txt", "\n".join(transcript(name)) + "\n"
        if not file.exists() or file.read_text() != told:
            changed.append(name)
            if "--write" in sys.argv[1:]:
                file.write_text(told)
    sys.stdout.write("".join(f"{name}\n" for name in changed))
    return 0 if "--write" in sys.argv[1:] or not changed else 1


if __name__ == "__main__":
    sys.exit(main())
