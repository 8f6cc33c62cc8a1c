"""What a search sends, as anybody on the group hears it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from gossip_ws.devices import finding
from gossip_ws.devices.finding import discover, find_service
from gossip_ws.dpws.messages import AppSequence, Hello, Probe, ProbeMatches, Target
from gossip_ws.kernel.names import DEVICE, GRID, METERING, DeviceId, QName, qname
from gossip_ws.net.multicast import Group
from gossip_ws.wire.discovery import decode, encode
from gossip_ws.wire.envelope import message_id

METER = qname(GRID, "SmartMeter")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Joined to a group at a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((Group().host, 0))
        sock.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(Group().host) + socket.inet_aton("127.0.0.1")
        )
        sock.settimeout(5.0)
        yield sock


@pytest.mark.parametrize(("asked", "sent"), [((), (DEVICE,)), ((METER,), (METER,))])
def test_a_probe_always_has_a_type(listener: socket.socket, asked: tuple[QName, ...], sent: tuple[QName, ...]) -> None:
    group = Group(port=listener.getsockname()[1])
    assert asyncio.run(discover(["127.0.0.1"], group, types=asked, scopes=("grid://nobody",), within=0.1)) == ()
    probe = decode(listener.recv(65_535))
    assert isinstance(probe, Probe)
    assert (probe.types, probe.scopes) == (sent, ("grid://nobody",))


def matches(probe: Probe, *targets: Target) -> ProbeMatches:
    return ProbeMatches(targets, AppSequence(1, 1), message_id(), probe.message_id)


def test_only_what_was_asked_for_is_found(listener: socket.socket) -> None:
    """A search takes datagrams from anybody at the port that its Probe came from."""
    asked = Target(DeviceId("urn:uuid:1"), (DEVICE,), (), ("http://127.0.0.1:9/device",))
    unasked = Target(DeviceId("urn:uuid:2"), (DEVICE,), (), ("http://127.0.0.1:9/device",))

    def answer() -> None:
        octets, source = listener.recvfrom(65_535)
        probe = decode(octets)
        assert isinstance(probe, Probe)
        listener.sendto(encode(Hello(unasked, AppSequence(1, 1), message_id())), source)
        listener.sendto(encode(matches(probe, asked)), source)

    async def main() -> list[DeviceId]:
        group = Group(port=listener.getsockname()[1])
        answered = asyncio.create_task(asyncio.to_thread(answer))
        found = await discover(["127.0.0.1"], group, within=1.0)
        await answered
        return [one.device for one in found]

    assert asyncio.run(main()) == [asked.device]


def test_one_answer_names_no_more_devices_than_a_search_takes(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "_MOST", 3)
    named = [Target(DeviceId(f"urn:uuid:{n}"), (DEVICE,), (), ("http://127.0.0.1:9/device",)) for n in range(8)]
    group = Group(port=listener.getsockname()[1])

    def answer() -> None:
        octets, source = listener.recvfrom(65_535)
        probe = decode(octets)
        assert isinstance(probe, Probe)
        listener.sendto(encode(matches(probe, *named)), source)

    async def main() -> int:
        answered = asyncio.create_task(asyncio.to_thread(answer))
        found = await discover(["127.0.0.1"], group, within=1.0)
        await answered
        return len(found)

    assert asyncio.run(main()) == 3


def test_a_search_that_is_given_up_leaves_nothing_to_complain_of() -> None:
    """Ctrl-C while a device takes its time to describe itself."""
    complaints: list[dict[str, object]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        connected = asyncio.Event()
        holding: list[asyncio.StreamWriter] = []

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            holding.append(writer)
            connected.set()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        search = asyncio.create_task(find_service(f"http://127.0.0.1:{port}", qname(METERING, "Metering")))
        await connected.wait()
        search.cancel()
        with pytest.raises(asyncio.CancelledError):
            await search
        for writer in holding:
            writer.close()
        server.close()
        await server.wait_closed()

    asyncio.run(main())
    assert complaints == []
