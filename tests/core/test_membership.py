"""Who is dead and who is not: pings, helpers, suspicion, refutation, and what nobody is believed."""

from dataclasses import replace

from builders import NOW, address, at, befriend, content, device, gossip, node, peer

from gossip_ws.core.detector import HELPED, LOOKS, PING_GAP
from gossip_ws.core.effects import Answer, AskAgain, Combine, KeepViews, LookAgain
from gossip_ws.core.membership import LOST, MAX_JUMP
from gossip_ws.core.messages import (
    Ack,
    Alive,
    Digest,
    Disconnect,
    Gossip,
    Neighbor,
    Ping,
    PingRequest,
    Receipt,
    Signature,
    Standing,
    Suspect,
    Tally,
)
from gossip_ws.core.peers import Relation
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.terms import Style, Tier

ME = device("ssc1")
QUIET = 6.0


def sent(effects, kind):
    return [effect for effect in effects if isinstance(effect, Send) and isinstance(effect.message, kind)]


def look(effects):
    """The timer of the look that these begin or go on with."""
    (timer,) = [e.timer for e in effects if isinstance(e, SetTimer) and isinstance(e.timer, LookAgain)]
    return timer


def circle(*names, **settings):
    """A device with these neighbours, none of them heard since NOW."""
    ssc = node("ssc1", *(peer(name) for name in names), **settings)
    befriend(ssc, *names)
    ssc.timer(KeepViews(), NOW)
    return ssc


def silent(ssc, when=QUIET):
    """The effects of the round in which somebody is looked at for the first time."""
    return ssc.timer(KeepViews(), at(when))


def kill(ssc, name, when=QUIET):
    """`name` never answers; everything until it is down. `ssc` accuses it by itself."""
    effects = ssc.receive(Suspect(device("ssc9"), device(name), 0), address("ssc9"), at(when))
    every = [*effects]
    while any(isinstance(effect, SetTimer) for effect in effects):
        effects = ssc.timer(look(effects), at(when))
        every += effects
    return every


def test_a_neighbour_that_was_heard_is_not_pinged_and_a_silent_one_is():
    ssc = circle("ssc2", "ssc3")
    assert sent(silent(ssc, QUIET - 1), Ping) == []
    ssc.receive(Digest(device("ssc3"), ()), address("ssc3"), at(QUIET - 1))
    effects = silent(ssc)
    (ping,) = sent(effects, Ping)
    assert ping.to == (address("ssc2"),)
    assert SetTimer(LookAgain(device("ssc2"), ping.message.nonce, 1), 0.3) in effects
    # While it is looked at it is not looked at twice.
    assert sent(silent(ssc, QUIET + 0.5), Ping) == []


def test_an_ack_ends_the_look_and_a_forged_one_does_not():
    ssc = circle("ssc2")
    effects = silent(ssc)
    (ping,) = sent(effects, Ping)
    timer = look(effects)
    forged = ssc.receive(Ack(device("ssc2"), b"guess"), address("ssc2"), at(QUIET))
    assert forged == [Dropped("challenge not met")]
    assert sent(ssc.timer(timer, at(QUIET + 0.3)), Ping) == [ping]
    assert ssc.receive(Ack(device("ssc2"), ping.message.nonce), address("ssc2"), at(QUIET + 0.4)) == []
    assert ssc.timer(replace(timer, attempt=2), at(QUIET + 1)) == []
    # The answer to the second ping is no news, and no wrong answer to a challenge either.
    assert ssc.receive(Ack(device("ssc2"), ping.message.nonce), address("ssc2"), at(QUIET + 0.5)) == []


def test_any_message_from_its_registered_address_is_a_sign_of_life_from_elsewhere_none_is():
    ssc = circle("ssc2")
    timer = look(silent(ssc))
    ssc.receive(Ping(device("ssc2"), b"theirs"), address("ssc9"), at(QUIET))
    assert ssc.timer(timer, at(QUIET + 0.3)) != []
    ssc.receive(Ping(device("ssc2"), b"theirs"), address("ssc2"), at(QUIET))
    assert ssc.timer(replace(timer, attempt=2), at(QUIET + 1)) == []


