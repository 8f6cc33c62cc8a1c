"""What every Network promises, whatever carries its frames (see ports.Network).

Only callbacks and `world`: nothing here knows sockets, event loops or clocks.
"""

from __future__ import annotations

import pytest

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.ports import Frame, Request, Respond, Response

FRAME = b"<a>" + bytes(range(256)) * 4 + b"</a>"
ALICE, BOB, CAROL = "127.41.0.1", "127.41.0.2", "127.41.0.3"


class Handler:
    """Keeps what comes and answers with `answer(request)`; None holds the request."""

    def __init__(self, answer=lambda request: Response(202)) -> None:
        self.requests: list[Request] = []
        self.held: list[Respond] = []
        self._answer = answer

    def __call__(self, request: Request, respond: Respond) -> None:
        self.requests.append(request)
        response = self._answer(request)
        if response is None:
            self.held.append(respond)
        else:
            respond(response)

    @property
    def frames(self) -> list[Frame]:
        return [request.frame for request in self.requests]


@pytest.fixture
def alice(world):
    handler = Handler()
    device = world.make(ALICE, handler)
    device.handler = handler
    return device


def make(world, host, answer=lambda request: Response(202)):
    device = world.make(host, handler := Handler(answer))
    device.handler = handler
    return device


# Datagrams


def test_a_datagram_arrives_as_it_was_sent_with_its_source(world, alice):
    bob = make(world, BOB)
    alice.network.send(FRAME, bob.udp)
    world.run_until(lambda: bob.handler.requests)
    [request] = bob.handler.requests
    assert request.frame == FRAME
    assert type(request.frame) is bytes
    assert request.caller.source == alice.udp
    assert request.caller.source.binding is Binding.UDP
    assert request.caller.local == BOB
    assert (request.caller.user, request.caller.password) == ("", "")
    assert (request.method, request.path, request.query) == ("", "", "")


def test_the_path_of_a_datagram_address_does_not_matter(world, alice):
    bob = make(world, BOB)
    alice.network.send(FRAME, bob.udp.at("/tariff"))
    world.run_until(lambda: bob.handler.frames == [FRAME])


def test_a_response_with_a_body_goes_back_to_the_source_of_the_datagram(world, alice):
    bob = make(world, BOB, lambda request: Response(200, b"match"))
    alice.network.send(b"probe", bob.udp)
    world.run_until(lambda: alice.handler.requests)
    [request] = alice.handler.requests
    assert (request.frame, request.caller.source) == (b"match", bob.udp)


def test_a_datagram_may_be_responded_to_later(world, alice):
    bob = make(world, BOB, lambda request: None)
    alice.network.send(b"probe", bob.udp)
    world.run_until(lambda: bob.handler.held)
    bob.handler.held[0](Response(200, b"later"))
    world.run_until(lambda: alice.handler.frames == [b"later"])


def test_a_response_without_a_body_sends_no_datagram(world, alice):
    bob = make(world, BOB, lambda request: Response(202, b"" if request.frame == b"one" else b"two"))
    alice.network.send(b"one", bob.udp)
    world.run_until(lambda: bob.handler.frames == [b"one"])
    alice.network.send(b"two", bob.udp)
    world.run_until(lambda: alice.handler.requests)
    assert alice.handler.frames == [b"two"]


@pytest.mark.parametrize("frame", [b"", bytes(65_508)], ids=["empty", "oversize"])
def test_a_frame_that_fits_no_datagram_is_dropped(world, alice, frame):
    bob = make(world, BOB)
    alice.network.send(frame, bob.udp)
    alice.network.send(b"next", bob.udp)
    world.run_until(lambda: bob.handler.requests)
    assert bob.handler.frames == [b"next"]


def test_the_largest_datagram_arrives(world, alice):
    bob = make(world, BOB)
    alice.network.send(bytes(65_507), bob.udp)
    world.run_until(lambda: bob.handler.requests)
    assert bob.handler.frames == [bytes(65_507)]


def test_a_device_may_send_to_itself(world, alice):
    alice.network.send(FRAME, alice.udp)
    world.run_until(lambda: alice.handler.requests)
    assert alice.handler.requests[0].caller.source == alice.udp


def test_a_burst_arrives_whole(world, alice):
    bob = make(world, BOB)
    sent = [b"%04d" % number + bytes(1996) for number in range(60)]
    for frame in sent:
        alice.network.send(frame, bob.udp)
    world.run_until(lambda: len(bob.handler.frames) == len(sent))
    assert sorted(bob.handler.frames) == sent


