"""The README's table of outside peers, out of the tests that show it.

    python -m tests.interop            is the table what the tests claim? collects them, runs none
    python -m tests.interop --write    run them, and write the table of what passed, with the versions it passed with

A cell stands for the tests that are marked `works(peer, ability)`; it is empty where no test is. Nothing is written
unless each of them has run and passed: a peer that is missing here would else be missing there.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

# The helpers beside the tests: the folders are no packages.
sys.path.insert(0, str(Path(__file__).parents[1] / "devices"))
sys.path.insert(0, str(Path(__file__).parent))

from peers import ABILITIES, MARK, NODE_MODULES, ROOT

HERE = Path(__file__).parent
README = ROOT / "README.md"
BEGIN, END = "<!-- works with: python -m tests.interop --write -->\n", "<!-- works with, end -->\n"
YES = "yes"


class Claims:
    """A plugin of pytest: who is claimed to be able to do what, and what came of each test."""

    def __init__(self) -> None:
        self.tests: dict[tuple[str, str], set[str]] = {}
        self.outcomes: dict[str, set[str]] = {}

    def pytest_collection_modifyitems(self, items: Iterable[Any]) -> None:
        for item in items:
            for mark in item.iter_markers(MARK):
                peer, *abilities = mark.args
                for ability in abilities:
                    self.tests.setdefault((peer, ability), set()).add(item.nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.outcomes.setdefault(report.nodeid, set()).add(report.outcome)

    def unproved(self) -> list[str]:
        """The tests of claims that have not passed."""
        claimed = sorted(set().union(*self.tests.values()))
        return [test for test in claimed if self.outcomes.get(test) != {"passed"}]


def first_number(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return str(re.findall(r"\d+(?:\.\d+)+", done.stdout)[0])


def version_of(peer: str) -> str:
    """What is installed here, by whichever package manager."""
    if peer == "node soap":
        return str(json.loads((NODE_MODULES / "soap" / "package.json").read_text())["version"])
    if peer == "gSOAP":
        return first_number("wsdl2h", "-V")
    if peer == "JAX-WS":
        return first_number("wsimport", "-fullversion")
    if peer == "PHP SoapClient":
        return first_number("php", "--version")
    if peer == "wsdd":
        return first_number("wsdd", "--version")
    return version(peer)


def table(claims: Claims, versions: Mapping[str, str]) -> str:
    """Rows in the order of their names; `versions` by peer."""
    rows = [["peer", "tested with", *ABILITIES.values()], ["---"] * (len(ABILITIES) + 2)]
    for peer in sorted({peer for peer, _ in claims.tests}, key=str.lower):
        cells = [YES if (peer, ability) in claims.tests else "" for ability in ABILITIES]
        rows.append([peer, versions[peer], *cells])
    return "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |").replace("|  |", "| |") for row in rows)


def shown() -> str:
    """The table that the README has. Raises ValueError when it has no place for one."""
    _, found, rest = README.read_text().partition(BEGIN)
    inside, ended, _ = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"no place for the table in {README}")
    return inside


def main() -> int:
    write = "--write" in sys.argv[1:]
    claims, held = Claims(), shown()
    # The test of the table would hold it to what it says so far.
    running = ["-p", "no:cacheprovider", f"--ignore={HERE / 'test_table.py'}"]
    mode = running if write else ["--collect-only", "-q", "--no-summary"]
    code = pytest.main([str(HERE), *mode], plugins=[claims])
    peers = {peer for peer, _ in claims.tests}
    if not write:
        versions = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", held, re.MULTILINE))
        return 0 if code == 0 and table(claims, {peer: versions.get(peer, "") for peer in peers}) == held else 1
    if unproved := claims.unproved():
        sys.stdout.write("".join(f"not proved: {test}\n" for test in unproved))
        return 1
    made = table(claims, {peer: version_of(peer) for peer in peers})
    README.write_text(README.read_text().replace(BEGIN + held + END, BEGIN + made + END))
    return 0


if __name__ == "__main__":
    sys.exit(main())
