"""Where a message goes: one address type for every binding, never a bare tuple above `net`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from gossip_ws.kernel.errors import LocalError


class Binding(StrEnum):
    """A SOAP 1.2 transport, named by its URI scheme (SOAP-over-UDP 1.1 section 5, RFC 9110)."""

    UDP = "soap.udp"
    HTTP = "http"


UDP: Final = Binding.UDP
"""For what is done for every frame: an enumeration's member, looked up, takes ten times as long (Python 3.11)."""

_DEFAULT_PORT = {Binding.HTTP: 80}
# Devices name the same few addresses in every exchange of views and every answer of a Peer Service. What strangers
# send is remembered too, so number and length are bounded: 512 KiB at the very worst.
_REMEMBERED = 1_024
_SHORT = 128
_PORT_DIGITS = 5
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """One transport address: `soap.udp://host:port/path` or `http://host:port/path`.

    `host` is a literal without brackets, an IPv6 one in the form of RFC 5952, so that equal hosts are equal texts.
    `path` is empty or starts with a slash.
    """

    binding: Binding
    host: str
    port: int
    path: str = ""

    @classmethod
    def parse(cls, uri: str) -> Address:
        """Read an absolute URI. Raises LocalError with the reason when it is none of ours."""
        return _remembered(uri) if len(uri) <= _SHORT else cls._taken_apart(uri)

    @classmethod
    def _taken_apart(cls, uri: str) -> Address:
        scheme, mark, rest = uri.strip().partition("://")
        try:
            binding = Binding(scheme.lower())
        except ValueError:
            raise LocalError(f"not a soap.udp or http address: {uri!r}") from None
        authority, slash, path = rest.partition("/")
        if authority.startswith("["):
            literal, bracket, port_text = authority[1:].partition("]")
            mark = mark and bracket
            host, port_text = _canonical(literal, uri), port_text.removeprefix(":")
        else:
            host, _, port_text = authority.partition(":")
        if not mark or not host:
            raise LocalError(f"an address needs a host: {uri!r}")
        if not port_text:
            # SOAP-over-UDP names no default port: it is always written.
            if binding not in _DEFAULT_PORT:
                raise LocalError(f"a soap.udp address needs a port: {uri!r}")
            port = _DEFAULT_PORT[binding]
        else:
            port = _port(port_text, uri)
        return cls(binding, host, port, slash + path)

    def at(self, path: str) -> Address:
        """The same listener, another path."""
        return replace(self, path=path)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.binding.value}://{host}:{self.port}{self.path}"


def _port(digits: str, uri: str) -> int:
    """Raises LocalError. Looked at before it is a number: Python makes none of thousands of digits."""
    digits = digits.lstrip("0") if digits.isascii() and digits.isdigit() else ""
    if not 0 < len(digits) <= _PORT_DIGITS or int(digits) > _LAST_PORT:
        raise LocalError(f"not a port in {uri[:_SHORT]!r}")
    return int(digits)


def _canonical(literal: str, uri: str) -> str:
    """Raises LocalError for what is no IPv6 address, or one with a zone: that means something on one machine alone."""
    try:
        address = IPv6Address(literal)
    except AddressValueError:
        raise LocalError(f"not an IPv6 address in brackets: {uri!r}") from None
    if address.scope_id is not None:
        raise LocalError(f"an address in a URI has no zone: {uri!r}")
    return str(address)


_remembered = lru_cache(_REMEMBERED)(Address._taken_apart)
