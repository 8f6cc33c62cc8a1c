"""Thousands of frames that are almost right: the device answers or counts, never raises, and does not grow."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace
from random import Random

from bench import CHILD, GET_DEMAND, GET_TARIFF, HOST, REGISTER, SET_TARIFF, Bench, child, content, from_child, tariff

from gossip_ws.core.messages import (
    Ack,
    Alive,
    DeviceReply,
    Digest,
    Disconnect,
    Neighbor,
    NeighborReply,
    Partial,
    Ping,
    PingRequest,
    Receipt,
    Shuffle,
    Signature,
    Standing,
    Suspect,
    Tally,
)
from gossip_ws.dpws.eventing import BY_GOSSIP, Reference, Subscribe
from gossip_ws.dpws.messages import Probe
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.names import GossipId
from gossip_ws.kernel.terms import Budget, Filter, Style, Tier, Wanted
from gossip_ws.ports import Caller, Request
from gossip_ws.services.peer_client import register_request
from gossip_ws.wire.discovery import encode as encode_discovery
from gossip_ws.wire.envelope import Addressing, build, message_id, parse
from gossip_ws.wire.eventing import (
    GET_STATUS,
    RENEW,
    SUBSCRIBE,
    UNSUBSCRIBE,
    read_subscribe_response,
    write_get_status,
    write_renew,
    write_subscribe,
    write_unsubscribe,
)
from gossip_ws.wire.gossip import encode_wanted
from gossip_ws.wire.metadata import GET, GET_METADATA, write_get_metadata
from gossip_ws.wire.soap11 import to_soap11, to_soap12

MUTATIONS = 2_000
WORDS = [
    b"<",
    b">",
    b"&",
    b'"',
    b"\x00",
    b"\xff",
    b"]]>",
    b"<!--",
    b"-->",
    b"&#0;",
    b"-1",
    b"9" * 30,
    b"xmlns=''",
    b"/",
]
SUBSCRIPTION = Subscribe(
    Reference("http://10.0.0.9:80/sink", (b'<p:Room xmlns:p="urn:p">7</p:Room>',)),
    Reference("http://10.0.0.9:80/end"),
    expires=3_600.0,
    filter=("urn:gossip-ws:2026:tariff:TariffChanged",),
)
DEMAND = b'<GetDemand xmlns="urn:gossip-ws:2026:metering"><day>2026-11-21</day></GetDemand>'


def corpus(bench: Bench) -> list[tuple[str, bytes]]:
    """(path, frame): one of each kind that a device hears."""
    about = GossipId(bytes(range(32)))
    wanted = Wanted(budgets=(Budget(Tier.FAN, 2, 2),), scopes=("grid://t/1",), filter=Filter(name="max"), timeout=2.0)
    sender = child(0).device

    def plain(action: str, body: bytes, blocks: bytes = b"") -> bytes:
        return build(Addressing(action, message_id()), body, blocks)

    subscribed = bench.post("/Tariff", plain(SUBSCRIBE, write_subscribe(SUBSCRIPTION)))
    granted = read_subscribe_response(parse(subscribed.body).payload, 0.0)
    manager = Address.parse(granted.manager.address).path
    push = content(bench, SET_TARIFF, tariff(3))
    pull = content(bench, GET_DEMAND, DEMAND, Style.REQUEST_RESPONSE)
    node = [
        Receipt(about, sender, Standing.TAKEN),
        Partial(about, sender, Tally(3, 4, 1), b"<a>1</a>", (b"12345678",)),
        Partial(about, sender, Tally(1, 2, 1), b"", replies=(DeviceReply(sender, b"<a>1</a>"),), part=2, parts=3),
        Digest(sender, (b"12345678", b"abcdefgh")),
        Ping(sender, b"nonce"),
        Ack(sender, b"nonce", 7),
        PingRequest(sender, b"nonce", child(1).device, CHILD),
        Suspect(sender, bench.endpoint.device, 7),
        Alive(sender, 7, Signature("0123456789abcdef" * 2, bytes(64))),
        Neighbor(sender, "grid://t", child(0), True),
        NeighborReply(sender, "grid://t", True),
        Disconnect(sender, "grid://t"),
        Shuffle(sender, "", (child(0), child(1)), True),
    ]
    return [
        ("/Tariff", plain(SET_TARIFF, tariff(1))),
        ("/Tariff", plain(GET_TARIFF, b'<GetTariff xmlns="urn:gossip-ws:2026:tariff"/>')),
        ("/Tariff/gossip", plain(SET_TARIFF, tariff(2))),
        ("/Metering/gossip", plain(GET_DEMAND, DEMAND, encode_wanted(wanted))),
        ("/Metering", plain(GET_DEMAND, DEMAND)),
        ("/Tariff", to_soap11(plain(SET_TARIFF, tariff(1)))),
        ("/Metering/gossip", to_soap11(plain(GET_DEMAND, DEMAND, encode_wanted(wanted)))),
        ("/Peers", plain(REGISTER, register_request(child(9)))),
        ("/device", plain(GET, b"")),
        ("/Tariff", plain(GET_METADATA, write_get_metadata())),
        ("/Tariff", plain(SUBSCRIBE, write_subscribe(SUBSCRIPTION))),
        ("/Tariff", plain(SUBSCRIBE, write_subscribe(replace(SUBSCRIPTION, mode=BY_GOSSIP, scopes=("grid://t",))))),
        (manager, plain(RENEW, write_renew(60.0))),
        (manager, plain(GET_STATUS, write_get_status())),
        (manager, plain(UNSUBSCRIBE, write_unsubscribe())),
        ("/device", encode_discovery(Probe(message_id(), (), ("grid://t",)))),
        ("/gossip", from_child(bench, push)),
        ("/gossip", from_child(bench, pull)),
        *(("/gossip", bench.codec.encode(message)) for message in node),
    ]


def mutated(dice: Random, frame: bytes, other: bytes) -> bytes:
    """One to three small harms, as a broken peer or an attacker might do them."""
    octets = bytearray(frame)
    for _ in range(dice.randint(1, 3)):
        place, length = dice.randrange(len(octets)), dice.randint(1, 40)
        match dice.randrange(7):
            case 0:
                octets[place] ^= 1 << dice.randrange(8)
            case 1:
                del octets[place : place + length]
            case 2:
                octets[place:place] = dice.choice(WORDS)
            case 3:
                octets[place : place + length] = octets[place : place + length] * dice.randint(2, 20)
            case 4:
                start = dice.randrange(len(other))
                octets[place : place + length] = other[start : start + length]
            case 5:
                del octets[place:]
            case 6:
                # Grammar that stays XML: one value for another.
                octets = bytearray(bytes(octets).replace(dice.choice([b"1", b"2", b"urn:", b"true"]), b"-7", 1))
        if not octets:
            return b"<"
    return bytes(octets)


def test_two_thousand_mutations_of_good_frames() -> None:
    dice = Random(20_261_121)
    bench = Bench()
    frames = corpus(bench)
    http = Caller(Address(Binding.HTTP, HOST, 50_000), HOST, "dispatcher", "open sesame")
    answered = 0
    gc.collect()
    tracemalloc.start()
    for turn in range(MUTATIONS):
        path, frame = dice.choice(frames)
        frame = mutated(dice, frame, dice.choice(frames)[1])
        if dice.random() < 0.5:
            assert all(len(answer.body) <= 4_096 for answer in bench.datagram(frame, CHILD))
        else:
            media_type = dice.choice(["application/soap+xml", "text/xml"])
            for answer in bench.take(Request(frame, http, "POST", path, content_type=media_type)):
                answered += 1
                assert answer.status in (200, 202, 400, 500)
                if answer.body:
                    in_soap12 = to_soap12(answer.body)
                    assert (in_soap12 is not None) is answer.content_type.startswith("text/xml")
                    parse(in_soap12 or answer.body)
        if turn % 100 == 0:
            bench.clock.turn(1.0)
    bench.clock.turn(30.0)
    gc.collect()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # What a device keeps are messages that were good after all, bounded by their tables.
    assert held < 4 * 2**20
    assert peak < 8 * 2**20
    assert answered > MUTATIONS // 3
    # And it goes on.
    response = bench.post("/Tariff", frames[4][1].replace(b"metering:GetDemand", b"metering:GetNothing"))
    assert response.status == 400
    fresh = content(bench, SET_TARIFF, tariff(500))
    bench.datagram(from_child(bench, fresh))
    assert bench.tariffs.current is not None
    assert bench.tariffs.current.version == 500


def test_a_storm_of_junk_makes_nothing_leave() -> None:
    bench = Bench(children=50)
    dice = Random(3)
    frames = [frame for _, frame in corpus(bench) if b"Ping" not in frame]
    for _ in range(500):
        frame = dice.choice(frames)
        # One octet of what is signed or parsed is wrong, wherever it stands.
        place = dice.randrange(len(frame))
        bench.datagram(frame[:place] + b"\x01" + frame[place + 1 :])
    assert bench.network.sent == []
    assert bench.network.asked == []
    assert sum(bench.endpoint.counters.values()) >= 500
