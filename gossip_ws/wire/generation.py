"""What differs on the wire between the two generations of WS-Discovery and DPWS: namespaces, prefixes, a few URIs.

Everything else here speaks of 1.1. Messages of the draft are read and written by these names, and a reply that was
made with WS-Addressing 1.0 is put into the words of 2004/08 (`older`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from lxml import etree

from gossip_ws.dpws.messages import ADHOC, Generation
from gossip_ws.kernel.errors import Fault
from gossip_ws.kernel.names import DPWS, DPWS_2006, WSA, WSA_2004, WSD, WSD_2005, QName, qname, split
from gossip_ws.wire.envelope import MAX_REPLY, Addressing, build, canonical, content_prefixes, parse
from gossip_ws.wire.soap import fault_envelope, read_fault

FAULT_ACTION_2004: Final = WSA_2004 + "/fault"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one generation. `adhoc` is the wsa:To of what is multicast, `prefix` the usual one for DPWS: some
    peers compare text."""

    generation: Generation
    wsa: str
    wsd: str
    dpws: str
    adhoc: str
    prefix: str

    def action(self, name: str) -> str:
        """The wsa:Action of a discovery message."""
        return f"{self.wsd}/{name}"

    def tag(self, name: str) -> QName:
        """An element of a discovery message."""
        return qname(self.wsd, name)

    def said(self, names: Iterable[QName]) -> tuple[QName, ...]:
        """Our names of types in the words of this generation: `wsdp:Device` for `dpws:Device`."""
        return _renamed(names, {DPWS: self.dpws, WSD: self.wsd})

    def heard(self, names: Iterable[QName]) -> tuple[QName, ...]:
        """What `said` made, back in our own."""
        return _renamed(names, {self.dpws: DPWS, self.wsd: WSD})


OASIS: Final = Names(Generation.OASIS, WSA, WSD, DPWS, ADHOC, "dpws")
DRAFT: Final = Names(
    Generation.DRAFT, WSA_2004, WSD_2005, DPWS_2006, "urn:schemas-xmlsoap-org:ws:2005:04:discovery", "wsdp"
)
BOTH: Final = (OASIS, DRAFT)
NAMES: Final = {names.generation: names for names in BOTH}
GROUPS: Final = frozenset(names.adhoc for names in BOTH)
"""The wsa:To of what is multicast."""

# What WS-Addressing 1.0 renamed; the other subcodes have the same name in both.
_OLDER_SUBCODES: Final = {
    "InvalidAddressingHeader": "InvalidMessageInformationHeader",
    "MessageAddressingHeaderRequired": "MessageInformationHeaderRequired",
}


def spoken(properties: Addressing) -> Names:
    """The generation that goes with a message's WS-Addressing."""
    return DRAFT if properties.wsa == WSA_2004 else OASIS


def older(frame: bytes) -> bytes:
    """A reply of ours with WS-Addressing 2004/08 instead of 1.0, for who asked so; one that has it stays as it is."""
    envelope = parse(frame, MAX_REPLY)
    said = envelope.addressing
    if said.wsa == WSA_2004:
        return frame
    action, payload = said.action, envelope.payload
    fault = read_fault(envelope)
    if fault is not None and action.startswith(WSA):
        action = FAULT_ACTION_2004
        payload = parse(fault_envelope(_older_fault(fault))).payload
    body = _octets(payload) if payload is not None else b""
    blocks = b"".join(_octets(block) for block in envelope.headers if split(QName(str(block.tag)))[0] != WSA)
    return build(Addressing(action, said.message_id, said.to, relates_to=said.relates_to, wsa=WSA_2004), body, blocks)


def _older_fault(fault: Fault) -> Fault:
    """Before 1.0 there were no subcodes of subcodes, and no elements for the detail."""
    namespace, local = split(fault.subcode)
    if namespace != WSA:
        return fault
    return replace(fault, subcode=qname(WSA_2004, _OLDER_SUBCODES.get(local, local)), subsubcode=None, detail=b"")


def _octets(element: etree._Element) -> bytes:
    return canonical(element, content_prefixes(element))


def _renamed(names: Iterable[QName], namespaces: dict[str, str]) -> tuple[QName, ...]:
    return tuple(qname(namespaces.get(namespace, namespace), local) for namespace, local in map(split, names))
