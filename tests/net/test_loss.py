"""Loss as a wrapper: what it loses, what it leaves alone."""

from __future__ import annotations

import asyncio
import random

import pytest

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.net.loss import Lossy
from gossip_ws.ports import Caller, Request, Response

UDP = Address(Binding.UDP, "127.46.0.1", 1)
HTTP = Address(Binding.HTTP, "127.46.0.1", 2)


class Recorder:
    """A Network that delivers into lists."""

    def __init__(self):
        self.sent = []
        self.requested = []

    def send(self, frame, to):
        self.sent.append((frame, to))

    def multicast(self, frame):
        self.sent.append((frame, None))

    def request(self, frame, to, timeout, done):
        self.requested.append((frame, to, timeout))
        done(b"reply")


def test_the_stated_share_of_datagrams_is_lost_and_counted():
    inner = Recorder()
    lossy = Lossy(inner, 0.1, random.Random(3))
    for number in range(10_000):
        lossy.send(b"%d" % number, UDP)
    # Four standard deviations of a binomial with n = 10,000 and p = 0.1.
    assert abs(lossy.lost - 1000) < 4 * 30
    assert len(inner.sent) == 10_000 - lossy.lost


def test_one_seed_loses_the_same_frames():
    def survivors(seed):
        inner = Recorder()
        lossy = Lossy(inner, 0.5, random.Random(seed))
        for number in range(100):
            lossy.send(b"%d" % number, UDP)
        return inner.sent

    assert survivors(1) == survivors(1) != survivors(2)


def test_http_is_left_alone():
    inner = Recorder()
    lossy = Lossy(inner, 1.0, random.Random(1))
    got = []
    lossy.send(b"x", HTTP)
    lossy.request(b"y", HTTP, 2.0, got.append)
    lossy.send(b"x", UDP)
    lossy.multicast(b"x")
    assert inner.sent == [(b"x", HTTP)]
    assert inner.requested == [(b"y", HTTP, 2.0)]
    assert got == [b"reply"]
    assert lossy.lost == 2


@pytest.mark.parametrize(
    ("source", "body", "arrives"), [(UDP, b"match", False), (UDP, b"", True), (HTTP, b"reply", True)]
)
def test_a_response_by_datagram_is_lost_too(source, body, arrives):
    lossy = Lossy(Recorder(), 1.0, random.Random(1))
    handle = lossy.handling(lambda request, respond: respond(Response(200, body)))
    got = []
    handle(Request(b"x", Caller(source, "127.46.0.2")), got.append)
    assert bool(got) is arrives
    assert lossy.lost == (not arrives)


async def refused(lossy):
    """What is told of a request: it may not be told before `request` returns."""
    told = asyncio.get_running_loop().create_future()
    lossy.request(b"x", HTTP, 2.0, told.set_result)
    assert not told.done()
    return await told


def test_nothing_gets_through_to_or_from_who_is_apart():
    inner, cut = Recorder(), {HTTP.host}
    lossy = Lossy(inner, 0.0, random.Random(1), apart=lambda other: other.host in cut)
    lossy.send(b"x", UDP)
    lossy.send(b"x", HTTP)
    assert asyncio.run(refused(lossy)) is None
    handled = []
    handle = lossy.handling(lambda request, respond: handled.append(request.frame))
    handle(Request(b"over", Caller(UDP, "127.46.0.2")), handled.append)
    elsewhere = Address(Binding.UDP, "127.46.0.9", 1)
    lossy.send(b"y", elsewhere)
    handle(Request(b"beside", Caller(elsewhere, "127.46.0.2")), handled.append)
    assert (inner.sent, inner.requested, handled) == ([(b"y", elsewhere)], [], [b"beside"])
    assert (lossy.cut, lossy.lost) == (4, 0)
    cut.clear()
    lossy.send(b"z", UDP)
    assert inner.sent[-1] == (b"z", UDP)


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_a_probability_is_one(probability):
    with pytest.raises(LocalError, match="probability"):
        Lossy(Recorder(), probability, random.Random(1))
