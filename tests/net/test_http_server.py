"""The HTTP server against raw octets on real sockets: what a careless or hostile client can do to it."""

from __future__ import annotations

import asyncio
import gc
import gzip
import weakref
from contextlib import asynccontextmanager, suppress

import pytest

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.net.counters import Counters, Drop
from gossip_ws.net.http_connection import ServerLimits
from gossip_ws.net.http_server import HttpServer
from gossip_ws.ports import Response

HOST = "127.42.0.1"
POST = b"POST /x HTTP/1.1\r\nHost: h\r\n"


class Handler:
    def __init__(self, answer):
        self.requests = []
        self.held = []
        self.arrived = asyncio.Event()
        self._answer = answer

    def __call__(self, request, respond):
        self.requests.append(request)
        response = self._answer(request)
        self.held.append(respond)
        self.arrived.set()
        if response is not None:
            respond(response)


def echo(request):
    return Response(200, request.frame or b"-")


@asynccontextmanager
async def serving(answer=echo, limits=None):
    server = HttpServer(Handler(answer), Counters(), limits)
    await server.open(HOST, 0)
    try:
        yield server
    finally:
        await server.close(grace=0)


class Client:
    """A client that sends what the test says and reads to the end of a response."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, server):
        return cls(*await asyncio.open_connection(HOST, server.address.port))

    async def read(self):
        """(status, headers, body) of one response."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(first.split()[1]), headers, body

    async def say(self, octets):
        self.writer.write(octets)
        return await self.read()

    async def closed(self):
        """Wait until the server has closed, with nothing more to read."""
        with suppress(ConnectionResetError):
            assert await self.reader.read() == b""

    async def close(self):
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def client_of(server):
    client = await Client.connect(server)
    try:
        yield client
    finally:
        await client.close()


async def until(predicate):
    """Wait for what shows itself in no event; `run` bounds it."""
    loop, holds = asyncio.get_running_loop(), asyncio.Event()

    def look():
        if predicate():
            holds.set()
        else:
            loop.call_later(0.001, look)

    look()
    await holds.wait()


def run(main):
    async def bounded():
        async with asyncio.timeout(5):
            await main()

    asyncio.run(bounded())


def test_post_is_handed_over_with_everything_the_transport_shows():
    async def main():
        async with serving() as server, client_of(server) as client:
            status, headers, body = await client.say(
                b"POST /a/b?c=d HTTP/1.1\r\nHost: h\r\nContent-Type: application/soap+xml; action=x\r\n"
                b"Authorization: Basic Z3LDvG46cGE6c3M=\r\nContent-Length: 5\r\n\r\nhello"
            )
            assert (status, body) == (200, b"hello")
            assert headers["content-type"] == "application/soap+xml; charset=utf-8"
            [request] = server.handle.requests
            assert (request.method, request.path, request.query) == ("POST", "/a/b", "c=d")
            assert request.content_type == "application/soap+xml; action=x"
            sockname = client.writer.get_extra_info("sockname")
            assert request.caller.source == Address(Binding.HTTP, *sockname)
            assert request.caller.local == HOST
            assert (request.caller.user, request.caller.password) == ("grün", "pa:ss")

    run(main)


