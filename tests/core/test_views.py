"""The views of one device: who becomes a neighbour, who makes room, and who is never let in unproved."""

from dataclasses import replace

import pytest
from builders import NOW, address, at, befriend, device, node, peer

from gossip_ws.core.effects import KeepViews
from gossip_ws.core.introductions import INTRODUCTIONS
from gossip_ws.core.messages import Ack, Disconnect, Neighbor, NeighborReply, Ping, Shuffle
from gossip_ws.core.peers import Role
from gossip_ws.core.views import ACTIVE, PASSIVE, TRIES
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.errors import LocalError

ME = device("ssc1")


def sent(effects, kind):
    return [effect for effect in effects if isinstance(effect, Send) and isinstance(effect.message, kind)]


def wants(name, *, urgent=False, scope="", **changes):
    return Neighbor(device(name), scope, replace(peer(name), **changes), urgent)


def full(**settings):
    """A device with neighbours ssc2 to ssc6, that knows ssc7 and ssc8 too."""
    ssc = node("ssc1", *(peer(f"ssc{n}") for n in range(2, 9)), **settings)
    befriend(ssc, *(f"ssc{n}" for n in range(2, 7)))
    return ssc


def answer(name, *, accepted):
    return Send(NeighborReply(ME, "", accepted), (address(name),))


def test_who_asks_is_taken_while_there_is_room_and_remembered_when_there_is_none():
    ssc = full()
    assert ssc.receive(wants("ssc7"), address("ssc7"), NOW) == [answer("ssc7", accepted=False)]
    (view,) = ssc.membership.views
    assert set(view.active) == {device(f"ssc{n}") for n in range(2, 7)}
    assert view.passive == (device("ssc7"),)
    # Its reply was lost and it asks again.
    assert ssc.receive(wants("ssc2"), address("ssc2"), NOW) == [answer("ssc2", accepted=True)]


def test_who_has_nobody_is_taken_by_a_full_view_and_one_at_random_leaves():
    ssc = full()
    before = set(ssc.membership.active)
    (farewell, yes) = ssc.receive(wants("ssc7", urgent=True), address("ssc7"), NOW)
    assert farewell.message == Disconnect(ME, "")
    assert yes == answer("ssc7", accepted=True)
    (gone,) = before - set(ssc.membership.active)
    assert farewell.to == (ssc.peers.get(gone).udp,)
    assert gone in ssc.membership.views[0].passive
    assert len(ssc.membership.active) == ACTIVE


def test_empty_places_are_filled_and_the_silent_are_asked_again_then_given_up():
    ssc = node("ssc1", peer("ssc2"))
    (timer, ask) = ssc.timer(KeepViews(), NOW)
    assert isinstance(timer, SetTimer)
    assert timer.timer == KeepViews()
    assert ask == Send(Neighbor(ME, "", ssc.self_peer, urgent=False), (address("ssc2"),))
    for turn in range(1, TRIES):
        assert sent(ssc.timer(KeepViews(), at(turn)), Neighbor) == [ask]
    # It may have said yes, and the answer was lost.
    farewell = Send(Disconnect(ME, ""), (address("ssc2"),))
    assert farewell in ssc.timer(KeepViews(), at(TRIES))
    assert ssc.membership.active == ()
    # Nobody else is known: it is asked again, later, and told that this is urgent.
    later = [effect for turn in range(TRIES + 1, TRIES + 4) for effect in ssc.timer(KeepViews(), at(turn))]
    assert sent(later, Neighbor)[0].message.urgent


def test_a_refusal_leaves_the_place_to_another_and_an_acceptance_fills_it():
    ssc = node("ssc1", peer("ssc2"))
    ssc.timer(KeepViews(), NOW)
    assert ssc.receive(NeighborReply(device("ssc2"), "", False), address("ssc2"), NOW) == []
    assert ssc.membership.active == ()
    ssc.timer(KeepViews(), at(2))
    assert ssc.receive(NeighborReply(device("ssc2"), "", True), address("ssc2"), NOW) == []
    assert ssc.membership.active == (device("ssc2"),)


def test_a_yes_to_what_was_not_asked_makes_no_neighbour():
    ssc = node("ssc1", peer("ssc2"))
    unasked = ssc.receive(NeighborReply(device("ssc2"), "", True), address("ssc2"), NOW)
    assert unasked == [Send(Disconnect(ME, ""), (address("ssc2"),)), Dropped("reply of no candidate")]
    assert ssc.membership.active == ()


