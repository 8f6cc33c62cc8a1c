"""Registration, from both sides."""

from dataclasses import replace

import pytest
from builders import NOW, address, at, content, device, node, peer

from gossip_ws.core.effects import AskPeers, ChallengeAgain, Enrol, EnrolAgain, Leave
from gossip_ws.core.messages import Ack, Digest, Neighbor, Ping
from gossip_ws.core.peers import Relation
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.homes import Home, Local

SEED = address("ssc1")


def enrolled(name="sm1", **settings):
    meter = node(name, seeds=(SEED,), **settings)
    (enrol, *_) = meter.start(NOW)
    assert isinstance(enrol, Enrol)
    assert enrol.peer.subtree == 1
    return meter, meter.enrolled(90.0, peer("ssc1"), NOW)


def register(registrar, name, when=NOW):
    """`name` registers and answers the challenge; the effects of both."""
    lease, effects = registrar.register(peer(name), when)
    assert lease == registrar.config.lease
    nonce = effects[0].message.nonce
    return registrar.receive(Ack(device(name), nonce), address(name), when)


def test_who_is_taken_in_asks_for_its_equals_and_comes_back_in_a_third_of_the_lease():
    meter, (again, ask, above, _) = enrolled()
    assert isinstance(again.timer, EnrolAgain)
    assert 0.8 * 30 <= again.delay <= 30
    assert ask == AskPeers(SEED, (), (), 64)
    assert above == AskPeers(SEED, (), (), 64, Relation.EQUAL)
    meter.peers_told((peer("is0"),), NOW, Relation.EQUAL)
    assert meter.peers.reachable(device("is0")) == peer("is0")
    assert meter.peers.get(device("is0")) is None  # known for the day its parent dies, no peer
    meter.peers_told((peer("sm2"), peer("ssc9"), peer("sm1")), NOW)
    # An equal is taken in; the registrar's own equals are no parents of ours, and we are not our own peer.
    assert {known.device for known in meter.peers} == {device("ssc1"), device("sm2")}


def test_a_registration_is_given_out_only_after_its_address_answered():
    ssc = node("ssc1")
    _, effects = ssc.register(peer("sm1"), NOW)
    (challenge, again) = effects
    assert challenge.to == (address("sm1"),)
    assert again == SetTimer(ChallengeAgain(device("sm1"), 2), 0.3)
    assert ssc.peers.get(device("sm1")) is None
    wrong = Ack(device("sm1"), b"guess")
    assert ssc.receive(wrong, address("sm1"), NOW) == [Dropped("challenge not met")]
    assert ssc.receive(Ack(device("sm1"), challenge.message.nonce), address("sm1"), NOW) == []
    assert ssc.peers.get(device("sm1")) == peer("sm1")
    assert ssc.timer(ChallengeAgain(device("sm1"), 2), at(0.3)) == []
    assert ssc.register(peer("sm1"), at(30))[1] == []  # a refresh needs no new proof


def test_a_challenge_is_sent_again_and_then_the_entry_forgotten():
    ssc = node("ssc1")
    ssc.register(peer("sm1"), NOW)
    waits = []
    for attempt in range(2, 13):
        (sent, timer) = ssc.timer(ChallengeAgain(device("sm1"), attempt), at(attempt))
        assert isinstance(sent.message, Ping)
        assert timer.timer.attempt == attempt + 1
        waits.append(timer.delay)
    assert waits == [0.6, 1.2, 2.4, *[4.8] * 8]
    assert ssc.timer(ChallengeAgain(device("sm1"), 13), at(43)) == [Dropped("registered address does not answer")]
    assert len(ssc.peers) == 0


def test_a_challenge_is_answered_to_where_it_came_from():
    meter = node("sm1")
    effects = meter.receive(Ping(device("ssc1"), b"nonce"), address("ssc1"), NOW)
    assert effects == [Send(Ack(device("sm1"), b"nonce"), (address("ssc1"),))]


def test_a_new_child_is_told_upward_soon_and_once_for_a_burst():
    ssc, _ = enrolled("ssc3")
    (soon,) = register(ssc, "sm1")
    assert soon.delay <= 0.4
    assert register(ssc, "sm2") == []
    (enrol,) = ssc.timer(soon.timer, at(0.4))
    assert enrol.peer.subtree == 3


