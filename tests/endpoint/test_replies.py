"""A client that wants every reply: the first part answers it, the others are fetched, by nobody else, for a while."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench import GET_DEMAND, HOST, KEY, PASSWORD, USER, Bench, child, content

from gossip_ws.core.messages import DeviceReply, Partial, Signature, Tally
from gossip_ws.endpoint.collected import MAX_ANSWERS
from gossip_ws.endpoint.entry import check_singling
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.contract import GossipPolicy
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.names import DeviceId, GossipId
from gossip_ws.kernel.terms import ALL, Filter, Style, Wanted
from gossip_ws.ports import Caller, Request, Response
from gossip_ws.wire.envelope import Addressing, Envelope, build, message_id, parse
from gossip_ws.wire.gossip import XmlCodec, decode_report, encode_wanted
from gossip_ws.wire.replies import (
    GET_REPLIES_ACTION,
    REPLIES_ACTION,
    Part,
    read_part,
    read_replies,
    write_get_replies,
)
from gossip_ws.wire.soap import read_fault

METERING = "urn:gossip-ws:2026:metering"
DEMAND = f'<GetDemand xmlns="{METERING}"><day>2026-11-21</day></GetDemand>'.encode()
PATH = "/Metering/gossip"
EVERY = Wanted(filter=Filter(name=ALL), timeout=4.0)
COUNT = 200
"""Replies of the one child: some 80 kB, three parts."""


def response(wh: int) -> bytes:
    row = f"<Demand><category>household</category>{f'<energyWh>{wh}</energyWh>' * 3}</Demand>"
    note = f'<GetDemandResponse xmlns="{METERING}"><GetDemandResult>{row}</GetDemandResult></GetDemandResponse>'
    return note.encode()


def below(number: int) -> DeviceId:
    return DeviceId(f"urn:uuid:{number:08x}-0000-4000-8000-00000000000a")


class Asked:
    """A substation that was asked for every demand, and whose one child has answered for `COUNT` devices."""

    def __init__(self, count: int = COUNT, source: str = "10.0.0.9") -> None:
        self.bench = Bench(children=0)
        self.bench.endpoint.peers.put(replace(child(0), subtree=count), 1e9, proven=True)
        self.count = count
        self.source = source
        self.clients = 0

    def caller(self, source: str = "", password: str = PASSWORD) -> Caller:
        return Caller(Address(Binding.HTTP, source or self.source, 50_000), HOST, USER, password)

    def send(self, frame: bytes, path: str = PATH, caller: Caller | None = None) -> list[Response]:
        return self.bench.take(Request(frame, caller or self.caller(), "POST", path))

    def pull(self, wanted: Wanted = EVERY) -> list[Response]:
        blocks = encode_wanted(wanted)
        return self.gathered(build(Addressing(GET_DEMAND, message_id()), DEMAND, blocks))

    def gathered(self, frame: bytes, path: str = PATH) -> list[Response]:
        """What the client was answered once the child's parts were in."""
        answers: list[Response] = []
        held = set(self.bench.endpoint._carrier._waiting)
        self.bench.server.handle(Request(frame, self.caller(), "POST", path), answers.append)
        (id,) = set(self.bench.endpoint._carrier._waiting) - held
        share = self.count // 4
        for part in range(4):
            last = self.count if part == 3 else (part + 1) * share
            replies = tuple(DeviceReply(below(n), response(n)) for n in range(part * share, last))
            tally = Tally(self.count, self.count)
            message = Partial(id, child(0).device, tally, b"", replies=replies, part=part + 1, parts=4)
            caller = Caller(Address(Binding.HTTP, "10.0.0.2", 50_000), HOST)
            got = self.bench.take(Request(self.bench.codec.encode(message), caller, "POST", "/gossip"))
            assert [one.status for one in got] == [202]
        return answers

    def fetch(self, id: GossipId, number: int, path: str = PATH, caller: Caller | None = None) -> Envelope:
        frame = build(Addressing(GET_REPLIES_ACTION, message_id()), write_get_replies(id, number))
        (answer,) = self.send(frame, path, caller)
        return parse(answer.body)


def subcode(envelope: Envelope) -> str:
    fault = read_fault(envelope)
    return fault.subcode.rpartition("}")[2] if fault is not None else ""


def first(answers: list[Response]) -> tuple[Envelope, Part]:
    (answer,) = answers
    assert answer.status == 200
    envelope = parse(answer.body)
    part = read_part(envelope)
    assert part is not None
    return envelope, part


def test_all_parts_together_are_every_devices_reply_once() -> None:
    asked = Asked()
    envelope, part = first(asked.pull())
    assert envelope.addressing.action == REPLIES_ACTION
    assert (part.number, part.of) == (1, 3)
    told = decode_report(envelope)
    assert told == (part.id, Tally(COUNT + 1, COUNT + 1))
    replies = read_replies(envelope.payload)
    for number in range(2, part.of + 1):
        more = asked.fetch(part.id, number)
        assert (read_part(more), decode_report(more)) == (Part(part.id, number, part.of), told)
        replies += read_replies(more.payload)
    own, *others = replies
    assert own.device == asked.bench.endpoint.device
    assert own.value.count(b"<tns:energyWh>5</tns:energyWh>") == 3
    assert others == [DeviceReply(below(n), response(n)) for n in range(COUNT)]
    # As often as it is asked for.
    assert read_replies(asked.fetch(part.id, 2).payload) == read_replies(asked.fetch(part.id, 2).payload)


