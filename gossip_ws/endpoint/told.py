"""In what order a device or a proxy names addresses: as it suits whoever is told.

Knows no state of discovery, only its messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gossip_ws.dpws.messages import Hello, Message, ProbeMatches, ResolveMatches, Target, host_of
from gossip_ws.endpoint.paths import DEVICE_PATH
from gossip_ws.kernel.homes import Home, is_link_local, told_to
from gossip_ws.kernel.names import DeviceId


def addresses_of(homes: Iterable[Home], path: str = DEVICE_PATH) -> tuple[str, ...]:
    """The transport addresses of what is at home there, in that order: none has a zone."""
    return tuple(str(home.http.at(path)) for home in homes if home.http is not None)


def suited(
    message: Message, own: DeviceId, homes: Sequence[Home], asker: str, local: str = "", path: str = DEVICE_PATH
) -> Message:
    """What is said to the host `asker` alone, with the addresses of `own` as they suit it: first `local`, the one that
    it asked at. Of whoever else the message names, first those that `asker` may reach: many a client tries one only."""
    here = local.partition("%")[0]
    told = sorted(told_to(homes, asker), key=lambda home: home.local.host != here) if len(homes) > 1 else ()
    xaddrs = addresses_of(told, path)

    def at(target: Target) -> Target:
        if target.device != own:
            return replace(target, xaddrs=_reached_first(target.xaddrs, asker))
        return replace(target, xaddrs=xaddrs) if xaddrs else target

    match message:
        case ProbeMatches(matches=matches):
            return replace(message, matches=tuple(at(target) for target in matches))
        case ResolveMatches(match=Target() as target):
            return replace(message, match=at(target))
        case Hello(target=target):
            return replace(message, target=at(target))
        case _:
            return message


def _reached_first(xaddrs: tuple[str, ...], asker: str) -> tuple[str, ...]:
    """On which link a link-local address lies is not known here: to an asker with another one it means nothing."""

    def rank(uri: str) -> int:
        host = host_of(uri)
        if is_link_local(host):
            return 0 if is_link_local(asker) else 3
        return 1 if (":" in host) == (":" in asker) else 2

    return tuple(sorted(xaddrs, key=rank)) if len(xaddrs) > 1 else xaddrs