def test_three_others_are_asked_before_anybody_is_suspected():
    ssc = circle("ssc2", "ssc3", "ssc4", "ssc5", "ssc6")
    effects = silent(ssc)
    timer = look(effects)
    (asked,) = sent(ssc.timer(timer, at(QUIET + 0.3)), PingRequest)
    subject = next(name for name in ("ssc2", "ssc3", "ssc4", "ssc5", "ssc6") if device(name) == timer.device)
    assert asked.message == PingRequest(ME, timer.nonce, timer.device, address(subject))
    assert len(set(asked.to)) == 3
    assert address(subject) not in asked.to
    assert sent(effects, Suspect) == []


def test_suspicion_is_told_to_the_suspect_the_neighbours_and_the_parents():
    meter = node("sm1", peer("sm2"), peer("sm3"), peer("ssc1"))
    befriend(meter, "sm2", "sm3")
    meter.timer(KeepViews(), NOW)
    meter.receive(Digest(device("sm3"), ()), address("sm3"), at(3))
    timer = look(silent(meter))
    first = meter.timer(timer, at(QUIET + 0.3))
    suspicion = meter.timer(look(first), at(QUIET + 1))
    (told,) = sent(suspicion, Suspect)
    assert told.message == Suspect(device("sm1"), device("sm2"), 0)
    assert told.to == (address("sm2"), address("sm3"), address("ssc1"))
    again = meter.timer(look(suspicion), at(QUIET + 1.1))
    assert sent(again, Suspect) == []
    assert sent(again, Ping)[0].to == (address("sm2"),)
    assert SetTimer(look(again), PING_GAP) in again


def test_a_suspect_is_pinged_hard_and_through_others_in_turn_and_then_it_is_dead():
    ssc = circle("ssc2", "ssc3", "ssc4", "ssc9")
    effects = kill(ssc, "ssc2")
    direct = [ping for ping in sent(effects, Ping) if ping.to == (address("ssc2"),)]
    # At 50 % loss each way 0.75^60 = 3e-8 of live suspects answer none of these.
    assert len(direct) >= 60
    helpers = {to for request in sent(effects, PingRequest) for to in request.to}
    assert helpers == {address("ssc3"), address("ssc4"), address("ssc9")}
    assert ssc.peers.is_down(device("ssc2"))
    assert device("ssc2") not in ssc.membership.active


def test_the_dead_are_not_sampled_not_asked_not_given_out_but_still_expected():
    ssc = circle("ssc2", "ssc3", "ssc9")
    kill(ssc, "ssc2")
    assert peer("ssc2") in ssc.peers.related(Relation.EQUAL)
    assert peer("ssc2") not in ssc.peers.up(Relation.EQUAL)
    assert peer("ssc2") not in ssc.peers.up(Relation.EQUAL, ("grid://t",))
    assert peer("ssc2") not in ssc.peers.select()
    (push,) = sent(ssc.originate(content(), at(20)), Gossip)
    assert address("ssc2") not in push.to
    # What the Peer Service tells of it is no sign of life.
    ssc.peers_told((peer("ssc2"),), at(21))
    assert ssc.peers.is_down(device("ssc2"))


def test_a_suspicion_makes_a_neighbour_look_for_itself_and_nothing_more():
    ssc = circle("ssc2", "ssc3")
    effects = ssc.receive(Suspect(device("ssc3"), device("ssc2"), 0), address("ssc3"), at(2))
    (ping,) = sent(effects, Ping)
    assert ping.to == (address("ssc2"),)
    assert not ssc.peers.is_down(device("ssc2"))
    ssc.receive(Ack(device("ssc2"), ping.message.nonce), address("ssc2"), at(2))
    # It has just answered: an accusation is no reason to ask again at once.
    assert ssc.receive(Suspect(device("ssc3"), device("ssc2"), 0), address("ssc3"), at(2.5)) == []


