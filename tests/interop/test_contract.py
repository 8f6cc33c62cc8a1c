"""The WSDLs in wsdl/ are the contract: what a running device hands out is that, and is what the schemas of WSDL 1.1 and
its SOAP 1.2 binding allow.

What a device adds is its own address and its policies; nothing else may differ, in canonical form without white space.
The file is the complete form. The others are what `in_form` makes of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree
from peers import pip_package
from town import Grid, plain

from gossip_ws.wire.metadata import GET_METADATA, read_get_metadata_response, write_get_metadata
from gossip_ws.wire.wsdl import SUFFIX, WSDL11, WSDL_SOAP11, WSDL_SOAP12, WSP, Form, in_form
from gossip_ws.wsdl import read

CONTRACTS = {"/Tariff": "tariff.wsdl", "/Metering": "metering.wsdl", "/Peers": "peering.wsdl", "/Report": "report.wsdl"}
SHADOWS = {path: file for path, file in CONTRACTS.items() if path != "/Peers"}
EACH = [*CONTRACTS, *(path + "/gossip" for path in SHADOWS)]
QUERIES = {"?wsdl": Form.PLAIN, "?wsdl=soap11": Form.SOAP11, "?wsdl=complete": Form.COMPLETE}
W = {"w": WSDL11, "s": WSDL_SOAP12, "s11": WSDL_SOAP11, "wsp": WSP}


def canonical(wsdl: bytes) -> bytes:
    """Without policies, addresses, and white space between elements."""
    root = etree.fromstring(wsdl, etree.XMLParser(remove_blank_text=True))
    for policy in root.xpath("//wsp:Policy | //wsp:PolicyReference", namespaces=W):
        policy.getparent().remove(policy)
    for address in root.xpath("//w:port/*[@location]", namespaces=W):
        address.set("location", "")
    etree.cleanup_namespaces(root)
    return etree.tostring(root, method="c14n", exclusive=True, with_comments=False)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("path", CONTRACTS)
def test_what_is_handed_out_is_the_contract(town: Grid, path: str, query: str) -> None:
    contract = canonical(in_form(read(CONTRACTS[path]), QUERIES[query]))
    for device in town.devices:
        assert canonical(device.get(path + query).body) == contract


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("path", SHADOWS)
def test_the_shadow_has_the_contracts_types_messages_and_operations(town: Grid, path: str, query: str) -> None:
    """Names of portType, binding, service and port differ by the suffix; what does not gossip is missing. All that a
    generated client sees of a call is equal."""
    contract = etree.fromstring(read(SHADOWS[path]))
    complete = etree.fromstring(town.top.get(path + "/gossip?wsdl=complete").body)
    kept = set(complete.xpath("//w:portType/w:operation/@name", namespaces=W))
    assert kept
    for operation in contract.xpath("//w:portType/w:operation | //w:binding/w:operation", namespaces=W):
        if operation.get("name") not in kept:
            operation.getparent().remove(operation)
    whole = contract.xpath("/w:definitions | //w:portType | //w:binding | //w:service | //w:port", namespaces=W)
    for element in whole:
        for name in {"name", "type", "binding"} & set(element.attrib):
            element.set(name, element.get(name) + SUFFIX)
    served = town.top.get(path + "/gossip" + query).body
    assert canonical(served) == canonical(in_form(etree.tostring(contract), QUERIES[query]))


@pytest.mark.parametrize("path", EACH)
def test_dpws_clients_are_told_everything_and_others_what_they_can_use(town: Grid, path: str) -> None:
    """Not by what `in_form` makes: one binding and one port each, of one SOAP, and who speaks first."""
    events = {"/Tariff": ["TariffChanged"], "/Metering": ["DemandAlarm"]}.get(path.removesuffix("/gossip"), [])
    forms = {query: etree.fromstring(town.meter.get(path + query).body) for query in QUERIES}
    complete = forms["?wsdl=complete"]
    calls = complete.xpath("//w:portType/w:operation[w:input]/@name", namespaces=W)
    for query, root in forms.items():
        first, other = ("s11", "s") if query == "?wsdl=soap11" else ("s", "s11")
        assert root.xpath(f"count(w:binding[{first}:binding])=1 and count(w:binding)=1", namespaces=W)
        assert root.xpath(f"count(//w:port[{first}:address])=1 and count(//w:port)=1", namespaces=W)
        assert not root.xpath(f"//{other}:*", namespaces=W)
        for parent in ("w:portType", "w:binding"):
            assert root.xpath(f"{parent}/w:operation[w:input]/@name", namespaces=W) == calls
            told = root.xpath(f"{parent}/w:operation[not(w:input)]/@name", namespaces=W)
            assert told == (events if root is complete else [])
        marked = root.xpath("w:portType/@*[local-name()='EventSource']", namespaces=W)
        assert marked == (["true"] if events and root is complete else [])
        policies = root.xpath("wsp:Policy/@*[local-name()='Id']", namespaces=W)
        assert {f"#{name}" for name in policies} == set(root.xpath("//wsp:PolicyReference/@URI", namespaces=W))


@pytest.mark.parametrize("path", EACH)
def test_by_metadata_exchange_and_by_get_it_is_the_same(town: Grid, path: str) -> None:
    told = read_get_metadata_response(town.meter.post(path, plain(GET_METADATA, write_get_metadata())).payload)
    assert canonical(told.wsdl) == canonical(town.meter.get(path + "?wsdl=complete").body)


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    """That of WSDL 1.1 lies in a peer's package. It admits anything foreign, but where the binding's declares it."""
    package = pip_package("sdc11073", "sdc11073")
    wsdl = Path(str(package.__file__)).parent / "xsd" / "wsdl.xsd"
    binding = Path(__file__).parent / "soap12-binding.xsd"
    joined = (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'
        f'<xs:import namespace="{WSDL11}" schemaLocation="{wsdl.as_uri()}"/>'
        f'<xs:import namespace="{WSDL_SOAP12}" schemaLocation="{binding.as_uri()}"/></xs:schema>'
    )
    return etree.XMLSchema(etree.fromstring(joined))


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("path", EACH)
def test_it_is_valid(town: Grid, schema: etree.XMLSchema, path: str, query: str) -> None:
    schema.assertValid(etree.fromstring(town.meter.get(path + query).body))


@pytest.mark.parametrize("file", CONTRACTS.values())
def test_the_contract_is_valid(schema: etree.XMLSchema, file: str) -> None:
    schema.assertValid(etree.fromstring(read(file)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'use="literal"', b'use="figurative"'),
        (b' transport="http://schemas.xmlsoap.org/soap/http"', b""),
        (b'<wsdl:portType name="Tariff"', b"<wsdl:portType"),
        (b"</wsdl:definitions>", b"<wsdl:trousers/></wsdl:definitions>"),
    ],
)
def test_the_schemas_refuse_what_is_wrong(schema: etree.XMLSchema, old: bytes, new: bytes) -> None:
    wsdl = read("tariff.wsdl")
    assert old in wsdl
    assert not schema.validate(etree.fromstring(wsdl.replace(old, new)))