def test_a_stranger_is_answered_only_after_its_address_has():
    ssc = node("ssc1")
    (ping,) = ssc.receive(wants("ssc9"), address("ssc9"), NOW)
    assert ping.to == (address("ssc9"),)
    assert isinstance(ping.message, Ping)
    wrong = Ack(device("ssc9"), b"guess")
    assert ssc.receive(wrong, address("ssc9"), NOW) == [Dropped("challenge not met")]
    nonce = ping.message.nonce
    elsewhere = ssc.receive(Ack(device("ssc9"), nonce), address("ssc8"), NOW)
    assert elsewhere == [Dropped("challenge not met")]
    assert ssc.peers.get(device("ssc9")) is None
    assert ssc.receive(Ack(device("ssc9"), nonce, incarnation=4), address("ssc9"), NOW) == []
    # What is held of it is what it said itself when it was pinged, not what the first message claimed.
    assert ssc.peers.get(device("ssc9")) == replace(peer("ssc9"), incarnation=4)
    assert ssc.receive(wants("ssc9"), address("ssc9"), NOW) == [answer("ssc9", accepted=True)]


def test_nobody_is_pinged_for_another_and_each_message_costs_one_ping_at_most():
    """No reflector: a Ping goes only to the host that the message came from, and is smaller than it."""
    ssc = node("ssc1")
    borrowed = wants("ssc9", udp=address("ssc8"))
    assert ssc.receive(borrowed, address("ssc9"), NOW) == [Dropped("no such view")]
    effects = [effect for n in range(200) for effect in ssc.receive(wants("ssc9"), address("ssc9"), NOW)]
    assert len(sent(effects, Ping)) == 64
    assert effects.count(Dropped("too many strangers")) == 136


def test_strangers_that_are_waited_for_are_bounded():
    ssc = node("ssc1")
    for n in range(20, 60):
        ssc.receive(wants(f"ssc{n}"), address(f"ssc{n}"), NOW)
    assert len(ssc.membership._introductions) == INTRODUCTIONS


def test_what_is_held_and_proved_is_not_moved_by_an_introduction():
    """Only registration moves a device: else who answers at an address of its own could take another's name."""
    ssc = node("ssc1", peer("ssc2"))
    hint = Shuffle(device("ssc2"), "", (replace(peer("ssc2"), udp=address("ssc9")),), wants_reply=False)
    ssc.receive(hint, address("ssc2"), NOW)
    for turn in range(3):
        for ping in sent(ssc.timer(KeepViews(), at(turn)), Ping):
            ssc.receive(Ack(device("ssc2"), ping.message.nonce), ping.to[0], at(turn))
    assert ssc.peers.get(device("ssc2")) == peer("ssc2")


def test_children_parents_and_those_outside_are_no_neighbours():
    ssc = node("ssc1", peer("sm2"), peer("ssc3", scope="grid://other/3"), view_scopes=("grid://t",))
    for name in ("sm2", "ssc3"):
        assert ssc.receive(wants(name, scope="grid://t"), address(name), NOW) == [Dropped("no such view")]
    known = node("ssc1", peer("ssc2"))
    assert known.receive(wants("ssc2", scope="grid://x"), address("ssc2"), NOW) == [Dropped("no such view")]


def test_each_scope_has_views_of_its_own():
    ssc = node(
        "ssc1", peer("ssc2", scope="grid://t/2"), peer("ssc3", scope="grid://t/3"), view_scopes=("", "grid://t/2")
    )
    asked = sent(ssc.timer(KeepViews(), NOW), Neighbor)
    assert {(ask.message.scope, ask.to[0].host) for ask in asked} == {
        ("", "host-ssc2"), ("", "host-ssc3"), ("grid://t/2", "host-ssc2"),
    }  # fmt: skip


def test_a_shuffle_is_answered_to_the_registered_address_with_as_many():
    ssc = full()
    told = tuple(peer(f"ssc{n}") for n in range(20, 24))
    (reply,) = ssc.receive(
        Shuffle(device("ssc2"), "", told, wants_reply=True), replace(address("ssc2"), port=50_000), NOW
    )
    assert reply.to == (address("ssc2"),)
    assert len(reply.message.peers) == len(told)
    assert reply.message.peers[0] == ssc.self_peer
    assert not reply.message.wants_reply
    # Hints only: in no table, and in no active view.
    assert {device(f"ssc{n}") for n in range(20, 24)} == set(ssc.membership.views[0].passive)
    assert ssc.peers.get(device("ssc20")) is None