def test_a_child_that_comes_while_the_registration_is_under_way_is_not_forgotten():
    """Found in a city: the answer's own timer made the hurried one stale, and the count was late by 30 s."""
    ssc, _ = enrolled("ssc3")
    (soon,) = register(ssc, "sm1")
    (enrol,) = ssc.timer(soon.timer, at(0.4))
    assert enrol.peer.subtree == 2
    # Of two registrations at once the older could come last.
    assert register(ssc, "sm2", at(0.5)) == []
    assert not ssc.is_told
    (again, *_) = ssc.enrolled(90.0, peer("is0"), at(0.6))
    assert again.delay <= 0.4
    (enrol,) = ssc.timer(again.timer, at(1.0))
    assert enrol.peer.subtree == 3
    assert not ssc.is_told
    ssc.enrolled(90.0, peer("is0"), at(1.1))
    assert ssc.is_told


def test_an_unanswered_service_is_tried_again_later_each_time_and_the_next_one_first():
    other = address("ssc2")
    meter = node("sm1", seeds=(SEED, other))
    meter.start(NOW)
    delays = []
    for turn, service in enumerate((other, SEED, other), 1):
        (wait,) = meter.enrol_failed(at(turn))
        delays.append(wait.delay)
        (enrol,) = meter.timer(wait.timer, at(turn))
        assert enrol.service == service
    assert delays[2] > delays[0]


def test_quotas_hold_and_a_malformed_entry_is_refused():
    ssc = node("ssc1", peer_limit=2)
    register(ssc, "sm1")
    register(ssc, "sm2")
    with pytest.raises(RemoteError, match="full"):
        ssc.register(peer("sm3"), NOW)
    for wrong in (peer("ssc1"), peer("sm4", subtree=0)):
        with pytest.raises(RemoteError):
            ssc.register(wrong, NOW)


def test_a_device_is_registered_by_itself_alone():
    """Else somebody could move another away, or have messages sent to a host that never asked for them."""
    ssc = node("ssc1")
    for source in (address("sm2"), replace(address("sm1"), host="127.9.9.9")):
        with pytest.raises(RemoteError, match="from where it is reached"):
            ssc.register(peer("sm1"), NOW, source)
    borrowed = replace(peer("sm1"), http=replace(address("sm2"), binding=Binding.HTTP))
    with pytest.raises(RemoteError, match="from where it is reached"):
        ssc.register(borrowed, NOW, address("sm1"))
    assert len(ssc.peers) == 0
    ssc.register(peer("sm1"), NOW, replace(address("sm1"), port=50_000))
    assert len(ssc.peers) == 1


def test_a_registered_identity_is_not_taken_over():
    """With another key, with none, or with its own, which everybody may know, from another host."""
    ssc = node("ssc1", lease=90.0)
    own = replace(peer("sm1"), key=bytes(32), incarnation=1)
    ssc.register(own, NOW, address("sm1"))
    elsewhere = replace(own, udp=address("sm2"))
    for stolen in (replace(own, key=bytes(31) + b"x"), replace(own, key=b""), elsewhere):
        with pytest.raises(RemoteError) as refused:
            ssc.register(replace(stolen, incarnation=9), at(1), stolen.udp)
        assert refused.value.fault.subcode.endswith("}NotYours")
    assert ssc.peers.held(device("sm1"), 1.0) == own
    # A reboot gives it other ports, and a move another host once the lease has ended.
    rebooted = replace(own, udp=replace(address("sm1"), port=4000), incarnation=2)
    ssc.register(rebooted, at(2), address("sm1"))
    assert ssc.peers.held(device("sm1"), 2.0) == rebooted
    moved = replace(elsewhere, incarnation=3)
    ssc.register(moved, at(93), address("sm2"))
    assert ssc.peers.held(device("sm1"), 93.0) == moved


def test_a_key_that_only_an_introduction_names_keeps_nobody_from_registering():
    """Neighbours are told of by others, or by a datagram whose source is forged; an Ack proves the address alone."""
    ssc = node("ssc1")
    told = Neighbor(device("ssc2"), "", replace(peer("ssc2"), key=b"f" * 32), urgent=False)
    (ping,) = ssc.receive(told, address("ssc2"), NOW)
    ssc.receive(Ack(device("ssc2"), ping.message.nonce), address("ssc2"), NOW)
    assert ssc.peers.get(device("ssc2")) == peer("ssc2")
    own = replace(peer("ssc2"), key=bytes(32))
    ssc.register(own, at(1), address("ssc2"))
    assert ssc.peers.get(device("ssc2")) == own


