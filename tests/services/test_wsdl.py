"""What a client that knows nothing of gossip gets: a WSDL that it can load, and calls that work."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zeep
from lxml import etree
from zeep.exceptions import Fault
from zeep.transports import Transport

from gossip_ws.kernel.errors import Fault as FaultOutcome
from gossip_ws.kernel.names import SOAP12
from gossip_ws.ports import HostedService, Invocation
from gossip_ws.services import Array, ComplexModel, Integer, Service, SpyneHosted, builtin_wsdl, rpc
from gossip_ws.services.metering import metering_service
from gossip_ws.services.peering import peer_service
from gossip_ws.services.tariff import TariffStore, tariff_service
from gossip_ws.wire.envelope import Addressing, build, canonical, parse
from gossip_ws.wsdl import read

W = {
    "w": "http://schemas.xmlsoap.org/wsdl/",
    "s": "http://schemas.xmlsoap.org/wsdl/soap12/",
    "xs": "http://www.w3.org/2001/XMLSchema",
    "e": "http://schemas.xmlsoap.org/ws/2004/08/eventing",
}
ACTION = "{http://www.w3.org/2007/05/addressing/metadata}Action"
ADDRESS = "http://127.0.0.1:8080/a?b&c"


class Straight(Transport):  # type: ignore[misc]
    """Calls the hosted service in place of a socket, as an endpoint would: by wsa:Action."""

    def __init__(self, hosted: HostedService, now: Any) -> None:
        super().__init__()
        self.hosted, self.now = hosted, now
        self.posted: list[str] = []

    def post(self, address: str, message: bytes, headers: dict[str, str]) -> Any:
        self.posted.append(address)
        action = parse(message).addressing.action
        assert action in headers["Content-Type"]
        outcomes: list[Any] = []
        operation = self.hosted.operations[action]
        self.hosted.invoke(Invocation(operation, message, "user", self.now), outcomes.append)
        (outcome,) = outcomes
        if isinstance(outcome, FaultOutcome):
            namespace, _, local = outcome.subcode[1:].partition("}")
            body = (
                f'<s:Fault xmlns:s="{SOAP12}" xmlns:x="{namespace}"><s:Code><s:Value>s:{outcome.code}</s:Value>'
                f"<s:Subcode><s:Value>x:{local}</s:Value></s:Subcode></s:Code>"
                f'<s:Reason><s:Text xml:lang="en">{outcome.reason}</s:Text></s:Reason></s:Fault>'
            ).encode()
            return self._response(500, build(Addressing(), body))
        if not outcome.body:
            return self._response(202, b"")
        return self._response(200, build(Addressing(action=operation.reply_action), outcome.body))

    @staticmethod
    def _response(status: int, content: bytes) -> Any:
        headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
        return SimpleNamespace(status_code=status, content=content, headers=headers, encoding="utf-8")


def client(tmp_path: Path, hosted: HostedService, now: Any) -> tuple[Any, Straight]:
    document = tmp_path / "service.wsdl"
    document.write_bytes(hosted.wsdl(ADDRESS))
    transport = Straight(hosted, now)
    # No plugin: wsam:Action in the WSDL is what makes zeep send WS-Addressing headers.
    return zeep.Client(str(document), transport=transport), transport


def test_zeep_sets_and_reads_a_tariff(tmp_path: Path, now: Any) -> None:
    store = TariffStore()
    zeeped, transport = client(tmp_path, tariff_service(store), now)
    with pytest.raises(Fault, match="no tariff"):
        zeeped.service.GetTariff()
    day = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
    tariff = {
        "id": "winter",
        "version": 3,
        "start": day,
        "end": day + dt.timedelta(days=1),
        "band": [{"fromMinute": 0, "toMinute": 1440, "price": Decimal("0.25")}],
    }
    assert zeeped.service.SetTariff(tariff=tariff) is None
    assert transport.posted == [ADDRESS] * 2
    assert store.current is not None
    assert (store.current.issuer, store.current.version) == ("user", 3)
    given = zeeped.service.GetTariff()
    assert (given.id, given.version, given.start, given.band[0].price) == ("winter", 3, day, Decimal("0.25"))
    with pytest.raises(Fault, match="supersede"):
        zeeped.service.SetTariff(tariff={**tariff, "version": 2})


def test_zeep_reads_demand_and_measurement(tmp_path: Path, now: Any, meter: Any) -> None:
    zeeped, _ = client(tmp_path, metering_service(meter), now)
    rows = zeeped.service.GetDemand(day=dt.date(2026, 11, 30))
    assert [(row.category, row.energyWh) for row in rows] == [("ev", [1, 0, 3]), ("household", [40, 50, 60])]
    assert zeeped.service.GetDemand()[0].energyWh == [1, 0, 3]
    (row,) = zeeped.service.GetMeasurement()
    assert (row.voltage, row.phaseAngle, row.power) == (230.5, -12.25, 1500.0)


def test_zeep_registers_and_asks_for_peers(tmp_path: Path, now: Any, registrar: Any) -> None:
    zeeped, _ = client(tmp_path, peer_service(registrar), now)
    entry = {
        "device": "urn:uuid:1",
        "role": "SmartMeter",
        "http": "http://10.0.0.1:80/gossip",
        "subtree": 1,
        "incarnation": 0,
    }
    registration = zeeped.service.Register(peer=entry)
    assert (registration.leaseMs, registration.registrar.device) == (60_000, registrar.device)
    found = zeeped.service.GetPeers(max=10)
    assert found.complete is True
    assert [(one.device, one.http) for one in found.peer] == [("urn:uuid:1", "http://10.0.0.1:80/gossip")]


class Elsewhere(ComplexModel):
    __namespace__ = "http://vendor.example/parts"
    turns = Integer(ge=0)


class Mill(Service):
    @rpc(Array(Elsewhere), _returns=Array(Elsewhere))
    def Grind(ctx: Any, parts: Any) -> Any:
        """Turn each part once more."""
        return [Elsewhere(turns=part.turns + 1) for part in parts]

    @rpc(Elsewhere, _returns=Elsewhere, _body_style="bare")
    def Once(ctx: Any, part: Any) -> Any:
        return Elsewhere(turns=part.turns + 1)


def test_zeep_calls_a_vendors_service_over_two_namespaces(tmp_path: Path, now: Any) -> None:
    zeeped, _ = client(tmp_path, SpyneHosted(Mill, "http://vendor.example/mill"), now)
    parts = zeeped.get_type("{http://vendor.example/parts}ElsewhereArray")([{"turns": 1}, {"turns": 5}])
    assert [part.turns for part in zeeped.service.Grind(parts=parts)] == [2, 6]
    assert zeeped.service.Once(turns=7) == 8
    with pytest.raises(Fault, match="minInclusive"):
        zeeped.service.Once(turns=-7)


@pytest.mark.parametrize("name", sorted(builtin_wsdl()))
def test_the_shipped_contract_is_the_services_own(name: str) -> None:
    """When this fails after a wanted change: python -m gossip_ws.services wsdl"""
    assert canonical(etree.fromstring(read(name))) == canonical(etree.fromstring(builtin_wsdl()[name]))


def test_the_document_is_the_same_in_every_process() -> None:
    code = "import sys, gossip_ws.services as s; sys.stdout.buffer.write(s.builtin_wsdl()['peering.wsdl'])"
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, check=True, timeout=60)
    assert run.stdout == builtin_wsdl()["peering.wsdl"]


@pytest.mark.parametrize("name", sorted(builtin_wsdl()))
def test_the_contract_keeps_its_promises(name: str) -> None:
    root = etree.fromstring(builtin_wsdl()[name])

    def found(path: str) -> Any:
        return root.xpath(path, namespaces=W)

    assert not found("//*[@schemaLocation or @location[not(starts-with(., 'urn:'))]]")
    assert found("string(//w:portType/@name)") == found("string(w:service/@name)") == root.get("name")
    assert found("//s:binding/@style") == ["document"]
    assert not found("//s:header")
    events = found("//w:portType/w:operation[w:output][not(w:input)]")
    assert found("string(//w:portType/@e:EventSource)") == ("true" if events else "")
    for operation in found("//w:portType/w:operation"):
        event = operation.get("name") in ("TariffChanged", "DemandAlarm", "Gradients")
        (request,) = operation.findall("w:output" if event else "w:input", W)
        action = request.get(ACTION)
        assert action == f"{root.get('targetNamespace')}:{operation.get('name')}"
        assert found(f"//w:binding/w:operation[@name='{operation.get('name')}']/s:operation/@soapAction") == [action]
        outputs = [] if event else operation.findall("w:output", W)
        assert not event or operation.find("w:input", W) is None
        assert [output.get(ACTION) for output in outputs] == [action + "Response"] * len(outputs)
        # What devices that agree tell one another wants no answer: one comes as a message of its own, but in a pull.
        told = name == "balance.wsdl" and operation.get("name") not in ("GetResidual", "Gather")
        one_way = event or told or operation.get("name") in ("SetTariff", "Unregister")
        assert len(outputs) == (0 if one_way else 1)
        assert bool(found(f"//xs:element[@name='{operation.get('name')}Response']")) is not one_way


def test_the_address_is_escaped() -> None:
    root = etree.fromstring(tariff_service(TariffStore()).wsdl('http://h/?a&b="c"<d>'))
    assert root.xpath("string(//s:address/@location)", namespaces=W) == 'http://h/?a&b="c"<d>'
