"""Namespaces, qualified names and identities that every protocol shares."""

from __future__ import annotations

from typing import NewType

QName = NewType("QName", str)
"""A qualified name in Clark notation: `{namespace}local`."""

DeviceId = NewType("DeviceId", str)
"""A device's endpoint reference address, `urn:uuid:...`, stable over restarts (DPWS 1.1 R0004 to R0006)."""

GossipId = NewType("GossipId", bytes)
"""32 octets: SHA-256 over what the origin fixed (action, terms, body). Bound to content by construction."""

GOSSIP = "urn:gossip-ws:2026"
"""Header blocks, gossip's own actions, faults, the policy assertion."""
TARIFF = "urn:gossip-ws:2026:tariff"
METERING = "urn:gossip-ws:2026:metering"
PEERS = "urn:gossip-ws:2026:peers"
REPORT = "urn:gossip-ws:2026:report"
ROUTING = "urn:gossip-ws:2026:routing"
BALANCE = "urn:gossip-ws:2026:balance"
GRID = "urn:gossip-ws:2026:grid"
"""Device types of the four tiers."""

SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://www.w3.org/2005/08/addressing"
WSD = "http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01"
DPWS = "http://docs.oasis-open.org/ws-dd/ns/dpws/2009/01"
WSE = "http://schemas.xmlsoap.org/ws/2004/08/eventing"
WSA_2004 = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSD_2005 = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
DPWS_2006 = "http://schemas.xmlsoap.org/ws/2006/02/devprof"
"""The generation before: what older devices and clients speak."""

ANONYMOUS = WSA + "/anonymous"
"""Where a reply goes that goes back on the same exchange."""


def qname(namespace: str, local: str) -> QName:
    """Join a namespace and a local name; an empty namespace gives the bare local name."""
    return QName(f"{{{namespace}}}{local}" if namespace else local)


def split(name: QName) -> tuple[str, str]:
    """(namespace, local name); the namespace is empty for an unqualified name."""
    if name.startswith("{"):
        namespace, _, local = name[1:].partition("}")
        return namespace, local
    return "", name


DEVICE = qname(DPWS, "Device")
"""The type every DPWS device has (R1020)."""
DISCOVERY_PROXY = qname(WSD, "DiscoveryProxy")
"""The type of who answers for others (WS-Discovery 1.1 section 1.4)."""
