"""Which addresses are this machine's. Reads the interfaces each time, so a change is seen on the next call."""

from __future__ import annotations

import socket

from gossip_ws.kernel.errors import LocalError

_LOOPBACK = b"\x7f"


def packed(host: str) -> bytes | None:
    """The octets of an IPv4 or IPv6 literal, its zone (`%eth0`) left out; None when it is no literal."""
    bare = host.partition("%")[0]
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, bare)
        except (OSError, ValueError):
            continue
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