def test_accusations_by_strangers_and_of_strangers_change_nothing():
    ssc = circle("ssc2", "ssc3")
    stranger = ssc.receive(Suspect(device("ssc9"), device("ssc2"), 0), address("ssc9"), at(2))
    assert stranger == [Dropped("unknown sender")]
    borrowed = ssc.receive(Suspect(device("ssc3"), device("ssc2"), 0), address("ssc9"), at(2))
    assert borrowed == [Dropped("unknown sender")]
    unknown = ssc.receive(Suspect(device("ssc3"), device("ssc9"), 0), address("ssc3"), at(2))
    assert unknown == [Dropped("suspicion of nobody here")]


def test_a_registered_child_is_looked_at_too():
    ssc = node("ssc1", peer("sm1"), peer("sm2"), peer("sm3"))
    effects = ssc.receive(Suspect(device("sm2"), device("sm1"), 0), address("sm2"), NOW)
    assert sent(effects, Ping)[0].to == (address("sm1"),)
    (asked,) = sent(ssc.timer(look(effects), at(0.3)), PingRequest)
    assert set(asked.to) == {address("sm2"), address("sm3")}


def test_no_more_than_a_few_are_looked_at_at_once():
    ssc = node("ssc1", *(peer(f"sm{n}") for n in range(1, 60)))
    effects = []
    for n in range(2, 60):
        effects += ssc.receive(Suspect(device("sm1"), device(f"sm{n}"), 0), address("sm1"), NOW)
    assert len(sent(effects, Ping)) == LOOKS
    assert effects.count(Dropped("too many suspicions")) == 58 - LOOKS


def test_who_is_suspected_raises_its_incarnation_by_one_and_says_that_it_lives():
    ssc = circle("ssc2", "ssc3", incarnation=7)
    (told,) = ssc.receive(Suspect(device("ssc2"), ME, 7), address("ssc2"), at(1))
    assert told == Send(Alive(ME, 8), (address("ssc2"), address("ssc3")))
    assert ssc.self_peer.incarnation == 8
    # A second accuser within a second, or one that is behind, raises nothing.
    assert ssc.receive(Suspect(device("ssc3"), ME, 8), address("ssc3"), at(1.5)) == [
        Send(Alive(ME, 8), (address("ssc3"),))
    ]
    (late,) = ssc.receive(Suspect(device("ssc3"), ME, 7), address("ssc3"), at(9))
    assert late.message == Alive(ME, 8)
    # A huge number in an accusation is nothing that one would have to outbid.
    (forged,) = ssc.receive(Suspect(device("ssc3"), ME, 1 << 60), address("ssc3"), at(20))
    assert forged.message == Alive(ME, 9)
    # An Ack says it too.
    (ack,) = ssc.receive(Ping(device("ssc2"), b"n"), address("ssc2"), at(21))
    assert ack.message == Ack(ME, b"n", 9)


def test_a_newer_alive_is_believed_an_old_one_or_a_leap_is_not():
    ssc = circle("ssc2")
    said = Alive(device("ssc2"), 5)
    assert ssc.receive(said, address("ssc2"), at(1)) == []
    assert ssc.peers.get(device("ssc2")).incarnation == 5
    assert ssc.receive(said, address("ssc2"), at(1)) == [Dropped("life of old")]
    leap = Alive(device("ssc2"), 5 + MAX_JUMP + 1)
    assert ssc.receive(leap, address("ssc2"), at(1)) == [Dropped("incarnation too far ahead")]
    assert ssc.receive(Alive(device("ssc2"), 5 + MAX_JUMP), address("ssc2"), at(1)) == []


