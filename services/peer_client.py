"""Talks to a remote Peer Service without a SOAP client: payloads out, payloads in, plain bytes.

A meter asks its parent's Peer Service; loading a SOAP library for that would cost it more memory than all
else. What comes back is the other side's word: sizes are bounded and every value is checked.
Knows nothing of transports or envelopes.
"""

from __future__ import annotations

from binascii import Error, a2b_base64
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from lxml import etree

from gossip_ws.core.peers import Peer, Relation, Role
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError, RemoteError, sender_fault
from gossip_ws.kernel.names import PEERS, DeviceId, QName
from gossip_ws.wire.envelope import MAX_ENVELOPE, parser, text
from gossip_ws.wire.peers import KEY_LENGTH
from gossip_ws.wire.values import MAX_INCARNATION, base64

REGISTER: Final = PEERS + ":Register"
REFRESH: Final = PEERS + ":Refresh"
UNREGISTER: Final = PEERS + ":Unregister"
GET_PEERS: Final = PEERS + ":GetPeers"
"""The wsa:Action that goes with each request."""

MAX_PEERS: Final = 256
MAX_LIST: Final = 16
MAX_TEXT: Final = 2048
MAX_LEASE: Final = 7 * 86_400.0
"""s; a longer lease is taken as this."""

T = TypeVar("T")


def register_request(peer: Peer) -> bytes:
    """The Register payload for `peer`, this device."""
    return _payload("Register", _element("peer", _entry(peer)))


def refresh_request(device: DeviceId, subtree: int, incarnation: int) -> bytes:
    """The Refresh payload: the addresses registered before still hold."""
    fields = _element("device", text(device)), _element("subtree", str(subtree))
    return _payload("Refresh", *fields, _element("incarnation", str(incarnation)))


def unregister_request(device: DeviceId) -> bytes:
    """The Unregister payload; the operation is one-way."""
    return _payload("Unregister", _element("device", text(device)))


def get_peers_request(
    types: Sequence[QName] = (), scopes: Sequence[str] = (), limit: int = 64, relation: Relation | None = None
) -> bytes:
    """The GetPeers payload: at most `limit` peers, 1 to 256. Raises LocalError outside of that."""
    if not 0 < limit <= MAX_PEERS or len(types) > MAX_LIST or len(scopes) > MAX_LIST:
        raise LocalError(f"1 to {MAX_PEERS} peers are asked for, by at most {MAX_LIST} types and scopes")
    parts = [_element("type", text(name)) for name in types]
    parts += [_element("scope", text(scope)) for scope in scopes]
    if relation is not None:
        parts.append(_element("relation", str(relation)))
    return _payload("GetPeers", *parts, _element("max", str(limit)))


def parse_register_reply(payload: bytes) -> tuple[float, Peer]:
    """(lease in s, the registrar) of a RegisterResponse or RefreshResponse.

    Raises RemoteError for anything else.
    """
    root = _root(payload)
    if root.tag not in (_name("RegisterResponse"), _name("RefreshResponse")):
        raise _bad(f"not a registration: {root.tag}")
    result = _only(root, root.tag.removesuffix("Response").partition("}")[2] + "Result")
    lease = _number(result, "leaseMs", (1 << 63) - 1) / 1000
    return min(lease, MAX_LEASE), _peer(_only(result, "registrar"))


def parse_get_peers_reply(payload: bytes) -> tuple[Peer, ...]:
    """The peers of a GetPeersResponse. Raises RemoteError for anything else, or when one entry is wrong."""
    root = _root(payload)
    if root.tag != _name("GetPeersResponse"):
        raise _bad(f"not a list of peers: {root.tag}")
    entries = _only(root, "GetPeersResult").findall(_name("peer"))
    if len(entries) > MAX_PEERS:
        raise _bad(f"more than {MAX_PEERS} peers")
    return tuple(map(_peer, entries))


