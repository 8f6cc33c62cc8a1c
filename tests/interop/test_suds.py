"""suds-community, a SOAP 1.1 client that was written long before DPWS: it loads the WSDL of a device, and calls.

It reads no policy and sends no WS-Addressing. suds 1.2 takes the first port, though that is of SOAP 1.2, and sends it
SOAP 1.1: it knows no other envelope. That is why both ports have one address, and the envelope tells which it is.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from peers import pip_package, works
from town import PASSWORD, USER, Device, Grid, wait_for

suds: Any = None


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    global suds
    pip_package("suds.client", "suds-community")
    suds = pip_package("suds", "suds-community")


def client(device: Device, path: str, user: str = "") -> Any:
    headers = {"Authorization": "Basic " + b64encode(f"{user}:{PASSWORD}".encode()).decode()} if user else {}
    return suds.client.Client(device.url(path) + "?wsdl", cache=None, headers=headers)


def flat(api: Any, version: int) -> Any:
    given = api.factory.create("ns0:Tariff")
    given.id, given.version = "flat", version
    given.start, given.end = "2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z"
    band = api.factory.create("ns0:Band")
    band.fromMinute, band.toMinute, band.price = 0, 1440, "0.5"
    given.band.append(band)
    return given


@works("suds-community", "wsdl")
@pytest.mark.parametrize("path", ["/Tariff", "/Tariff/gossip", "/Metering", "/Metering/gossip", "/Peers", "/Report"])
def test_suds_loads_each_wsdl_with_both_ports(town: Grid, path: str) -> None:
    (definition,) = client(town.meter, path).sd
    ports = [(port.name, {str(one.location) for one in port.methods.values()}) for port, _ in definition.ports]
    name = path.strip("/").partition("/")[0]
    behind = "Gossip" if path.endswith("/gossip") else ""
    url = {town.meter.url(path)}
    assert ports == [(f"{name}{behind}", url), (f"{name}Soap11{behind}", url)]


@works("suds-community", "original")
@pytest.mark.parametrize("port", ["Tariff", "TariffSoap11"])
def test_suds_speaks_soap_11_to_either_port(town: Grid, port: str) -> None:
    town.push()
    api = client(town.meter, "/Tariff")
    api.set_options(port=port)
    assert api.service.GetTariff().id == "winter"
    assert api.last_sent().getChild("Envelope").namespace()[1] == "http://schemas.xmlsoap.org/soap/envelope/"


@works("suds-community", "original", "faults")
def test_suds_sets_and_reads_a_tariff(town: Grid) -> None:
    town.push()
    version = town.next_version()
    api = client(town.top, "/Tariff", USER)
    assert api.service.SetTariff(flat(api, version)) is None
    held = api.service.GetTariff()
    assert (str(held.id), int(held.version), str(held.band[0].price)) == ("flat", version, "0.5")
    with pytest.raises(suds.WebFault, match="supersede") as caught:
        api.service.SetTariff(flat(api, version - 1))
    assert caught.value.fault.faultcode.endswith(":StaleVersion")


@works("suds-community", "shadow", "faults")
def test_suds_pushes_a_tariff_and_pulls_the_demand_by_the_shadows(town: Grid) -> None:
    version = town.next_version()
    api = client(town.top, "/Tariff/gossip", USER)
    assert api.service.SetTariff(flat(api, version)) is None
    wait_for(lambda: town.versions() == [version] * 5)
    ((_, (row,)),) = client(town.top, "/Metering/gossip", USER).service.GetDemand("2026-11-21")
    assert (str(row.category), sum(row.energyWh)) == ("mixed", 900)
    with pytest.raises(suds.WebFault, match="does not sign"):
        client(town.top, "/Metering/gossip").service.GetDemand("2026-11-21")
