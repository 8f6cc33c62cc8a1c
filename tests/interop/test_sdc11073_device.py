"""A device that sdc11073 makes, and our client: it is found, described, subscribed to, and heard."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from random import Random

import pytest
from peers import works
from providers import Provider, provider
from single_devices import DEADLINE, eventually
from town import wait_for

from gossip_ws.devices.finding import Found, discover, find_events
from gossip_ws.devices.subscriber import Event, Subscriber
from gossip_ws.dpws.effects import Found as FoundEffect
from gossip_ws.dpws.effects import Multicast
from gossip_ws.dpws.messages import AppSequence, Generation, Hello, Target
from gossip_ws.dpws.seeker import Seeker
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DEVICE, QName, qname
from gossip_ws.wire.discovery import decode, encode

LOOPBACK = "127.0.0.1"
MEDICAL = qname("http://standards.ieee.org/downloads/11073/11073-20702-2016", "MedicalDevice")
SERVICES = "http://standards.ieee.org/downloads/11073/11073-20701-2018"
REPORT = "EpisodicContextReport"
ACTION = f"{SERVICES}/ContextService/{REPORT}"
NOW = Instant(0.0, 0.0)


@pytest.fixture(scope="module")
def peer() -> Iterator[Provider]:
    with provider() as made:
        yield made


def found(peer: Provider, *types: QName, directed: bool = False) -> tuple[Found, ...]:
    """A directed Probe is what a proxy would be asked."""
    proxy = Address.parse(peer.url) if directed else None
    return asyncio.run(discover([LOOPBACK], peer.group, types=types, within=1.5, proxy=proxy))


@works("sdc11073", "found")
@pytest.mark.parametrize("directed", [False, True], ids=["multicast", "directed"])
def test_ours_finds_it_and_reads_what_it_is(peer: Provider, directed: bool) -> None:
    """WSDBIT 1.3, 1.4. To a Probe it gives addresses at once; the Get that follows tells the services. A directed Probe
    it answers whatever its types are, and ours takes that for no match."""
    (device,) = eventually(lambda: found(peer, MEDICAL, directed=directed))
    assert set(device.types) == {DEVICE, MEDICAL}
    assert device.addresses == (peer.url,)
    assert device.service(qname(SERVICES, "GetService")) is not None
    assert found(peer, qname("urn:nobody", "Nothing"), directed=directed) == ()


@works("sdc11073", "found")
def test_ours_resolves_it(peer: Provider) -> None:
    """WSDBIT 1.2. Its Hello and matches bear addresses always, so a Hello without stands for what another device might
    say."""
    (device,) = eventually(lambda: found(peer, MEDICAL))
    seeker = Seeker(dice=Random(1))
    bare = Target(device.device, device.types, (), (), 1)
    asking, *_ = seeker.receive(Hello(bare, AppSequence(1, 1), "urn:uuid:hello"), Address.parse(peer.url), NOW)
    assert isinstance(asking, Multicast)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
        sock.settimeout(DEADLINE)
        sock.bind((LOOPBACK, 0))
        sock.sendto(encode(asking.message), (peer.group.host, peer.group.port))
        answer = decode(sock.recv(65_535))
    assert answer is not None
    (resolved,) = seeker.receive(answer, Address.parse(peer.url), NOW)
    assert isinstance(resolved, FoundEffect)
    assert (resolved.target.xaddrs, resolved.generation) == ((peer.url,), Generation.OASIS)


class Listening:
    """A subscriber, and what it heard and said."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.lines: list[str] = []

    def run(self, peer: Provider, story: Callable[[Subscriber, str], Awaitable[None]]) -> None:
        """The story is told the address of the event source."""

        async def main() -> None:
            (source,) = await find_events(peer.url, (REPORT,))
            assert source.events == {REPORT: ACTION}
            subscriber = Subscriber(LOOPBACK, self.events.append, self.lines.append, expires=2.0)
            await subscriber.open()
            try:
                await story(subscriber, source.address)
            finally:
                await subscriber.close()
            assert subscriber.counters["malformed"] == 0

        asyncio.run(main())


async def until(condition: Callable[[], object], what: str) -> None:
    """In the subscriber's loop, which has to go on meanwhile."""
    await asyncio.to_thread(wait_for, condition, what)


@works("sdc11073", "tells")
def test_ours_subscribes_renews_and_unsubscribes(peer: Provider) -> None:
    """WSDBIT 4.1, 4.2. Three renewals are more than the first subscription would have lasted; a second one witnesses
    the silence."""
    told, witness = Listening(), Listening()

    async def story(subscriber: Subscriber, source: str) -> None:
        held = await subscriber.subscribe(source, (ACTION,))
        assert held.granted.expires == 2.0
        peer.publish(bed="8")
        await until(lambda: len(told.events) == 1, "the first event")
        await until(lambda: held.renewals >= 3, "three renewals")
        peer.publish(bed="9")
        await until(lambda: len(told.events) == 2, "the second event")
        await subscriber.unsubscribe(held)
        assert subscriber.counters["not unsubscribed"] == 0

    told.run(peer, story)

    async def silence(subscriber: Subscriber, source: str) -> None:
        await subscriber.subscribe(source, (ACTION,))
        peer.publish(bed="10")
        await until(lambda: witness.events, "the witness's event")

    witness.run(peer, silence)
    assert [one.action for one in told.events] == [ACTION, ACTION]
    assert all(one.payload is not None and one.payload.tag.endswith("}" + REPORT) for one in told.events)
    assert told.lines == witness.lines == []


@works("sdc11073", "tells")
def test_ours_ends_one_of_two(peer: Provider) -> None:
    """WSDBIT 4.3. Each takes events at a path of its own, so one that was ended would show as a second event."""
    told = Listening()

    async def story(subscriber: Subscriber, source: str) -> None:
        one, _ = [await subscriber.subscribe(source, (ACTION,)) for _ in range(2)]
        peer.publish(bed="11")
        await until(lambda: len(told.events) == 2, "an event for each")
        await subscriber.unsubscribe(one)
        for number in (3, 4):
            peer.publish(bed=f"{number}0")
            await until(lambda number=number: len(told.events) >= number, "an event for the other")  # type: ignore[misc]
        assert len(told.events) == 4

    told.run(peer, story)


@works("sdc11073", "tells")
def test_ours_is_told_when_it_goes() -> None:
    """Of the status it sends the last part alone, where WS-Eventing has a URI."""
    told = Listening()
    with provider() as peer:

        async def story(subscriber: Subscriber, source: str) -> None:
            await subscriber.subscribe(source, (ACTION,))
            await asyncio.to_thread(peer.stop)
            await until(lambda: told.lines, "the end")

        told.run(peer, story)
    assert " SourceShuttingDown " in told.lines[0]