def _entry(peer: Peer) -> str:
    parts = [_element("device", text(peer.device)), _element("role", str(peer.role))]
    parts += [_element("type", text(name)) for name in peer.types]
    parts += [_element("scope", text(scope)) for scope in peer.scopes]
    if peer.udp is not None:
        parts.append(_element("udp", text(str(peer.udp))))
    if peer.http is not None:
        parts.append(_element("http", text(str(peer.http))))
    parts += [_element("subtree", str(peer.subtree)), _element("incarnation", str(peer.incarnation))]
    if peer.key:
        parts.append(_element("key", base64(peer.key)))
    return "".join(parts)


def _element(name: str, *content: str) -> str:
    return f"<p:{name}>{''.join(content)}</p:{name}>"


def _payload(name: str, *content: str) -> bytes:
    return f'<p:{name} xmlns:p="{PEERS}">{"".join(content)}</p:{name}>'.encode()


def _name(local: str) -> str:
    return f"{{{PEERS}}}{local}"


def _root(payload: bytes) -> etree._Element:
    if len(payload) > MAX_ENVELOPE:
        raise _bad("too large")
    try:
        root = etree.fromstring(payload, parser())
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        raise _bad(f"not well-formed: {error}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise _bad("a document type is not taken")
    return root


def _only(parent: etree._Element, name: str) -> etree._Element:
    found = parent.findall(_name(name))
    if len(found) != 1:
        raise _bad(f"{name} stands there {len(found)} times, not once")
    return found[0]


def _said(element: etree._Element) -> str:
    text = element.text or ""
    if len(element) or len(text) > MAX_TEXT:
        raise _bad(f"{element.tag} is not a text of at most {MAX_TEXT} characters")
    return text.strip()


def _several(parent: etree._Element, name: str) -> list[str]:
    found = parent.findall(_name(name))
    if len(found) > MAX_LIST:
        raise _bad(f"more than {MAX_LIST} of {name}")
    return [_said(element) for element in found]


def _number(parent: etree._Element, name: str, most: int) -> int:
    text = _said(_only(parent, name))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise _bad(f"{name} is not a whole number up to {most}")
    return int(text)


def _peer(entry: etree._Element) -> Peer:
    udp, http = _address(entry, "udp", Binding.UDP), _address(entry, "http", Binding.HTTP)
    if udp is None and http is None:
        raise _bad("a peer without an address")
    device = _said(_only(entry, "device"))
    if not device:
        raise _bad("a peer without an identity")
    return Peer(
        device=DeviceId(device),
        role=_read(Role, _said(_only(entry, "role"))),
        types=tuple(map(QName, _several(entry, "type"))),
        scopes=tuple(_several(entry, "scope")),
        udp=udp,
        http=http,
        subtree=max(1, _number(entry, "subtree", 1_000_000)),
        incarnation=_number(entry, "incarnation", MAX_INCARNATION),
        key=_key(entry),
    )


def _key(entry: etree._Element) -> bytes:
    found = _several(entry, "key")
    if not found:
        return b""
    try:
        key = a2b_base64(found[0])
    except Error as error:
        raise _bad(f"key is not base64: {error}") from None
    if len(found) > 1 or len(key) != KEY_LENGTH:
        raise _bad(f"key is {KEY_LENGTH} octets")
    return key


def _address(entry: etree._Element, name: str, binding: Binding) -> Address | None:
    found = _several(entry, name)
    if not found:
        return None
    address = _read(Address.parse, found[0])
    if len(found) > 1 or address.binding is not binding:
        raise _bad(f"{name} is one {binding} address")
    return address


def _read(kind: Callable[[str], T], text: str) -> T:
    try:
        return kind(text)
    except (ValueError, LocalError) as error:
        raise _bad(str(error)) from None


def _bad(reason: str) -> RemoteError:
    return sender_fault("BadReply", reason[:500], namespace=PEERS)
