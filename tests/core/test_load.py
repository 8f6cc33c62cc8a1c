"""Many messages at once: what is taken, what is kept, and that the urgent do not pay for bulk."""

from __future__ import annotations

import pytest
from builders import NOW, address, at, content, gossip, node, peer

from gossip_ws.core.effects import Invoke
from gossip_ws.core.messages import Content, Digest, Gossip
from gossip_ws.core.seen import Kept, Recent
from gossip_ws.kernel.allowance import Allowance
from gossip_ws.kernel.effects import Dropped, Send
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.kernel.terms import Priority, Tier
from gossip_ws.wire.envelope import MAX_UDP_ENVELOPE
from gossip_ws.wire.gossip import XmlCodec


def taken(meter, priority, count, now=NOW):
    """How many of `count` messages of a class the meter takes."""
    effects = []
    for number in range(count):
        what = content(f"{priority} {number} {now}", priority=priority)
        effects += meter.receive(gossip("ssc1", what, Tier.FAN, 0), address("ssc1"), now)
    return count - effects.count(Dropped("too many messages"))


def test_what_bulk_may_not_use_is_left_for_the_urgent():
    meter = node("sm1", peer("ssc1"), max_rate=10.0, max_burst=100)
    assert taken(meter, Priority.BULK, 200) == 70
    assert taken(meter, Priority.NORMAL, 200) == 10
    assert taken(meter, Priority.STATUS, 200) == 10
    assert taken(meter, Priority.PROTECTION, 200) == 10
    # A second earns ten: for whoever is more urgent than what used up the rest.
    assert taken(meter, Priority.BULK, 200, at(1.0)) == 0
    assert taken(meter, Priority.PROTECTION, 200, at(1.0)) == 10


def test_bulk_that_never_stops_costs_the_urgent_nothing():
    meter = node("sm1", peer("ssc1"), max_rate=10.0, max_burst=100)
    for second in range(60):
        taken(meter, Priority.BULK, 50, at(second))
        assert taken(meter, Priority.PROTECTION, 1, at(second)) == 1


def test_a_client_is_refused_by_its_class_too():
    meter = node("sm1", max_rate=1.0, max_burst=10)
    for number in range(7):
        meter.originate(content(str(number), priority=Priority.BULK), NOW)
    with pytest.raises(RemoteError, match="more than 1 messages a second"):
        meter.originate(content("one more", priority=Priority.BULK), NOW)
    alarm = content("alarm", priority=Priority.PROTECTION)
    assert [effect for effect in meter.originate(alarm, NOW) if isinstance(effect, Invoke)]


def test_the_wait_for_what_is_spent():
    bucket = Allowance(rate=10.0, burst=5)
    for _ in range(5):
        assert not bucket.is_spent(0.0)
        bucket.spend()
    assert bucket.is_spent(0.0)
    assert bucket.wait(0.0, 1) == pytest.approx(0.1)
    assert bucket.wait(0.0, 100) == pytest.approx(10.0)
    assert bucket.wait(1.0, 3) == 0.0


def kept(name, priority, octets=100, **terms):
    made = content(name, priority=priority, **terms)
    return Kept(Content(made.id, made.action, made.terms, b"", None, bytes(octets)), 0.0, 0.0)


def test_a_flood_of_bulk_pushes_nothing_but_bulk_out_of_the_store():
    recent = Recent(1_000, 10_000)
    urgent = [kept(f"urgent {k}", Priority.PROTECTION) for k in range(10)]
    normal = [kept(f"normal {k}", Priority.NORMAL) for k in range(20)]
    bulk = [kept(f"bulk {k}", Priority.BULK) for k in range(500)]
    for one in (*urgent, *normal, *bulk):
        recent.add(one)
    assert recent.unexpired(NOW.wall) == (*urgent, *normal, *bulk[-70:])
    # And the other way round: who takes up most gives way, so bulk has its share of the room as well.
    alarms = [kept(f"alarm {k}", Priority.PROTECTION) for k in range(500)]
    for one in alarms:
        recent.add(one)
    held = recent.unexpired(NOW.wall)
    assert len(held) == 100
    assert sum(one.content.terms.priority is Priority.BULK for one in held) == 39
    assert set(normal) < set(held)


def test_the_store_is_bounded_in_octets_whatever_is_in_force():
    recent = Recent(100, 1_000)
    for number in range(50):
        recent.add(kept(str(number), Priority.NORMAL, 300, latest=True))
        assert sum(one.octets for one in recent.unexpired(NOW.wall)) <= 1_000
    assert len(recent) == 3
    recent.forget(recent.unexpired(NOW.wall)[0].content.id)
    assert len(recent) == 2
    with pytest.raises(LocalError, match="at least one message"):
        node("sm1", store_octets=1_000)


def test_a_digest_of_a_full_store_fits_a_datagram():
    ssc = node("ssc1", peer("ssc2"), max_burst=1_000)
    for number in range(500):
        ssc.receive(gossip("ssc2", content(str(number))), address("ssc2"), NOW)
    digest = ssc._repair.digest_to(peer("ssc2"), NOW).message
    assert len(digest.held) == ssc.config.store_limit
    assert len(XmlCodec().encode(digest)) <= MAX_UDP_ENVELOPE


def test_who_asks_for_news_is_given_the_urgent_first():
    ssc = node("ssc1", peer("ssc2"), peer("ssc3"))
    wanted = [content(f"alarm {k}", priority=Priority.PROTECTION) for k in range(3)]
    for what in (*wanted, *(content(f"bulk {k}", priority=Priority.BULK) for k in range(20))):
        ssc.receive(gossip("ssc2", what), address("ssc2"), NOW)
    asked = Digest(peer("ssc3").device, (b"another!",))
    given = [
        effect.message.content
        for effect in ssc.receive(asked, address("ssc3"), at(10))
        if isinstance(effect, Send) and isinstance(effect.message, Gossip)
    ]
    assert set(given[:3]) == set(wanted)
    assert len(given) == 8


def test_a_roster_that_cannot_be_served_any_more_is_counted():
    ssc = node("ssc1", peer("sm1"), peer("sm2"), store_limit=3)
    effects = [effect for number in range(5) for effect in ssc.originate(content(str(number)), NOW)]
    assert effects.count(Dropped("served without a receipt")) == 4