def test_sending_where_nobody_listens_is_nobodys_error(world, alice):
    bob = make(world, BOB)
    alice.network.send(b"lost", Address(Binding.UDP, CAROL, 9))
    alice.network.send(b"lost", world.nowhere(CAROL))
    alice.network.send(b"kept", bob.udp)
    world.run_until(lambda: bob.handler.frames == [b"kept"])


def test_a_handler_may_send(world, alice):
    carol = make(world, CAROL)
    bob = make(world, BOB, lambda request: bob.network.send(request.frame, carol.udp) or Response(202))
    alice.network.send(b"relayed", bob.udp)
    world.run_until(lambda: carol.handler.frames == [b"relayed"])
    assert carol.handler.requests[0].caller.source == bob.udp


# HTTP, one way


def test_a_frame_is_posted_from_the_devices_own_address(world, alice):
    bob = make(world, BOB)
    alice.network.send(FRAME, bob.http.at("/gossip/tariff?x=1"))
    world.run_until(lambda: bob.handler.requests)
    [request] = bob.handler.requests
    assert request.frame == FRAME
    assert (request.method, request.path, request.query) == ("POST", "/gossip/tariff", "x=1")
    assert request.content_type == "application/soap+xml; charset=utf-8"
    assert (request.caller.source.binding, request.caller.source.host) == (Binding.HTTP, ALICE)
    assert request.caller.local == BOB


def test_an_empty_path_is_the_root(world, alice):
    bob = make(world, BOB)
    alice.network.send(FRAME, bob.http)
    world.run_until(lambda: bob.handler.requests)
    assert bob.handler.requests[0].path == "/"


def test_an_envelope_of_the_largest_size_goes_by_http(world, alice):
    bob = make(world, BOB)
    alice.network.send(bytes(32_767), bob.http)
    world.run_until(lambda: bob.handler.frames == [bytes(32_767)])


def test_the_answer_to_a_sent_frame_goes_to_nobody(world, alice):
    bob = make(world, BOB, lambda request: Response(200, b"ignored"))
    alice.network.send(b"one", bob.http)
    got = []
    world.run_until(lambda: bob.handler.requests)
    alice.network.request(b"two", bob.http, 5.0, got.append)
    world.run_until(lambda: got)
    assert alice.handler.requests == []


# HTTP, request and response


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_request_gets_the_body_whatever_its_status(world, alice, status):
    bob = make(world, BOB, lambda request: Response(status, request.frame[::-1]))
    got = []
    alice.network.request(FRAME, bob.http.at("/x"), 5.0, got.append)
    assert got == [], "done is never called before request returns"
    world.run_until(lambda: got)
    assert got == [FRAME[::-1]]


@pytest.mark.parametrize(("status", "told"), [(202, b""), (404, None)])
def test_a_response_without_a_body_says_whether_the_request_was_accepted(world, alice, status, told):
    bob = make(world, BOB, lambda request: Response(status))
    got = []
    alice.network.request(FRAME, bob.http, 5.0, got.append)
    world.run_until(lambda: got)
    assert got == [told]


def test_a_request_to_nobody_is_none(world, alice):
    got = []
    alice.network.request(FRAME, world.nowhere(BOB), 5.0, got.append)
    assert got == []
    world.run_until(lambda: got)
    assert got == [None]


@pytest.mark.parametrize("frame", [b"", FRAME], ids=["nothing", "by datagram"])
def test_a_request_that_cannot_be_made_is_none(world, alice, frame):
    bob = make(world, BOB)
    got = []
    alice.network.request(frame, bob.udp if frame else bob.http, 5.0, got.append)
    assert got == []
    world.run_until(lambda: got)
    assert got == [None]
    assert bob.handler.requests == []


def test_a_request_is_none_when_its_time_is_up_and_the_late_response_is_nobodys(world, alice):
    bob = make(world, BOB, lambda request: None if request.frame == b"one" else Response(200, b"second"))
    got = []
    alice.network.request(b"one", bob.http, 0.05, got.append)
    world.run_until(lambda: got)
    assert got == [None]
    bob.handler.held[0](Response(200, b"first"))
    alice.network.request(b"two", bob.http, 5.0, got.append)
    world.run_until(lambda: len(got) == 2)
    assert got == [None, b"second"]


