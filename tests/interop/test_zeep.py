"""zeep, for Python: the program of docs/legacy.md, headers of its own making, WS-Addressing, asyncio."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from calls import Program, calls_the_original, calls_the_shadow, reads_faults
from lxml import etree
from peers import pip_package, program, run, works
from requests import Session
from town import PASSWORD, USER, Grid, wait_for

from gossip_ws.kernel.names import GOSSIP, WSA, qname

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import zeep
    from zeep import xsd
    from zeep.plugins import HistoryPlugin
    from zeep.wsa import WsAddressingPlugin

PATHS = ("/Tariff", "/Metering", "/Peers", "/Report")
SHADOWS = ("/Tariff/gossip", "/Metering/gossip", "/Report/gossip")
FLAT = {
    "id": "flat",
    "start": "2026-01-01T00:00:00Z",
    "end": "2036-01-01T00:00:00Z",
    "band": [{"fromMinute": 0, "toMinute": 1440, "price": "0.25"}],
}


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as session:
        session.trust_env = False
        session.auth = (USER, PASSWORD)
        yield session


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("zeep")
    (folder / "meter.py").write_text(program("Python: zeep", "python"))

    def call(*arguments: str, code: int = 0) -> str:
        return run(sys.executable, "-W", "error", "meter.py", *arguments, cwd=folder, code=code)

    return call


@works("zeep", "original")
def test_the_program_calls_the_original(meter: Program, town: Grid) -> None:
    calls_the_original(meter, town)


@works("zeep", "shadow")
def test_the_program_calls_the_shadow(meter: Program, town: Grid) -> None:
    calls_the_shadow(meter, town)


@works("zeep", "faults")
def test_the_program_reads_faults(meter: Program, town: Grid) -> None:
    reads_faults(meter, town)


@works("zeep", "wsdl")
@pytest.mark.parametrize("path", PATHS + SHADOWS)
def test_the_wsdl_loads_and_asks_for_nothing_else(town: Grid, session: Session, path: str) -> None:
    asked: list[str] = []
    session.hooks["response"].append(lambda response, *_, **__: asked.append(response.url))
    url = town.meter.url(path) + "?wsdl"
    loaded = zeep.Client(url, transport=zeep.Transport(session=session), settings=zeep.Settings(strict=True))
    (service,) = loaded.wsdl.services.values()
    (port,) = service.ports.values()
    assert isinstance(port.binding, zeep.wsdl.bindings.Soap12Binding)
    assert asked == [url]


def called(session: Session, url: str, history: HistoryPlugin, **more: Any) -> Any:
    transport = zeep.Transport(session=session)
    return zeep.Client(url + "?wsdl", transport=transport, plugins=[history, *more.pop("plugins", ())]).service


@works("zeep", "headers")
def test_ws_addressing_goes_out_and_is_related_to(town: Grid, session: Session) -> None:
    history = HistoryPlugin()
    called(session, town.meter.url("/Metering"), history).GetDemand()
    sent, received = history.last_sent["envelope"], history.last_received["envelope"]
    assert sent.findtext(f".//{qname(WSA, 'Action')}") == "urn:gossip-ws:2026:metering:GetDemand"
    assert received.findtext(f".//{qname(WSA, 'Action')}") == "urn:gossip-ws:2026:metering:GetDemandResponse"
    assert received.findtext(f".//{qname(WSA, 'RelatesTo')}") == sent.findtext(f".//{qname(WSA, 'MessageID')}")


def test_its_plugin_beside_what_it_does_by_itself_says_everything_twice(town: Grid, session: Session) -> None:
    """zeep 4.3 adds WS-Addressing wherever a WSDL has wsam:Action, and does not look whether its plugin was given too.
    Two Actions, and two message ids that differ: WS-Addressing 1.0 section 3.2 leaves no choice but a fault. Taking
    the first of two would leave it open which of them was meant, and signed."""
    service = called(session, town.meter.url("/Metering"), HistoryPlugin(), plugins=[WsAddressingPlugin()])
    with pytest.raises(zeep.exceptions.Fault, match="more than once") as caught:
        service.GetDemand()
    assert caught.value.subcodes[0].namespace == WSA


@works("zeep", "headers")
def test_a_typed_header_says_what_is_wanted_and_the_report_is_read(town: Grid, session: Session) -> None:
    town.push()
    named = xsd.ComplexType([xsd.Attribute("Name", xsd.String())])
    wanted = xsd.Element(
        qname(GOSSIP, "Wanted"),
        xsd.ComplexType(
            [
                xsd.Sequence(
                    [xsd.Element(qname(GOSSIP, "Scope"), xsd.String()), xsd.Element(qname(GOSSIP, "Filter"), named)]
                ),
                xsd.Attribute("TimeoutMs", xsd.Integer()),
            ]
        ),
    )
    history = HistoryPlugin()
    service = called(session, town.top.url("/Metering/gossip"), history)
    given = wanted(Scope="grid://town/1", Filter={"Name": "max"}, TimeoutMs=4000)
    (row,) = service.GetDemand(_soapheaders=[given])
    assert row.energyWh == [900, 0, 0]
    report = history.last_received["envelope"].find(f".//{qname(GOSSIP, 'Report')}")
    # The substation and what is below it.
    assert (report.get("Contributors"), report.get("Expected")) == ("4", "4")


@works("zeep", "faults")
def test_a_fault_is_its_exception(town: Grid, session: Session) -> None:
    service = called(session, town.top.url("/Tariff/gossip"), HistoryPlugin())
    with pytest.raises(zeep.exceptions.Fault, match="supersede") as caught:
        service.SetTariff(tariff={**FLAT, "version": town.push()})
    assert caught.value.code.endswith(":Sender")
    assert caught.value.subcodes == [etree.QName("urn:gossip-ws:2026:tariff", "StaleVersion")]


@works("zeep", "original", "shadow")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # the WSDL comes by a client that zeep never closes
def test_asyncio(town: Grid) -> None:
    httpx = pip_package("httpx", "httpx")
    version = town.push() and town.next_version()

    async def calls() -> tuple[Any, Any]:
        async def service(url: str) -> Any:
            client = httpx.AsyncClient(auth=(USER, PASSWORD), trust_env=False)
            reader = httpx.Client(trust_env=False)
            transport = zeep.transports.AsyncTransport(client=client, wsdl_client=reader)
            opened.append(client)
            made = zeep.AsyncClient(url + "?wsdl", transport=transport)
            reader.close()
            return made.service

        opened: list[Any] = []
        try:
            demand = await (await service(town.appliance.url("/Metering"))).GetDemand()
            await (await service(town.top.url("/Tariff/gossip"))).SetTariff(tariff={**FLAT, "version": version})
            together = await (await service(town.top.url("/Metering/gossip"))).GetDemand()
        finally:
            for client in opened:
                await client.aclose()
        return demand, together

    (one,), (all,) = asyncio.run(calls())
    assert (one.category, one.energyWh) == ("Appliance", [900, 0, 0])
    assert (all.category, sum(all.energyWh)) == ("mixed", 900)
    wait_for(lambda: town.versions() == [version] * len(town.devices), "the tariff everywhere")
