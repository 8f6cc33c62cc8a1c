"""Links of a rate: what comes faster waits, and what finds no room is dropped."""

from __future__ import annotations

import pytest

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.sim.bottleneck import Bottleneck
from gossip_ws.sim.world import Weather, World


def at(host: str) -> Address:
    return Address(Binding.UDP, host, 3702)


def test_what_comes_at_once_waits_in_line():
    link = Bottleneck(rate=100.0, room=250.0)
    assert link.take(100, 0.0) == pytest.approx(1.0)
    assert link.take(100, 0.0) == pytest.approx(2.0)
    assert link.take(100, 0.0) is None, "200 octets wait"
    assert link.take(100, 0.6) == pytest.approx(2.4), "it was emptied by 60 meanwhile"
    assert link.take(100, 9.0) == pytest.approx(1.0), "nothing is saved up"
    assert (link.passed, link.dropped) == (4, 1)


def test_a_link_carries_something():
    with pytest.raises(LocalError, match="carries"):
        Bottleneck(0.0, 1.0)


def test_datagrams_pass_one_bottleneck_after_the_other_and_others_go_their_way():
    world = World(1, Weather(least=0.0, most=0.0))
    up, down = Bottleneck(1000.0, 1e6), Bottleneck(100.0, 250.0)
    world.narrow(lambda source, to: (up, down) if (source, to) == ("a", "b") else ())
    came: list[tuple[str, float]] = []
    for host in "abc":
        world.attach(host, lambda request, respond, host=host: came.append((host, world.time)))
    for _ in range(4):
        world.send(b"x" * 100, at("a"), at("b"))
    world.send(b"x" * 100, at("a"), at("c"))
    world.send(b"x" * 100, at("b"), at("a"))
    world.run(until=60.0)
    # The third finds two before it in the second bottleneck, and half a second has not emptied enough.
    assert sorted(came) == [("a", 0.0), ("b", pytest.approx(1.1)), ("b", pytest.approx(2.1)), ("c", 0.0)]
    assert (up.passed, down.passed, down.dropped) == (4, 2, 2)
