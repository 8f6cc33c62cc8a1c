"""The filters' one hardened parser and their canonical form. Knows nothing of SOAP, shapes or stylesheets.

A twin of the envelope's parser, not a share of it: rooms of one row do not import one another, and what is
read here never stands in an envelope.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

MAX_VALUE: Final = 32_767
"""Octets of one value to combine: no more fits the envelope that it came in (DPWS 1.1 MAX_ENVELOPE_SIZE)."""


class Refuse(etree.Resolver):
    """Raises for every external reference, also for those that access control does not see (xsl:include)."""

    def resolve(self, system_url: str | None, public_id: str | None, context: object) -> object:  # type: ignore[override]  # the stubs forget context
        raise ValueError("nothing outside of the document is read")


def parser(*, keep_comments: bool = False) -> etree.XMLParser:
    """A fresh parser: no DTD loaded, no entity resolved, no network, libxml2's bounds on depth and text."""
    made = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=not keep_comments,
        remove_pis=not keep_comments,
    )
    made.resolvers.add(Refuse())
    return made


_PARSER = parser()


def read(value: bytes, limit: int = MAX_VALUE) -> etree._Element:
    """Parse one element. Raises ValueError with the reason; size is looked at before anything else."""
    if len(value) > limit:
        raise ValueError(f"{len(value)} octets, at most {limit} are taken")
    try:
        root = etree.fromstring(value, _PARSER)
    except (etree.XMLSyntaxError, LookupError) as error:
        raise ValueError(f"not well-formed XML: {error}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("a value has no document type")
    return root


def canonical(element: etree._Element) -> bytes:
    """Exclusive canonical XML 1.0 without comments."""
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False, with_tail=False)