def test_a_hint_is_pinged_before_it_is_asked():
    ssc = node("ssc1", peer("ssc2"))
    ssc.receive(wants("ssc2"), address("ssc2"), NOW)
    ssc.receive(Shuffle(device("ssc2"), "", (peer("ssc20"),), wants_reply=False), address("ssc2"), NOW)
    effects = ssc.timer(KeepViews(), NOW)
    (ping,) = sent(effects, Ping)
    assert ping.to == (address("ssc20"),)
    assert sent(effects, Neighbor) == []
    ssc.receive(Ack(device("ssc20"), ping.message.nonce), address("ssc20"), NOW)
    (ask,) = sent(ssc.timer(KeepViews(), at(1)), Neighbor)
    assert ask.to == (address("ssc20"),)


def test_a_shuffle_from_who_takes_us_for_a_neighbour_mends_the_link_or_ends_it():
    lonely = node("ssc1", peer("ssc2"))
    lonely.receive(Shuffle(device("ssc2"), "", (), wants_reply=True), address("ssc2"), NOW)
    assert lonely.membership.active == (device("ssc2"),)
    ssc = full()
    effects = ssc.receive(Shuffle(device("ssc7"), "", (), wants_reply=True), address("ssc7"), NOW)
    assert sent(effects, Disconnect) == [Send(Disconnect(ME, ""), (address("ssc7"),))]


def test_a_passive_view_is_bounded_whatever_is_told():
    ssc = full()
    for n in range(100, 200, 5):
        told = tuple(peer(f"ssc{k}") for k in range(n, n + 5))
        ssc.receive(Shuffle(device("ssc2"), "", told, wants_reply=False), address("ssc2"), NOW)
    assert len(ssc.membership.views[0].passive) == PASSIVE
    nonsense = (
        replace(peer("ssc300"), device="nobody"),
        replace(peer("ssc301"), udp=None),
        replace(peer("ssc302"), subtree=0),
        ssc.self_peer,
        peer("sm4"),
    )
    other = full()
    other.receive(Shuffle(device("ssc2"), "", nonsense, wants_reply=False), address("ssc2"), NOW)
    assert other.membership.views[0].passive == ()


def test_views_are_exchanged_with_one_neighbour_now_and_then_each_in_turn():
    ssc = full()
    ssc.start(NOW)
    asked = [
        shuffle.to[0].host
        for turn in range(120)
        for shuffle in sent(ssc.timer(KeepViews(), at(turn)), Shuffle)
        if shuffle.message.wants_reply and len(shuffle.message.peers) <= 8
    ]
    assert 8 <= len(asked) <= 16
    assert len(set(asked[:5])) == 5


def test_who_leaves_or_is_forgotten_is_no_neighbour_any_more():
    ssc = full()
    assert ssc.receive(Disconnect(device("ssc2"), ""), address("ssc2"), NOW) == []
    ssc.forget(device("ssc3"))
    ssc.timer(KeepViews(), NOW)
    assert set(ssc.membership.active) == {device("ssc4"), device("ssc5"), device("ssc6")}


def test_who_goes_down_says_so_to_its_neighbours():
    ssc = full()
    service, farewell = ssc.stop()
    assert service is None
    assert {effect.to[0].host for effect in sent(farewell, Disconnect)} == {f"host-ssc{n}" for n in range(2, 7)}


@pytest.mark.parametrize("settings", [{"role": Role.APPLIANCE}, {"view_scopes": ()}])
def test_a_device_without_equals_sets_no_timer(settings):
    quiet = node("ied1", **settings)
    assert not [effect for effect in quiet.start(NOW) if isinstance(effect, SetTimer) and effect.timer == KeepViews()]
    assert quiet.membership.views == ()


def test_settings_that_contradict_one_another_are_refused():
    for wrong in ({"probe_timeout": 2.0}, {"suspicion": 0.0}, {"view_scopes": tuple("abcdefghi")}):
        with pytest.raises(LocalError):
            node("ssc1", **wrong)
