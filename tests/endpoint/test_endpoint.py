"""The endpoint between a node and the world: what it asks of whom, in which order, and what it lets through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from bench import CHILD, GET_DEMAND, GET_TARIFF, HOST, KEY, SET_TARIFF, Bench, child, content, from_child, tariff

from gossip_ws.core.effects import Answer
from gossip_ws.core.messages import (
    Alive,
    Content,
    Gossip,
    Merge,
    Partial,
    Receipt,
    Signature,
    Standing,
    Tally,
    alive_statement,
)
from gossip_ws.core.replies import Replies
from gossip_ws.endpoint.carrier import Hosting
from gossip_ws.endpoint.endpoint import MAX_ASKING
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.contract import GossipPolicy, Operation
from gossip_ws.kernel.errors import Fault, LocalError, RemoteError, sender_fault
from gossip_ws.kernel.names import GOSSIP, GossipId, QName, qname
from gossip_ws.kernel.terms import ALL, Filter, Gathering, Priority, Style, Wanted
from gossip_ws.ports import Caller, Frame, Invocation, Outcome, Reply
from gossip_ws.security.keys import PrivateKey
from gossip_ws.services.tariff import HeldTariff
from gossip_ws.wire.envelope import Addressing, build, canonical, parse
from gossip_ws.wire.gossip import XmlCodec

CLIENT = Caller(Address(Binding.HTTP, "10.0.0.9", 50_000), HOST)
DEMAND = b'<GetDemand xmlns="urn:gossip-ws:2026:metering"></GetDemand>'
NOTE = "urn:example:note"


class Slow:
    """A hosted service that answers when the test says so."""

    service_id = path = "/Slow"
    port_type = qname("urn:example", "Slow")

    def __init__(self) -> None:
        self.waiting: list[Callable[[Outcome], None]] = []

    @property
    def operations(self) -> Mapping[str, Operation]:
        return {NOTE: Operation("Note", NOTE, Style.ONE_WAY, QName("note"), policy=GossipPolicy())}

    def wsdl(self, address: str) -> bytes:
        return b""

    def check(self, operation: Operation, envelope: Frame) -> None:
        payload = parse(envelope).payload
        if payload is None or payload.tag != operation.request:
            raise sender_fault("InvalidPayload", "not a note")

    def invoke(self, invocation: Invocation, done: Callable[[Outcome], None]) -> None:
        self.waiting.append(done)


def gossips(bench: Bench) -> list[Gossip]:
    decoded = (bench.codec.decode(frame) for frame, _ in bench.network.sent)
    return [message for message in decoded if isinstance(message, Gossip)]


def start(bench: Bench, body: bytes, wanted: Wanted | None = None) -> list[Fault | None]:
    operation = bench.endpoint.hosting.operation(SET_TARIFF)
    assert operation is not None
    told: list[GossipId | Fault] = []
    bench.endpoint.start(operation, body, wanted or Wanted(), told=told.append)
    return [fate if isinstance(fate, Fault) else None for fate in told]


def test_what_starts_here_is_delivered_here_and_sent_to_the_roster() -> None:
    bench = Bench(children=3)
    assert start(bench, tariff(1)) == [None]
    held = bench.tariffs.current
    assert held is not None
    assert (held.version, held.issuer) == (1, KEY.id)
    assert {to.host for _, to in bench.network.sent} == {"10.0.0.2", "10.0.0.3", "10.0.0.4"}


def test_what_the_service_here_refuses_goes_nowhere() -> None:
    bench = Bench()
    start(bench, tariff(5))
    sent = len(bench.network.sent)
    bench.clock.turn(0.01)
    (fault,) = start(bench, tariff(4))
    assert fault is not None
    assert fault.subcode.endswith("StaleVersion")
    with pytest.raises(RemoteError, match="SetTariff"):
        start(bench, b"<SetTariff/>")
    assert len(bench.network.sent) == sent


def test_a_device_outside_of_the_area_passes_on_what_it_does_not_take() -> None:
    bench = Bench(children=2)
    assert start(bench, tariff(1), Wanted(scopes=("grid://t/1/1",))) == [None]
    assert bench.tariffs.current is None
    assert [to.host for _, to in bench.network.sent] == ["10.0.0.3"]


def test_a_service_that_takes_its_time_is_waited_for() -> None:
    bench, slow = Bench(), Slow()
    bench.endpoint.hosting.add(slow)
    operation = slow.operations[NOTE]
    told: list[GossipId | Fault] = []
    bench.endpoint.start(operation, b"<note/>", Wanted(), told=told.append)
    bench.endpoint.start(operation, b"<note>2</note>", Wanted(), told=told.append)
    assert (told, bench.network.sent) == ([], [])
    slow.waiting[0](Reply(b""))
    accepted = told[0]
    assert isinstance(accepted, bytes)
    assert bench.endpoint.node.holds(accepted)
    assert len(bench.network.sent) == 1
    refusal = sender_fault("No", "not this one").fault
    slow.waiting[1](refusal)
    assert told == [accepted, refusal]
    assert len(bench.network.sent) == 1


def test_one_signed_message_enters_once() -> None:
    bench = Bench()
    sealed = content(bench, SET_TARIFF, tariff(1))
    told: list[GossipId | Fault] = []
    bench.endpoint.enter(sealed, CLIENT, told=told.append)
    with pytest.raises(RemoteError, match="accepted before"):
        bench.endpoint.enter(sealed, CLIENT, told=told.append)
    assert told == [sealed.id]
    assert len(gossips(bench)) == 1


def test_a_duplicate_is_told_before_its_signature_is_looked_at() -> None:
    class Counting:
        """A verifier that counts the contents it is asked about."""

        def __init__(self, inner: object) -> None:
            self.inner, self.asked = inner, 0

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

        def verify(self, content: Content, caller: Caller) -> None:
            self.asked += 1
            self.inner.verify(content, caller)  # type: ignore[attr-defined]

    bench = Bench()
    counting = Counting(bench.endpoint.world.verifier)
    bench.endpoint.world = replace(bench.endpoint.world, verifier=counting)  # type: ignore[arg-type]
    frame = from_child(bench, content(bench, SET_TARIFF, tariff(1)))
    for _ in range(5):
        bench.datagram(frame)
    assert counting.asked == 1
    assert bench.endpoint.counters["duplicate"] == 4


def test_an_operation_that_does_not_gossip_is_not_spread_by_whoever_signed_it() -> None:
    bench = Bench()
    for action, style in ((GET_TARIFF, Style.REQUEST_RESPONSE), (GET_DEMAND, Style.ONE_WAY)):
        sealed = content(bench, action, DEMAND, style)
        with pytest.raises(RemoteError):
            bench.endpoint.enter(sealed, CLIENT)
        bench.datagram(from_child(bench, sealed))
    assert bench.network.sent == []
    assert bench.endpoint.counters["NotGossiped"] + bench.endpoint.counters["NotAuthorised"] == 2


def ask(bench: Bench) -> tuple[GossipId, list[tuple[bytes | Fault, Tally]]]:
    answers: list[tuple[bytes | Fault, Tally]] = []
    operation = bench.endpoint.hosting.operation(GET_DEMAND)
    assert operation is not None
    bench.endpoint.start(operation, DEMAND, Wanted(), lambda answer: answers.append((answer.value, answer.tally)))
    return gossips(bench)[-1].content.id, answers


def test_a_request_is_answered_when_the_last_child_has() -> None:
    bench = Bench()
    id, answers = ask(bench)
    assert answers == []
    rows = f'<g:Rows xmlns:g="{GOSSIP}"><g:Row N="1"><g:Key>x</g:Key><g:Values>1 2 3</g:Values></g:Row></g:Rows>'
    bench.datagram(bench.codec.encode(Partial(id, child(0).device, Tally(1, 1), rows.encode())))
    ((value, tally),) = answers
    assert isinstance(value, bytes)
    assert [f">{wh}<".encode() in value for wh in (6, 7, 8)] == [True] * 3
    assert tally == Tally(2, 2)
    receipt = bench.codec.decode(bench.network.sent[-1][0])
    assert receipt == Receipt(id, bench.endpoint.device, Standing.TAKEN)


def test_a_request_is_answered_at_its_deadline_whoever_is_silent() -> None:
    bench = Bench(children=2)
    _, answers = ask(bench)
    bench.clock.turn(9.0)
    assert answers == []
    bench.clock.turn(1.0)
    ((_, tally),) = answers
    assert tally == Tally(contributors=1, expected=3, missing=2)
    # It was sent again to the silent, a bounded number of times, and then no more.
    sent = len(bench.network.sent)
    bench.clock.turn(60.0)
    assert len([frame for frame, _ in bench.network.sent[sent:] if b"g:Terms" in frame]) == 0


def spread(bench: Bench, name: str) -> list[Answer]:
    operation = bench.endpoint.hosting.operation(GET_DEMAND)
    assert operation is not None
    answers: list[Answer] = []
    wanted = Wanted(filter=Filter(name=name), gathering=Gathering.SPREAD)
    bench.endpoint.start(operation, DEMAND, wanted, answers.append)
    return answers


@pytest.mark.parametrize("name", ["sum", "mean", "count"])
def test_what_must_not_be_taken_in_twice_is_not_gathered_by_exchange(name: str) -> None:
    bench = Bench()
    with pytest.raises(RemoteError, match="must not take a value in twice") as caught:
        spread(bench, name)
    assert caught.value.fault.subcode == qname(GOSSIP, "FilterNotAllowed")
    # Nor is it passed on when somebody signed it all the same.
    asked = content(bench, GET_DEMAND, DEMAND, Style.REQUEST_RESPONSE)
    terms = replace(asked.terms, filter=Filter(name=name), gathering=Gathering.SPREAD)
    sealed = XmlCodec().seal(GET_DEMAND, terms, DEMAND, lambda id: Signature(KEY.id, KEY.sign(id)))
    bench.datagram(from_child(bench, sealed))
    assert bench.endpoint.counters["FilterNotAllowed"] == 1
    assert bench.network.sent == []


def test_a_neighbours_accumulator_goes_in_and_junk_does_not() -> None:
    bench = Bench()
    answers = spread(bench, "max")
    (asked,) = gossips(bench)
    row = '<g:Row N="1"><g:Key>x</g:Key><g:Values>{}</g:Values></g:Row>'
    for values in ("1 2000 3", "1 2000000000 3", "1 2"):
        rows = f'<g:Rows xmlns:g="{GOSSIP}">{row.format(values)}</g:Rows>'
        merge = Merge(asked.content.id, child(0).device, rows.encode())
        bench.datagram(bench.codec.encode(merge))
    assert bench.endpoint.counters["accumulator refused"] == 2
    bench.clock.turn(10.0)
    (answer,) = answers
    assert isinstance(answer.value, bytes)
    assert b">2000<" in answer.value
    assert (answer.gathering, answer.estimate) == (Gathering.SPREAD, None)
    assert answer.tally == Tally(1, 2, uncertain=1)


def test_what_no_datagram_holds_is_sent_by_http() -> None:
    bench = Bench()
    band = "<t:band><t:fromMinute>{}</t:fromMinute><t:toMinute>{}</t:toMinute><t:price>0.1</t:price></t:band>"
    bands = "".join(band.format(30 * n, 30 * n + 30) for n in range(48)).encode()
    whole = tariff(1)
    large = whole[: whole.index(b"<t:band>")] + bands + whole[whole.index(b"</t:band>") + 9 :]
    assert start(bench, large) == [None]
    assert {to.binding for _, to in bench.network.sent} == {Binding.HTTP}


def test_the_wait_for_a_receipt_begins_when_the_message_is_out() -> None:
    """It waits here for two seconds behind others, so it is not sent again after a quarter of one."""
    bench = Bench()
    bench.network.behind = {Priority.NORMAL: 2.0}
    assert start(bench, tariff(1)) == [None]
    assert len(bench.network.sent) == 1
    bench.network.behind = {}
    bench.clock.turn(2.2)
    assert len(bench.network.sent) == 1
    bench.clock.turn(0.1)
    assert len(bench.network.sent) == 2
    # Behind nobody any more: the next one follows as ever.
    bench.clock.turn(0.5)
    assert len(bench.network.sent) == 3


def test_a_busy_process_does_not_take_its_own_lateness_for_silence() -> None:
    """For a second nothing was handled here; the receipt may be among what came meanwhile."""
    bench = Bench()
    assert start(bench, tariff(1)) == [None]
    bench.clock.passed += 1.0
    bench.clock.turn(0.0)
    assert len(bench.network.sent) == 1
    # As long again, and it was not.
    bench.clock.turn(0.8)
    assert len(bench.network.sent) == 2


def test_a_process_that_is_always_late_resends_nevertheless() -> None:
    bench = Bench()
    assert start(bench, tariff(1)) == [None]
    sent = []
    for _ in range(10):
        bench.clock.passed += 0.5
        bench.clock.turn(0.0)
        sent.append(len(bench.network.sent))
    assert sent[:8] == [1] * 8
    assert sent[8] == 2


def test_an_alarm_of_the_devices_own_is_signed_by_it() -> None:
    bench = Bench()
    bench.endpoint.originate(SET_TARIFF, tariff(1))
    (sent,) = gossips(bench)
    assert sent.content.signature is not None
    assert sent.content.signature.key_id == KEY.id
    # Of two that were issued at the same moment chance would decide which is in force.
    bench.clock.turn(0.001)
    bench.endpoint.originate(SET_TARIFF, tariff(1).replace(b"2126", b"2020"))
    assert bench.endpoint.counters["own message refused"] == 1
    for action in (GET_DEMAND, "urn:nothing"):
        with pytest.raises(LocalError):
            bench.endpoint.originate(action, DEMAND)


def test_a_service_that_gossips_while_it_is_served_does_not_mix_the_order() -> None:
    """What a listener of the Tariff service starts comes after all that the tariff itself caused."""
    bench, slow = Bench(), Slow()
    bench.endpoint.hosting.add(slow)

    def pass_on(_: HeldTariff) -> None:
        bench.endpoint.originate(NOTE, b"<note/>")
        slow.waiting.pop()(Reply(b""))

    bench.tariffs.listeners.append(pass_on)
    bench.datagram(from_child(bench, content(bench, SET_TARIFF, tariff(1))))
    kinds = [type(bench.codec.decode(frame)).__name__ for frame, _ in bench.network.sent]
    assert kinds == ["Receipt", "Gossip"]
    assert gossips(bench)[-1].content.action == NOTE


def test_two_services_of_one_path_or_action_are_a_mistake() -> None:
    with pytest.raises(LocalError, match="two hosted services"):
        Hosting((Slow(), Slow()))


def test_a_hop_names_its_sender() -> None:
    bench = Bench()
    sealed = content(bench, SET_TARIFF, tariff(1))
    message = bench.codec.decode(from_child(bench, sealed))
    assert isinstance(message, Gossip)
    nameless = Gossip(message.content, message.hop._replace(sender=type(message.hop.sender)("")))
    with pytest.raises(RemoteError, match="without a sender"):
        bench.endpoint.gossip(nameless, Caller(CHILD, HOST))


def test_what_a_peer_service_answers_may_be_nonsense() -> None:
    bench = Bench()
    bench.endpoint.service_found(Address(Binding.HTTP, "10.0.0.3", 80, "/Peers"))
    (_, to, done) = bench.network.asked.pop()
    assert to.path == "/Peers"
    done(b"junk")
    bench.clock.turn(2.0)
    (_, _, done) = bench.network.asked.pop()
    done(build(Addressing(), b"<a/>"))
    bench.clock.turn(5.0)
    (_, _, done) = bench.network.asked.pop()
    done(None)
    assert bench.endpoint.counters["enrolment failed"] == 3
    assert not bench.endpoint.node.is_enrolled


OWN, OTHER = PrivateKey.generate(), PrivateKey.generate()


def alive(incarnation: int, signer: PrivateKey | None = OWN, over: int | None = None) -> Alive:
    """What the keyed child says, `over` another incarnation if that is given."""
    device = child(0).device
    statement = sha256(alive_statement(device, incarnation if over is None else over)).digest()
    signature = None if signer is None else Signature(signer.id, signer.sign(statement))
    return Alive(device, incarnation, signature)


@pytest.mark.parametrize(
    "forged",
    [
        alive(5, None),
        alive(5, OTHER),
        alive(5, over=4),
        replace(alive(5), signature=Signature(OWN.id, OTHER.sign(bytes(32)))),
    ],
)
def test_a_refutation_that_its_subject_did_not_sign_is_counted_and_never_reaches_the_node(forged: Alive) -> None:
    bench = Bench()
    bench.endpoint.peers.put(replace(child(0), key=OWN.public.raw), 1e9, proven=True)
    assert bench.datagram(bench.codec.encode(forged)) == []
    assert bench.endpoint.counters == Counter({"received": 1, "not signed by its subject": 1})


def solicited(bench: Bench, **wanted: Any) -> list[tuple[bytes | Fault | Replies, Tally]]:
    answers: list[tuple[bytes | Fault | Replies, Tally]] = []
    bench.endpoint.ask(GET_DEMAND, DEMAND, Wanted(**wanted), lambda value, tally: answers.append((value, tally)))
    return answers


def test_a_devices_own_question_is_signed_by_it_and_answered_once() -> None:
    bench = Bench()
    answers = solicited(bench, timeout=4.0)
    (sent,) = gossips(bench)
    assert sent.content.signature is not None
    assert sent.content.signature.key_id == KEY.id
    assert answers == []
    bench.clock.turn(20.0)
    ((value, tally),) = answers
    assert tally == Tally(contributors=1, expected=2, missing=1)
    assert isinstance(value, bytes)
    assert value.count(b"energyWh>5<") == 3


def test_a_device_may_ask_for_every_reply() -> None:
    bench = Bench(children=0)
    ((value, tally),) = solicited(bench, filter=Filter(name=ALL))
    assert isinstance(value, Replies)
    assert [one.device for one in value.singles] == [bench.endpoint.device]
    assert tally == Tally(1, 1)


def test_only_so_many_of_a_devices_questions_are_open_at_once() -> None:
    bench = Bench()
    answers = []
    for _ in range(MAX_ASKING):
        answers.append(solicited(bench, timeout=4.0))
        bench.clock.turn(0.001)
    with pytest.raises(RemoteError) as caught:
        solicited(bench)
    assert caught.value.fault.subcode.endswith("}Busy")
    # One that cannot be asked takes no place.
    bench.clock.turn(20.0)
    assert [len(one) for one in answers] == [1] * MAX_ASKING
    for _ in range(MAX_ASKING + 1):
        with pytest.raises(RemoteError):
            solicited(bench, timeout=86_400.0)
    solicited(bench)


def test_a_device_asks_only_what_it_has_itself() -> None:
    bench = Bench()
    for action in (SET_TARIFF, "urn:nothing"):
        with pytest.raises(LocalError):
            bench.endpoint.ask(action, DEMAND, Wanted(), lambda value, tally: None)


def test_a_call_of_one_device_goes_by_datagram_where_it_fits_and_by_http_where_not() -> None:
    bench = Bench()
    udp, http = Address(Binding.UDP, "10.0.0.2", 3702, "/Slow"), Address(Binding.HTTP, "10.0.0.2", 8080, "/Slow")
    for size, to, went in (
        (100, (udp, http), [udp]),
        (5_000, (udp, http), [http]),
        (100, (http,), [http]),
        (5_000, (udp,), []),
        (40_000, (udp, http), []),
        (100, (), []),
    ):
        bench.network.sent.clear()
        bench.endpoint.tell(NOTE, b"<note>" + b"x" * size + b"</note>", to)
        assert [to for _, to in bench.network.sent] == went
        for frame, address in bench.network.sent:
            addressing = parse(frame).addressing
            assert (addressing.action, addressing.to) == (NOTE, str(address))
            assert addressing.message_id.startswith("urn:uuid:")
    assert bench.endpoint.counters["call too large for where it goes"] == 3


def test_whoever_looks_for_devices_hears_of_them_or_that_nobody_answered() -> None:
    bench = Bench()
    service = Address(Binding.HTTP, "10.0.0.2", 8080, "/Peers")
    found: list[Any] = []
    bench.endpoint.find(service, ("grid://t/1/0",), 4, found.append)
    ((frame, to, done),) = bench.network.asked
    assert to == service
    reply = parse(bench.post("/Peers", frame).body).payload
    assert reply is not None
    done(build(Addressing(), canonical(reply)))
    done(None)
    done(b"nonsense")
    assert found == [(child(0),), None, None]
    assert bench.endpoint.counters["peer service answered nonsense"] == 1
