"""Qualified names and URIs in content: lists of them in an element's text, as discovery and metadata have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lxml import etree

from gossip_ws.kernel.errors import RemoteError, sender_fault
from gossip_ws.kernel.names import DPWS, DPWS_2006, WSA, WSA_2004, WSD, WSD_2005, QName, qname, split
from gossip_ws.wire.envelope import MAX_URI, attribute, text

# Some peers compare the text of a name, so the usual prefixes stand for the usual namespaces.
_USUAL: Final = {
    WSA: "wsa",
    WSD: "wsd",
    DPWS: "dpws",
    WSA_2004: "wsa",
    WSD_2005: "wsd",
    DPWS_2006: "wsdp",
}


def too_many(what: str, most: int) -> RemoteError:
    return sender_fault("TooMany", f"more than {most} {what}")


def read_uri(content: str | None, what: str, most: int = MAX_URI) -> str:
    """One URI, not empty and at most `most` octets. Raises RemoteError."""
    uri = (content or "").strip()
    if not uri or len(uri.encode()) > most or len(uri.split()) > 1:
        raise sender_fault("Malformed", f"{what} is missing, too long or no URI")
    return uri


def read_uris(content: str | None, what: str, most: int) -> tuple[str, ...]:
    """URIs separated by white space, at most `most` of them. Raises RemoteError."""
    uris = (content or "").split(maxsplit=most)
    if len(uris) > most:
        raise too_many(what, most)
    return tuple(read_uri(uri, what) for uri in uris)


def read_qnames(element: etree._Element, what: str, most: int) -> tuple[QName, ...]:
    """The names in the element's text, their prefixes resolved where it stands. Raises RemoteError."""
    words = (element.text or "").split(maxsplit=most)
    if len(words) > most:
        raise too_many(what, most)
    declared = element.nsmap if words else {}
    names = []
    for word in words:
        prefix, colon, local = word.rpartition(":")
        namespace = declared.get(prefix if colon else None, None if colon else "")
        if namespace is None or not local or len(namespace) + len(local) > MAX_URI:
            raise sender_fault("Malformed", f"{what} has a name without a namespace: {word[:64]!r}")
        names.append(qname(namespace, local))
    return tuple(names)


def write_qnames(tag: str, names: Iterable[QName]) -> str:
    """An element `tag` (a prefixed name) that holds the names and declares what they need; empty for none."""
    declared: dict[str, str] = {}
    words = []
    for name in names:
        namespace, local = split(name)
        if namespace and namespace not in declared:
            usual = _USUAL.get(namespace, "")
            declared[namespace] = usual if usual and usual not in declared.values() else f"n{len(declared)}"
        words.append(f"{declared[namespace]}:{local}" if namespace else local)
    if not words:
        return ""
    declarations = "".join(f" xmlns:{prefix}={attribute(namespace)}" for namespace, prefix in declared.items())
    return f"<{tag}{declarations}>{text(' '.join(words))}</{tag}>"
