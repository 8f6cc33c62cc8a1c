"""DPWS 1.1 messaging: SOAP 1.2 over HTTP with WS-Addressing 1.0, and the faults that it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gossip_ws.conform.discovery_rules import none_of
from gossip_ws.conform.evidence import Evidence
from gossip_ws.conform.http import Exchange
from gossip_ws.conform.reading import FaultSeen, Message
from gossip_ws.conform.rule import Check, Finding, Group, Level, Rule, Source, failed, not_applicable, passed
from gossip_ws.kernel.names import SOAP12, WSA, WSD, QName, qname
from gossip_ws.wire.envelope import MAX_ENVELOPE, MAX_URI
from gossip_ws.wire.metadata import GET_RESPONSE

_PLAIN: Final = ("get", "get_again", "get_url", "chunked", "directed", "directed_miss")
"""Requests with nothing wrong in them."""
_METADATA: Final = qname("http://schemas.xmlsoap.org/ws/2004/09/mex", "Metadata")
_NO_FAULT: Final = "no fault was provoked"


def _is_described(exchange: Exchange | None) -> bool:
    """Did a Get get its metadata?"""
    message = exchange.message if exchange is not None else None
    return message is not None and message.payload is not None and message.payload.tag == _METADATA


def exchanges(seen: Evidence) -> Iterator[tuple[str, Exchange]]:
    """All that were made by HTTP, with a name for a person to read."""
    for name, exchange in seen.http.items():
        yield name.replace("_", " "), exchange
    for service in seen.services:
        yield f"GetMetadata at {service.id}", service.metadata
        yield f"an unknown action at {service.id}", service.unknown
    if seen.one_way is not None:
        yield "the one-way operation", seen.one_way
    events = seen.events
    if events is not None:
        taken = (events.subscribed,) if events.filtered is None else (events.filtered, events.subscribed)
        refused = (events.mode, events.dialect, events.nothing, events.no_address, events.no_end, events.no_time)
        yield from (("Subscribe", subscription.exchange) for subscription in (*taken, *refused))
        managed = (events.renewed, events.status, events.unsubscribed, events.gone_status, events.gone_renew)
        yield from (("subscription management", exchange) for exchange in managed if exchange is not None)


def replies(seen: Evidence) -> Iterator[tuple[str, Exchange, Message]]:
    """Envelopes that are no faults."""
    for name, exchange in exchanges(seen):
        message = exchange.message
        if message is not None and message.fault is None:
            yield name, exchange, message


def faults(seen: Evidence) -> Iterator[tuple[str, Exchange, Message, FaultSeen]]:
    for name, exchange in exchanges(seen):
        message = exchange.message
        if message is not None and message.fault is not None:
            yield name, exchange, message, message.fault


def chunked(seen: Evidence) -> Finding:
    exchange = seen.http["chunked"]
    return passed(str(exchange)) if _is_described(exchange) else failed(f"a Get in chunks: {exchange}")


def binding(seen: Evidence) -> Finding:
    exchange = seen.http["get"]
    if exchange.message is None or not 200 <= exchange.status < 300:
        return failed(f"Get: {exchange}")
    return passed(str(exchange))


def status(seen: Evidence) -> Finding:
    exchange = seen.http["unknown"]
    message = exchange.message
    if message is None or message.fault is None:
        if exchange.status >= 400 or exchange.error:
            return passed(str(exchange)) if exchange.status else failed(str(exchange))
        return not_applicable("a request with an unknown action earns no fault")
    if exchange.status < 400:
        return failed(f"a fault with HTTP {exchange.status}")
    return passed(str(exchange))


def soap12(seen: Evidence) -> Finding:
    count = 0
    for name, exchange, message in replies(seen):
        if not message.is_soap12:
            return failed(f"{name}: an envelope of {message.root.tag}")
        if exchange.content_type.partition(";")[0].strip().lower() != "application/soap+xml":
            return failed(f"{name}: the content type {exchange.content_type or 'none'}")
        count += 1
    return passed(f"{count} replies") if count else failed("no reply is an envelope")


def sizes(seen: Evidence) -> Finding:
    found = [(len(exchange.body), name) for name, exchange, _ in replies(seen)]
    if not found:
        return not_applicable("no reply is an envelope")
    size, name = max(found)
    told = f"the largest reply, to {name}, has {size} octets"
    return passed(told) if size <= MAX_ENVELOPE else failed(f"{told}; MAX_ENVELOPE_SIZE is {MAX_ENVELOPE}")


def uri_sizes(seen: Evidence) -> Finding:
    uris = [uri for one in seen.told() for uri in (one.epr, *one.xaddrs, *one.scopes)]
    uris += [service.address for service in seen.services]
    uris += [seen.device]
    size = max(len(uri.encode()) for uri in uris)
    return passed(f"the longest has {size} octets") if size <= MAX_URI else failed(f"a URI of {size} octets")


def addressing(seen: Evidence) -> Finding:
    for name, _, reply in replies(seen):
        if not reply.action:
            return failed(f"the reply to {name} has no wsa:Action")
    exchange = seen.http["no_action"]
    message = exchange.message
    if exchange.error or (exchange.status < 400 and (message is None or message.fault is None)):
        return failed(f"a request without wsa:Action: {exchange}")
    return passed(f"every reply has an Action; a request without: {exchange}")


def get_action(seen: Evidence) -> Finding:
    got = seen.get
    if got is None or not _is_described(seen.http["get"]):
        return not_applicable("Get is not answered with metadata (R2044)")
    # A reply without any action is R5005's.
    return passed(got.action) if got.action in (GET_RESPONSE, "") else failed(f"the reply's action is {got.action}")


def is_uuid(seen: Evidence) -> Finding:
    if not seen.device:
        return not_applicable("no endpoint reference is told")
    return (passed if seen.device.lower().startswith("urn:uuid:") else failed)(seen.device)


def one_identity(seen: Evidence) -> Finding:
    told = {seen.host_address(), *(one.epr for one in seen.told())} - {""}
    if not told:
        return not_applicable("no endpoint reference is told")
    if len(told) > 1:
        return failed(f"the device goes by {' and '.join(sorted(told))}")
    return passed("the same in the Relationship and in every match")


def no_parameters(seen: Evidence) -> Finding:
    elements = [one.root for question in seen.udp for one in (a.message for a in seen.own(question)) if one is not None]
    elements += seen.sections("Relationship")
    for element in elements:
        for kind in ("ReferenceParameters", "ReferenceProperties"):
            if next(element.iter(qname(WSA, kind)), None) is not None:
                return failed(f"an endpoint reference has {kind}")
    return passed("no endpoint reference of the device or its services has any")


def hosted_addresses(seen: Evidence) -> Finding:
    if not seen.services:
        return not_applicable("no hosted service")
    for service in seen.services:
        if not service.address.lower().startswith(("http://", "https://")):
            return failed(f"{service.id or 'a service'} is at {service.address or 'no address'}")
    return passed(f"{len(seen.services)} hosted services at http addresses")


def reply_address(seen: Evidence) -> Finding:
    exchange = seen.http["reply_to"]
    fault = exchange.message.fault if exchange.message is not None else None
    # The name of the second one is that of the draft of WS-Addressing which DPWS of 2006 was made for.
    names = (qname(WSA, "InvalidAddressingHeader"), qname(WSA, "InvalidMessageInformationHeader"))
    if fault is None or not fault.has(*names):
        return failed(f"a request with a reply address of its own: {exchange}")
    return passed(str(exchange))


def replies_relate(seen: Evidence) -> Finding:
    count = 0
    for name, exchange, message in replies(seen):
        if message.relates_to != (exchange.message_id,):
            return failed(f"{name}: relates to {' '.join(message.relates_to) or 'nothing'}")
        count += 1
    return passed(f"{count} replies") if count else failed("no reply is an envelope")


def faults_relate(seen: Evidence) -> Finding:
    count = 0
    for name, exchange, message, _ in faults(seen):
        # A request in an unknown envelope has no id that could be read.
        if exchange is not seen.http["version"]:
            if message.relates_to != (exchange.message_id,):
                return failed(f"{name}: relates to {' '.join(message.relates_to) or 'nothing'}")
            count += 1
    return passed(f"{count} faults") if count else not_applicable(_NO_FAULT)


def one_way(seen: Evidence) -> Finding:
    exchange = seen.one_way
    if exchange is None:
        if not any(service.contract is not None and service.contract.one_way for service in seen.services):
            return not_applicable("no hosted service has a one-way operation")
        return not_applicable(seen.no_one_way)
    if exchange.status == 202 and not exchange.body:
        return passed("HTTP 202, empty")
    return failed(f"{exchange}, {len(exchange.body)} octets")


# -- faults ----------------------------------------------------------------------------------------


def _faulted(seen: Evidence, name: str, what: str, *wanted: QName) -> Finding:
    exchange = seen.http[name]
    fault = exchange.message.fault if exchange.message is not None else None
    if fault is None or not fault.has(*wanted):
        return failed(f"{what}: {exchange}")
    return passed(str(exchange))


def version_mismatch(seen: Evidence) -> Finding:
    return _faulted(seen, "version", "an envelope of no SOAP version", qname(SOAP12, "VersionMismatch"))


def must_understand(seen: Evidence) -> Finding:
    what = "a header block that has to be understood and is not"
    return _faulted(seen, "not_understood", what, qname(SOAP12, "MustUnderstand"))


def action_not_supported(seen: Evidence) -> Finding:
    wanted = qname(WSA, "ActionNotSupported")
    found = [("the device", seen.http["unknown"])]
    found += [(service.id, service.unknown) for service in seen.services if service.is_asked]
    for name, exchange in found:
        fault = exchange.message.fault if exchange.message is not None else None
        if fault is None or not fault.has(wanted):
            return failed(f"an unknown action at {name}: {exchange}")
    return passed(f"at {len(found)} addresses: {found[0][1]}")


def subcodes(seen: Evidence) -> Finding:
    count = 0
    for name, _, _, fault in faults(seen):
        for code in fault.codes:
            if not code.is_qualified:
                return failed(f"{name}: {code.name or 'an empty code'} is in no namespace")
        count += 1
    return passed(f"{count} faults") if count else not_applicable(_NO_FAULT)


def fault_actions(seen: Evidence) -> Finding:
    count = 0
    for name, _, message, fault in faults(seen):
        action = message.action.lower()
        if not action.endswith("/fault"):
            return failed(f"{name}: {fault} with the action {message.action or 'none'}")
        if fault.has(qname(WSD, "MatchingRuleNotSupported")) and action != f"{WSD}/fault".lower():
            return failed(f"{name}: {fault} with the action {message.action}")
        count += 1
    return passed(f"{count} faults") if count else not_applicable(_NO_FAULT)


def _rule(id: str, level: Level, source: Source, text: str, check: Check, group: Group = Group.MESSAGING) -> Rule:
    return Rule(id, group, level, source, text, check)


_MUST, _SHOULD, _MAY = Level.MUST, Level.SHOULD, Level.MAY
_EITHER: Final = none_of("either is allowed")
_OPTIONAL: Final = none_of("attachments are optional, and no operation is known here that takes one")
_MS: Final = Source.MICROSOFT

RULES: Final = (
    _rule("R0001", _MUST, Source.SUITE, "Requests in chunks are taken.", chunked),
    _rule("R0003", _MAY, _MS, "An envelope above MAX_ENVELOPE_SIZE may be refused.", _EITHER),
    _rule("R0004", _SHOULD, _MS, "The device's endpoint reference is a urn:uuid.", is_uuid),
    _rule("R0005", _MUST, _MS, "The endpoint reference is the same wherever it is told.", one_identity),
    _rule("R0006", _MUST, _MS, "The endpoint reference outlives a restart.", none_of("see D4, where one is seen")),
    _rule("R0007", _SHOULD, _MS, "Endpoint references have no reference parameters or properties.", no_parameters),
    _rule("R0012", _MUST, _MS, "The SOAP HTTP binding is supported: a Get is answered 2xx.", binding),
    _rule("R0013", _MUST, Source.SUITE, "The HTTP status tells a fault from a reply: 4xx or 5xx.", status),
    _rule("R0014", _MAY, _MS, "The SOAP response pattern may be left out.", _EITHER),
    _rule("R0015", _MAY, _MS, "The Web Method feature may be left out.", _EITHER),
    _rule("R0019", _MUST, Source.SUITE, "Every reply relates to its request.", replies_relate),
    _rule("R0022", _MAY, _MS, "Attachments travel by MTOM.", _OPTIONAL),
    _rule("R0025", _MAY, _MS, "A URI above 2,048 octets may be refused.", _EITHER),
    _rule("R0026", _SHOULD, _MS, "No envelope exceeds MAX_ENVELOPE_SIZE.", sizes),
    _rule("R0027", _SHOULD, _MS, "No URI exceeds 2,048 octets.", uri_sizes),
    _rule("R0030", _MUST, _MS, "A one-way message is answered 202, without a body.", one_way),
    _rule("R0031", _MUST, Source.SUITE, "By HTTP, a reply address other than the anonymous one is refused.",
          reply_address),
    _rule("R0034", _MUST, Source.SUITE, "Replies are SOAP 1.2, and say so.", soap12),
    _rule("R0036", _MAY, _MS, "Attachments are sent binary, the root part first.", _OPTIONAL),
    _rule("R0040", _MUST, _MS, "Every fault relates to its request.", faults_relate),
    _rule("R0041", _MAY, _MS, "A fault to an address that is not anonymous may be dropped.", _EITHER),
    _rule("R0042", _SHOULD, _MS, "Hosted services have http addresses.", hosted_addresses),
    _rule("R5005", _MUST, Source.STACKS, "WS-Addressing 1.0: replies have an Action, requests without are refused.",
          addressing),
    _rule("GET.Action", _MUST, Source.STACKS, "A Get is answered with the action of GetResponse.", get_action),
    _rule("R2023", _SHOULD, Source.MEMORY, "An unknown envelope earns VersionMismatch.", version_mismatch,
          Group.FAULTS),
    _rule("R2024", _SHOULD, Source.MEMORY, "A block that has to be understood and is not earns MustUnderstand.",
          must_understand, Group.FAULTS),
    _rule("FAULT.Action", _SHOULD, Source.SCHEMA, "A fault has a fault's action, that of its specification.",
          fault_actions, Group.FAULTS),
    _rule("FAULT.ActionNotSupported", _SHOULD, Source.MEMORY, "An unknown action earns wsa:ActionNotSupported.",
          action_not_supported, Group.FAULTS),
    _rule("FAULT.Subcode", _MUST, Source.PEERS, "Codes and subcodes of faults are in a namespace.", subcodes,
          Group.FAULTS),
)  # fmt: skip