@pytest.mark.parametrize(
    "value", [b"Basic", b"Basic !!!", b"Basic /w==", b"Basic bm9jb2xvbg==", b"Bearer YTpi", b"", b"Basic YTpi YTpi"]
)
def test_credentials_that_are_none_leave_the_caller_anonymous(value):
    async def main():
        async with serving() as server, client_of(server) as client:
            status, _, _ = await client.say(b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: " + value + b"\r\n\r\n")
            assert status == 200
            caller = server.handle.requests[0].caller
            assert (caller.user, caller.password) == ("", "")

    run(main)


def test_get_carries_its_query_and_the_absolute_form_is_read():
    async def main():
        async with serving() as server, client_of(server) as client:
            await client.say(b"GET /tariff?wsdl HTTP/1.1\r\nHost: h\r\n\r\n")
            await client.say(b"GET http://h:1/tariff?wsdl HTTP/1.1\r\nHost: h\r\n\r\n")
            await client.say(b"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n")
            seen = [(r.method, r.path, r.query, r.frame) for r in server.handle.requests]
            assert seen == [("GET", "/tariff", "wsdl", b"")] * 2 + [("GET", "/", "", b"")]

    run(main)


def test_a_chunked_request_is_put_together():
    async def main():
        async with serving() as server, client_of(server) as client:
            client.writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel")
            await asyncio.sleep(0)
            status, _, body = await client.say(b"lo\r\n6;ext=1\r\n world\r\n0\r\nTrailer: t\r\n\r\n")
            assert (status, body) == (200, b"hello world")

    run(main)


def test_a_hundred_requests_use_one_connection():
    async def main():
        async with serving() as server, client_of(server) as client:
            for number in range(100):
                frame = b"%03d" % number
                assert (await client.say(POST + b"Content-Length: 3\r\n\r\n" + frame))[::2] == (200, frame)
            assert len({request.caller.source for request in server.handle.requests}) == 1
            assert len(server.connections) == 1
            assert server.counters.http_received == server.counters.http_sent == 100

    run(main)


def test_pipelined_requests_are_answered_in_order_one_at_a_time():
    async def main():
        async with serving(lambda request: None) as server, client_of(server) as client:
            client.writer.write(b"".join(POST + b"Content-Length: 1\r\n\r\n%d" % n for n in range(3)))
            for number in range(3):
                await server.handle.arrived.wait()
                server.handle.arrived.clear()
                assert len(server.handle.requests) == number + 1
                server.handle.held[number](Response(200, server.handle.requests[number].frame))
                assert (await client.read())[2] == b"%d" % number

    run(main)


def test_reading_ahead_is_bounded_while_a_request_is_held():
    async def main():
        async with serving(lambda request: None, ServerLimits(body=1000)) as server, client_of(server) as client:
            request = POST + b"Content-Length: 1000\r\n\r\n" + bytes(1000)
            total = 20_000
            client.writer.write(request * total)
            await server.handle.arrived.wait()
            # The client's socket fills and its own buffer stays full: the server does not take what it cannot use.
            [connection] = server.connections
            await until(lambda: not connection._transport.is_reading())
            assert client.writer.transport.get_write_buffer_size() > 1_000_000
            # It goes on when it can.
            server.handle.held[0](Response(202))
            assert (await client.read())[0] == 202
            client.writer.transport.abort()

    run(main)


def test_expect_continue_is_answered_before_the_body():
    async def main():
        async with serving() as server, client_of(server) as client:
            client.writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            assert (await client.read())[0] == 100
            assert (await client.say(b"ok"))[::2] == (200, b"ok")

    run(main)


def test_an_oversize_body_is_refused_before_it_is_sent():
    async def main():
        async with serving() as server, client_of(server) as client:
            status, headers, _ = await client.say(POST + b"Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n")
            assert status == 413
            assert headers["connection"] == "close"
            await client.closed()
            assert server.handle.requests == []

    run(main)


def test_a_body_of_just_the_limit_is_taken():
    async def main():
        async with serving() as server, client_of(server) as client:
            assert (await client.say(POST + b"Content-Length: 65536\r\n\r\n" + bytes(65_536)))[2] == bytes(65_536)

    run(main)


def test_a_chunked_body_is_cut_at_the_limit_and_the_client_reads_why():
    async def main():
        async with serving() as server, client_of(server) as client:
            chunk = b"1000\r\n" + bytes(4096) + b"\r\n"
            status, _, _ = await client.say(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 20)
            assert status == 413
            assert server.counters.dropped == {Drop.BODY: 1}

    run(main)


@pytest.mark.parametrize(
    "octets",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
        b"GET /\x7f\xff HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",  # a TLS client
        b"<s12:Envelope/>\r\n\r\n",
    ],
)
def test_malformed_requests_are_refused_and_the_server_goes_on(octets):
    async def main():
        async with serving() as server:
            async with client_of(server) as client:
                status, headers, _ = await client.say(octets)
                assert status == (505 if b"HTTP/9" in octets else 400)
                assert headers["connection"] == "close"
                await client.closed()
            assert server.counters.dropped == {Drop.MALFORMED: 1}
            assert server.handle.requests == []
            async with client_of(server) as client:
                assert (await client.say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"))[0] == 200

    run(main)


@pytest.mark.parametrize("method", [b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"BREW"])
def test_other_methods_are_not_allowed(method):
    async def main():
        async with serving() as server, client_of(server) as client:
            status, headers, _ = await client.say(method + b" / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert status == 405
            assert headers["allow"] == "GET, POST"
            assert server.counters.dropped == {Drop.METHOD: 1}

    run(main)


@pytest.mark.parametrize("complete", [True, False])
def test_headers_are_bounded_whether_they_end_or_not(complete):
    async def main():
        async with serving() as server, client_of(server) as client:
            status, _, _ = await client.say(
                b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 20_000 + (b"\r\n\r\n" if complete else b"")
            )
            assert status == 431
            assert server.counters.dropped == {Drop.HEADERS: 1}

    run(main)


def test_accepted_without_a_body():
    async def main():
        async with serving(lambda request: Response(202)) as server, client_of(server) as client:
            status, headers, body = await client.say(POST + b"Content-Length: 1\r\n\r\nx")
            assert (status, headers["content-length"], body) == (202, "0", b"")
            assert "content-type" not in headers
            assert "gossip-id" not in headers

    run(main)


def test_what_was_accepted_is_named_beside_the_empty_body():
    async def main():
        accepted = Response(202, gossip_id="ab" * 32)
        async with serving(lambda request: accepted) as server, client_of(server) as client:
            status, headers, body = await client.say(POST + b"Content-Length: 1\r\n\r\nx")
            assert (status, headers["content-length"], body) == (202, "0", b"")
            assert headers["gossip-id"] == "ab" * 32

    run(main)


def test_a_401_names_the_scheme():
    async def main():
        async with serving(lambda request: Response(401)) as server, client_of(server) as client:
            _, headers, _ = await client.say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert headers["www-authenticate"].startswith("Basic ")

    run(main)


def test_http_1_0_and_connection_close_end_the_connection():
    async def main():
        async with serving() as server:
            for request in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"):
                async with client_of(server) as client:
                    assert (await client.say(request))[0] == 200
                    await client.closed()
            assert server.counters.dropped == {}

    run(main)


def test_a_handler_that_raises_answers_500_and_the_connection_stays():
    def answer(request):
        if request.path == "/bug":
            raise RuntimeError("a bug")
        return Response(200)

    async def main():
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))
        async with serving(answer) as server, client_of(server) as client:
            assert (await client.say(b"GET /bug HTTP/1.1\r\nHost: h\r\n\r\n"))[0] == 500
            assert (await client.say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"))[0] == 200
            assert server.counters.dropped == {Drop.HANDLER: 1}
        assert [str(error) for error in reported] == ["a bug"]

    run(main)


def test_a_response_that_http_cannot_say_ends_the_connection_only():
    async def main():
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["message"]))
        answer = Response(200, b"x", content_type="a\r\nInjected: header")
        async with serving(lambda request: answer) as server:
            async with client_of(server) as client:
                client.writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                await client.closed()
            assert server.counters.dropped == {Drop.HANDLER: 1}
            assert reported == ["not an HTTP response"]

    run(main)


