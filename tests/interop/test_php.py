"""PHP's SoapClient: the program of docs/legacy.md, every WSDL."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from calls import Program, calls_the_original, calls_the_shadow, shadow
from peers import debian_packages, program, run, works
from test_zeep import PATHS, SHADOWS
from town import PASSWORD, USER, Grid, wait_for

PACKAGES = "php-cli php-soap"


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    debian_packages(("php",), PACKAGES)
    modules = subprocess.run(["php", "-m"], capture_output=True, text=True, check=True).stdout
    if "soap" not in modules.split():
        pytest.skip(f"php without its module soap: apt-get install {PACKAGES}")


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("php")
    (folder / "meter.php").write_text(program("PHP: SoapClient", "php"))

    def call(*arguments: str, code: int = 0) -> str:
        return run("php", "-d", "error_reporting=-1", "meter.php", *arguments, cwd=folder, code=code)

    return call


@works("PHP SoapClient", "original")
def test_the_program_calls_the_original(meter: Program, town: Grid) -> None:
    calls_the_original(meter, town, "sent")


@works("PHP SoapClient", "shadow")
def test_the_program_calls_the_shadow(meter: Program, town: Grid) -> None:
    calls_the_shadow(meter, town, "sent")


def test_of_a_fault_it_tells_code_and_reason(meter: Program, town: Grid) -> None:
    """Not the subcode, and of a one-way call nothing: PHP 8.2 hangs up when that is sent. So the table has no "reads
    faults" for it. With a response SetTariff would be no one-way operation any more: the WSDL stays as it is."""
    version = town.push()
    told = meter(*shadow(town.top), code=1)
    assert told.startswith("refused: s12:Sender this device does not sign")
    counted = town.top.counters["StaleVersion"]
    assert meter(*shadow(town.top), USER, PASSWORD, str(version)).startswith("sent\n")
    wait_for(lambda: town.top.counters["StaleVersion"] > counted, "refused")


@works("PHP SoapClient", "wsdl")
def test_every_wsdl_loads_without_a_word(town: Grid, tmp_path: Path) -> None:
    code = "foreach (array_slice($argv, 1) as $url) (new SoapClient($url, ['cache_wsdl' => 0]))->__getFunctions();"
    urls = [town.meter.url(path) + "?wsdl" for path in PATHS + SHADOWS]
    assert run("php", "-d", "error_reporting=-1", "-r", code, *urls, cwd=tmp_path) == ""
