"""Which addresses are this machine's. Reads the interfaces each time, so a change is seen on the next call."""

from __future__ import annotations

import socket

from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.homes import Local

_LOOPBACK = b"\x7f"
_WHOLE = {4: 32, 16: 128}


def packed(host: str) -> bytes | None:
    """The octets of an IPv4 or IPv6 literal, its zone (`%eth0`) left out; None when it is no literal."""
    bare = host.partition("%")[0]
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, bare)
        except (OSError, ValueError):
            continue
    return None


def socket_address(host: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """What `socket` takes for a literal: the zone of a link-local one as a number. Raises OSError when this machine
    has no such interface."""
    bare, _, zone = host.partition("%")
    return (bare, port, 0, socket.if_nametoindex(zone)) if zone else (host, port)


def zone_of(name: tuple[str, int, int, int]) -> str:
    """The zone of a socket's IPv6 address, as `%eth0`; empty where it has none, or the interface is gone."""
    try:
        return f"%{socket.if_indextoname(name[3])}" if name[3] else ""
    except OSError:
        return ""


def present() -> tuple[Local, ...]:
    """Every address of this machine as of now, in the system's order of interfaces, IPv4 before IPv6."""
    import netifaces

    found = []
    for name in netifaces.interfaces():
        try:
            families, index = netifaces.ifaddresses(name), socket.if_nametoindex(name)
        except (OSError, ValueError):
            # Taken away between the two questions.
            continue
        for entry in (*families.get(netifaces.AF_INET, ()), *families.get(netifaces.AF_INET6, ())):
            host = entry.get("addr", "").partition("%")[0]
            octets = packed(host)
            if octets is not None:
                found.append(Local(host, name, index, _prefix(entry.get("netmask", ""), len(octets))))
    return tuple(found)


def locate(host: str, known: tuple[Local, ...]) -> Local | None:
    """The one of `known` that `host` is, which a zone narrows down. All of 127.0.0.0/8 is the loopback interface's."""
    bare, _, zone = host.partition("%")
    octets = packed(host)
    if octets is None:
        return None
    for one in known:
        if packed(one.host) == octets and zone in ("", one.interface):
            return one
        if octets.startswith(_LOOPBACK) and len(octets) == 4 and (packed(one.host) or b"").startswith(_LOOPBACK):
            return Local(bare, one.interface, one.index, one.prefix)
    return None


def by_interface() -> dict[str, tuple[str, ...]]:
    """IPv4 and IPv6 literals of each interface that has any, as the system writes them (link-local with zone)."""
    # Imported here: only the start of a device and the watching of interfaces need the extension module.
    import netifaces

    found: dict[str, tuple[str, ...]] = {}
    for name in netifaces.interfaces():
        families = netifaces.ifaddresses(name)
        entries = [*families.get(netifaces.AF_INET, ()), *families.get(netifaces.AF_INET6, ())]
        if addresses := tuple(entry["addr"] for entry in entries if "addr" in entry):
            found[name] = addresses
    return found


def owns(host: str) -> bool:
    """Is `host` an address of this machine? The whole of 127.0.0.0/8 is; a wildcard or a name is not."""
    octets = packed(host)
    if octets is None:
        return False
    if len(octets) == 4 and octets.startswith(_LOOPBACK):
        return True
    return any(octets == packed(address) for addresses in by_interface().values() for address in addresses)


def require(host: str) -> None:
    """Raises LocalError, in one line that names what there is, unless `owns(host)`."""
    if not owns(host):
        known = ", ".join(f"{name} {' '.join(addresses)}" for name, addresses in by_interface().items())
        raise LocalError(f"not an address of this machine: {host!r} (it has {known or 'none'})")


def _prefix(netmask: str, octets: int) -> int:
    """Bits of a netmask as netifaces tells it, `255.255.255.0` or `ffff:ffff::/32`; all where it tells none."""
    mask, _, bits = netmask.partition("/")
    if bits.isdigit():
        return min(int(bits), _WHOLE[octets])
    masked = packed(mask)
    return sum(octet.bit_count() for octet in masked) if masked is not None else _WHOLE[octets]
