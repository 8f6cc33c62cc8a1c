"""Transforms of a hosted service's WSDL 1.1 (document/literal, SOAP 1.2): the policy that says which operations gossip,
the WSDL of the shadow Gossip Service, and the forms for toolkits that know nothing of DPWS. Bytes to bytes; knows no
service.

The shadow's portType has a name of its own, `Gossip` appended: it holds the gossip-enabled operations
only, and two definitions of one name would contradict each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from math import isfinite, nan
from typing import Final

from lxml import etree

from gossip_ws.kernel.contract import Field, GossipPolicy, Number, Operation
from gossip_ws.kernel.errors import LocalError, sender_fault
from gossip_ws.kernel.names import DPWS, GOSSIP, WSE, QName, qname
from gossip_ws.wire.envelope import MAX_URI, parser
from gossip_ws.wire.terms import BINDINGS, MAX_NAME, MAX_SPREAD, PRIORITIES, VARIANTS, by_value, too_many
from gossip_ws.wire.values import (
    MAX_COUNT,
    Attributes,
    attributes,
    clark,
    integer,
    malformed,
    milliseconds,
    one_of,
    required,
    seconds,
    truth,
)

WSDL11: Final = "http://schemas.xmlsoap.org/wsdl/"
WSDL_SOAP12: Final = "http://schemas.xmlsoap.org/wsdl/soap12/"
WSDL_SOAP11: Final = "http://schemas.xmlsoap.org/wsdl/soap/"
WSP: Final = "http://www.w3.org/ns/ws-policy"
"""WS-Policy 1.5."""
WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
MAX_WSDL: Final = 1_048_576
"""Octets of a WSDL that is read."""
SUFFIX: Final = "Gossip"
MAX_FIELDS: Final = 256
"""Numbers of one response that are read."""
POPULATION: Final = "population"
"""The value of Fanout and Rounds that follow the population's size."""

_POLICY: Final = qname(WSP, "Policy")
_REFERENCE: Final = qname(WSP, "PolicyReference")
_ID: Final = qname(WSU, "Id")
_PROFILE: Final = qname(DPWS, "Profile")
_ASSERTION: Final = qname(GOSSIP, "Gossip")
_FIELD: Final = qname(GOSSIP, "Field")
_DEFINITIONS: Final = qname(WSDL11, "definitions")
_DOCUMENTATION: Final = qname(WSDL11, "documentation")
_PORT_TYPE: Final = qname(WSDL11, "portType")
_BINDING: Final = qname(WSDL11, "binding")
_SERVICE: Final = qname(WSDL11, "service")
_PORT: Final = qname(WSDL11, "port")
_OPERATION: Final = qname(WSDL11, "operation")
_INPUT: Final = qname(WSDL11, "input")
_OUTPUT: Final = qname(WSDL11, "output")
_SOAP_BINDING: Final = qname(WSDL_SOAP12, "binding")
_SOAP_ADDRESS: Final = qname(WSDL_SOAP12, "address")
_EVENT_SOURCE: Final = str(qname(WSE, "EventSource"))
_LEGACY: Final = "Soap11"
"""Behind the names of a SOAP 1.1 binding and its port: nothing else may have the names of those of SOAP 1.2."""
_OPTIONAL: Final = str(qname(WSP, "Optional"))
_PROFILE_ID: Final = "DevicesProfile"
_NUMBERS: Final = by_value(Number)


class Form(Enum):
    """One service, told to three kinds of reader."""

    COMPLETE = "complete"
    """With its notifications, the portType an event source: for DPWS clients, and the contract itself."""
    PLAIN = "plain"
    """Without them: toolkits refuse an operation without an input (WSDL 1.1 section 2.4.4), JAX-WS for one."""
    SOAP11 = "soap11"
    """PLAIN, bound to SOAP 1.1 instead. Never both in one document: wsdl2h would warn, and make each function twice."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a hosted service is, and where its shadow: each WSDL tells both."""

    hosted: str
    shadow: str


@dataclass(frozen=True, slots=True)
class Advertised:
    """What a WSDL says of one gossip-enabled operation."""

    operation: str
    policy: GossipPolicy
    addresses: Addresses
    fields: tuple[Field, ...] = ()
    """The numbers of the response, and what one device can give of each; without `least` and `most`."""


def annotate(wsdl: bytes, operations: Iterable[Operation], addresses: Addresses) -> bytes:
    """The WSDL with the devices profile asserted on each SOAP binding, and a gossip assertion on each operation that
    has a policy. The profile is optional: plain clients are served too.

    Annotating twice is annotating once. Raises LocalError when the WSDL is none, or lacks an operation.
    """
    root = _read_local(wsdl)
    _assert(root, [operation for operation in operations if operation.policy is not None], addresses)
    return _write(root)