def test_one_part_is_the_whole_answer_and_nothing_is_kept() -> None:
    asked = Asked(count=8)
    envelope, part = first(asked.pull())
    assert (part.number, part.of, len(read_replies(envelope.payload))) == (1, 1, 9)
    assert subcode(asked.fetch(part.id, 1)) == "NoSuchReplies"


def test_a_client_that_names_no_filter_gets_the_operations_own_response() -> None:
    asked = Asked()
    bench = asked.bench
    answers: list[Response] = []
    frame = build(Addressing(GET_DEMAND, message_id()), DEMAND)
    bench.server.handle(Request(frame, asked.caller(), "POST", PATH), answers.append)
    (id,) = bench.endpoint._carrier._waiting
    row = b'<g:Row N="2"><g:Key>household</g:Key><g:Values>2 4 6</g:Values></g:Row>'
    rows = b'<g:Rows xmlns:g="urn:gossip-ws:2026">%b</g:Rows>' % row
    partial = Partial(id, child(0).device, Tally(2, 2), rows)
    bench.take(Request(bench.codec.encode(partial), Caller(child(0).udp, HOST)))  # type: ignore[arg-type]
    bench.clock.turn(10.0)
    (answer,) = answers
    envelope = parse(answer.body)
    assert read_part(envelope) is None
    assert envelope.addressing.action == GET_DEMAND + "Response"
    assert [one.text for one in envelope.payload.iter(f"{{{METERING}}}energyWh")] == ["7", "9", "11"]  # type: ignore[union-attr]


def test_what_was_not_kept_is_a_clean_fault() -> None:
    asked = Asked()
    _, part = first(asked.pull())
    assert subcode(asked.fetch(part.id, part.of + 1)) == "NoSuchPart"
    assert subcode(asked.fetch(GossipId(bytes(32)), 1)) == "NoSuchReplies"
    frame = build(Addressing(GET_REPLIES_ACTION, message_id()), b"<odd/>")
    (answer,) = asked.send(frame)
    assert subcode(parse(answer.body)) == "Malformed"
    # The original's address knows nothing of it.
    assert subcode(asked.fetch(part.id, 2, path="/Metering")) == "ActionNotSupported"


def test_nobody_else_may_fetch() -> None:
    asked = Asked()
    _, part = first(asked.pull())
    assert subcode(asked.fetch(part.id, 2, caller=asked.caller("10.0.0.10"))) == "NoSuchReplies"
    assert subcode(asked.fetch(part.id, 2, caller=asked.caller(password="guess"))) == "NotAuthorised"
    assert read_part(asked.fetch(part.id, 2)) == Part(part.id, 2, part.of)


def test_who_signed_by_itself_fetches_without_credentials() -> None:
    asked = Asked()
    now = asked.bench.clock.now().wall
    summed = content(asked.bench, GET_DEMAND, DEMAND, Style.REQUEST_RESPONSE).terms
    every = replace(summed, filter=Filter(name=ALL), issued=now)
    sealed = XmlCodec().seal(GET_DEMAND, every, DEMAND, lambda id: Signature(KEY.id, KEY.sign(id)))
    start = (
        '<s12:Envelope xmlns:s12="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://www.w3.org/2005/08/addressing"'
        ' xmlns:wsd="http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01"><s12:Header>'
        f"<wsa:MessageID>{message_id()}</wsa:MessageID>"
    )
    _, part = first(asked.gathered(start.encode() + sealed.sealed))
    nobody = Caller(Address(Binding.HTTP, asked.source, 50_001), HOST)
    assert read_part(asked.fetch(part.id, 2, caller=nobody)) == Part(part.id, 2, part.of)


def test_what_has_expired_is_forgotten() -> None:
    asked = Asked()
    _, part = first(asked.pull())
    asked.bench.clock.turn(7.0)
    assert read_part(asked.fetch(part.id, 2)) == Part(part.id, 2, part.of)
    asked.bench.clock.turn(1.5)
    assert subcode(asked.fetch(part.id, 2)) == "NoSuchReplies"
    assert len(asked.bench.server._collected) == 0


def test_only_so_many_answers_are_kept_the_oldest_goes() -> None:
    asked = Asked()
    parts = []
    for _ in range(MAX_ANSWERS + 1):
        _, part = first(asked.pull())
        parts.append(part)
        asked.bench.clock.turn(0.01)
    assert len(asked.bench.server._collected) == MAX_ANSWERS
    assert subcode(asked.fetch(parts[0].id, 2)) == "NoSuchReplies"
    assert read_part(asked.fetch(parts[1].id, 2)) is not None


@pytest.mark.parametrize("policy", [GossipPolicy(aggregate="sum"), GossipPolicy(aggregate="sum", min_group=5)])
def test_where_a_group_is_demanded_nobody_is_singled_out(policy: GossipPolicy) -> None:
    terms = content(Bench(), GET_DEMAND, DEMAND, Style.REQUEST_RESPONSE).terms
    check_singling(terms, policy)
    every = replace(terms, filter=Filter(name=ALL), min_group=1 if policy.min_group > 1 else 2)
    with pytest.raises(RemoteError) as caught:
        check_singling(every, policy)
    assert caught.value.fault.subcode.endswith("}FilterNotAllowed")
    check_singling(replace(every, min_group=1), GossipPolicy(aggregate="sum"))


def test_a_client_that_wants_all_of_a_group_is_told_so() -> None:
    bench = Asked().bench
    frame = build(Addressing(GET_DEMAND, message_id()), DEMAND, encode_wanted(replace(EVERY, min_group=2)))
    answer = bench.post(PATH, frame, operator=True)
    assert (answer.status, subcode(parse(answer.body))) == (400, "FilterNotAllowed")
