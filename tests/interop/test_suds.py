"""suds-community, a SOAP 1.1 client that was written long before DPWS: it loads the WSDL of a device, and calls.

It reads no policy and sends no WS-Addressing. suds 1.2 takes a port of SOAP 1.2 too, and sends it SOAP 1.1: it knows no
other envelope. That is why there is one address for both, where the envelope tells which it is.
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


def client(device: Device, path: str, user: str = "", query: str = "?wsdl=soap11") -> Any:
    headers = {"Authorization": "Basic " + b64encode(f"{user}:{PASSWORD}".encode()).decode()} if user else {}
    return suds.client.Client(device.url(path) + query, cache=None, headers=headers)


def flat(api: Any, version: int) -> Any:
    given = api.factory.create("ns0:Tariff")
    given.id, given.version = "flat", version
    given.start, given.end = "2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z"
    band = api.factory.create("ns0:Band")
    band.fromMinute, band.toMinute, band.price = 0, 1440, "0.5"
    given.band.append(band)
    return given


@works("suds-community", "wsdl")
@pytest.mark.parametrize(("query", "soap"), [("?wsdl", ""), ("?wsdl=soap11", "Soap11")])
@pytest.mark.parametrize("path", ["/Tariff", "/Tariff/gossip", "/Metering", "/Metering/gossip", "/Peers", "/Report"])
def test_suds_loads_each_wsdl(town: Grid, path: str, query: str, soap: str) -> None:
    (definition,) = client(town.meter, path, query=query).sd
    ports = [(port.name, {str(one.location) for one in port.methods.values()}) for port, _ in definition.ports]
    name = path.strip("/").partition("/")[0]
    behind = "Gossip" if path.endswith("/gossip") else ""
    assert ports == [(f"{name}{behind}{soap}", {town.meter.url(path)})]


@works("suds-community", "original")
@pytest.mark.parametrize("query", ["?wsdl", "?wsdl=soap11"])
def test_suds_speaks_soap_11_by_either_wsdl(town: Grid, query: str) -> None:
    town.push()
    api = client(town.meter, "/Tariff", query=query)
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