def test_a_device_that_registered_without_a_key_may_get_one():
    ssc = node("ssc1")
    ssc.register(peer("sm1"), NOW)
    keyed = replace(peer("sm1"), key=bytes(32))
    ssc.register(keyed, at(1))
    assert ssc.peers.held(device("sm1"), 1.0) == keyed


def test_a_host_has_a_quota_also_while_its_devices_have_not_answered():
    ssc = node("ssc1", peers_per_host=2)
    one_host = [replace(peer(f"sm{n}"), udp=address("sm1")) for n in range(1, 4)]
    ssc.register(one_host[0], NOW)
    ssc.register(one_host[1], NOW)
    with pytest.raises(RemoteError, match="too many"):
        ssc.register(one_host[2], NOW)
    ssc.register(one_host[0], NOW)
    ssc.register(peer("sm4"), NOW)


def test_who_is_silent_for_its_lease_is_forgotten():
    from gossip_ws.core.effects import PullNews

    ssc = node("ssc1", lease=20.0)
    register(ssc, "sm1")
    ssc.timer(PullNews(), at(19))
    assert len(ssc.peers) == 1
    ssc.timer(PullNews(), at(21))
    assert len(ssc.peers) == 0


def test_what_is_older_than_configured_is_asked_for_again():
    from gossip_ws.core.effects import PullNews

    meter, _ = enrolled(peers_max_age=60.0)
    assert not any(isinstance(effect, AskPeers) for effect in meter.timer(PullNews(), at(59)))
    assert any(isinstance(effect, AskPeers) for effect in meter.timer(PullNews(), at(61)))


def test_who_is_taken_in_asks_for_news_at_once_and_again_when_it_was_lost():
    meter, effects = enrolled()
    assert effects[-1] == Send(Digest(device("sm1"), ()), (SEED,))
    refreshed = meter.enrolled(90.0, peer("ssc1"), at(30))
    assert not any(isinstance(effect, Send) for effect in refreshed)
    for failure in range(2):
        meter.enrol_failed(at(60 + failure))
    assert meter.enrolled(90.0, peer("ssc1"), at(90))[-1] == effects[-1]


def test_who_has_proved_its_address_is_told_what_is_held_here():
    """Its own question may have come too early: before the proof it was a stranger's."""
    ssc, tariff = node("ssc1"), content()
    (_, early) = ssc.register(peer("sm1"), NOW)
    assert ssc.receive(Digest(device("sm1"), ()), address("sm1"), NOW) == [Dropped("unknown sender")]
    ssc.originate(tariff, NOW)
    offered = ssc.receive(Ack(device("sm1"), early[0].message.nonce), address("sm1"), at(0.1))
    assert offered == [Send(Digest(device("ssc1"), (tariff.id[:8],)), (address("sm1"),))]
    meter = node("sm1", peer("ssc1"))
    (fetch,) = meter.receive(offered[0].message, address("ssc1"), at(0.1))
    (given,) = ssc.receive(fetch.message, address("sm1"), at(0.1))
    assert given.message.content == tariff


def test_who_turned_to_another_registrar_leaves_the_one_that_did_not_answer():
    """It may have been taken in there, where it would stand, and be missed, until its lease ends."""
    other = address("ssc2")
    meter = node("sm1", seeds=(SEED, other))
    meter.start(NOW)
    (wait,) = meter.enrol_failed(NOW)
    (second,) = meter.timer(wait.timer, at(1))
    assert second.service == other
    effects = meter.enrolled(90.0, peer("ssc2"), at(1))
    assert [effect for effect in effects if isinstance(effect, Leave)] == [Leave(SEED)]
    refreshed = meter.enrolled(90.0, peer("ssc2"), at(30))
    assert not any(isinstance(effect, Leave) for effect in refreshed)


def home(host, interface="eth0", prefix=24):
    udp, http = (Address(binding, host, 9, "/gossip") for binding in (Binding.UDP, Binding.HTTP))
    return Home(Local(host, interface, 1, prefix), udp, http)


