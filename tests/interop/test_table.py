"""The README's table says what the tests here claim, and no more."""

from __future__ import annotations

import sys

from peers import ROOT, run


def test_the_table_is_what_the_tests_claim() -> None:
    """When this fails after a wanted change: python -m tests.interop --write"""
    run(sys.executable, "-m", "tests.interop", cwd=ROOT)
