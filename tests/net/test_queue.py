"""Frames that wait by class: who goes first, who has to go, and what a frame says of itself."""

from __future__ import annotations

from collections import Counter

import pytest

from gossip_ws.core.messages import Gossip, Hop, Receipt, Standing
from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.names import DeviceId
from gossip_ws.kernel.terms import Budget, Priority, Style, Terms, Tier, Variant
from gossip_ws.net.queue import FAIR, FrameQueue
from gossip_ws.wire.gossip import XmlCodec
from gossip_ws.wire.priority import UNNAMED, claimed_priority

BODY = b'<x:Notify xmlns:x="urn:x" Priority="0">:Terms  Priority="0"</x:Notify>'


def message(priority: Priority, number: int = 0, ancestors: int = 0) -> bytes:
    """As devices send one."""
    terms = Terms(
        variant=Variant.EAGER_PUSH,
        style=Style.ONE_WAY,
        binding=Binding.UDP,
        priority=priority,
        budgets=(Budget(Tier.WAN, 3, 2),),
        types=(),
        scopes=("grid://city/:Terms",),
        originator="unsigned",
        issued=1_800_000_000.0 + number,
        expires=1_800_003_600.0,
    )
    content = XmlCodec().seal("urn:x:Notify", terms, BODY, lambda id: None)
    askers = tuple(DeviceId(f"urn:uuid:{number:08x}-0000-4000-8000-000000000000") for number in range(ancestors))
    return XmlCodec().encode(Gossip(content, Hop(DeviceId("urn:uuid:1"), Tier.WAN, 1, 1, 0.0, ancestors=askers)))


def queue(most: int = 1_000, octets: int = 1 << 20) -> FrameQueue[int]:
    return FrameQueue(most, octets)


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("ancestors", [0, 12])
def test_a_message_is_of_the_class_that_its_origin_fixed(priority, ancestors):
    assert claimed_priority(message(priority, ancestors=ancestors)) is priority


def test_what_is_no_message_goes_with_status():
    receipt = Receipt(XmlCodec().decode(message(Priority.BULK)).content.id, DeviceId("urn:uuid:1"), Standing.TAKEN)
    assert claimed_priority(XmlCodec().encode(receipt)) is UNNAMED is Priority.STATUS
    assert claimed_priority(b"") is claimed_priority(b"\x00junk") is UNNAMED


@pytest.mark.parametrize("priority", [b"4", b"", b"bulk", b"-1", b"01"])
def test_a_class_that_there_is_not_is_no_better_than_normal(priority):
    said = claimed_priority(b'<g:Terms xmlns:g="urn:gossip-ws:2026" Priority="' + priority + b'">')
    assert said is (Priority.PROTECTION if priority == b"01" else Priority.NORMAL)
    assert claimed_priority(b'<g:Terms xmlns:g="urn:gossip-ws:2026">') is Priority.NORMAL


def test_the_urgent_first_and_within_a_class_first_come_first_served():
    waiting = queue()
    order = [Priority.BULK, Priority.NORMAL, Priority.BULK, Priority.PROTECTION, Priority.STATUS, Priority.PROTECTION]
    for number, priority in enumerate(order):
        assert waiting.push(message(priority), number) == ()
    assert [waiting.pop()[1] for _ in order] == [3, 5, 4, 1, 0, 2]
    assert (len(waiting), waiting.octets) == (0, 0)
    with pytest.raises(IndexError):
        waiting.pop()


def test_bulk_does_not_starve_however_much_is_urgent():
    """The one that has waited longest is every eighth: bulk gets through, and so does what is between."""
    waiting = queue()
    for number in range(3):
        waiting.push(message(Priority.BULK), number)
        waiting.push(message(Priority.NORMAL), 10 + number)
    urgent = message(Priority.PROTECTION)
    taken = []
    for _ in range(6 * FAIR):
        waiting.push(urgent, -1)
        taken.append(waiting.pop()[1])
    assert [about for about in taken if about >= 0] == [0, 10, 1, 11, 2, 12]
    assert [at for at, about in enumerate(taken) if about >= 0] == [FAIR * n - 1 for n in range(1, 7)]


def test_when_it_is_full_the_newest_of_the_least_urgent_class_goes():
    waiting = queue(most=4)
    for number, priority in enumerate([Priority.BULK, Priority.NORMAL, Priority.BULK, Priority.STATUS]):
        assert waiting.push(message(priority), number) == ()
    assert waiting.push(message(Priority.PROTECTION), 4) == [Priority.BULK]
    assert waiting.push(message(Priority.BULK), 5) == [Priority.BULK], "itself"
    assert waiting.push(message(Priority.NORMAL), 6) == [Priority.BULK]
    assert waiting.push(message(Priority.NORMAL), 7) == [Priority.NORMAL], "itself: nothing less urgent is left"
    assert waiting.push(message(Priority.PROTECTION), 8) == [Priority.NORMAL]
    assert [waiting.pop()[1] for _ in range(4)] == [4, 8, 3, 1]


def test_octets_are_bounded_and_those_of_one_frame_to_many_count_once():
    frame = message(Priority.BULK)
    waiting = queue(octets=3 * len(frame))
    for target in range(500):
        assert waiting.push(frame, target) == ()
    assert waiting.octets == len(frame)
    others = [message(Priority.BULK, number) for number in range(1, 4)]
    assert all(len(other) == len(frame) for other in others)
    assert [tuple(waiting.push(other, 0)) for other in others] == [(), (), (Priority.BULK,)]
    assert waiting.octets == 3 * len(frame)
    assert [waiting.pop()[1] for _ in range(500)] == list(range(500))
    assert [waiting.pop()[0] for _ in range(2)] == others[:2]
    assert (len(waiting), waiting.octets) == (0, 0)


def test_a_flood_of_ten_times_the_capacity_stays_within_it_and_every_drop_has_its_class():
    waiting = queue(most=100)
    frames = {priority: message(priority) for priority in Priority}
    gone = Counter()
    for number in range(250):
        for priority in Priority:
            gone.update(waiting.push(frames[priority], number))
            assert len(waiting) <= 100
    assert gone == {Priority.PROTECTION: 150, Priority.STATUS: 250, Priority.NORMAL: 250, Priority.BULK: 250}
    waiting.clear()
    assert (len(waiting), waiting.octets) == (0, 0)
