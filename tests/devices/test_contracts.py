"""What a device says of its services is so: the WSDL against the metadata, against DPWS, and what is answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree
from town import Device, Town, plain

from gossip_ws.core.peers import Role
from gossip_ws.dpws.metadata import Hosted
from gossip_ws.kernel.names import DPWS, qname
from gossip_ws.services import ComplexModel, Service, SpyneHosted, Unicode, rpc
from gossip_ws.wire.envelope import MAX_ENVELOPE
from gossip_ws.wire.metadata import (
    GET,
    GET_METADATA,
    GET_METADATA_RESPONSE,
    RELATIONSHIP,
    WSDL,
    read_get_metadata_response,
    read_get_response,
    write_get_metadata,
)

WSP = "http://www.w3.org/ns/ws-policy"
SOAP12, SOAP11 = (f"http://schemas.xmlsoap.org/wsdl/{version}/" for version in ("soap12", "soap"))
FORMS = {"": SOAP12, "=soap11": SOAP11, "=complete": SOAP12}
"""What stands behind `?wsdl`, and the SOAP that it is bound to."""
W = {"w": WSDL, "wsp": WSP, "dpws": DPWS}
ACTION = "{http://www.w3.org/2007/05/addressing/metadata}Action"
ID = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}Id"
PATHS = ("/Tariff", "/Tariff/gossip", "/Metering", "/Metering/gossip", "/Peers", "/Report", "/Report/gossip", "/Atlas")

Sheet: Any = type(
    "Sheet", (ComplexModel,), {"__namespace__": "urn:atlas"} | {f"place{n}": Unicode(max_len=n + 1) for n in range(200)}
)


class Atlas(Service):
    """Its WSDL alone is larger than an envelope."""

    @rpc(_returns=Sheet)
    def Look(ctx: Any) -> Any:
        return Sheet(place0="x")


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    town = Town()
    yield town.open(Role.METER, "grid://contracts/1/1", services=(lambda _: SpyneHosted(Atlas, "urn:atlas"),))
    town.close()


def hosted(device: Device) -> dict[str, Hosted]:
    """What the device's own metadata say of each service, by its address."""
    relationship = read_get_response(device.post("/device", plain(GET, b"", to=device.id)).payload).relationship
    assert relationship is not None
    return {one.addresses[0]: one for one in relationship.hosted}


def wsdl(device: Device, path: str, form: str = "=complete") -> etree._Element:
    return etree.fromstring(device.get(f"{path}?wsdl{form}").body)


def test_every_hosted_service_and_every_shadow_is_looked_at(device: Device) -> None:
    assert set(hosted(device)) == {device.url(path) for path in PATHS}


@pytest.mark.parametrize("path", PATHS)
def test_the_types_of_a_hosted_service_are_its_port_type(device: Device, path: str) -> None:
    root = wsdl(device, path)
    (name,) = root.xpath("w:portType/@name", namespaces=W)
    assert hosted(device)[device.url(path)].types == (qname(root.get("targetNamespace", ""), name),)


@pytest.mark.parametrize(("form", "soap"), FORMS.items())
@pytest.mark.parametrize("path", PATHS)
def test_r2019_r2020_each_operation_is_bound_document_literal(device: Device, path: str, form: str, soap: str) -> None:
    root = wsdl(device, path, form)
    tns = root.get("targetNamespace")
    (port_type,) = root.findall("w:portType", W)
    names = [operation.get("name") for operation in port_type]
    (port,) = root.findall("w:service/w:port", W)
    assert [(part.tag, part.get("location")) for part in port] == [(f"{{{soap}}}address", device.url(path))]
    (binding,) = root.findall("w:binding", W)
    assert port.get("binding") == f"tns:{binding.get('name')}"
    assert root.nsmap["tns"] == tns
    assert binding.get("type") == f"tns:{port_type.get('name')}"
    (style,) = binding.findall(f"{{{soap}}}binding")
    assert (style.get("style"), style.get("transport")) == ("document", "http://schemas.xmlsoap.org/soap/http")
    assert [operation.get("name") for operation in binding.findall("w:operation", W)] == names
    assert {body.get("use") for body in binding.iter(f"{{{soap}}}body")} == {"literal"}


