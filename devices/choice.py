"""Which of this machine's addresses a device uses: literal ones, those of interfaces by name, or all there are.

Asks the system nothing: whoever has asked it hands in what there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gossip_ws.kernel.homes import Local
from gossip_ws.net.interfaces import locate

EVERY: Final = "*"
"""Instead of a name: every interface but the loopback one."""
MOST: Final = 8
"""Addresses of one device: each has two listeners, and all have to fit the datagram of a Hello."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`literals`: addresses, a link-local one with its zone. `interfaces`: names, each with its first IPv4 address, its
    first global IPv6 address and its first link-local one. The first that is there is the device's own to tell of."""

    literals: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()

    def named(self, known: Sequence[Local]) -> tuple[Local, ...]:
        """The literal ones that are there."""
        located = (locate(host, tuple(known)) for host in self.literals)
        return _bounded(one for one in located if one is not None)

    def of(self, known: Sequence[Local]) -> tuple[Local, ...]:
        """All that are there, best first, at most `MOST`."""
        names = dict.fromkeys(one.interface for one in known if one.host != "::1" and not one.host.startswith("127."))
        found = list(self.named(known))
        for name in self.interfaces:
            for interface in names if name == EVERY else (name,):
                found += first_of(interface, known)
        return _bounded(found)


def first_of(interface: str, known: Sequence[Local]) -> tuple[Local, ...]:
    """The first address of each sort that an interface has: IPv4, global IPv6, link-local."""
    found: dict[tuple[bool, bool], Local] = {}
    for one in known:
        if one.interface == interface:
            found.setdefault((one.is_ipv6, one.is_link_local), one)
    return tuple(found[sort] for sort in sorted(found))


def _bounded(found: Iterable[Local]) -> tuple[Local, ...]:
    return tuple(dict.fromkeys(found))[:MOST]
