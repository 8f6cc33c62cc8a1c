"""Who may originate what: the rules as data. The default is nobody. Knows no key's mathematics, no file."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from gossip_ws.kernel.errors import LocalError
from gossip_ws.security.keys import PublicKey
from gossip_ws.security.passwords import PasswordHash

Ip = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

MAX_LIFETIME = 7 * 86_400.0
"""Seconds; docs/wire.md."""


@dataclass(frozen=True, slots=True)
class Originator:
    """Whose signature may originate `actions`. `interfaces`: local addresses on which it must arrive; none
    given, on any. A meter can so insist that a tariff comes from the field side."""

    key: PublicKey
    actions: frozenset[str]
    interfaces: frozenset[Ip] = frozenset()


@dataclass(frozen=True, slots=True)
class CallerRule:
    """For whose unsigned calls this device signs `actions` by its own key.

    With `user` and `password`: for whom proves them, from one of `networks` to one of `interfaces` where
    these are given. Without: for whoever calls from one of `networks` to one of `interfaces`, and then both
    have to be given. An operator's own LAN, where physical access is the credential.
    """

    actions: frozenset[str]
    user: str = ""
    password: PasswordHash | None = None
    networks: tuple[IpNetwork, ...] = ()
    interfaces: frozenset[Ip] = frozenset()

    def __post_init__(self) -> None:
        if bool(self.user) != (self.password is not None):
            raise LocalError("a caller has a user and a password hash, or neither")
        if not self.user and not (self.networks and self.interfaces):
            raise LocalError("a caller without a password needs networks and interfaces")

    def admits(self, source: Ip | None, local: Ip | None) -> bool:
        """Does it come from where it may?"""
        if self.networks and not any(
            source is not None and source.version == network.version and source in network for network in self.networks
        ):
            return False
        return not self.interfaces or local in self.interfaces


@dataclass(frozen=True, slots=True)
class Trust:
    """All that a device believes. `clock_skew` (s): how far in the future a message may have been issued, and
    how long after its expiry it is still taken; choose what the worst clock of the network needs.
    `max_lifetime` (s): the longest that a message may live, whatever it says."""

    originators: tuple[Originator, ...] = ()
    callers: tuple[CallerRule, ...] = ()
    clock_skew: float = 60.0
    max_lifetime: float = MAX_LIFETIME

    def __post_init__(self) -> None:
        if not 0 <= self.clock_skew <= 86_400:
            raise LocalError(f"clock_skew is from 0 to 86400 s: {self.clock_skew}")
        if not 0 < self.max_lifetime <= MAX_LIFETIME:
            raise LocalError(f"max_lifetime is more than 0 and at most {MAX_LIFETIME:.0f} s: {self.max_lifetime}")


def ip(host: str) -> Ip | None:
    """A literal address, without its zone and as IPv4 where it is one; None for anything else."""
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