def test_an_alive_counts_by_its_signature_or_for_a_device_without_a_key_by_its_address():
    ssc = circle("ssc2")
    signed = Alive(device("ssc2"), 1, Signature("0" * 32, b"of whomever"))
    for message in (Alive(device("ssc2"), 1), signed):
        assert ssc.receive(message, address("ssc9"), at(1)) == [Dropped("unknown sender")]
    keyed = node("ssc1", replace(peer("ssc2"), key=bytes(32)))
    befriend(keyed, "ssc2")
    keyed.timer(KeepViews(), NOW)
    assert keyed.receive(Alive(device("ssc2"), 1), address("ssc2"), at(1)) == [Dropped("unknown sender")]
    timer = look(silent(keyed, 2 * QUIET))
    assert keyed.receive(signed, address("ssc9"), at(2 * QUIET)) == []
    assert keyed.timer(timer, at(2 * QUIET + 0.3)) == []


def test_a_refutation_is_registered_with_the_next_refresh():
    meter = node("sm1", peer("ssc1"), seeds=(address("ssc1"),))
    meter.start(NOW)
    (again, *_) = meter.enrolled(90.0, peer("ssc1"), NOW)
    meter.receive(Suspect(device("ssc1"), device("sm1"), 0), address("ssc1"), at(1))
    (enrol,) = meter.timer(again.timer, at(30))
    assert enrol.peer.incarnation == 1


def test_a_helper_pings_and_passes_the_answer_on_to_where_the_asker_is_registered():
    helper = node("ssc1", peer("ssc2"))
    request = PingRequest(device("ssc2"), b"asked", device("ssc3"), address("ssc3"))
    (ping,) = helper.receive(request, replace(address("ssc2"), port=50_000), NOW)
    assert ping.to == (address("ssc3"),)
    nonce = ping.message.nonce
    assert nonce != b"asked"
    forged = helper.receive(Ack(device("ssc3"), nonce), address("ssc9"), NOW)
    assert forged == [Dropped("challenge not met")]
    passed_on = helper.receive(Ack(device("ssc3"), nonce, 3), address("ssc3"), NOW)
    assert passed_on == [Send(Ack(device("ssc3"), b"asked", 3), (address("ssc2"),))]
    assert helper.receive(Ack(device("ssc3"), nonce), address("ssc3"), NOW) == [Dropped("challenge not met")]


def test_a_helper_prefers_the_address_that_it_knows_and_helps_no_stranger():
    helper = node("ssc1", peer("ssc2"), peer("ssc3"))
    request = PingRequest(device("ssc2"), b"asked", device("ssc3"), address("ssc8"))
    (ping,) = helper.receive(request, address("ssc2"), NOW)
    assert ping.to == (address("ssc3"),)
    stranger = replace(request, sender=device("ssc9"))
    assert helper.receive(stranger, address("ssc9"), NOW) == [Dropped("unknown sender")]
    itself = replace(request, about=ME)
    assert helper.receive(itself, address("ssc2"), NOW) == [Dropped("ping of nobody")]


def test_help_is_bounded():
    helper = node("ssc1", peer("ssc2"))
    effects = []
    for n in range(200):
        request = PingRequest(device("ssc2"), bytes([n]), device(f"ssc{n + 10}"), address(f"ssc{n + 10}"))
        effects += helper.receive(request, address("ssc2"), NOW)
    assert len(sent(effects, Ping)) == HELPED
    assert effects.count(Dropped("too many pings for others")) == 200 - HELPED


def test_one_of_the_dead_is_pinged_now_and_then_and_its_answer_brings_it_back():
    ssc = circle("ssc2", "ssc3", "ssc9")
    kill(ssc, "ssc2")
    pings = [
        (turn, ping)
        for turn in range(20, 30)
        for ping in sent(ssc.timer(KeepViews(), at(turn)), Ping)
        if ping.to == (address("ssc2"),)
    ]
    assert len(pings) == 2
    turn, ping = pings[-1]
    effects = ssc.receive(Ack(device("ssc2"), ping.message.nonce), address("ssc2"), at(turn))
    assert not ssc.peers.is_down(device("ssc2"))
    # What each side missed is exchanged at once, and both make room.
    assert [(type(e.message), e.to) for e in effects] == [
        (Neighbor, (address("ssc2"),)), (Digest, (address("ssc2"),)),
    ]  # fmt: skip
    assert effects[0].message.urgent