def test_a_request_may_be_held_and_responded_to_later(world, alice):
    bob = make(world, BOB, lambda request: None)
    got = []
    alice.network.request(FRAME, bob.http, 5.0, got.append)
    world.run_until(lambda: bob.handler.held)
    assert got == []
    bob.handler.held[0](Response(200, b"at last"))
    world.run_until(lambda: got)
    assert got == [b"at last"]


def test_a_second_response_changes_nothing(world, alice):
    bob = make(world, BOB, lambda request: None)
    got = []
    alice.network.request(b"one", bob.http, 5.0, got.append)
    world.run_until(lambda: bob.handler.held)
    bob.handler.held[0](Response(200, b"first"))
    bob.handler.held[0](Response(200, b"again"))
    world.run_until(lambda: got)
    alice.network.request(b"two", bob.http, 5.0, got.append)
    world.run_until(lambda: len(bob.handler.held) == 2)
    bob.handler.held[0](Response(200, b"and again"))
    bob.handler.held[1](Response(200, b"second"))
    world.run_until(lambda: len(got) == 2)
    assert got == [b"first", b"second"]


def test_requests_at_the_same_time_get_their_own_responses(world, alice):
    bob = make(world, BOB, lambda request: None)
    carol = make(world, CAROL, lambda request: Response(200, b"carol " + request.frame))
    got = {}
    for number in range(20):
        to = bob.http if number % 2 else carol.http
        alice.network.request(b"%d" % number, to, 5.0, lambda frame, number=number: got.setdefault(number, frame))

    def answer_what_is_held() -> bool:
        while bob.handler.held:
            frame = bob.handler.frames[len(got_from_bob)]
            got_from_bob.append(frame)
            bob.handler.held.pop(0)(Response(200, b"bob " + frame))
        return len(got) == 20

    got_from_bob: list[bytes] = []
    world.run_until(answer_what_is_held)
    assert got == {n: (b"bob %d" if n % 2 else b"carol %d") % n for n in range(20)}


def test_done_may_request_again(world, alice):
    bob = make(world, BOB, lambda request: Response(200, request.frame + b"!"))
    got = []

    def again(frame):
        got.append(frame)
        if len(got) < 5:
            alice.network.request(frame, bob.http, 5.0, again)

    alice.network.request(b"a", bob.http, 5.0, again)
    world.run_until(lambda: len(got) == 5)
    assert got[-1] == b"a!!!!!"


# A handler that raises


def test_a_handler_that_raises_costs_its_frame_only(world, alice):
    def answer(request):
        if request.frame == b"bad":
            raise RuntimeError("a bug in a service")
        return Response(200, b"fine")

    bob = make(world, BOB, answer)
    got = []
    alice.network.send(b"bad", bob.udp)
    world.run_until(lambda: world.handler_errors == 1)
    alice.network.request(b"bad", bob.http, 5.0, got.append)
    world.run_until(lambda: got)
    assert got == [None]
    assert world.handler_errors == 2
    alice.network.request(b"good", bob.http, 5.0, got.append)
    world.run_until(lambda: len(got) == 2)
    assert got == [None, b"fine"]
    alice.network.send(b"good", bob.udp)
    world.run_until(lambda: alice.handler.frames == [b"fine"])


# Multicast


def test_a_multicast_is_heard_with_the_senders_own_address(world, alice):
    bob = make(world, BOB)
    alice.network.multicast(b"hello")
    bob.network.multicast(b"bye")
    world.run_until(lambda: len(world.heard) == 2)
    assert sorted(world.heard) == [(b"bye", bob.udp), (b"hello", alice.udp)]
    assert alice.handler.requests == []


def test_a_multicast_can_be_answered_by_unicast(world, alice):
    bob = make(world, BOB)
    alice.network.multicast(b"probe")
    world.run_until(lambda: world.heard)
    [(_, source)] = world.heard
    bob.network.send(b"match", source)
    world.run_until(lambda: alice.handler.frames == [b"match"])


def test_nothing_is_multicast_that_fits_no_datagram(world, alice):
    alice.network.multicast(b"")
    alice.network.multicast(bytes(65_508))
    alice.network.multicast(b"hello")
    world.run_until(lambda: world.heard)
    assert [frame for frame, _ in world.heard] == [b"hello"]
