"""Where a device is at home: its own addresses, and which of them suits whoever is to be reached.

Asks no system what there is: `net.interfaces` does. Names are nobody's neighbours here, only literals are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from gossip_ws.kernel.address import Address


@dataclass(frozen=True, slots=True)
class Local:
    """One address of this machine: the literal without zone, the interface that has it, by name and by the system's
    number, and how many bits of it are the subnet's.

    An interface that was taken away and made again has another number, so its addresses are others too.
    """

    host: str
    interface: str
    index: int
    prefix: int

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.host

    @property
    def is_link_local(self) -> bool:
        """Is it one of fe80::/10, which means something on one link alone?"""
        return is_link_local(self.host)

    @property
    def zoned(self) -> str:
        """As sockets of this machine take it: a link-local literal with its zone."""
        return f"{self.host}%{self.interface}" if self.is_link_local else self.host

    def is_on_link(self, host: str) -> bool:
        """Is `host` in the subnet of this address? A zone, where it has one, has to be this interface."""
        bare, _, zone = host.partition("%")
        other, own = _literal(bare), _literal(self.host)
        if other is None or own is None or other.version != own.version or zone not in ("", self.interface):
            return False
        return int(other) >> other.max_prefixlen - self.prefix == int(own) >> own.max_prefixlen - self.prefix


@dataclass(frozen=True, slots=True)
class Home:
    """An own address and the listeners there, without path; None for a binding without one."""

    local: Local
    udp: Address | None
    http: Address | None


def is_link_local(host: str) -> bool:
    """Is it a literal of fe80::/10, with or without a zone?"""
    literal = _literal(host.partition("%")[0])
    return isinstance(literal, IPv6Address) and literal.is_link_local


def suited(homes: Sequence[Home], host: str) -> tuple[Home, ...]:
    """All of `homes`, the best for `host` first: one of its subnet; of its family; the others; a link-local one of
    another link, which does not reach it, last. Of equals, the first."""
    is_literal, is_ipv6 = _literal(host.partition("%")[0]) is not None, ":" in host

    def rank(home: Home) -> int:
        local = home.local
        if local.is_on_link(host):
            return 0
        if local.is_link_local:
            return 3
        return 1 if not is_literal or local.is_ipv6 == is_ipv6 else 2

    return tuple(sorted(homes, key=rank))


def told_to(homes: Sequence[Home], host: str) -> tuple[Home, ...]:
    """What is told to whoever asks from `host`, best first: all but the link-local ones of other links."""
    found = tuple(home for home in suited(homes, host) if not home.local.is_link_local or home.local.is_on_link(host))
    return found or tuple(homes)


def told_to_all(homes: Sequence[Home]) -> tuple[Home, ...]:
    """What is told to everybody: link-local addresses only where IPv6 has no other."""
    has_other = any(home.local.is_ipv6 and not home.local.is_link_local for home in homes)
    known = tuple(home for home in homes if not home.local.is_link_local)
    return known if has_other else (*known, *(home for home in homes if home.local.is_link_local))


def nearest(homes: Sequence[Home], addresses: Sequence[Address]) -> Address | None:
    """The one of another device's addresses to call it at: one of a subnet of ours, one of a link of ours, one of a
    family that we have, whatever is left; of equals, the first, as its device prefers. None when there are none."""

    def rank(address: Address) -> int:
        if any(home.local.is_on_link(address.host) for home in homes):
            return 1 if is_link_local(address.host) else 0
        families = {home.local.is_ipv6 for home in homes if not home.local.is_link_local}
        unreachable = is_link_local(address.host) or (":" in address.host) not in families
        return 3 if unreachable else 2

    return min(addresses, key=rank, default=None)


@lru_cache(4_096)
def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
