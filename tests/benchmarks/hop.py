"""One forward hop: a datagram's octets in, three datagrams out. The network only counts, in both.

Ours is the path of a device: SoapServer, codec, verifier, node, endpoint, as composed for real. Every
message is new, so nothing that a codec remembers of contents helps; a second copy of each, by another
sender, is measured apart.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from time import perf_counter

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gossip_ws.core.messages import Content, Gossip, Hop
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.terms import Priority, Tier
from gossip_ws.ports import Caller, Request, Response
from gossip_ws.security.keys import PrivateKey
from gossip_ws.wire.gossip import XmlCodec
from tests.benchmarks.bare import BareRelay
from tests.benchmarks.figures import Figure, compared
from tests.benchmarks.parts import (
    PORT,
    SET_TARIFF,
    StillClock,
    content,
    device_id,
    host,
    peer,
    server,
    tariff,
    verifier,
)

FANOUT = 3
PEERS = 64
CHUNK = 50
MOST = 1.5


class CountingNetwork:
    """A Network that is nothing but a counter."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self, frame: bytes, to: Address) -> None:
        self.sent += 1

    def backlog(self, priority: Priority) -> float:
        return 0.0

    def multicast(self, frame: bytes) -> None:
        """Not in a hop."""

    def request(self, frame: bytes, to: Address, timeout: float, done: Callable[[bytes | None], None]) -> None:
        """Not in a hop."""


def frames(made: list[Content], sender: int) -> list[bytes]:
    """What device `sender` sends of them, one hop from the origin."""
    codec = XmlCodec()
    hop = Hop(device_id(sender), Tier.WAN, rounds=3, hops=1, age=0.012)
    return [codec.encode(Gossip(content, hop)) for content in made]


def measure(rounds: int, messages: int) -> list[Figure]:
    """Unsigned and signed, new and second copies."""
    found: list[Figure] = []
    for name, key in (("unsigned", None), ("signed", PrivateKey.generate())):
        made = [content(SET_TARIFF, tariff(number), key, FANOUT, 4) for number in range(1, messages + 1)]
        first, second = frames(made, 1), frames(made, 2)
        new: list[tuple[float, float]] = []
        again: list[tuple[float, float]] = []
        for number in range(rounds):
            if number % 2:
                bare, ours = _bare(first, second, key), _ours(first, second, key)
            else:
                ours, bare = _ours(first, second, key), _bare(first, second, key)
            new.append((ours[0], bare[0]))
            again.append((ours[1], bare[1]))
        scale = 1e6 / messages
        note = f"{len(first[0])} octets, f={FANOUT}"
        found.append(compared(f"forward hop, {name}", new, scale=scale, unit="us", most=MOST, note=note))
        found.append(compared(f"duplicate, {name}", again, scale=scale, unit="us"))
    return found


def _ours(first: list[bytes], second: list[bytes], key: PrivateKey | None) -> tuple[float, float]:
    network = CountingNetwork()
    clock = StillClock()
    peers = [peer(number) for number in range(1, PEERS + 1)]
    device = server(0, peers, network, clock, XmlCodec(), verifier(key, (SET_TARIFF,), clock))

    def respond(response: Response) -> None:
        raise AssertionError("a datagram of gossip is not answered")

    def run(batch: list[bytes], sender: int) -> float:
        source = Address(Binding.UDP, host(sender), PORT)
        handle, local = device.handle, host(0)
        begun = perf_counter()
        for frame in batch:
            handle(Request(frame, Caller(source, local)), respond)
        return perf_counter() - begun

    taken = _by_chunks(first, second, lambda batch: run(batch, 1), lambda batch: run(batch, 2))
    _check(network.sent, device.endpoint.counters["duplicate"], len(first))
    return taken


def _bare(first: list[bytes], second: list[bytes], key: PrivateKey | None) -> tuple[float, float]:
    sent = 0

    def send(frame: bytes, to: tuple[str, int]) -> None:
        nonlocal sent
        sent += 1

    peers = [(host(number), PORT) for number in range(1, PEERS + 1)]
    keys = {key.id: Ed25519PublicKey.from_public_bytes(key.public.raw)} if key is not None else None
    relay = BareRelay(device_id(0), peers, send, Random(0), keys)

    def run(batch: list[bytes]) -> float:
        receive = relay.receive
        begun = perf_counter()
        for frame in batch:
            receive(frame)
        return perf_counter() - begun

    taken = _by_chunks(first, second, run, run)
    _check(sent, relay.duplicates, len(first))
    return taken


def _by_chunks(
    first: list[bytes], second: list[bytes], new: Callable[[list[bytes]], float], again: Callable[[list[bytes]], float]
) -> tuple[float, float]:
    """Seconds for all the new ones and for all the copies, which come soon after, as they do in a push."""
    total_new = total_again = 0.0
    for begin in range(0, len(first), CHUNK):
        total_new += new(first[begin : begin + CHUNK])
        total_again += again(second[begin : begin + CHUNK])
    return total_new, total_again


def _check(sent: int, duplicates: int, messages: int) -> None:
    # Outside of the timed part: a benchmark of work that was not done is worth nothing.
    if (sent, duplicates) != (FANOUT * messages, messages):
        raise AssertionError(f"{messages} messages gave {sent} sends and {duplicates} duplicates")
