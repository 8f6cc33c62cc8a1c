"""The envelopes that a tester sends: most of them right, some wrong on purpose in one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from gossip_ws.dpws.messages import ADHOC
from gossip_ws.kernel.names import DPWS, SOAP12, WSA, WSD, QName, split
from gossip_ws.wire.envelope import Addressing, attribute, build, message_id, text
from gossip_ws.wire.metadata import GET, GET_METADATA, write_get_metadata

NOWHERE: Final = "urn:gossip-ws:conform"
"""Begins whatever no device can know."""
WSE: Final = "http://schemas.xmlsoap.org/ws/2004/08/eventing"
PUSH: Final = WSE + "/DeliveryModes/Push"
ACTION_DIALECT: Final = DPWS + "/Action"


@dataclass(frozen=True, slots=True)
class Asked:
    """An envelope and its wsa:MessageID."""

    frame: bytes
    message_id: str


def request(action: str, to: str, body: bytes = b"", blocks: bytes = b"", reply_to: str = "") -> Asked:
    id = message_id()
    return Asked(build(Addressing(action, id, to, reply_to), body, blocks), id)


def get(to: str) -> Asked:
    return request(GET, to)


def get_metadata(to: str) -> Asked:
    return request(GET_METADATA, to, write_get_metadata())


def without_action(to: str) -> Asked:
    return request("", to)


def unknown_action(to: str) -> Asked:
    return request(f"{NOWHERE}:NoSuchAction", to, f'<c:NoSuchRequest xmlns:c="{NOWHERE}"/>'.encode())


def not_understood(to: str) -> Asked:
    """A Get with a header block that has to be understood and cannot be."""
    block = f'<c:Unheard xmlns:c="{NOWHERE}" xmlns:s12="{SOAP12}" s12:mustUnderstand="true"/>'
    return request(GET, to, blocks=block.encode())


def other_version(to: str) -> Asked:
    """A Get in an envelope of a SOAP version that there is not."""
    asked = get(to)
    return Asked(asked.frame.replace(SOAP12.encode(), f"{NOWHERE}:envelope".encode()), asked.message_id)


def probe(types: Sequence[QName] = (), scopes: Sequence[str] = (), match_by: str = "") -> Asked:
    """A Probe. Types are written with prefixes that nobody uses: a receiver has to compare names."""
    declared = {
        namespace: f"q{7 + number}" for number, namespace in enumerate({split(name)[0]: None for name in types})
    }
    words = [f"{declared[namespace]}:{local}" for namespace, local in map(split, types)]
    prefixes = "".join(f" xmlns:{prefix}={attribute(namespace)}" for namespace, prefix in declared.items())
    inner = f"<wsd:Types{prefixes}>{text(' '.join(words))}</wsd:Types>" if types else ""
    if scopes:
        rule = f" MatchBy={attribute(match_by)}" if match_by else ""
        inner += f"<wsd:Scopes{rule}>{text(' '.join(scopes))}</wsd:Scopes>"
    return request(f"{WSD}/Probe", ADHOC, f'<wsd:Probe xmlns:wsd="{WSD}">{inner}</wsd:Probe>'.encode())


def resolve(device: str) -> Asked:
    inner = f"<wsa:EndpointReference><wsa:Address>{text(device)}</wsa:Address></wsa:EndpointReference>"
    body = f'<wsd:Resolve xmlns:wsd="{WSD}" xmlns:wsa="{WSA}">{inner}</wsd:Resolve>'
    return request(f"{WSD}/Resolve", ADHOC, body.encode())


JUNK: Final = (
    b"",
    b"\x00\xff\xfe no XML at all",
    b"<open",
    b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
    f'<s12:Envelope xmlns:s12="{SOAP12}"><s12:Body/></s12:Envelope>'.encode(),
    f'<e:Envelope xmlns:e="{NOWHERE}"><e:Body/></e:Envelope>'.encode(),
)
"""Datagrams that a listener has to survive without a word."""


# -- eventing --------------------------------------------------------------------------------------


def subscribe(
    to: str,
    notify_to: str,
    *,
    expires: str = "PT1M",
    actions: Sequence[str] = (),
    mode: str = PUSH,
    dialect: str = ACTION_DIALECT,
    end_to: str = "",
) -> Asked:
    """A Subscribe whose NotifyTo has a reference parameter, to be echoed in notifications."""
    token = f'<wsa:ReferenceParameters><c:Token xmlns:c="{NOWHERE}">token</c:Token></wsa:ReferenceParameters>'
    notify = f"<wse:NotifyTo><wsa:Address>{text(notify_to)}</wsa:Address>{token}</wse:NotifyTo>"
    wanted = f"<wse:Filter Dialect={attribute(dialect)}>{text(' '.join(actions))}</wse:Filter>" if actions else ""
    end = f"<wse:EndTo><wsa:Address>{text(end_to)}</wsa:Address></wse:EndTo>" if end_to else ""
    body = (
        f'<wse:Subscribe xmlns:wse="{WSE}" xmlns:wsa="{WSA}">{end}<wse:Delivery Mode={attribute(mode)}>{notify}'
        f"</wse:Delivery><wse:Expires>{text(expires)}</wse:Expires>{wanted}</wse:Subscribe>"
    )
    return request(f"{WSE}/Subscribe", to, body.encode())


def renew(to: str, parameters: bytes, expires: str) -> Asked:
    body = f'<wse:Renew xmlns:wse="{WSE}"><wse:Expires>{text(expires)}</wse:Expires></wse:Renew>'
    return request(f"{WSE}/Renew", to, body.encode(), parameters)


def get_status(to: str, parameters: bytes) -> Asked:
    return request(f"{WSE}/GetStatus", to, f'<wse:GetStatus xmlns:wse="{WSE}"/>'.encode(), parameters)


def unsubscribe(to: str, parameters: bytes) -> Asked:
    return request(f"{WSE}/Unsubscribe", to, f'<wse:Unsubscribe xmlns:wse="{WSE}"/>'.encode(), parameters)


def as_headers(parameters: Sequence[etree._Element]) -> bytes:
    """Reference parameters as the header blocks they become (WS-Addressing 1.0 SOAP binding section 3.4). Marks the
    elements that are given."""
    for one in parameters:
        one.set(f"{{{WSA}}}IsReferenceParameter", "true")
    return b"".join(etree.tostring(one, with_tail=False) for one in parameters)
