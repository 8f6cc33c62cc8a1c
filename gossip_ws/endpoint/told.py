"""In what order a device or a proxy names its own addresses: as it suits whoever is told.

Knows no state of discovery, only its messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gossip_ws.dpws.messages import Hello, Message, ProbeMatches, ResolveMatches, Target
from gossip_ws.endpoint.paths import DEVICE_PATH
from gossip_ws.kernel.homes import Home, told_to
from gossip_ws.kernel.names import DeviceId


def addresses_of(homes: Iterable[Home], path: str = DEVICE_PATH) -> tuple[str, ...]:
    """The transport addresses of what is at home there, in that order: none has a zone."""
    return tuple(str(home.http.at(path)) for home in homes if home.http is not None)


def suited(
    message: Message, own: DeviceId, homes: Sequence[Home], asker: str, local: str = "", path: str = DEVICE_PATH
) -> Message:
    """What is said to the host `asker` alone, with the addresses of `own` as they suit it: first `local`, the one that
    it asked at. What else the message names stays as it is."""
    here = local.partition("%")[0]
    told = sorted(told_to(homes, asker), key=lambda home: home.local.host != here) if len(homes) > 1 else ()
    xaddrs = addresses_of(told, path)

    def at(target: Target) -> Target:
        return replace(target, xaddrs=xaddrs) if target.device == own else target

    match message:
        case ProbeMatches(matches=matches) if xaddrs:
            return replace(message, matches=tuple(at(target) for target in matches))
        case ResolveMatches(match=Target() as target) if xaddrs:
            return replace(message, match=at(target))
        case Hello(target=target) if xaddrs:
            return replace(message, target=at(target))
        case _:
            return message
