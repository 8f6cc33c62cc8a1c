"""Superseded content is neither stored nor spread."""

from dataclasses import replace

import pytest
from builders import ACTION, NOW, address, at, content, device, gossip, node, peer

from gossip_ws.core.account import Lack
from gossip_ws.core.effects import Invoke, PullNews, ServeAgain
from gossip_ws.core.in_force import InForce
from gossip_ws.core.messages import Digest, Fetch, Receipt, Standing
from gossip_ws.core.seen import Kept, Recent
from gossip_ws.kernel.effects import Dropped, Send
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.terms import Style, Tier

OLD = content("old", latest=True, issued=NOW.wall - 20)
NEW = content("new", latest=True, issued=NOW.wall - 10)


def invoke(what):
    return Invoke(what.id, ACTION, what.body, "unsigned")


def hear(at_node, what, when=NOW, **hop):
    return at_node.receive(gossip("ssc1", what, Tier.FAN, 0, **hop), address("ssc1"), when)


def held(at_node, when=NOW):
    (asked,) = [e.message for e in at_node.timer(PullNews(), when) if isinstance(e, Send)]
    return asked.held


def test_when_a_newer_is_accepted_the_older_leaves_the_store_and_is_served_to_nobody():
    ssc = node("ssc1", peer("ssc2"), peer("sm1"))
    ssc.originate(OLD, NOW)
    assert held(ssc) == (OLD.id[:8],)
    ssc.originate(NEW, NOW)
    assert held(ssc) == (NEW.id[:8],)
    assert ssc.timer(ServeAgain(OLD.id, 1), at(0.25)) == []  # silently: nothing failed
    assert len(ssc.timer(ServeAgain(NEW.id, 1), at(0.25))) == 2
    assert ssc.receive(Fetch(device("ssc2"), (OLD.id[:8],)), address("ssc2"), at(5)) == []
    (given,) = ssc.receive(Digest(device("ssc2"), ()), address("ssc2"), at(5))
    assert given.message.content == NEW


def test_an_older_that_comes_after_a_newer_is_receipted_and_goes_nowhere():
    meter = node("sm1", peer("ssc1"), peer("sm2"), peer("ied1"))
    assert invoke(NEW) in hear(meter, NEW)
    late = Send(Receipt(OLD.id, device("sm1"), Standing.LATE), (address("ssc1"),))
    assert hear(meter, OLD, receipt=True) == [late, Dropped("superseded")]
    assert held(meter) == (NEW.id[:8],)
    assert meter.holds(OLD.id)
    assert meter.known(OLD.id).own is Lack.REFUSED
    assert hear(meter, OLD, receipt=True) == [late, Dropped("duplicate")]  # the first receipt was lost
    # Who holds the older is not asked for it.
    assert not [
        effect.message
        for effect in meter.receive(Digest(device("sm2"), (OLD.id[:8],)), address("sm2"), NOW)
        if isinstance(effect, Send) and isinstance(effect.message, Fetch)
    ]


def test_of_two_issued_at_once_every_device_takes_the_same():
    one, other = sorted((content("a", latest=True), content("b", latest=True)), key=lambda what: what.id)
    for first, second in ((one, other), (other, one)):
        meter = node("sm1", peer("ssc1"))
        hear(meter, first)
        hear(meter, second)
        assert held(meter) == (other.id[:8],)


@pytest.mark.parametrize(
    "change",
    [
        {"originator": "somebody else"},
        {"types": ("{urn:test}Meter",)},
        {"scopes": ("grid://t",)},
        {"latest": False},
        {"style": Style.REQUEST_RESPONSE},
    ],
)
def test_messages_of_different_kinds_stand_beside_each_other(change):
    meter = node("sm1", peer("ssc1"))
    hear(meter, NEW)
    other = replace(OLD, terms=replace(OLD.terms, timeout=5.0, **change))
    assert Dropped("superseded") not in hear(meter, other, receipt=True)


