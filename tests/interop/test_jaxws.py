"""JAX-WS, for Java: the program of docs/legacy.md, made with `wsimport` from the WSDL for SOAP 1.1; every such WSDL.

The reference implementation takes any SOAP 1.2 with `-extension` only, and warns even then. While it runs it logs that
it does not know the assertions of the devices profile and of gossip (WSP0075), and goes on; that is not looked at here.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from calls import Program, calls_the_original, calls_the_shadow, original, reads_faults
from peers import debian_packages, program, run, works
from test_zeep import PATHS, SHADOWS
from town import Grid

TOOLS = ("wsimport", "javac", "java")
PACKAGES = "jaxws default-jdk-headless"
SECTION = "Java: JAX-WS"


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    debian_packages(TOOLS, PACKAGES)


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory, town: Grid) -> Program:
    """What the page says to type, but for the addresses."""
    folder = tmp_path_factory.mktemp("jaxws")
    (folder / "Meter.java").write_text(program(SECTION, "java"))
    _, *steps = program(SECTION, "sh").splitlines()
    demand, tariff, build, start = (step.split() for step in steps)
    assert [demand[0], tariff[0], build[0], start[0]] == ["wsimport", "wsimport", "javac", "java"]
    for generate, address in zip((demand, tariff), original(town.meter), strict=True):
        generate[-1] = f"{address}?wsdl=soap11"
        said = run(*generate, cwd=folder)
        assert not re.search("warning|error", said, re.IGNORECASE), said
    assert run(*build, cwd=folder) == ""
    start = start[: start.index("Meter") + 1]

    def call(*arguments: str, code: int = 0) -> str:
        done = subprocess.run([*start, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return call


@works("JAX-WS", "original")
def test_the_program_calls_the_original(meter: Program, town: Grid) -> None:
    calls_the_original(meter, town)


@works("JAX-WS", "shadow")
def test_the_program_calls_the_shadow(meter: Program, town: Grid) -> None:
    calls_the_shadow(meter, town)


@works("JAX-WS", "faults")
def test_the_program_reads_faults(meter: Program, town: Grid) -> None:
    reads_faults(meter, town)


@works("JAX-WS", "wsdl")
def test_every_wsdl_for_soap_11_is_read_without_a_warning(town: Grid, tmp_path: Path) -> None:
    for number, path in enumerate(PATHS + SHADOWS):
        url = f"{town.meter.url(path)}?wsdl=soap11"
        said = run("wsimport", "-Xnocompile", "-p", f"n{number}", "-d", ".", url, cwd=tmp_path)
        assert not re.search("warning|error", said, re.IGNORECASE), said
        name = path.strip("/").replace("/gossip", "Gossip")
        assert any(f"get{name}Soap11(" in file.read_text() for file in (tmp_path / f"n{number}").iterdir())