def shadow(wsdl: bytes, operations: Iterable[Operation], addresses: Addresses) -> bytes:
    """The WSDL of the shadow Gossip Service, derived from that of the hosted service: the operations that
    have a policy, on the same messages and types, at the shadow's address. Raises LocalError as `annotate`, and when
    no operation gossips."""
    root = _read_local(wsdl)
    enabled = [operation for operation in operations if operation.policy is not None]
    if not enabled:
        raise LocalError("a service without a gossip-enabled operation has no shadow")
    names = {operation.name for operation in enabled}
    for parent in (*root.findall(_PORT_TYPE), *root.findall(_BINDING)):
        for operation in parent.findall(_OPERATION):
            if operation.get("name") not in names:
                parent.remove(operation)
    for element in (*root.findall(_PORT_TYPE), *root.findall(_BINDING), *root.findall(_SERVICE)):
        _append(element, "name")
    for binding in root.findall(_BINDING):
        _append(binding, "type")
    for port in root.iter(_PORT):
        _append(port, "name")
        _append(port, "binding")
        for soap_address in port.iterchildren(_SOAP_ADDRESS):
            soap_address.set("location", addresses.shadow)
    if "name" in root.attrib:
        _append(root, "name")
    _assert(root, enabled, addresses)
    return _write(root)


def in_form(wsdl: bytes, form: Form) -> bytes:
    """Another form of a complete WSDL, the original's or the shadow's. What is called differs in no form. Raises
    LocalError when the WSDL is none."""
    if form is Form.COMPLETE:
        return wsdl
    root = _read_local(wsdl)
    for port_type in root.findall(_PORT_TYPE):
        port_type.attrib.pop(_EVENT_SOURCE, "")
    for parent in (*root.findall(_PORT_TYPE), *root.findall(_BINDING)):
        for operation in parent.findall(_OPERATION):
            if operation.find(_OUTPUT) is not None and operation.find(_INPUT) is None:
                parent.remove(operation)
    used = {reference.get("URI", "").removeprefix("#") for reference in root.iter(_REFERENCE)}
    for policy in root.findall(_POLICY):
        if policy.get(_ID, "") not in used:
            root.remove(policy)
    return _write(_bound_to_soap11(root) if form is Form.SOAP11 else root)


def _bound_to_soap11(root: etree._Element) -> etree._Element:
    for element in (*root.findall(_BINDING), *root.iter(_PORT)):
        for name in {"name", "binding"} & set(element.attrib):
            _append(element, name, _LEGACY)
    for part in list(root.iter(f"{{{WSDL_SOAP12}}}*")):
        part.tag = qname(WSDL_SOAP11, etree.QName(part).localname)
    # Declared once. Names in attribute values may use any of the other prefixes: the serialiser sees only tags.
    kept = {prefix: uri for element in root.iter("*") for prefix, uri in element.nsmap.items() if prefix}
    others = [prefix for prefix, uri in kept.items() if uri != WSDL_SOAP12]
    etree.cleanup_namespaces(root, top_nsmap={"wsdlsoap11": WSDL_SOAP11}, keep_ns_prefixes=others)
    return root


def read_policies(wsdl: bytes) -> tuple[Advertised, ...]:
    """What a WSDL, the original's or the shadow's, says of gossip, in the order of its binding. Raises
    RemoteError when it is no WSDL or an assertion cannot be read."""
    root = _read(wsdl)
    if root is None:
        raise sender_fault("Malformed", f"not a WSDL 1.1 document of at most {MAX_WSDL} octets")
    policies = {policy.get(_ID, ""): policy for policy in root.findall(_POLICY)}
    found = []
    for binding in _bindings(root):
        for operation in binding.findall(_OPERATION):
            for reference in operation.findall(_REFERENCE):
                policy = policies.get(reference.get("URI", "").removeprefix("#"))
                for assertion in policy.iter(_ASSERTION) if policy is not None else ():
                    found.append(_read_assertion(assertion, operation.get("name", "")))
    return tuple(found)


def _assert(root: etree._Element, operations: list[Operation], addresses: Addresses) -> None:
    for stale in (*root.findall(_POLICY), *root.iter(_REFERENCE)):
        parent = stale.getparent()
        name = stale.get(_ID) or stale.get("URI", "").removeprefix("#")
        if parent is not None and name.startswith((_PROFILE_ID, f"{SUFFIX}-")):
            parent.remove(stale)
    bindings = list(_bindings(root))
    if not bindings:
        raise LocalError("the WSDL has no SOAP 1.2 binding")
    profile = etree.Element(_PROFILE, {_OPTIONAL: "true"}, {"dpws": DPWS, "wsp": WSP})
    policies = [_policy(_PROFILE_ID, profile)]
    for operation in operations:
        assertion = etree.Element(_ASSERTION, _write_assertion(operation, addresses), {"g": GOSSIP})
        for field in operation.shape.fields if operation.shape is not None else ():
            etree.SubElement(assertion, _FIELD, _write_field(field))
        policies.append(_policy(f"{SUFFIX}-{operation.name}", assertion))
    for binding in bindings:
        _refer(binding, _PROFILE_ID)
        bound = {operation.get("name"): operation for operation in binding.findall(_OPERATION)}
        for operation in operations:
            if operation.name not in bound:
                raise LocalError(f"the WSDL's binding has no operation {operation.name}")
            _refer(bound[operation.name], f"{SUFFIX}-{operation.name}")
    place = _after_documentation(root)
    for offset, policy in enumerate(policies):
        root.insert(place + offset, policy)