@pytest.mark.parametrize(("form", "soap"), FORMS.items())
@pytest.mark.parametrize("path", PATHS)
def test_each_message_has_its_action_and_each_operation_the_same_soap_action(
    device: Device, path: str, form: str, soap: str
) -> None:
    root = wsdl(device, path, form)
    for operation in root.iterfind("w:portType/w:operation", W):
        told = [message.get(ACTION) for message in operation if message.tag != qname(WSDL, "documentation")]
        assert told
        assert all(told)
        # A one-way operation has an input, a notification an output; the first is what is sent first.
        bound = root.xpath(
            f"w:binding/w:operation[@name='{operation.get('name')}']/s:operation/@soapAction",
            namespaces=W | {"s": soap},
        )
        assert bound == told[:1]


def test_the_action_of_an_output_is_that_of_the_answer(device: Device) -> None:
    root = wsdl(device, "/Metering")
    (output,) = root.findall("w:portType/w:operation[@name='GetDemand']/w:output", W)
    (request,) = root.findall("w:portType/w:operation[@name='GetDemand']/w:input", W)
    body = b'<GetDemand xmlns="urn:gossip-ws:2026:metering"/>'
    answer = device.post("/Metering", plain(request.get(ACTION, ""), body)).envelope
    assert answer.addressing.action == output.get(ACTION)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", PATHS)
def test_the_profile_is_asserted_on_the_binding_and_may_be_done_without(device: Device, path: str, form: str) -> None:
    root = wsdl(device, path, form)
    (policy,) = (one for one in root.findall("wsp:Policy", W) if one.find("dpws:Profile", W) is not None)
    (profile,) = policy
    assert profile.get(qname(WSP, "Optional")) == "true"
    (binding,) = root.findall("w:binding", W)
    assert [one.get("URI") for one in binding.findall("wsp:PolicyReference", W)] == [f"#{policy.get(ID)}"]


@pytest.mark.parametrize("path", PATHS)
def test_a_service_tells_its_own_hosted_and_its_wsdl(device: Device, path: str) -> None:
    reply = device.post(path, plain(GET_METADATA, write_get_metadata(), message_id="urn:uuid:1"))
    assert (reply.envelope.addressing.action, reply.relates_to) == (GET_METADATA_RESPONSE, "urn:uuid:1")
    told = read_get_metadata_response(reply.payload)
    assert told.relationship is not None
    assert told.relationship.host is not None
    assert told.relationship.host.device == device.id
    assert told.relationship.hosted == (hosted(device)[device.url(path)],)
    assert bool(told.wsdl) is not bool(told.wsdl_location)
    for dialect, relationship, contract in ((RELATIONSHIP, True, False), (WSDL, False, True)):
        one = read_get_metadata_response(device.post(path, plain(GET_METADATA, write_get_metadata(dialect))).payload)
        assert ((one.relationship is not None), bool(one.wsdl or one.wsdl_location)) == (relationship, contract)


def test_r0026_a_wsdl_that_no_envelope_holds_is_told_by_its_location(device: Device) -> None:
    reply = device.post("/Atlas", plain(GET_METADATA, write_get_metadata()))
    assert len(reply.body) < MAX_ENVELOPE < len(device.get("/Atlas?wsdl").body)
    told = read_get_metadata_response(reply.payload)
    assert (told.wsdl, told.wsdl_location) == (b"", device.url("/Atlas?wsdl=complete"))
    assert device.get(told.wsdl_location.removeprefix(device.url(""))).status == 200
    for path in set(PATHS) - {"/Atlas"}:
        reply = device.post(path, plain(GET_METADATA, write_get_metadata()))
        assert len(reply.body) <= MAX_ENVELOPE
        assert read_get_metadata_response(reply.payload).wsdl
