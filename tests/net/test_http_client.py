"""The HTTP client against servers that a test scripts: pooling, bounds, broken and rude peers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Priority
from gossip_ws.net.counters import Counters, Drop
from gossip_ws.net.http_client import ClientLimits, HttpClient

SERVER, CLIENT = "127.44.0.1", "127.44.0.2"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def run(main):
    async def bounded():
        async with asyncio.timeout(5):
            await main()

    asyncio.run(bounded())


class Peer:
    """A server that reads each request (head and counted body) and plays `script(peer, request, writer)`."""

    def __init__(self, script):
        self.requests = []
        self.connections = 0
        self.open = 0
        self.most = 0
        self.changed = asyncio.Event()
        self._script = script
        self.address = None

    async def serve(self, reader, writer):
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        self.changed.set()
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                self.requests.append(head + await reader.readexactly(length))
                self.changed.set()
                if await self._script(self, self.requests[-1], writer) is False:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            self.changed.set()
            writer.close()

    async def until(self, predicate):
        while not predicate():
            self.changed.clear()
            await self.changed.wait()


async def ok(peer, request, writer):
    writer.write(OK)


@asynccontextmanager
async def peer_with(script=ok, host=SERVER):
    peer = Peer(script)
    server = await asyncio.start_server(peer.serve, host, 0)
    peer.address = Address(Binding.HTTP, host, server.sockets[0].getsockname()[1])
    try:
        yield peer
    finally:
        server.close()
        # What the handlers' tasks still have to see: that their clients have gone.
        await peer.until(lambda: peer.open == 0)


@asynccontextmanager
async def a_client(limits=None, host=CLIENT):
    client = HttpClient(host, Counters(), limits)
    try:
        yield client
    finally:
        await client.close()
        await asyncio.sleep(0)


def ask(client, frame, to, timeout=2.0):
    future = asyncio.get_running_loop().create_future()
    client.request(frame, to, timeout, future.set_result)
    return future


def test_a_post_says_what_it_is():
    async def main():
        async with peer_with() as peer, a_client() as client:
            assert await ask(client, b"<e/>", peer.address.at("/p?q")) == b"ok"
            [request] = peer.requests
            head, _, body = request.partition(b"\r\n\r\n")
            assert head.split(b"\r\n") == [
                b"POST /p?q HTTP/1.1",
                b"Host: 127.44.0.1:%d" % peer.address.port,
                b"Content-Type: application/soap+xml; charset=utf-8",
                b"Content-Length: 4",
            ]
            assert body == b"<e/>"
            counters = client.counters
            assert (counters.http_sent, counters.http_sent_octets) == (1, 4)
            assert (counters.http_received, counters.http_received_octets) == (1, 2)

    run(main)


def test_a_hundred_requests_one_after_the_other_use_one_connection():
    async def main():
        async with peer_with() as peer, a_client() as client:
            for _ in range(100):
                assert await ask(client, b"x", peer.address) == b"ok"
            assert (len(peer.requests), peer.connections) == (100, 1)

    run(main)


def test_connections_per_target_are_bounded_and_the_rest_waits_its_turn():
    async def main():
        async with peer_with() as peer, a_client(ClientLimits(per_target=2)) as client:
            answers = await asyncio.gather(*(ask(client, b"x", peer.address) for _ in range(50)))
            assert answers == [b"ok"] * 50
            assert peer.most == peer.connections == 2

    run(main)


def test_connections_in_total_are_bounded_and_idle_ones_make_room():
    async def main():
        limits = ClientLimits(connections=3)
        async with a_client(limits) as client:
            opened = [peer_with(host=f"127.44.1.{n}") for n in range(1, 9)]
            peers = [await context.__aenter__() for context in opened]
            answers = await asyncio.gather(*(ask(client, b"x", peer.address) for peer in peers for _ in range(3)))
            assert answers == [b"ok"] * 24
            assert len(client._links) <= 3
            await client.close()
            for context in opened:
                await context.__aexit__(None, None, None)
            assert client._targets == {}
            assert (client._open, client._queued) == (0, 0)

    run(main)


def test_a_full_queue_drops_at_once():
    async def never(peer, request, writer):
        await asyncio.Event().wait()

    async def main():
        peer = Peer(never)
        server = await asyncio.start_server(peer.serve, SERVER, 0)
        peer.address = Address(Binding.HTTP, SERVER, server.sockets[0].getsockname()[1])
        client = HttpClient(CLIENT, Counters(), ClientLimits(per_target=1, queue=2))
        futures = [ask(client, b"x", peer.address) for _ in range(5)]
        assert await futures[3] is None
        assert await futures[4] is None
        assert client.counters.dropped == {Drop.HTTP_QUEUE: 2}
        await client.close()
        assert await asyncio.gather(*futures[:3]) == [None] * 3
        assert client.counters.dropped == {Drop.HTTP_QUEUE: 2, Drop.CLOSED: 3}
        server.close()

    run(main)


@asynccontextmanager
async def silent_peers(count):
    """Addresses that take connections and never answer."""
    addresses = []

    async def never(reader, writer):
        await reader.read()
        writer.close()

    servers = []
    for number in range(count):
        server = await asyncio.start_server(never, f"127.44.3.{number + 1}", 0)
        servers.append(server)
        host, port = server.sockets[0].getsockname()
        addresses.append(Address(Binding.HTTP, host, port))
    yield addresses
    for server in servers:
        server.close()


def message(priority, number=0):
    return b'<g:Terms xmlns:g="urn:gossip-ws:2026" Priority="%d">%04d</g:Terms>' % (priority, number)


def test_a_device_that_takes_connections_and_never_answers_holds_up_its_own_messages_only():
    async def main():
        async with silent_peers(1) as [dead], a_client(ClientLimits(waiting=20, queue=100)) as client:
            opened = [peer_with(host=f"127.44.1.{n}") for n in range(1, 21)]
            peers = [await context.__aenter__() for context in opened]
            for number in range(100):
                client.send(message(Priority.NORMAL, number), dead)
            # Two are on their connections, twenty wait, the rest went at once.
            assert client.counters.dropped == {Drop.HTTP_QUEUE: 78}
            answers = await asyncio.gather(*(ask(client, b"x", peer.address) for peer in peers for _ in range(5)))
            assert answers == [b"ok"] * 100
            assert client.counters.dropped == {Drop.HTTP_QUEUE: 78}, "the others lost nothing"
            assert client.counters.crowded_out == {(Drop.HTTP_QUEUE, Priority.NORMAL): 78}
            await client.close()
            for context in opened:
                await context.__aexit__(None, None, None)

    run(main)


def test_when_all_places_are_taken_whoever_has_most_waiting_gives_way():
    async def main():
        async with silent_peers(2) as (many, few), a_client(ClientLimits(per_target=1, queue=10)) as client:
            held = [ask(client, message(Priority.NORMAL, number), many) for number in range(11)]
            late = [ask(client, message(Priority.NORMAL, number), few) for number in range(4)]
            assert await asyncio.gather(*held[-3:]) == [None] * 3
            assert not any(one.done() for one in (*held[:-3], *late))
            assert client.counters.dropped == {Drop.HTTP_QUEUE: 3}
            await client.close()

    run(main)


def test_the_urgent_are_posted_first_and_the_least_urgent_go_when_there_are_too_many():
    async def main():
        free = asyncio.Event()

        async def held(peer, request, writer):
            await free.wait()
            writer.write(OK)

        async with peer_with(held) as peer, a_client(ClientLimits(per_target=1, waiting=4)) as client:
            first = ask(client, message(Priority.BULK), peer.address)
            order = [Priority.BULK, Priority.NORMAL, Priority.STATUS, Priority.BULK, Priority.PROTECTION]
            waiting = [ask(client, message(priority, at), peer.address) for at, priority in enumerate(order)]
            assert await waiting[3] is None
            assert client.counters.crowded_out == {(Drop.HTTP_QUEUE, Priority.BULK): 1}
            free.set()
            assert await asyncio.gather(first, *waiting) == [b"ok", b"ok", b"ok", b"ok", None, b"ok"]
            sent = [int(request[-len("0000</g:Terms>") :][:4]) for request in peer.requests[1:]]
            assert sent == [4, 2, 1, 0]

    run(main)


def test_those_that_did_not_answer_share_a_quarter_of_the_connections():
    async def main():
        async with silent_peers(8) as dead, a_client(ClientLimits(connections=8)) as client:
            assert await asyncio.gather(*(ask(client, b"x", to, 0.05) for to in dead)) == [None] * 8
            assert client.counters.dropped == {Drop.TIMEOUT: 8}
            for to in dead:
                for _ in range(5):
                    client.send(b"x", to)
            async with peer_with() as peer:
                # Six connections are left, and two of them are as many as one target gets.
                assert await asyncio.gather(*(ask(client, b"x", peer.address) for _ in range(20))) == [b"ok"] * 20
                silent = [target for target in client._targets.values() if target.host.startswith("127.44.3.")]
                assert sum(target.open for target in silent) == 2
                await client.close()

    run(main)


def test_a_target_that_answers_again_is_as_good_as_any():
    async def main():
        answering = asyncio.Event()

        async def at_last(peer, request, writer):
            if not answering.is_set():
                await asyncio.Event().wait()
            writer.write(OK)

        peer = Peer(at_last)
        server = await asyncio.start_server(peer.serve, SERVER, 0)
        peer.address = Address(Binding.HTTP, SERVER, server.sockets[0].getsockname()[1])
        client = HttpClient(CLIENT, Counters(), ClientLimits())
        assert await ask(client, b"x", peer.address, 0.02) is None
        assert list(client._silent) == [(SERVER, peer.address.port)]
        answering.set()
        assert await ask(client, b"x", peer.address) == b"ok"
        assert client._silent == {}
        await client.close()
        server.close()

    run(main)


def test_time_runs_for_those_who_wait_too():
    async def main():
        free = asyncio.Event()

        async def held(peer, request, writer):
            await free.wait()
            writer.write(OK)

        async with peer_with(held) as peer, a_client(ClientLimits(per_target=1)) as client:
            first = ask(client, b"first", peer.address)
            second = ask(client, b"second", peer.address, 0.02)
            third = ask(client, b"third", peer.address)
            assert await second is None
            free.set()
            assert await asyncio.gather(first, third) == [b"ok", b"ok"]
            assert [request[-5:] for request in peer.requests] == [b"first", b"third"]
            assert client.counters.dropped == {Drop.TIMEOUT: 1}
            assert client._queued == 0

    run(main)


def test_a_connection_closed_while_idle_is_not_noticed_by_the_next_request():
    async def once(peer, request, writer):
        writer.write(OK)
        return False

    async def main():
        async with peer_with(once) as peer, a_client() as client:
            for _ in range(3):
                assert await ask(client, b"x", peer.address) == b"ok"
            assert client.counters.dropped == {}
            assert len(peer.requests) == 3

    run(main)


def test_a_kept_connection_that_ends_unanswered_is_tried_once_more_on_a_new_one():
    async def second_unanswered(peer, request, writer):
        if len(peer.requests) == 2:
            return False
        writer.write(OK)
        return None

    async def main():
        async with peer_with(second_unanswered) as peer, a_client() as client:
            assert await ask(client, b"1", peer.address) == b"ok"
            assert await ask(client, b"2", peer.address) == b"ok"
            assert [request[-1:] for request in peer.requests] == [b"1", b"2", b"2"]

    run(main)


def test_a_new_connection_that_ends_unanswered_is_not_tried_again():
    async def hang_up(peer, request, writer):
        return False

    async def main():
        async with peer_with(hang_up) as peer, a_client() as client:
            assert await ask(client, b"1", peer.address) is None
            assert len(peer.requests) == 1
            assert client.counters.dropped == {Drop.BROKEN: 1}

    run(main)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>not HTTP</html>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n" + bytes(65_537),
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(65_537),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    ],
    ids=["junk", "truncated", "too long", "endless", "bad chunk", "endless header"],
)
def test_a_response_that_is_none_is_counted(answer):
    async def say(peer, request, writer):
        writer.write(answer)
        return False

    async def main():
        async with peer_with(say) as peer, a_client() as client:
            assert await ask(client, b"x", peer.address) is None
            assert client.counters.dropped == {Drop.BROKEN: 1}
            assert client._links == set()

    run(main)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        b"HTTP/1.1 500 Fault\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    ],
)
def test_every_way_to_frame_a_response_is_read(answer):
    async def say(peer, request, writer):
        writer.write(answer)
        return b"1.0" not in answer

    async def main():
        async with peer_with(say) as peer, a_client() as client:
            assert await ask(client, b"x", peer.address) == b"ok"

    run(main)


@pytest.mark.parametrize("at_once", [True, False])
def test_an_unasked_response_closes_the_connection(at_once):
    async def twice(peer, request, writer):
        writer.write(OK * 2 if at_once else OK)
        if not at_once:
            await answered.wait()
            writer.write(OK)

    answered = asyncio.Event()

    async def main():
        async with peer_with(twice) as peer, a_client() as client:
            assert await ask(client, b"x", peer.address) == b"ok"
            answered.set()
            await peer.until(lambda: peer.open == 0)
            assert client._links == set()

    run(main)


def test_sending_counts_what_is_no_success():
    async def status(peer, request, writer):
        writer.write(b"HTTP/1.1 %s X\r\nContent-Length: 0\r\n\r\n" % request[-3:])

    async def main():
        async with peer_with(status) as peer, a_client(ClientLimits(per_target=1)) as client:
            for code in (b"200", b"202", b"404", b"500"):
                client.send(code, peer.address)
            assert await ask(client, b"204", peer.address) == b""
            assert client.counters.dropped == {Drop.STATUS: 2}

    run(main)


def test_idle_connections_are_given_up():
    async def main():
        async with peer_with() as peer, a_client(ClientLimits(idle=0.02)) as client:
            await asyncio.gather(*(ask(client, b"x", peer.address) for _ in range(2)))
            assert len(client._links) == 2
            await peer.until(lambda: peer.open == 0)
            assert client._links == set()
            assert client._targets == {}

    run(main)


@pytest.mark.parametrize("host", ["127.44.9.9", "no such host", "x" * 70 + ".example", "a..b"])
def test_where_nobody_is_costs_one_count(host):
    async def main():
        async with a_client() as client:
            assert await ask(client, b"x", Address(Binding.HTTP, host, 9)) is None
            assert client.counters.dropped == {Drop.UNREACHABLE: 1}
            assert client._targets == {}

    run(main)


@pytest.mark.parametrize("path", ["/a b", "/ä", "/x\r\nEvil: header"])
def test_an_address_that_no_request_line_holds_is_not_sent(path):
    async def main():
        async with peer_with() as peer, a_client() as client:
            assert await ask(client, b"x", peer.address.at(path)) is None
            assert peer.requests == []
            assert client.counters.dropped == {Drop.BROKEN: 1}

    run(main)


def test_get_fetches_a_document_and_nothing_else():
    async def wsdl(peer, request, writer):
        status = b"404 No" if b"/missing" in request else b"200 OK"
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: 200000\r\n\r\n" % status + bytes(200_000))

    async def main():
        async with peer_with(wsdl) as peer, a_client(host="") as client:
            assert await client.get(f"{peer.address}/t?wsdl") == bytes(200_000)
            assert peer.requests[0].startswith(b"GET /t?wsdl HTTP/1.1\r\n")
            assert await client.get(f"{peer.address}/missing") is None
            for uri in ("https://h/", "soap.udp://127.0.0.1:3702", "nonsense"):
                with pytest.raises(LocalError):
                    await client.get(uri)

    run(main)


def test_a_done_that_raises_harms_nobody():
    async def main():
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))

        def bug(frame):
            raise RuntimeError("a bug")

        async with peer_with() as peer, a_client(ClientLimits(per_target=1)) as client:
            client.request(b"x", peer.address, 1.0, bug)
            assert await ask(client, b"y", peer.address) == b"ok"
            assert [str(error) for error in reported] == ["a bug"]

    run(main)


def test_after_close_everything_is_none():
    async def main():
        async with peer_with() as peer, a_client() as client:
            await client.close()
            assert await ask(client, b"x", peer.address) is None
            assert client.counters.dropped == {Drop.CLOSED: 1}

    run(main)
