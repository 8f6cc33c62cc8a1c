"""SOAP-over-UDP as DPWS times it, seen from outside: a socket of the test's own, and the system's time stamps.

When each copy is due is chosen in `dpws.repetition`, and its tests hold the upper bound; here it is seen that what
leaves a real socket is that, and nothing else.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from gossip_ws.core.peers import Role
from gossip_ws.devices.config import DeviceConfig, Security
from gossip_ws.devices.proxy import ProxySettings, RunningProxy
from gossip_ws.devices.single import Single
from gossip_ws.dpws.messages import Bye, Generation, Hello, Message, Probe, ProbeMatches, Resolve, ResolveMatches
from gossip_ws.dpws.repetition import UDP_MIN_DELAY
from gossip_ws.grid.population import device_id
from gossip_ws.kernel.names import DEVICE
from gossip_ws.net.multicast import Group
from gossip_ws.wire.discovery import decode, encode
from gossip_ws.wire.envelope import MAX_UDP_ENVELOPE, message_id

HOST, CLIENT = "127.0.10.1", "127.0.10.9"
SCOPE = "grid://town/udp/1"
# From asm-generic/socket.h; the socket module lacks it.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")


@dataclass(frozen=True)
class Seen:
    """One datagram, and when the system took it (s)."""

    octets: bytes
    at: float
    source: tuple[str, int]

    @property
    def message(self) -> Message:
        found = decode(self.octets)
        assert found is not None
        return found


class Ear:
    """A plain socket that keeps what comes with the time of its arrival, whenever it is read."""

    def __init__(self, group: Group | None = None) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        if group is None:
            self.socket.bind((CLIENT, 0))
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(CLIENT))
        else:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind((group.host, group.port))
            member = socket.inet_aton(group.host) + socket.inet_aton(HOST)
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        self.seen: list[Seen] = []

    def close(self) -> None:
        self.socket.close()

    def send(self, frame: bytes, to: tuple[str, int]) -> None:
        self.socket.sendto(frame, to)

    def listen(self) -> list[Seen]:
        """All that has come until now, or until it was closed."""
        while self.socket.fileno() >= 0:
            try:
                octets, ancillary, _, source = self.socket.recvmsg(65_535, 64)
            except BlockingIOError:
                return self.seen
            ((_, _, stamp),) = ancillary
            seconds, nanoseconds = _TIMESPEC.unpack(stamp)
            self.seen.append(Seen(octets, seconds + nanoseconds / 1e9, source))
        return self.seen

    def copies(self, kind: type[Message]) -> list[list[Seen]]:
        """The datagrams of each message of a kind, in order."""
        found: dict[str, list[Seen]] = {}
        for one in self.listen():
            if isinstance(one.message, kind):
                found.setdefault(one.message.message_id, []).append(one)
        return list(found.values())


async def eventually(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(15.0):
        while not condition():  # noqa: ASYNC110 - what it waits for is in another socket's buffer
            await asyncio.sleep(0.02)


def free_group() -> Group:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.bind((HOST, 0))
        return Group(port=sock.getsockname()[1])


def device(group: Group) -> Single:
    identity = device_id(SCOPE)
    return Single(DeviceConfig(Role.METER, (HOST,), (SCOPE,), Security(), identity=identity, discovery=group))


def run(story: Callable[[Single, Ear, Ear, Group], Awaitable[None]]) -> Ear:
    """`story(device, client, group's ear, group)` with a running device; what the group heard until it had left."""
    group = free_group()

    async def play() -> None:
        single = device(group)
        await single.open()
        try:
            await story(single, client, heard, group)
        finally:
            await single.close()

    with closing(Ear(group)) as heard, closing(Ear()) as client:
        asyncio.run(play())
        heard.listen()
        return heard


def check_copies(messages: list[list[Seen]], count: int) -> None:
    """U1, U2: each message leaves twice, the same octets, not less than 50 ms apart."""
    assert len(messages) == count
    for first, second in messages:
        assert first.octets == second.octets
        assert len(first.octets) <= MAX_UDP_ENVELOPE
        # Not more than 250 ms is what is drawn (tests/dpws/test_repetition.py); a busy machine adds what it likes.
        assert second.at - first.at >= UDP_MIN_DELAY - 0.002


def test_hello_and_bye_leave_twice_in_each_generation() -> None:
    async def story(single: Single, client: Ear, heard: Ear, group: Group) -> None:
        await eventually(lambda: [len(copies) for copies in heard.copies(Hello)] == [2, 2])

    heard = run(story)
    for kind in (Hello, Bye):
        messages = heard.copies(kind)
        check_copies(messages, 2)
        assert [copies[0].message.generation for copies in messages] == list(Generation)
    numbers = [one[0].message.app.message_number for kind in (Hello, Bye) for one in heard.copies(kind)]  # type: ignore[union-attr]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("generation", Generation)
def test_a_request_that_is_repeated_is_answered_once_and_the_answer_twice(generation: Generation) -> None:
    """U3 to U5: to the group and to the device alone, from and to an ephemeral port."""

    async def story(single: Single, client: Ear, heard: Ear, group: Group) -> None:
        udp = single.host.network.udp
        assert udp is not None
        probes = [Probe(message_id(), (DEVICE,), (SCOPE,), generation=generation) for _ in range(2)]
        resolve = Resolve(single.host.settings.device, message_id(), generation=generation)
        for _ in range(3):
            client.send(encode(probes[0]), (group.host, group.port))
            client.send(encode(resolve), (group.host, group.port))
            client.send(encode(probes[1]), (HOST, udp.port))
        await eventually(lambda: len(client.listen()) == 6)
        check_copies([*client.copies(ProbeMatches), *client.copies(ResolveMatches)], 3)
        asked = {probe.message_id for probe in probes} | {resolve.message_id}
        answers = [one.message for one in client.seen]
        assert {answer.relates_to for answer in answers} == asked  # type: ignore[union-attr]
        assert {answer.generation for answer in answers} == {generation}
        assert {one.source for one in client.seen} == {(HOST, udp.port)}

    run(story)


def test_the_last_octet_of_a_datagram() -> None:
    """U6: 4,096 octets are taken, 4,097 are not."""

    async def story(single: Single, client: Ear, heard: Ear, group: Group) -> None:
        udp = single.host.network.udp
        assert udp is not None
        for to in ((group.host, group.port), (HOST, udp.port)):
            for octets in (4_097, 4_096):
                frame = encode(Probe(f"urn:m:{octets}:{to[1]}", (DEVICE,), (SCOPE,)))
                client.send(frame.replace(b"<s12:Body>", b"<s12:Body>" + b" " * (octets - len(frame))), to)
        await eventually(lambda: len(client.listen()) == 4)
        answered = {one.message.relates_to for one in client.seen}  # type: ignore[union-attr]
        assert answered == {f"urn:m:4096:{port}" for port in (group.port, udp.port)}

    run(story)


def junk(dice: Random) -> list[bytes]:
    """What the network may hold: cut, changed, bombs, and what is well-formed and no message."""
    whole = [
        encode(message)
        for generation in Generation
        for message in (
            Probe(message_id(), (DEVICE,), (SCOPE,), generation=generation),
            Resolve(device_id("grid://elsewhere"), message_id(), generation=generation),
        )
    ]
    found = [b"", b"\0", b"<", b"<a/>", b"\xff" * 4_096, b"<!DOCTYPE a [<!ENTITY b '" + b"c" * 900 + b"'>]><a>&b;</a>"]
    found += [b" " * 65_000, whole[0].replace(b"2003/05/soap-envelope", b"2001/12/soap-envelope")]
    found.append(whole[0].replace(b"<s12:Body>", b"<s12:Body>" + b"<x>" * 500 + b"</x>" * 500))
    for _ in range(400):
        frame = bytearray(dice.choice(whole))
        for _ in range(dice.randrange(1, 8)):
            at = dice.randrange(len(frame))
            frame[at : at + dice.randrange(6)] = dice.randbytes(dice.randrange(6))
        found.append(bytes(frame[: dice.randrange(1, len(frame))]) if dice.random() < 0.3 else bytes(frame))
    return found


def test_junk_is_met_with_silence_and_the_listeners_survive() -> None:
    """U7. What the junk happens to leave whole may be answered; nothing else is, and no fault is."""

    async def story(single: Single, client: Ear, heard: Ear, group: Group) -> None:
        udp = single.host.network.udp
        assert udp is not None
        dice = Random(11)
        for frame in junk(dice):
            for to in ((group.host, group.port), (HOST, udp.port)):
                client.send(frame, to)
            # The device's turn: a burst of all of it would be dropped by the system and prove nothing.
            await asyncio.sleep(0)
        last = Probe(message_id(), (DEVICE,), (SCOPE,))
        for number, to in enumerate(((group.host, group.port), (HOST, udp.port))):
            client.send(encode(replace(last, message_id=f"urn:last:{number}")), to)
        relating = lambda: {getattr(one.message, "relates_to", "") for one in client.listen()}  # noqa: E731
        await eventually(lambda: {"urn:last:0", "urn:last:1"} <= relating())
        assert {type(one.message) for one in client.seen} <= {ProbeMatches, ResolveMatches}

    run(story)


def test_what_a_proxy_says_to_quiet_the_group_leaves_twice() -> None:
    async def story() -> None:
        group = free_group()
        async with AsyncExitStack() as stack:
            proxy = RunningProxy(ProxySettings((HOST,), group=group))
            await proxy.open()
            stack.push_async_callback(proxy.close)
            probe = Probe(message_id(), (DEVICE,))
            for _ in range(2):
                client.send(encode(probe), (group.host, group.port))
            await eventually(lambda: len(client.listen()) == 2)
            check_copies(client.copies(Hello), 1)
            assert {one.message.relates_to for one in client.seen} == {probe.message_id}  # type: ignore[union-attr]

    with closing(Ear()) as client:
        asyncio.run(story())