def test_whoever_comes_back_by_itself_is_back_too():
    for back in (
        lambda ssc: ssc.receive(Digest(device("ssc2"), ()), address("ssc2"), at(30)),
        lambda ssc: ssc.register(peer("ssc2"), at(30), address("ssc2"))[1],
        lambda ssc: ssc.enrolled(90.0, peer("ssc2"), at(30)),
    ):
        ssc = circle("ssc2", "ssc3", "ssc9", seeds=(address("ssc2"),))
        kill(ssc, "ssc2")
        ssc.receive(Digest(device("ssc2"), ()), address("ssc8"), at(30))
        assert ssc.peers.is_down(device("ssc2")), "from elsewhere nothing is a sign of life"
        assert Digest in [type(effect.message) for effect in back(ssc) if isinstance(effect, Send)]
        assert not ssc.peers.is_down(device("ssc2"))


def test_only_a_few_of_the_dead_are_remembered_for_that():
    ssc = node("ssc1", *(peer(f"sm{n}") for n in range(1, 50)), peer("ssc9"))
    for n in range(1, 50):
        kill(ssc, f"sm{n}", when=10.0 * n)
    assert len(ssc.membership._lost) == LOST
    assert ssc.peers.subtree == 50, "the dead stay expected while their lease lasts"


def read(ssc, when):
    what = content("read", style=Style.REQUEST_RESPONSE)
    effects = ssc.originate(what, when)
    return what, effects + ssc.invoked(what.id, b"own", when)


def test_a_request_asks_a_dead_child_once_and_does_not_wait_for_it():
    ssc = node("ssc1", peer("sm1", subtree=3), peer("ssc9"))
    kill(ssc, "sm1")
    ssc.forget(device("ssc9"))
    what, effects = read(ssc, NOW)
    assert sent(effects, Gossip)[0].to == (address("sm1"),)
    assert isinstance(effects[-1], Combine)
    (answer,) = ssc.combined(what.id, b"own", (), NOW)
    assert answer == Answer(what.id, b"own", Tally(1, 4, missing=3))
    assert ssc.timer(AskAgain(what.id, 1), at(0.3)) == []


def test_a_dead_child_that_says_it_joins_is_waited_for_after_all():
    ssc = node("ssc1", peer("sm1"), peer("sm2"), peer("ssc9"))
    kill(ssc, "sm1")
    ssc.forget(device("ssc9"))
    what, effects = read(ssc, NOW)
    assert not any(isinstance(effect, Combine) for effect in effects)
    ssc.receive(Receipt(what.id, device("sm1"), Standing.TAKEN), address("sm1"), at(0.1))
    refused = ssc.receive(Receipt(what.id, device("sm2"), Standing.DECLINED), address("sm2"), at(0.2))
    assert not any(isinstance(effect, Combine) for effect in refused), "sm1 lives, and will reply"
    assert not ssc.peers.is_down(device("sm1"))


def test_a_death_during_a_request_ends_the_wait():
    ssc = node("ssc1", peer("sm1"), peer("ssc9"))
    what = content("read", style=Style.REQUEST_RESPONSE)
    ssc.receive(gossip("ssc9", what, Tier.WAN, 0), address("ssc9"), NOW)
    ssc.invoked(what.id, b"own", NOW)
    ssc.receive(Receipt(what.id, device("sm1"), Standing.TAKEN), address("sm1"), at(0.1))
    effects = kill(ssc, "sm1", when=1.0)
    assert isinstance(effects[-1], Combine)
    assert ssc.peers.is_down(device("sm1"))
    (partial, *_) = ssc.combined(what.id, b"own", (), at(2))
    assert partial.message.tally == Tally(1, 2, missing=1)


def test_who_goes_down_is_no_neighbour_and_not_held_for_dead():
    ssc = circle("ssc2")
    assert ssc.receive(Disconnect(device("ssc2"), ""), address("ssc2"), at(1)) == []
    assert ssc.membership.active == ()
    assert not ssc.peers.is_down(device("ssc2"))
