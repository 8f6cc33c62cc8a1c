"""`g:Peer`: a device as it tells others of itself, or of those it knows. Knows no message and no table."""

from __future__ import annotations

from typing import Final

from lxml import etree

from gossip_ws.core.peers import Peer, Role
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import GOSSIP, QName, qname
from gossip_ws.wire.envelope import attribute, text
from gossip_ws.wire.terms import by_value, content, too_many
from gossip_ws.wire.values import (
    MAX_INCARNATION,
    Attributes,
    attributes,
    base64,
    clark,
    device,
    integer,
    malformed,
    octets,
    one_of,
    only,
    required,
)

PEER: Final = qname(GOSSIP, "Peer")
MAX_LIST: Final = 16
"""Types, or scopes, of one device: as many as a Peer Service takes."""
MAX_ADDRESS: Final = 255
"""Characters of a transport address."""
MAX_SUBTREE: Final = 1_000_000
KEY_LENGTH: Final = 32
"""Octets of an Ed25519 public key."""

_TYPE: Final = qname(GOSSIP, "Type")
_SCOPE: Final = qname(GOSSIP, "Scope")
_ROLES: Final = by_value(Role)
_KNOWN: Final = frozenset(("Device", "Role", "Udp", "Http", "Subtree", "Incarnation", "Key"))


def write_peer(peer: Peer) -> str:
    """The element, in the prefix `g` that is declared around it."""
    udp = f" Udp={attribute(str(peer.udp))}" if peer.udp is not None else ""
    http = f" Http={attribute(str(peer.http))}" if peer.http is not None else ""
    key = f' Key="{base64(peer.key)}"' if peer.key else ""
    types = "".join([f"<g:Type>{text(name)}</g:Type>" for name in peer.types])
    scopes = "".join([f"<g:Scope>{text(scope)}</g:Scope>" for scope in peer.scopes])
    return (
        f'<g:Peer Device={attribute(peer.device)} Role="{peer.role.value}"{udp}{http} Subtree="{peer.subtree}"'
        f' Incarnation="{peer.incarnation}"{key}>{types}{scopes}</g:Peer>'
    )


def read_peer(element: etree._Element) -> Peer:
    """What `write_peer` wrote. Raises RemoteError."""
    values = attributes(element)
    only(values, _KNOWN, "Peer")
    types: list[QName] = []
    scopes: list[str] = []
    for child in element:
        if child.tag == _TYPE:
            types.append(QName(clark(content(child))))
        elif child.tag == _SCOPE:
            scopes.append(content(child))
        else:
            malformed(f"unknown element of Peer: {child.tag}"[:160])
    if max(len(types), len(scopes)) > MAX_LIST:
        raise too_many("types or scopes of a peer", MAX_LIST)
    udp = read_address(values, "Udp", Binding.UDP) if "Udp" in values else None
    http = read_address(values, "Http", Binding.HTTP) if "Http" in values else None
    if udp is None and http is None:
        malformed("a Peer without an address")
    key = octets(values, "Key", KEY_LENGTH)
    if "Key" in values and len(key) != KEY_LENGTH:
        malformed(f"Key is not {KEY_LENGTH} octets")
    return Peer(
        device(values, "Device"),
        one_of(values, "Role", _ROLES),
        tuple(types),
        tuple(scopes),
        udp,
        http,
        integer(values, "Subtree", MAX_SUBTREE, least=1),
        integer(values, "Incarnation", MAX_INCARNATION),
        key,
    )


def read_address(values: Attributes, name: str, binding: Binding | None = None) -> Address:
    """The transport address in an attribute, of `binding` where that is given. Raises RemoteError."""
    try:
        found = Address.parse(required(values, name, MAX_ADDRESS))
    except LocalError as error:
        malformed(f"{name}: {error}")
    if binding not in (None, found.binding):
        malformed(f"{name} is not a {binding} address")
    return found
