"""sdc11073, a stack for medical devices on DPWS 1.1: each side finds the other, and it reads what a device tells of
itself, its schema validation on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from lxml import etree
from peers import SCOPE, device_process, pip_package, works
from single_devices import DEADLINE, Running, eventually

from gossip_ws.devices.finding import discover
from gossip_ws.kernel.names import DEVICE, DPWS, GRID, METERING, qname
from gossip_ws.net.multicast import Group

LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def discovery() -> ModuleType:
    return pip_package("sdc11073.wsdiscovery", "sdc11073")


@pytest.fixture
def peer(discovery: ModuleType) -> Iterator[Any]:
    with discovery.WSDiscovery(LOOPBACK) as made:
        yield made


def scopes(*wanted: str) -> Any:
    return pip_package("sdc11073.xml_types.wsd_types", "sdc11073").ScopesType(" ".join(wanted))


@works("sdc11073", "finds")
def test_it_finds_a_device_by_type_and_scope(peer: Any, single: Running) -> None:
    """WSDBIT 1.3"""

    def search(types: list[str], scope: str) -> list[Any]:
        return list(peer.search_services([etree.QName(one) for one in types], scopes(scope), 0.5, 1))

    types = [DEVICE, qname(GRID, "SmartMeter")]
    (found,) = eventually(lambda: search(types, SCOPE.removesuffix("/7")))
    assert found.epr == single.told["device"]
    assert found.x_addrs == [single.address("/device")]
    assert [str(one) for one in found.types] == types
    # It keeps what it has found, and filters that itself.
    assert search([qname(GRID, "Appliance")], SCOPE) == []
    assert search(types, SCOPE + "0") == []


@works("sdc11073", "finds")
def test_it_hears_hello_and_bye(peer: Any, tmp_path: Path) -> None:
    """WSDBIT 1.1"""
    scope, heard = f"grid://interop-{uuid4().hex}/1", Queue[tuple[str, str]]()
    peer.set_remote_service_hello_callback(lambda _, found: heard.put(("hello", found.epr)), None, scopes(scope))
    running = device_process(tmp_path, "127.79.0.2", scope)
    device = running.told["device"]
    # Others on this machine may come and go.
    peer.set_remote_service_bye_callback(lambda _, epr: heard.put(("bye", epr)) if epr == device else None)
    assert heard.get(timeout=DEADLINE) == ("hello", device)
    running.stop()
    while (told := heard.get(timeout=DEADLINE)) == ("hello", device):
        pass
    assert told == ("bye", device)


@works("sdc11073", "found")
def test_ours_finds_it(peer: Any) -> None:
    device, scope = uuid4().urn, f"grid://interop-{uuid4().hex}/1"
    peer.publish_service(device, [etree.QName(DEVICE)], scopes(scope), ["http://127.0.0.1:9/nobody"])
    (found,) = eventually(
        lambda: asyncio.run(discover([LOOPBACK], Group(), types=(DEVICE,), scopes=(scope,), within=1.5))
    )
    assert (found.device, found.types, found.scopes) == (device, (DEVICE,), (scope,))
    assert (found.addresses, found.services) == (("http://127.0.0.1:9/nobody",), None)


@pytest.fixture
def consumer(single: Running) -> Iterator[Any]:
    implementation = pip_package("sdc11073.consumer.consumerimpl", "sdc11073")
    definitions = pip_package("sdc11073.definitions_sdc", "sdc11073").SdcV1Definitions
    made = implementation.SdcConsumer(single.address("/device"), definitions, None, validate=True)
    client = made.get_soap_client(single.address("/device"))
    client.connect()
    yield made
    client.close()


@works("sdc11073", "describes")
def test_it_reads_what_a_device_is_and_what_it_hosts(consumer: Any, single: Running) -> None:
    """WSDBIT 1.5. Its own start goes on to ask for medical services; what it does up to there is asked for by name."""
    told = consumer._get_metadata()
    assert [name.text for name in told.this_device.FriendlyName] == [f"meter {SCOPE}"]
    assert [name.text for name in told.this_model.Manufacturer] == ["gossip_ws"]
    relationship = told.relationship
    assert relationship.Type == f"{DPWS}/host"
    assert relationship.Host.EndpointReference.Address == single.told["device"]
    hosted = {one.EndpointReference[0].Address: [str(of) for of in one.Types] for one in relationship.Hosted}
    assert hosted[single.address("/Metering")] == [qname(METERING, "Metering")]
    assert hosted[single.address("/Metering/gossip")] == [qname(METERING, "MeteringGossip")]
    assert len({one.ServiceId for one in relationship.Hosted}) == len(hosted)


@works("sdc11073", "describes")
def test_it_asks_each_hosted_service_for_its_metadata(consumer: Any, single: Running) -> None:
    """It takes a WSDL by location only and passes over one that is there inline, as ours is; so it goes without."""
    description = pip_package("sdc11073.consumer.consumerimpl", "sdc11073").HostedServiceDescription
    for hosted in consumer._get_metadata().relationship.Hosted:
        address = hosted.EndpointReference[0].Address
        model = consumer.sdc_definitions.data_model
        service = description(hosted.ServiceId, address, consumer.msg_reader, consumer.msg_factory, model)
        service.read_metadata(consumer.get_soap_client(address))
        (own,) = service.meta_data.relationship.Hosted
        assert (own.ServiceId, own.Types) == (hosted.ServiceId, hosted.Types)


@works("sdc11073", "finds")
def test_its_directed_probe_is_answered(consumer: Any, single: Running) -> None:
    """WSDBIT 1.4"""
    (match,) = consumer.send_probe().ProbeMatch
    assert match.EndpointReference.Address == single.told["device"]