def test_whose_address_changed_registers_at_once_as_a_later_incarnation():
    meter, _ = enrolled()
    before = meter.self_peer
    (enrol,) = meter.moved((home("10.0.0.7"),), at(1))
    assert (enrol.service, enrol.peer.udp.host) == (SEED, "10.0.0.7")
    assert enrol.peer.incarnation == before.incarnation + 1
    # Of none nobody could be told.
    assert meter.moved((), at(2)) == []
    assert meter.self_peer == enrol.peer


def test_each_is_named_the_address_that_suits_it():
    ssc = node("ssc1")
    ssc.moved((home("10.0.0.7"), home("10.0.1.7", "eth1"), home("fd00::7", "eth1", 64)), NOW)
    askers = ("10.0.1.9", "10.9.9.9", "fd00::9")
    named = {host: ssc.own_towards(Address(Binding.HTTP, host, 80)).http.host for host in askers}
    assert named == {"10.0.1.9": "10.0.1.7", "10.9.9.9": "10.0.0.7", "fd00::9": "fd00::7"}
    assert ssc.self_peer.http.host == "10.0.0.7"


def test_a_registration_that_holds_is_not_given_up_for_one_lost_answer():
    """A busy substation, or an answer lost: the tree stays as it is. One that is silent three times is turned from."""
    other = address("ssc2")
    meter = node("sm1", seeds=(SEED, other))
    meter.start(NOW)
    meter.enrolled(90.0, peer("ssc1"), NOW)
    asked = []
    for turn in range(3):
        (wait,) = meter.enrol_failed(at(30 + turn))
        (enrol,) = meter.timer(wait.timer, at(30.5 + turn))
        asked.append(enrol.service)
    assert asked == [SEED, SEED, other]
    left = [effect for effect in meter.enrolled(90.0, peer("ssc2"), at(34)) if isinstance(effect, Leave)]
    assert left == [Leave(SEED)]


def test_who_goes_down_while_its_registrar_is_silent_tells_that_one():
    """It has turned to another, which does not know of it yet: the first one counts on it until the lease ends."""
    meter = node("sm1", seeds=(SEED, address("ssc2")))
    meter.start(NOW)
    meter.enrolled(90.0, peer("ssc1"), NOW)
    for turn in range(3):
        meter.enrol_failed(at(30 + turn))
    told, _ = meter.stop()
    assert told == SEED


def test_a_registrar_that_rebooted_and_forgot_is_registered_with_again():
    """It is down for a moment and then knows nobody. Whoever stayed with it is challenged as a newcomer is, and is
    given out once it has answered."""
    meter = node("sm1", seeds=(SEED, address("ssc2")))
    meter.start(NOW)
    refresh = meter.enrolled(90.0, peer("ssc1"), NOW)[0]
    meter.timer(refresh.timer, at(30))
    (again,) = meter.enrol_failed(at(30))
    (enrol,) = meter.timer(again.timer, at(30.5))
    assert enrol.service == SEED
    rebooted = node("ssc1")
    lease, (challenge, _) = rebooted.register(enrol.peer, at(30.5))
    assert list(rebooted.peers) == []
    meter.enrolled(lease, peer("ssc1"), at(30.5))
    (answer,) = meter.receive(challenge.message, SEED, at(30.6))
    rebooted.receive(answer.message, address("sm1"), at(30.7))
    assert [held.device for held in rebooted.peers] == [device("sm1")]


def test_of_many_services_that_were_found_the_oldest_makes_room():
    """A parent that moves once a day is found at its ninth address too. Seeds stay, and so does the one in use."""
    meter = node("sm1", seeds=(SEED,))
    meter.start(NOW)
    meter.enrolled(90.0, peer("ssc1"), NOW)
    for number in range(20):
        meter.service_found(address(f"found{number}"), NOW)
    asked = []
    for turn in range(3 + 8):
        (again,) = meter.enrol_failed(at(30 + turn))
        (enrol,) = meter.timer(again.timer, at(30.5 + turn))
        asked.append(enrol.service)
    assert asked[:3] == [SEED, SEED, address("found13")]
    assert asked[3:9] == [address(f"found{number}") for number in range(14, 20)]
    assert asked[9] == SEED
    # The one in use stays while it is.
    meter.enrolled(90.0, peer("ssc9"), at(50))
    for number in range(20, 40):
        meter.service_found(address(f"found{number}"), at(50))
    assert meter.stop()[0] == asked[-1]