@pytest.mark.parametrize("drip", [b"POST / HTTP/1.1\r\nHost: h\r\n", POST + b"Content-Length: 100\r\n\r\nabc"])
def test_a_slow_client_is_cut_off_however_steadily_it_drips(drip):
    async def main():
        async with serving(limits=ServerLimits(receive=0.1)) as server, client_of(server) as client:

            async def go_on():
                client.writer.write(drip)
                while True:
                    await asyncio.sleep(0.01)
                    client.writer.write(b"x")

            dripping = asyncio.create_task(go_on())
            status, _, _ = await client.read()
            dripping.cancel()
            assert status == 408
            assert server.counters.dropped == {Drop.SLOW: 1}

    run(main)


def test_silent_and_idle_connections_are_closed():
    async def main():
        limits = ServerLimits(receive=0.05, idle=0.05)
        async with serving(limits=limits) as server, client_of(server) as silent, client_of(server) as idle:
            await idle.say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await silent.closed()
            await idle.closed()
            assert not server.connections

    run(main)


def test_a_request_held_too_long_is_given_up():
    async def main():
        async with serving(lambda request: None, ServerLimits(hold=0.05)) as server, client_of(server) as client:
            assert (await client.say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"))[0] == 503
            server.handle.held[0](Response(200, b"too late"))
            await client.closed()
            assert server.counters.dropped == {Drop.HELD: 1, Drop.LATE: 1}

    run(main)


def test_a_client_that_leaves_a_held_request_leaves_nothing_behind():
    async def main():
        async with serving(lambda request: None) as server:
            async with client_of(server) as client:
                client.writer.write(POST + b"Content-Length: 1\r\n\r\nx")
                await server.handle.arrived.wait()
                [connection] = server.connections
            await until(lambda: not server.connections)
            assert server.counters.dropped == {Drop.GONE: 1}
            server.handle.held.pop()(Response(200, b"to nobody"))
            assert server.counters.dropped == {Drop.GONE: 1, Drop.LATE: 1}
            left = weakref.ref(connection._h11)
            del connection
            # One more turn: the transport lets its protocol go after it has told it.
            await asyncio.sleep(0)
            gc.collect()
            assert left() is None

    run(main)


def test_connections_are_capped_and_an_idle_one_makes_room():
    async def main():
        limits = ServerLimits(connections=2)
        async with (
            serving(lambda r: None if r.path == "/hold" else Response(200), limits) as server,
            client_of(server) as held,
            client_of(server) as idle,
        ):
            held.writer.write(b"GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
            await server.handle.arrived.wait()
            server.handle.arrived.clear()
            await idle.say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            async with client_of(server) as third:
                third.writer.write(b"GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
                await idle.closed()
                while len(server.handle.requests) < 3:
                    server.handle.arrived.clear()
                    await server.handle.arrived.wait()
                async with client_of(server) as fourth:
                    assert (await fourth.read())[0] == 503
                assert server.counters.dropped == {Drop.CONNECTIONS: 1}
                server.handle.held[0](Response(200))
                assert (await held.read())[0] == 200

    run(main)


def test_a_client_that_does_not_read_stops_being_served():
    async def main():
        big = Response(200, bytes(300_000))
        limits = ServerLimits(idle=0.1, receive=0.1, linger=0.1)
        async with serving(lambda request: big, limits) as server, client_of(server) as client:
            client.writer.transport.pause_reading()
            client.writer.write(b"GET /?wsdl HTTP/1.1\r\nHost: h\r\n\r\n" * 1000)
            await until(lambda: server.handle.requests and not server.connections)
            # What the kernel took and one response more, not 300 MB.
            assert len(server.handle.requests) < 100
            client.writer.transport.abort()

    run(main)


def test_closing_lets_the_request_in_hand_finish():
    async def main():
        async with serving(lambda request: None) as server, client_of(server) as client, client_of(server) as idle:
            client.writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await server.handle.arrived.wait()
            closing = asyncio.create_task(server.close(grace=5))
            await idle.closed()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(HOST, server.address.port)
            assert not closing.done()
            server.handle.held[0](Response(200, b"last"))
            status, headers, body = await client.read()
            assert (status, headers["connection"], body) == (200, "close", b"last")
            await closing

    run(main)


def test_an_address_in_use_or_not_ours_is_one_clear_line():
    async def main():
        async with serving() as server:
            second = HttpServer(Handler(echo), Counters())
            with pytest.raises(LocalError, match=r"cannot listen on http://127\.42\.0\.1:\d+: Address already in use"):
                await second.open(HOST, server.address.port)
            with pytest.raises(LocalError, match="Cannot assign requested address"):
                await second.open("192.0.2.77", 0)

    run(main)


async def packed_answer(client, accept, target=b"/long"):
    """(headers, body) of what is told to whom accepts `accept`."""
    status, headers, body = await client.say(
        b"GET %b HTTP/1.1\r\nHost: h\r\nAccept-Encoding: %b\r\n\r\n" % (target, accept)
    )
    assert status == 200
    return headers, body


@pytest.mark.parametrize(
    ("accept", "is_packed"),
    [
        (b"gzip", True),
        (b"x-gzip", True),
        (b"deflate, GZIP;q=0.5, *;q=0", True),
        (b"gzip; q=0.001", True),
        (b"gzip;q=1.000", True),
        (b"gzip;q=.5", True),
        (b"gzip;q=0", False),
        (b"gzip;q=0.000", False),
        (b"gzip;q=often", False),
        (b"deflate, br", False),
        (b"*", False),
        (b"identity", False),
        (b"", False),
    ],
)
def test_a_response_is_packed_where_gzip_is_asked_for(accept, is_packed):
    long = b"<a>the same again</a>" * 200
    bodies = {"/long": long, "/short": b"<a/>"}

    async def main():
        async with serving(lambda r: Response(200, bodies[r.path])) as server, client_of(server) as client:
            headers, body = await packed_answer(client, accept)
            assert headers["vary"] == "Accept-Encoding"
            assert headers.get("content-encoding") == ("gzip" if is_packed else None)
            assert (gzip.decompress(body) if is_packed else body) == long
            assert (len(body) < len(long) // 10) is is_packed
            assert server.counters.http_sent_octets == len(body)
            # Not worth it.
            headers, body = await packed_answer(client, accept, b"/short")
            assert (body, headers.get("content-encoding"), headers.get("vary")) == (b"<a/>", None, None)

    run(main)


@pytest.mark.parametrize("coding", [b"gzip", b"x-gzip", b"GZip", b"identity", b""])
def test_a_request_in_gzip_is_unpacked(coding):
    sent = gzip.compress(b"<a/>" * 500) if b"z" in coding.lower() else b"<a/>" * 500

    async def main():
        async with serving() as server, client_of(server) as client:
            for _ in range(2):
                head = POST + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (coding, len(sent))
                status, _, body = await client.say(head + sent)
                assert (status, body) == (200, b"<a/>" * 500)
            assert server.counters.http_received_octets == 2 * len(sent)

    run(main)


@pytest.mark.parametrize("coding", [b"deflate", b"br", b"gzip, gzip", b"compress", b"\xff"])
def test_a_coding_that_is_not_known_is_refused_before_the_body(coding):
    async def main():
        async with serving() as server, client_of(server) as client:
            head = POST + b"Content-Encoding: %b\r\nContent-Length: 9\r\n\r\n" % coding
            status, headers, _ = await client.say(head)
            assert (status, headers["accept-encoding"]) == (415, "gzip")
            assert server.counters.dropped == {Drop.CODING: 1}
            assert server.handle.requests == []

    run(main)


def test_a_small_body_that_unpacks_to_a_large_one_is_refused():
    """32 MiB in 32 KiB: no more is unpacked than may be sent."""
    bomb = gzip.compress(bytes(32 * 1024 * 1024))

    async def main():
        async with serving() as server:
            assert len(bomb) < server.limits.body
            for sent, status in ((gzip.compress(bytes(65_536)), 200), (gzip.compress(bytes(65_537)), 413), (bomb, 413)):
                async with client_of(server) as client:
                    head = POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(sent)
                    assert (await client.say(head + sent))[0] == status
            assert server.counters.dropped == {Drop.BODY: 2}
            assert len(server.handle.requests) == 1

    run(main)


@pytest.mark.parametrize(
    "sent",
    [b"", b"<a/>", gzip.compress(b"<a/>")[:-4], gzip.compress(b"<a/>") + b"x", gzip.compress(b"<a/>") * 2],
    ids=["nothing", "not packed", "cut off", "more behind it", "two members"],
)
def test_what_is_no_gzip_is_refused(sent):
    async def main():
        async with serving() as server, client_of(server) as client:
            head = POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(sent)
            assert (await client.say(head + sent))[0] == 400
            assert server.counters.dropped == {Drop.MALFORMED: 1}

    run(main)