def test_another_action_is_another_kind_and_the_order_of_scopes_and_types_makes_none():
    meter = node("sm1", peer("ssc1"))
    wide = {"latest": True, "scopes": ("grid://t", "grid://u"), "types": ("{u}A", "{u}B")}
    turned = {"latest": True, "scopes": ("grid://u", "grid://t"), "types": ("{u}B", "{u}A")}
    hear(meter, content("new", **wide))
    assert hear(meter, content("old", issued=NOW.wall - 1, **turned)) == [Dropped("superseded")]
    other = replace(content("other", issued=NOW.wall - 1, **turned), action="urn:test:Other")
    assert hear(meter, other) == []


def test_what_is_superseded_cannot_start_anywhere():
    ssc = node("ssc1", peer("ssc2"))
    ssc.originate(NEW, NOW)
    with pytest.raises(RemoteError) as refused:
        ssc.check_new(OLD, NOW)
    assert refused.value.fault.subcode.endswith("}Superseded")


def test_what_is_issued_in_the_far_future_locks_nobody():
    meter = node("sm1", peer("ssc1"))
    century = 100 * 365 * 86_400.0
    forged = content("forged", latest=True, issued=NOW.wall + century, expires=NOW.wall + century + 60)
    assert hear(meter, forged, receipt=True) == [Dropped("not yet issued")]
    assert not meter.holds(forged.id)
    with pytest.raises(RemoteError) as refused:
        meter.originate(forged, NOW)
    assert refused.value.fault.subcode.endswith("}NotYetIssued")
    # A wrong clock within the bound is in force for as long as it is wrong, no longer.
    early = content("early", latest=True, issued=NOW.wall + 3_000, expires=NOW.wall + 9_000)
    assert hear(meter, early)[-1] == invoke(early)
    assert hear(meter, NEW) == [Dropped("superseded")]
    right = content("right", latest=True, issued=NOW.wall + 3_001, expires=NOW.wall + 9_000)
    assert invoke(right) in hear(meter, right, at(3_001))


def test_a_superseded_message_counts_against_the_cap_on_new_ones():
    meter = node("sm1", peer("ssc1"), max_rate=1.0, max_burst=3)
    hear(meter, NEW)
    told = [hear(meter, content(str(k), latest=True, issued=NOW.wall - 11 - k)) for k in range(3)]
    assert told == [[Dropped("superseded")], [Dropped("superseded")], [Dropped("too many messages")]]


def test_the_memory_of_what_is_in_force_is_bounded_and_forgets_what_needs_no_remembering():
    week = 7 * 86_400.0
    memory = InForce(limit=3, max_lifetime=week)
    kinds = [content(str(k), latest=True, issued=NOW.wall + k, originator=str(k)) for k in range(4)]
    for what in kinds:
        assert memory.take(what, NOW.wall) is None
    assert len(memory) == 3

    def older(what):
        return replace(what, terms=replace(what.terms, issued=what.terms.issued - 1))

    assert [memory.is_superseded(older(what)) for what in kinds] == [False, True, True, True]
    # Whatever is older than these has expired by then.
    memory.take(content("late", latest=True, issued=NOW.wall + week, originator="late"), NOW.wall + week + 2)
    assert [memory.is_superseded(older(what)) for what in kinds] == [False, False, False, True]


def test_what_is_in_force_is_kept_through_a_flood_of_other_messages_but_fills_no_more_than_half():
    store = Recent(8, 1 << 20)
    store.add(Kept(NEW, 0.0, 0.0))
    for number in range(50):
        store.add(Kept(content(str(number)), 0.0, 0.0))
    assert len(store) == 8
    assert store.get(NEW.id) is not None
    for number in range(50):
        store.add(Kept(content(f"in force {number}", latest=True, originator=str(number)), 0.0, 0.0))
    assert len(store) == 8
    kept = [one.content.terms.latest for one in store.unexpired(NOW.wall)]
    assert kept.count(True) == 5  # the one more that was just taken in
