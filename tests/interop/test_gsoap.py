"""gSOAP, for C: the program of docs/legacy.md, made from the original's WSDL and from the shadow's; WS-Discovery."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from calls import Program, calls_the_original, calls_the_shadow, original, reads_faults, shadow
from peers import SCOPE, debian_packages, program, run, works
from single_devices import Running
from test_zeep import PATHS, SHADOWS
from town import Grid

from gossip_ws.kernel.names import DPWS, GRID

TOOLS = ("wsdl2h", "soapcpp2", "gcc")
PACKAGES = "gsoap libgsoap-dev gcc"
SECTION = "C: gSOAP"


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    debian_packages(TOOLS, PACKAGES)


def make(folder: Path, addresses: tuple[str, str], nsmap: str = "Metering.nsmap") -> Program:
    """What the page says to type, but for the addresses; of warnings of the compiler there may be none."""
    code = program(SECTION, "c")
    assert code.count("Metering.nsmap") == 1
    (folder / "meter.c").write_text(code.replace("Metering.nsmap", nsmap))
    _, *steps = program(SECTION, "sh").splitlines()
    generate, derive, build = (step.split() for step in steps)
    assert [generate[0], derive[0], build[0]] == ["wsdl2h", "soapcpp2", "gcc"]
    generate[-2:] = [f"{address}?wsdl" for address in addresses]
    for command in (generate, derive, [*build, "-Wall", "-Wextra"]):
        said = run(*command, cwd=folder)
        assert not re.search("warning|error", said, re.IGNORECASE), said

    def call(*arguments: str, code: int = 0) -> str:
        return run("./meter", *arguments, cwd=folder, code=code)

    return call


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory, town: Grid) -> Program:
    return make(tmp_path_factory.mktemp("gsoap"), original(town.meter))


@works("gSOAP", "original")
def test_the_program_calls_the_original(meter: Program, town: Grid) -> None:
    calls_the_original(meter, town)


@works("gSOAP", "shadow")
def test_the_program_calls_the_shadow(meter: Program, town: Grid) -> None:
    calls_the_shadow(meter, town)


@works("gSOAP", "shadow")
def test_generated_from_the_shadows_wsdl_it_works_at_both(town: Grid, tmp_path: Path) -> None:
    """Nothing in the generated code tells that there is gossip."""
    meter = make(tmp_path, shadow(town.top), "MeteringGossip.nsmap")
    calls_the_shadow(meter, town)
    calls_the_original(meter, town)


@works("gSOAP", "faults")
def test_the_program_reads_faults(meter: Program, town: Grid) -> None:
    """soap_recv_empty_response(), which the manual has for one-way calls, throws a fault's envelope away and tells of
    status 400 alone; so the program reads the answer in steps."""
    reads_faults(meter, town)


@works("gSOAP", "wsdl")
@pytest.mark.parametrize("language", [("-c", "-F"), ()], ids=["C", "C++"])
@pytest.mark.parametrize("query", ["?wsdl", "?wsdl=soap11"])
def test_every_wsdl_is_read_without_a_warning(
    town: Grid, tmp_path: Path, language: tuple[str, ...], query: str
) -> None:
    """Without -F wsdl2h 2.8.124 -c warns of every schema that restricts a simple type ("ignoring type inheritance").
    The tariff's limits are worth more in the WSDL than a silent -c."""
    for number, path in enumerate(PATHS + SHADOWS):
        header = f"{number}.h"
        said = run("wsdl2h", *language, "-o", header, town.meter.url(path) + query, cwd=tmp_path)
        assert not re.search("warning|error|cannot", said, re.IGNORECASE), said
        assert f"urn:gossip-ws:2026:{path.split('/')[1].lower()}" in (tmp_path / header).read_text()


GSOAP = Path("/usr/share/gsoap")
"""Where Debian's package has the sources of gSOAP's plugins."""


DEVPROF = "http://schemas.xmlsoap.org/ws/2006/02/devprof"


@pytest.fixture(scope="module", params=[("wsdd.h", DPWS), ("wsdd10.h", DEVPROF)], ids=["2009/01", "2005/04"])
def probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Its WS-Discovery client of a generation, and the namespace that DPWS has in that. Without -2 it would send SOAP
    1.1, which WS-Discovery 1.1 does not know. There is wsdd5.h too, the discovery of 2005/04 with the addressing of
    2005/08: a mixture that no version of DPWS has."""
    header, namespace = request.param
    if not (GSOAP / "plugin" / "wsddapi.c").is_file():
        pytest.skip(f"the plugins of gSOAP are not in {GSOAP}: apt-get install libgsoap-dev")
    folder = tmp_path_factory.mktemp("wsdd")
    run("soapcpp2", "-2", "-a", "-c", "-L", "-x", f"-I{GSOAP}/import", GSOAP / "import" / header, cwd=folder)
    sources = [Path(__file__).parent / "probe.c", *(f"soap{part}.c" for part in ("C", "Client", "Server"))]
    sources += [GSOAP / "plugin" / f"{part}.c" for part in ("wsddapi", "wsaapi", "threads")]
    run("gcc", "-I.", f"-I{GSOAP}/plugin", "-o", "probe", *sources, "-lgsoap", "-lpthread", cwd=folder)
    return folder / "probe", namespace


@works("gSOAP", "finds")
def test_its_discovery_finds_a_device(probe: tuple[Path, str], single: Running) -> None:
    """WSDBIT 1.3. In either generation."""
    client, namespace = probe
    told = run(client, "127.0.0.1", SCOPE.removesuffix("/7"), cwd=client.parent)
    types = f'"{namespace}":Device "{GRID}":SmartMeter'
    match = f"match {single.told['device']} {types} {SCOPE} {single.address('/device')}"
    assert set(told.splitlines()) == {match}
