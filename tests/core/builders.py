"""What the stories of this folder are built from."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from random import Random

from gossip_ws.core.config import FanoutTable, NodeConfig
from gossip_ws.core.messages import Content, Gossip, Hop, Neighbor, NeighborReply
from gossip_ws.core.node import Node
from gossip_ws.core.peers import Peer, Role
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.effects import Send
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId, GossipId
from gossip_ws.kernel.terms import Budget, Filter, Priority, Style, Terms, Tier, Variant

ACTION = "urn:test:Act"
NOW = Instant(0.0, 1_000_000.0)
ROLES = {"is": Role.INFORMATION_SYSTEM, "ssc": Role.SUBSTATION, "sm": Role.METER, "ied": Role.APPLIANCE}


def device(name: str) -> DeviceId:
    digest = sha256(name.encode()).hexdigest()[:32]
    return DeviceId(f"urn:uuid:{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}")


def address(name: str) -> Address:
    return Address(Binding.UDP, f"host-{name}", 3702, "/gossip")


def peer(name: str, subtree: int = 1, scope: str = "grid://t") -> Peer:
    """`name` is a role and a number: ssc1, sm12, ied3, is0."""
    role = ROLES[name.rstrip("0123456789")]
    return Peer(device(name), role, (), (scope,), address(name), None, subtree)


def node(name: str, *peers: Peer, booted: Instant = NOW, **settings: object) -> Node:
    """A node that knows `peers`, up since `booted`, whose chance is fixed."""
    config = NodeConfig(
        device=device(name),
        role=ROLES[name.rstrip("0123456789")],
        scopes=("grid://t",),
        udp=address(name),
        wide=FanoutTable(((1_000_000, 3, 2),)),
        field=FanoutTable(((1_000_000, 2, 1),)),
    )
    built = Node(replace(config, **settings), Random(7), booted, {ACTION})  # type: ignore[arg-type]
    for known in peers:
        assert built.peers.put(known, NOW.monotonic + 1e9, proven=True)
    return built


def befriend(ssc: Node, *names: str) -> None:
    """Each of `names`, known to `ssc`, becomes its neighbour."""
    for name in names:
        (reply,) = ssc.receive(Neighbor(device(name), "", peer(name), urgent=False), address(name), NOW)
        assert reply == Send(NeighborReply(ssc.config.device, "", accepted=True), (address(name),))


def terms(style: Style = Style.ONE_WAY, **changes: object) -> Terms:
    request = style is Style.REQUEST_RESPONSE
    fixed = Terms(
        variant=Variant.EAGER_PUSH,
        style=style,
        binding=Binding.UDP,
        priority=Priority.NORMAL,
        budgets=(Budget(Tier.WAN, 3, 2), Budget(Tier.FAN, 2, 1), Budget(Tier.HAN, 0, 0)),
        types=(),
        scopes=(),
        originator="unsigned",
        issued=NOW.wall,
        expires=NOW.wall + 60,
        filter=Filter(name="sum") if request else None,
        timeout=10.0 if request else 0.0,
    )
    return replace(fixed, **changes)  # type: ignore[arg-type]


def content(text: str = "one", style: Style = Style.ONE_WAY, **changes: object) -> Content:
    return Content(
        GossipId(sha256(text.encode()).digest()), ACTION, terms(style, **changes), text.encode(), None, b"sealed"
    )


def gossip(sender: str, what: Content, tier: Tier = Tier.WAN, rounds: int = 1, **changes: object) -> Gossip:
    request = what.terms.style is Style.REQUEST_RESPONSE
    hop = Hop(
        device(sender),
        tier,
        rounds,
        hops=1,
        age=0.5,
        remaining=8.0 if request else 0.0,
        ancestors=(device(sender),) if request else (),
        receipt=request,
    )
    return Gossip(what, hop._replace(**changes))  # type: ignore[arg-type]


def at(seconds: float) -> Instant:
    """`seconds` after NOW."""
    return Instant(NOW.monotonic + seconds, NOW.wall + seconds)