def _policy(name: str, assertion: etree._Element) -> etree._Element:
    policy = etree.Element(_POLICY, {str(_ID): name}, {"wsp": WSP, "wsu": WSU})
    policy.append(assertion)
    return policy


def _refer(element: etree._Element, name: str) -> None:
    element.insert(_after_documentation(element), etree.Element(_REFERENCE, {"URI": f"#{name}"}, {"wsp": WSP}))


def _after_documentation(element: etree._Element) -> int:
    # WSDL 1.1 has documentation first, extensions next, what is its own last.
    return 1 if len(element) and element[0].tag == _DOCUMENTATION else 0


def _write_assertion(operation: Operation, addresses: Addresses) -> dict[str, str]:
    policy = operation.policy or GossipPolicy()
    return {
        "Operation": operation.name,
        "Variant": policy.variant.value,
        "Fanout": POPULATION if policy.fanout is None else str(policy.fanout),
        "Rounds": POPULATION if policy.rounds is None else str(policy.rounds),
        **({"Scope": policy.scope} if policy.scope else {}),
        "Binding": policy.binding.value,
        "Priority": str(policy.priority.value),
        **({"Aggregate": policy.aggregate} if policy.aggregate else {}),
        "LifetimeMs": str(milliseconds(policy.lifetime)),
        "TimeoutMs": str(milliseconds(policy.timeout)),
        "MinGroup": str(policy.min_group),
        **({"Latest": "true"} if policy.latest else {}),
        **({"OneHop": "true"} if policy.one_hop else {}),
        "Hosted": addresses.hosted,
        "Shadow": addresses.shadow,
    }


def _write_field(field: Field) -> dict[str, str]:
    return {
        "Name": field.name,
        "Number": field.number.value,
        **({"Low": repr(field.low)} if field.low is not None else {}),
        **({"High": repr(field.high)} if field.high is not None else {}),
    }


def _read_field(values: Attributes) -> Field:
    name = QName(clark(required(values, "Name")))
    return Field(name, one_of(values, "Number", _NUMBERS), _extreme(values, "Low"), _extreme(values, "High"))


def _extreme(values: Attributes, name: str) -> float | None:
    if name not in values:
        return None
    try:
        found = float(required(values, name, MAX_NAME))
    except ValueError:
        found = nan
    if not isfinite(found):
        malformed(f"{name} is no number")
    return found


def _read_assertion(assertion: etree._Element, operation: str) -> Advertised:
    values = attributes(assertion)
    if values.get("Operation") != operation:
        malformed(f"a gossip assertion of another operation than {operation}")
    policy = GossipPolicy(
        variant=one_of(values, "Variant", VARIANTS),
        fanout=_spread(values, "Fanout"),
        rounds=_spread(values, "Rounds"),
        scope=required(values, "Scope") if "Scope" in values else "",
        binding=one_of(values, "Binding", BINDINGS),
        priority=one_of(values, "Priority", PRIORITIES),
        aggregate=required(values, "Aggregate", MAX_NAME) if "Aggregate" in values else "",
        lifetime=seconds(values, "LifetimeMs"),
        timeout=seconds(values, "TimeoutMs"),
        min_group=integer(values, "MinGroup", MAX_COUNT, least=1),
        latest=truth(values, "Latest"),
        one_hop=truth(values, "OneHop"),
    )
    addresses = Addresses(required(values, "Hosted", MAX_URI), required(values, "Shadow", MAX_URI))
    fields = assertion.findall(_FIELD)
    if len(fields) > MAX_FIELDS:
        raise too_many("fields", MAX_FIELDS)
    return Advertised(operation, policy, addresses, tuple(_read_field(attributes(field)) for field in fields))


def _spread(values: Attributes, name: str) -> int | None:
    return None if values.get(name) == POPULATION else integer(values, name, MAX_SPREAD)


def _bindings(root: etree._Element) -> Iterator[etree._Element]:
    return (binding for binding in root.findall(_BINDING) if binding.find(_SOAP_BINDING) is not None)


def _append(element: etree._Element, name: str, suffix: str = SUFFIX) -> None:
    element.set(name, element.get(name, "") + suffix)


def _read(wsdl: bytes) -> etree._Element | None:
    if len(wsdl) > MAX_WSDL:
        return None
    try:
        root = etree.fromstring(wsdl, parser())
    except (etree.XMLSyntaxError, ValueError, LookupError):
        return None
    if root.tag != _DEFINITIONS or root.getroottree().docinfo.internalDTD is not None:
        return None
    return root


def _read_local(wsdl: bytes) -> etree._Element:
    root = _read(wsdl)
    if root is None:
        raise LocalError(f"not a WSDL 1.1 document of at most {MAX_WSDL} octets")
    return root


def _write(root: etree._Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")
