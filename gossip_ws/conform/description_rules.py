"""DPWS 1.1 description: what a device answers to a Get, what a hosted service does to a GetMetadata, and its WSDL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from gossip_ws.conform.contract import Contract
from gossip_ws.conform.discovery_rules import none_of
from gossip_ws.conform.evidence import Evidence, ServiceSeen
from gossip_ws.conform.reading import epr_address
from gossip_ws.conform.rule import Check, Finding, Group, Level, Rule, Source, failed, not_applicable, passed
from gossip_ws.dpws.metadata import MAX_FIELD_SIZE
from gossip_ws.kernel.names import DPWS, WSA, QName, qname, split
from gossip_ws.wire.envelope import canonical
from gossip_ws.wire.metadata import GET_METADATA_RESPONSE, HOSTING, MEX, WSDL

_METADATA: Final = qname(MEX, "Metadata")
_SECTION: Final = qname(MEX, "MetadataSection")
_EPR: Final = qname(WSA, "EndpointReference")
_NO_METADATA: Final = "Get is not answered with metadata (R2044)"


@dataclass(frozen=True, slots=True)
class _Child:
    """An element of a sequence: how often it may stand there. `most` 0 is any number."""

    name: QName
    least: int
    most: int


def _dpws(local: str, least: int, most: int) -> _Child:
    return _Child(qname(DPWS, local), least, most)


_MODEL: Final = (
    _dpws("Manufacturer", 1, 0),
    _dpws("ManufacturerUrl", 0, 1),
    _dpws("ModelName", 1, 0),
    _dpws("ModelNumber", 0, 1),
    _dpws("ModelUrl", 0, 1),
    _dpws("PresentationUrl", 0, 1),
)
_DEVICE: Final = (_dpws("FriendlyName", 1, 0), _dpws("FirmwareVersion", 0, 1), _dpws("SerialNumber", 0, 1))
_HOST: Final = (_Child(_EPR, 1, 1), _dpws("Types", 0, 1))
_HOSTED: Final = (_Child(_EPR, 1, 0), _dpws("Types", 1, 1), _dpws("ServiceId", 1, 1))


def _wrong(element: etree._Element, sequence: Sequence[_Child]) -> str:
    """What is wrong with the children by the schema; empty when nothing is. Other namespaces extend the end."""
    known = [child.name for child in sequence]
    own = [child.tag for child in element if child.tag in known or split(QName(str(child.tag)))[0] == DPWS]
    counts = Counter(own)
    for child in sequence:
        local = split(child.name)[1]
        if counts[child.name] < child.least:
            return f"{local} is missing"
        if child.most and counts[child.name] > child.most:
            return f"{local} stands there {counts[child.name]} times"
    for name in counts:
        if name not in known:
            return f"{split(QName(str(name)))[1]} does not belong there"
    order = [known.index(QName(str(name))) for name in own]
    return "" if order == sorted(order) else "the elements are not in the order of the schema"


def _too_long(element: etree._Element) -> str:
    for child in element:
        if len((child.text or "").strip()) >= MAX_FIELD_SIZE:
            return f"{etree.QName(child).localname} has {MAX_FIELD_SIZE} characters or more"
    return ""


# -- Get -------------------------------------------------------------------------------------------


def _metadata(seen: Evidence) -> etree._Element | None:
    message = seen.get
    payload = message.payload if message is not None else None
    return payload if payload is not None and payload.tag == _METADATA else None


def only_metadata(seen: Evidence) -> Finding:
    message = seen.get
    if message is None or not message.holds(_METADATA):
        return failed(f"Get: {seen.http['get']}")
    return passed("the Body of a GetResponse is wsx:Metadata")


def addressed(seen: Evidence) -> Finding:
    by_url = seen.http["get_url"]
    if _metadata(seen) is None:
        return not_applicable(_NO_METADATA)
    if by_url.message is None or by_url.message.fault is not None:
        return failed(f"a Get to the transport address: {by_url}")
    return passed("to the endpoint reference, and to the transport address")


def sections(seen: Evidence) -> Finding:
    metadata = _metadata(seen)
    if metadata is None:
        return not_applicable(_NO_METADATA)
    found = metadata.findall(_SECTION)
    for section in found:
        if not section.get("Dialect", "").strip():
            return failed("a section without a Dialect")
        if len(section) != 1:
            return failed(f"a section with {len(section)} elements")
    return passed(f"{len(found)} sections of one element each")


def _once(name: str) -> Check:
    def check(seen: Evidence) -> Finding:
        metadata = _metadata(seen)
        if metadata is None:
            return not_applicable(_NO_METADATA)
        own = [
            section for section in metadata.findall(_SECTION) if section.get("Dialect", "").strip() == _dialect(name)
        ]
        if len(own) != 1 or len(seen.sections(name)) != 1:
            return failed(f"{len(own)} sections of the dialect, {len(seen.sections(name))} elements {name}")
        return passed(f"one {name}")

    return check


def _dialect(name: str) -> str:
    return f"{DPWS}/{name}"


def _always(name: str) -> Check:
    def check(seen: Evidence) -> Finding:
        first = seen.sections(name)
        again = seen.http["get_again"].message
        if not first:
            return not_applicable(f"no {name} is told")
        if again is None or again.payload is None:
            return failed(f"a second Get: {seen.http['get_again']}")
        second = [element for element in again.payload.iterfind("*/*") if element.tag == qname(DPWS, name)]
        if list(map(canonical, first)) != list(map(canonical, second)):
            return failed(f"{name} differs from one GetResponse to the next")
        return passed(f"{name} is in every GetResponse, and the same")

    return check


def _shaped(name: str, sequence: Sequence[_Child]) -> Check:
    def check(seen: Evidence) -> Finding:
        found = seen.sections(name)
        if not found:
            return not_applicable(f"no {name} is told")
        for element in found:
            wrong = _wrong(element, sequence) or _too_long(element)
            if wrong:
                return failed(f"{name}: {wrong}")
        return passed(" ".join((child.text or "").strip() for child in found[0]))

    return check


def related(seen: Evidence) -> Finding:
    if _metadata(seen) is None:
        return not_applicable(_NO_METADATA)
    if not seen.sections("Relationship"):
        return not_applicable("no Relationship: the device hosts nothing, or does not say so")
    for element in seen.sections("Relationship"):
        section = element.getparent()
        dialect = section.get("Dialect", "").strip() if section is not None else ""
        if dialect not in ("", f"{DPWS}/Relationship"):
            return failed(f"Relationship in a section of the dialect {dialect}")
    return passed(f"{len(seen.services) + seen.left_out} hosted services")


def relationship(seen: Evidence) -> Finding:
    found = seen.sections("Relationship")
    if not found:
        return not_applicable("no Relationship is told")
    ids: list[str] = []
    for element in found:
        if not element.get("Type", "").strip():
            return failed("a Relationship without a Type")
        if element.get("Type", "").strip() != HOSTING:
            continue
        hosts = element.findall(qname(DPWS, "Host"))
        if len(hosts) > 1:
            return failed("more than one Host")
        for kind, sequence, parts in (
            ("Host", _HOST, hosts),
            ("Hosted", _HOSTED, element.findall(qname(DPWS, "Hosted"))),
        ):
            for part in parts:
                wrong = _wrong(part, sequence) or (
                    "" if epr_address(part) else "an endpoint reference without an Address"
                )
                if wrong:
                    return failed(f"{kind}: {wrong}")
                ids += [(part.findtext(qname(DPWS, "ServiceId")) or "").strip()] if kind == "Hosted" else []
    twice = [id for id, count in Counter(ids).items() if count > 1]
    if twice:
        return failed(f"the ServiceId {twice[0] or 'that is empty'} twice")
    return passed(f"{len(ids)} hosted services, each with an address, types and an id of its own")


# -- GetMetadata -----------------------------------------------------------------------------------


def _each(check: Callable[[ServiceSeen], str]) -> Check:
    """A rule for every hosted service: what is wrong with one, empty when nothing is."""

    def whole(seen: Evidence) -> Finding:
        if not seen.services:
            return not_applicable("no hosted service")
        for service in (one for one in seen.services if one.is_asked):
            if wrong := check(service):
                return failed(f"{service.id or service.address}: {wrong}")
        beyond = f", {seen.left_out} not asked" if seen.left_out else ""
        return passed(f"{len(seen.services)} hosted services{beyond}")

    return whole


def _metadata_action(service: ServiceSeen) -> str:
    message = service.metadata.message
    if message is None or message.payload is None or message.payload.tag != _METADATA:
        return f"GetMetadata: {service.metadata}"
    if message.action and message.action != GET_METADATA_RESPONSE:
        return f"the reply's action is {message.action}"
    return ""


def _own_relationship(service: ServiceSeen) -> str:
    message = service.metadata.message
    if message is None or message.payload is None or message.payload.tag != _METADATA:
        return ""
    hosted = message.payload.iterfind(f"*/{qname(DPWS, 'Relationship')}/{qname(DPWS, 'Hosted')}")
    if not any((one.findtext(qname(DPWS, "ServiceId")) or "").strip() == service.id for one in hosted):
        return "no Relationship with the service's own Hosted in its metadata"
    return ""


def _has_wsdl(service: ServiceSeen) -> str:
    message = service.metadata.message
    if message is None or message.payload is None or message.payload.tag != _METADATA:
        return ""
    sections = [one for one in message.payload.findall(_SECTION) if one.get("Dialect", "").strip() == WSDL]
    if not sections:
        return "no WSDL section in its metadata"
    return "" if service.contract is not None else "its WSDL cannot be had"


def _with_contract(check: Callable[[ServiceSeen, Contract], str]) -> Check:
    def whole(seen: Evidence) -> Finding:
        if not any(service.contract is not None for service in seen.services):
            return not_applicable("no hosted service has a WSDL that could be read")
        return _each(lambda one: check(one, one.contract) if one.contract is not None else "")(seen)

    return whole


def _types(service: ServiceSeen, contract: Contract) -> str:
    # What is in a namespace of the profile is no port type of the service's own.
    missing = [name for name in service.types if name not in contract.port_types]
    return f"{missing[0]} is no port type of its WSDL" if missing else ""


def _self_contained(service: ServiceSeen, contract: Contract) -> str:
    return f"its WSDL needs {contract.elsewhere[0]}" if contract.elsewhere else ""


def _document_literal(service: ServiceSeen, contract: Contract) -> str:
    found = contract.not_document_literal
    return f"{found[0]} is not document/literal" if found else ""


def _soap12_binding(service: ServiceSeen, contract: Contract) -> str:
    found = contract.without_soap12
    return f"{found[0]} has no SOAP 1.2 binding" if found else ""


def _profiled(service: ServiceSeen, contract: Contract) -> str:
    if len(contract.without_soap12) == len(contract.port_types):
        # R2020's.
        return ""
    return "" if contract.is_profiled else "no SOAP 1.2 binding has a policy with dpws:Profile"


def outputs(seen: Evidence) -> Finding:
    sources = [service for service in seen.services if service.contract is not None and service.contract.event_sources]
    if not sources:
        return not_applicable("no event source is described")
    for service in sources:
        if service.contract is not None and not service.contract.outputs:
            return failed(f"{service.id}: an event source without an operation that begins with an output")
    return passed("notifications are operations that begin with an output")


def _rule(id: str, level: Level, source: Source, text: str, check: Check) -> Rule:
    return Rule(id, Group.DESCRIPTION, level, source, text, check)


_MUST, _SHOULD, _MAY = Level.MUST, Level.SHOULD, Level.MAY
_MS: Final = Source.MICROSOFT
_NO_CHANGE: Final = none_of("needs a change of the device's metadata")

RULES: Final = (
    _rule("GET.To", _MUST, Source.PEERS, "A Get may name the endpoint reference or the transport address.", addressed),
    _rule("R2044", _MUST, _MS, "The Body of a GetResponse is wsx:Metadata and nothing else.", only_metadata),
    _rule("R2045", _MAY, _MS, "Put, Create and Delete may be refused.", none_of("not sent to a stranger's device")),
    _rule("XSD.Section", _MUST, Source.SCHEMA, "A metadata section has a Dialect and one element.", sections),
    _rule("R2038", _MUST, _MS, "There is one ThisModel section.", _once("ThisModel")),
    _rule("R2012", _MUST, _MS, "ThisModel is in every GetResponse.", _always("ThisModel")),
    _rule("R2001", _MUST, _MS, "A change of ThisModel moves MetadataVersion.", _NO_CHANGE),
    _rule("XSD.ThisModel", _MUST, Source.SCHEMA, "ThisModel keeps its schema and field sizes.",
          _shaped("ThisModel", _MODEL)),
    _rule("R2039", _MUST, _MS, "There is one ThisDevice section.", _once("ThisDevice")),
    _rule("R2014", _MUST, _MS, "ThisDevice is in every GetResponse.", _always("ThisDevice")),
    _rule("R2002", _MUST, _MS, "A change of ThisDevice moves MetadataVersion.", _NO_CHANGE),
    _rule("XSD.ThisDevice", _MUST, Source.SCHEMA, "ThisDevice keeps its schema and field sizes.",
          _shaped("ThisDevice", _DEVICE)),
    _rule("R2040", _MUST, _MS, "A device that hosts services has a Relationship section.", related),
    _rule("R2029", _MUST, _MS, "Relationship is in every GetResponse.", _always("Relationship")),
    _rule("R2030", _MUST, _MS, "A change of Relationship moves MetadataVersion.", _NO_CHANGE),
    _rule("R2042", _MUST, _MS, "A service that is away for a while stays in Relationship.", _NO_CHANGE),
    _rule("XSD.Relationship", _MUST, Source.SCHEMA, "Relationship, Host and Hosted keep their schema.", relationship),
    _rule("MEX.Action", _MUST, Source.PEERS, "GetMetadata is answered with its own response action.",
          _each(_metadata_action)),
    _rule("MEX.Relationship", _SHOULD, Source.PEERS, "A hosted service's metadata repeats its own Hosted.",
          _each(_own_relationship)),
    _rule("MEX.WSDL", _SHOULD, Source.PEERS, "A hosted service gives its WSDL, inline or by its location.",
          _each(_has_wsdl)),
    _rule("WSDL.Types", _MUST, Source.PEERS, "The Types of a hosted service are port types of its WSDL.",
          _with_contract(_types)),
    _rule("WSDL.SelfContained", _SHOULD, Source.PEERS, "A WSDL needs nothing from elsewhere.",
          _with_contract(_self_contained)),
    _rule("R2019", _SHOULD, Source.MEMORY, "Bindings are document/literal.", _with_contract(_document_literal)),
    _rule("R2020", _SHOULD, Source.MEMORY, "Each port type has a SOAP 1.2 binding.", _with_contract(_soap12_binding)),
    _rule("R2028", _SHOULD, Source.MEMORY, "Notifications are operations that begin with an output.", outputs),
    _rule("POLICY.Profile", _SHOULD, Source.PEERS, "A policy on the binding asserts dpws:Profile.",
          _with_contract(_profiled)),
)  # fmt: skip
