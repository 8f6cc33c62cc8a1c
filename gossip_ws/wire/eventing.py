"""WS-Eventing (2004/08) on the wire: its Bodies in both directions, and notifications as whole envelopes.

Knows no subscription: `dpws.subscriptions` does. Reference parameters are echoed as they came, each a header block that
is marked as one (WS-Addressing 1.0 SOAP binding, section 3.4).
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Final

from lxml import etree

from gossip_ws.dpws.eventing import (
    ACTIONS,
    MAX_FILTER,
    MAX_SCOPES,
    PUSH,
    Ended,
    Ending,
    Granted,
    Reference,
    Subscribe,
    dialect_unavailable,
    invalid_expiration,
    invalid_message,
    unsupported_expiration,
)
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import GOSSIP, SOAP12, WSA, WSE, qname, split
from gossip_ws.wire.durations import read_duration, write_duration
from gossip_ws.wire.envelope import (
    MAX_URI,
    Addressing,
    attribute,
    build,
    canonical,
    content_prefixes,
    message_id,
    parser,
    text,
)

SUBSCRIBE: Final = WSE + "/Subscribe"
SUBSCRIBE_RESPONSE: Final = WSE + "/SubscribeResponse"
RENEW: Final = WSE + "/Renew"
RENEW_RESPONSE: Final = WSE + "/RenewResponse"
GET_STATUS: Final = WSE + "/GetStatus"
GET_STATUS_RESPONSE: Final = WSE + "/GetStatusResponse"
UNSUBSCRIBE: Final = WSE + "/Unsubscribe"
UNSUBSCRIBE_RESPONSE: Final = WSE + "/UnsubscribeResponse"
"""Actions. The Body of an UnsubscribeResponse is empty."""
SUBSCRIPTION_END: Final = WSE + "/SubscriptionEnd"
EVENT_SOURCE: Final = qname(WSE, "EventSource")
"""The attribute of a portType that can be subscribed to."""
MAX_PARAMETERS: Final = 16
"""Reference parameters of one endpoint reference."""
MAX_PARAMETER_OCTETS: Final = 4_096
"""Of all of them together: they are kept as long as the subscription, and sent with each event."""

# The dialect of a Filter that names none (WS-Eventing section 3.1).
_XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
_DATE_TIME = re.compile(r"-?[0-9]{4,}-[0-9]{2}-[0-9]{2}T.*", re.DOTALL)
_IS_PARAMETER = qname(WSA, "IsReferenceParameter")
_CANCELING = WSE + "/SourceCanceling"
_WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
_WSAM_ACTION: Final = "{http://www.w3.org/2007/05/addressing/metadata}Action"
_WSAW_ACTION: Final = "{http://www.w3.org/2006/05/addressing/wsdl}Action"


# -- requests, read ------------------------------------------------------------------------------


def read_subscribe(payload: etree._Element | None) -> Subscribe:
    """Raises RemoteError with the fault that WS-Eventing has for it; which modes there are is not asked here."""
    subscribe = _expect(payload, "Subscribe")
    delivery = _one(subscribe, "Delivery")
    if delivery is None:
        raise invalid_message("a Subscribe has a Delivery")
    mode = _uri(delivery.get("Mode", PUSH), "Mode")
    notify_to, end_to = _one(delivery, "NotifyTo"), _one(subscribe, "EndTo")
    scopes = tuple(_uri(scope.text, "Scope") for scope in delivery.findall(qname(GOSSIP, "Scope")))
    if len(scopes) > MAX_SCOPES:
        raise invalid_message(f"more than {MAX_SCOPES} scopes")
    return Subscribe(
        notify_to=read_reference(notify_to) if notify_to is not None else None,
        end_to=read_reference(end_to) if end_to is not None else None,
        mode=mode,
        expires=_read_expires(subscribe),
        filter=_read_filter(subscribe),
        scopes=scopes,
    )


def read_renew(payload: etree._Element | None) -> float | None:
    """The seconds asked for, None where that is left to the source. Raises RemoteError."""
    return _read_expires(_expect(payload, "Renew"))


def check_get_status(payload: etree._Element | None) -> None:
    """Raises RemoteError when the Body is no GetStatus."""
    _expect(payload, "GetStatus")


def check_unsubscribe(payload: etree._Element | None) -> None:
    """Raises RemoteError when the Body is no Unsubscribe."""
    _expect(payload, "Unsubscribe")


def read_reference(element: etree._Element) -> Reference:
    """An endpoint reference of WS-Addressing 1.0. Raises RemoteError."""
    address = element.find(qname(WSA, "Address"))
    if address is None:
        raise invalid_message(f"{_local(element)} has no wsa:Address")
    parameters = element.find(qname(WSA, "ReferenceParameters"))
    blocks = tuple(map(_parameter, parameters)) if parameters is not None else ()
    if len(blocks) > MAX_PARAMETERS or sum(map(len, blocks)) > MAX_PARAMETER_OCTETS:
        raise invalid_message(f"more than {MAX_PARAMETERS} reference parameters, or {MAX_PARAMETER_OCTETS} octets")
    return Reference(_uri(address.text, "Address"), blocks)


# -- requests, written ---------------------------------------------------------------------------


def write_subscribe(request: Subscribe) -> bytes:
    """The Body of a Subscribe."""
    end_to = _reference("EndTo", request.end_to) if request.end_to is not None else ""
    notify_to = _reference("NotifyTo", request.notify_to) if request.notify_to is not None else ""
    scopes = "".join(f'<g:Scope xmlns:g="{GOSSIP}">{text(scope)}</g:Scope>' for scope in request.scopes)
    chosen = ""
    if request.filter is not None:
        chosen = f"<wse:Filter Dialect={attribute(ACTIONS)}>{text(' '.join(request.filter))}</wse:Filter>"
    return (
        f'<wse:Subscribe xmlns:wse="{WSE}" xmlns:wsa="{WSA}">{end_to}'
        f"<wse:Delivery Mode={attribute(request.mode)}>{notify_to}{scopes}</wse:Delivery>"
        f"{_expires(request.expires)}{chosen}</wse:Subscribe>"
    ).encode()


def write_renew(expires: float | None) -> bytes:
    """The Body of a Renew; `expires` in seconds."""
    return f'<wse:Renew xmlns:wse="{WSE}">{_expires(expires)}</wse:Renew>'.encode()


def write_get_status() -> bytes:
    """The Body of a GetStatus."""
    return f'<wse:GetStatus xmlns:wse="{WSE}"/>'.encode()


def write_unsubscribe() -> bytes:
    """The Body of an Unsubscribe."""
    return f'<wse:Unsubscribe xmlns:wse="{WSE}"/>'.encode()


def addressed(action: str, to: Reference, body: bytes, id: str = "") -> bytes:
    """A message for an endpoint reference: its address in wsa:To, its parameters as headers; its wsa:MessageID is `id`,
    or fresh."""
    return build(Addressing(action, id or message_id(), to.address), body, b"".join(to.parameters))


# -- responses -----------------------------------------------------------------------------------


def write_subscribe_response(granted: Granted) -> bytes:
    """The Body of a SubscribeResponse."""
    manager = _reference("SubscriptionManager", granted.manager)
    return (
        f'<wse:SubscribeResponse xmlns:wse="{WSE}" xmlns:wsa="{WSA}">{manager}{_expires(granted.expires)}'
        "</wse:SubscribeResponse>"
    ).encode()


def write_renew_response(expires: float) -> bytes:
    """The Body of a RenewResponse."""
    return f'<wse:RenewResponse xmlns:wse="{WSE}">{_expires(expires)}</wse:RenewResponse>'.encode()


def write_get_status_response(expires: float) -> bytes:
    """The Body of a GetStatusResponse."""
    return f'<wse:GetStatusResponse xmlns:wse="{WSE}">{_expires(expires)}</wse:GetStatusResponse>'.encode()


def read_subscribe_response(payload: etree._Element | None, asked: float) -> Granted:
    """`asked` (s) stands for an expiration that is missing or a point in time. Raises RemoteError, also where nothing
    or less is granted."""
    response = _expect(payload, "SubscribeResponse")
    manager = _one(response, "SubscriptionManager")
    if manager is None:
        raise invalid_message("a SubscribeResponse has a SubscriptionManager")
    return Granted(read_reference(manager), _granted(response, asked))


def read_renew_response(payload: etree._Element | None, asked: float) -> float:
    """The seconds that are granted; `asked` as for a SubscribeResponse. Raises RemoteError."""
    return _granted(_expect(payload, "RenewResponse"), asked)


# -- the end of a subscription -------------------------------------------------------------------


def write_subscription_end(manager: str, status: Ending, reason: str) -> bytes:
    """The Body of a SubscriptionEnd."""
    return (
        f'<wse:SubscriptionEnd xmlns:wse="{WSE}" xmlns:wsa="{WSA}">'
        f"{_reference('SubscriptionManager', Reference(manager))}<wse:Status>{status.value}</wse:Status>"
        f'<wse:Reason xml:lang="en">{text(reason)}</wse:Reason></wse:SubscriptionEnd>'
    ).encode()


def read_subscription_end(payload: etree._Element | None) -> Ended:
    """Raises RemoteError. Some peers write SourceCanceling with one l: it reads as the specification has it."""
    end = _expect(payload, "SubscriptionEnd")
    status = (end.findtext(qname(WSE, "Status")) or "").strip()
    if status == _CANCELING:
        status = Ending.SOURCE_CANCELLING.value
    return Ended(status[:MAX_URI], (end.findtext(qname(WSE, "Reason")) or "").strip()[:1_024])


# -- what a WSDL says ----------------------------------------------------------------------------


def read_events(wsdl: bytes) -> dict[str, str]:
    """Name -> action of the events that a WSDL's event sources have: the operations whose output comes first, or alone
    (WSDL 1.1 sections 2.4.3, 2.4.4). Raises LocalError for what is no XML."""
    try:
        root = etree.fromstring(wsdl, parser())
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        raise LocalError(f"not a WSDL: {error}") from None
    found: dict[str, str] = {}
    for port_type in root.iter(qname(_WSDL, "portType")):
        if port_type.get(EVENT_SOURCE, "").strip() not in ("true", "1"):
            continue
        for operation in port_type.findall(qname(_WSDL, "operation")):
            messages = [one for one in operation if one.tag in (qname(_WSDL, "input"), qname(_WSDL, "output"))]
            if messages and messages[0].tag == qname(_WSDL, "output"):
                action = messages[0].get(_WSAM_ACTION) or messages[0].get(_WSAW_ACTION)
                found[operation.get("name") or ""] = action or _default_action(root, operation, messages)
    return found


def _default_action(root: etree._Element, operation: etree._Element, messages: list[etree._Element]) -> str:
    """That of an output to which the WSDL gives none (WS-Addressing 1.0 Metadata section 4.4.4, WSDL 1.1 section
    2.4.5)."""
    port_type = operation.getparent()
    namespace = root.get("targetNamespace") or ""
    separator = ":" if namespace.startswith("urn:") else "/"
    suffix = "Solicit" if len(messages) > 1 else ""
    output = messages[0].get("name") or f"{operation.get('name')}{suffix}"
    parts = (namespace.removesuffix(separator), port_type.get("name") if port_type is not None else "", output)
    return separator.join(part or "" for part in parts)


# -- parts ---------------------------------------------------------------------------------------


def _expect(payload: etree._Element | None, name: str) -> etree._Element:
    if payload is None or payload.tag != qname(WSE, name):
        raise invalid_message(f"the Body is not wse:{name}")
    return payload


def _one(parent: etree._Element, name: str) -> etree._Element | None:
    found = parent.findall(qname(WSE, name))
    if len(found) > 1:
        raise invalid_message(f"more than one wse:{name}")
    return found[0] if found else None


def _uri(value: str | None, name: str) -> str:
    uri = (value or "").strip()
    if not uri or len(uri.encode()) > MAX_URI:
        raise invalid_message(f"{name} is empty or longer than {MAX_URI} octets")
    return uri


def _read_expires(parent: etree._Element) -> float | None:
    element = _one(parent, "Expires")
    if element is None:
        return None
    value = (element.text or "").strip()
    seconds = read_duration(value)
    if seconds is None:
        if _DATE_TIME.fullmatch(value):
            raise unsupported_expiration()
        raise invalid_expiration(f"neither a duration nor a time: {value[:64]!r}")
    if seconds <= 0:
        raise invalid_expiration("the duration is not positive")
    return seconds


def _read_filter(parent: etree._Element) -> tuple[str, ...] | None:
    element = _one(parent, "Filter")
    if element is None:
        return None
    dialect = element.get("Dialect", _XPATH).strip()
    if dialect != ACTIONS:
        raise dialect_unavailable(dialect)
    uris = tuple((element.text or "").split())
    if len(uris) > MAX_FILTER:
        raise invalid_message(f"a filter has at most {MAX_FILTER} URIs")
    return tuple(_uri(uri, "Filter") for uri in uris)


def _parameter(element: etree._Element) -> bytes:
    if split(element.tag)[0] in (WSA, SOAP12):  # type: ignore[arg-type]
        # Echoed, it would say who the message is for, or from, in place of what we say.
        raise invalid_message(f"no reference parameter: {element.tag}")
    block = deepcopy(element)
    block.tail = None
    block.set(_IS_PARAMETER, "true")
    return canonical(block, content_prefixes(block))


def _reference(name: str, reference: Reference) -> str:
    inner = b"".join(reference.parameters).decode()
    parameters = f"<wsa:ReferenceParameters>{inner}</wsa:ReferenceParameters>" if inner else ""
    return f"<wse:{name}><wsa:Address>{text(reference.address)}</wsa:Address>{parameters}</wse:{name}>"


def _expires(seconds: float | None) -> str:
    return "" if seconds is None else f"<wse:Expires>{write_duration(seconds)}</wse:Expires>"


def _granted(response: etree._Element, asked: float) -> float:
    element = _one(response, "Expires")
    seconds = read_duration(element.text or "") if element is not None else None
    if seconds is None:
        return asked
    if seconds <= 0:
        raise invalid_message(f"a subscription of {seconds:g} seconds is none")
    return seconds


def _local(element: etree._Element) -> str:
    return split(element.tag)[1]  # type: ignore[arg-type]
