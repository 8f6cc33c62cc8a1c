"""WS-Eventing over real sockets: a client subscribes at a device, events come, and when they end it is told.

The published scenarios 4.1 to 4.4 of the device test tool for Windows are among these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from lxml import etree
from sinks import Sink
from town import ACTIONS, SET_TARIFF, Device, Reply, Town, operator, plain, tariff, wait_for

from gossip_ws.core.peers import Role
from gossip_ws.devices.events import DEMAND_ALARM, TARIFF_CHANGED
from gossip_ws.dpws.eventing import BY_GOSSIP, Ending, Granted, Reference, Subscribe
from gossip_ws.dpws.subscriptions import EventingConfig
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.tasks import Task
from gossip_ws.kernel.names import DPWS, TARIFF, WSA, WSA_2004, WSE, qname
from gossip_ws.wire.envelope import Addressing, build
from gossip_ws.wire.eventing import (
    EVENT_SOURCE,
    GET_STATUS,
    RENEW,
    SUBSCRIBE,
    UNSUBSCRIBE,
    addressed,
    read_renew_response,
    read_subscribe_response,
    write_get_status,
    write_renew,
    write_subscribe,
    write_unsubscribe,
)
from gossip_ws.wire.metadata import GET_METADATA, write_get_metadata


class House(Town):
    """An information system and, below it, a substation with two meters, all with keys that may speak of events."""

    def __init__(self) -> None:
        super().__init__(ACTIONS | {TARIFF_CHANGED, DEMAND_ALARM})
        self.top = self.open(Role.INFORMATION_SYSTEM, "grid://h", key=self.operator)
        self.substation = self.open(Role.SUBSTATION, "grid://h/1", self.top, key=self.operator)
        self.meter = self.open(Role.METER, "grid://h/1/1", self.substation, key=self.operator)
        self.neighbour = self.open(Role.METER, "grid://h/1/2", self.substation, key=self.operator)
        self.next = 1

    def fire(self, at: Device) -> str:
        """Give one device a tariff; its version."""
        version, self.next = self.next, self.next + 1
        assert at.post("/Tariff", plain(SET_TARIFF, tariff(version)), **operator()).status == 202
        return str(version)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    made = House()
    yield made
    made.close()


@pytest.fixture
def sinks() -> Iterator[list[Sink]]:
    made = [Sink(), Sink()]
    yield made
    for one in made:
        one.close()


def subscribe(at: Device, request: Subscribe, path: str = "/Tariff", **headers: str) -> Granted:
    reply = at.post(path, plain(SUBSCRIBE, write_subscribe(request)), **headers)
    assert reply.status == 200, reply.body
    assert reply.envelope.addressing.action == f"{WSE}/SubscribeResponse"
    return read_subscribe_response(reply.payload, 0.0)


def manage(at: Device, granted: Granted, action: str, body: bytes) -> Reply:
    path = granted.manager.address.removeprefix(at.url(""))
    return at.post(path, addressed(action, granted.manager, body))


def end(at: Device, *granted: Granted) -> None:
    for one in granted:
        manage(at, one, UNSUBSCRIBE, write_unsubscribe())


def wanting(sink: Sink, *actions: str, expires: float | None = 60.0, **more: object) -> Subscribe:
    return replace(Subscribe(sink.reference, expires=expires, filter=actions or (TARIFF_CHANGED,)), **more)  # type: ignore[arg-type]


def test_subscribe_fire_renew_fire_unsubscribe_silence(house: House, sinks: list[Sink]) -> None:
    """WSDBIT 4.1"""
    sink, witness = sinks
    parameter = f'<p:Room xmlns:p="urn:p" xmlns:wsa="{WSA}" wsa:IsReferenceParameter="true">7</p:Room>'.encode()
    to = replace(sink.reference, parameters=(parameter,))
    granted = subscribe(house.meter, wanting(sink, notify_to=to))
    other = subscribe(house.meter, wanting(witness))
    assert granted.expires == 60.0
    assert granted.manager.address.startswith(house.meter.url("/subscriptions/"))
    first = house.fire(house.meter)
    wait_for(lambda: sink.versions == [first], "the first event")
    told = sink.heard[0]
    assert (told.addressing.action, told.addressing.to) == (TARIFF_CHANGED, to.address)
    room = told.header(qname("urn:p", "Room"))
    assert room is not None
    assert (room.text, room.get(qname(WSA, "IsReferenceParameter"))) == ("7", "true")
    assert told.payload is not None
    assert told.payload.findtext(qname(TARIFF, "device")) == house.meter.id

    renewed = manage(house.meter, granted, RENEW, write_renew(7_200.0))
    assert (renewed.status, read_renew_response(renewed.payload, 0.0)) == (200, 7_200.0)
    status = manage(house.meter, granted, GET_STATUS, write_get_status())
    assert 7_100 < read_renew_response_like(status) <= 7_200
    second = house.fire(house.meter)
    wait_for(lambda: sink.versions == [first, second], "the second event")

    gone = manage(house.meter, granted, UNSUBSCRIBE, write_unsubscribe())
    assert (gone.status, gone.envelope.payload) == (200, None)
    assert gone.envelope.addressing.action == f"{WSE}/UnsubscribeResponse"
    third = house.fire(house.meter)
    wait_for(lambda: witness.versions == [first, second, third], "the other one's third event")
    house.turn()
    assert sink.versions == [first, second]
    end(house.meter, other)


def read_renew_response_like(reply: Reply) -> float:
    """GetStatusResponse has what a RenewResponse has, under its own name."""
    assert reply.payload.tag == qname(WSE, "GetStatusResponse")
    payload = etree.fromstring(etree.tostring(reply.payload).replace(b"GetStatusResponse", b"RenewResponse"))
    return read_renew_response(payload, 0.0)


@pytest.mark.parametrize("asked", ["PT30S", "PT1H", "P1DT2H"])
def test_the_duration_that_was_asked_for_is_the_one_that_is_answered(
    house: House, sinks: list[Sink], asked: str
) -> None:
    """WSDBIT 4.2"""
    body = write_subscribe(wanting(sinks[0], expires=None))
    body = body.replace(b"</wse:Delivery>", b"</wse:Delivery><wse:Expires>%b</wse:Expires>" % asked.encode())
    reply = house.meter.post("/Tariff", plain(SUBSCRIBE, body))
    assert reply.payload.findtext(qname(WSE, "Expires")) == asked
    end(house.meter, read_subscribe_response(reply.payload, 0.0))


def test_two_subscriptions_are_independent(house: House, sinks: list[Sink]) -> None:
    """WSDBIT 4.3. Of one subscriber even: the end of one is not that of the other."""
    one, two = (subscribe(house.meter, wanting(sinks[0])) for _ in range(2))
    alarm = subscribe(house.meter, wanting(sinks[1], DEMAND_ALARM), "/Metering")
    first = house.fire(house.meter)
    wait_for(lambda: sinks[0].versions == [first, first], "both")
    end(house.meter, one)
    assert manage(house.meter, one, RENEW, write_renew(5.0)).fault() == (500, "Receiver", qname(WSE, "UnableToRenew"))
    for action, body in ((GET_STATUS, write_get_status()), (UNSUBSCRIBE, write_unsubscribe())):
        fault = manage(house.meter, one, action, body).fault()
        assert fault == (400, "Sender", qname(WSE, "InvalidMessage"))
    second = house.fire(house.meter)
    wait_for(lambda: sinks[0].versions == [first, first, second], "the one that is left")
    assert sinks[1].heard == []
    end(house.meter, two, alarm)


def test_a_filter_that_nothing_passes_is_refused(house: House, sinks: list[Sink]) -> None:
    """WSDBIT 4.4"""
    for path, action in (("/Tariff", DEMAND_ALARM), ("/Metering", TARIFF_CHANGED), ("/Tariff", SET_TARIFF)):
        reply = house.meter.post(path, plain(SUBSCRIBE, write_subscribe(wanting(sinks[0], action))))
        assert reply.fault() == (400, "Sender", qname(DPWS, "FilterActionNotSupported"))
        assert reply.envelope.addressing.action == f"{DPWS}/fault"


def test_what_else_is_refused_and_how(house: House, sinks: list[Sink]) -> None:
    def refused(request: Subscribe, path: str = "/Tariff") -> tuple[int, str, str]:
        return house.meter.post(path, plain(SUBSCRIBE, write_subscribe(request))).fault()

    asked = wanting(sinks[0])
    assert refused(replace(asked, mode="urn:pull"))[2] == qname(WSE, "DeliveryModeRequestedUnavailable")
    assert refused(replace(asked, notify_to=Reference("urn:uuid:1")))[2] == qname(WSA, "DestinationUnreachable")
    assert refused(replace(asked, end_to=Reference("https://h/")))[2] == qname(WSA, "DestinationUnreachable")
    assert refused(replace(asked, expires=0.0))[2] == qname(WSE, "InvalidExpirationTime")
    # No event source, and no subscription.
    assert refused(asked, "/Peers")[2] == qname(WSA, "ActionNotSupported")
    managers = house.meter.post("/subscriptions/none", plain(SUBSCRIBE, write_subscribe(asked)))
    assert managers.fault()[2] == qname(WSA, "ActionNotSupported")
    # Whoever may not have this device originate the event may not have it gossiped either.
    assert refused(Subscribe(mode=BY_GOSSIP))[2].endswith("}NotAuthorised")
    assert len(house.meter.host.endpoint.events.manager) == 0


def test_who_speaks_the_generation_before_is_told_that_events_are_not(house: House, sinks: list[Sink]) -> None:
    """WS-Addressing 2004/08 in the header and in the references, as DPWS 2006/02 has it."""
    body = write_subscribe(wanting(sinks[0])).replace(WSA.encode(), WSA_2004.encode())
    reply = house.meter.post("/Tariff", build(Addressing(SUBSCRIBE, "urn:uuid:14", wsa=WSA_2004), body))
    assert reply.fault() == (400, "Sender", qname(WSE, "InvalidMessage"))
    assert reply.envelope.addressing.wsa == WSA_2004
    assert len(house.meter.host.endpoint.events.manager) == 0


def test_there_are_only_so_many_subscriptions_of_one_host(house: House, sinks: list[Sink]) -> None:
    most = EventingConfig().per_host
    held = [subscribe(house.neighbour, wanting(sinks[0])) for _ in range(most)]
    reply = house.neighbour.post("/Tariff", plain(SUBSCRIBE, write_subscribe(wanting(sinks[0]))))
    assert reply.fault() == (500, "Receiver", qname(WSE, "EventSourceUnableToProcess"))
    # Another host's place is not taken by that.
    frame = plain(SUBSCRIBE, write_subscribe(wanting(sinks[1])))
    assert house.neighbour.post("/Tariff", frame, source="127.0.0.2").status == 200
    end(house.neighbour, *held)
    end(house.neighbour, subscribe(house.neighbour, wanting(sinks[0])))


def test_a_dead_sink_loses_its_subscription_and_nobody_elses(house: House, sinks: list[Sink]) -> None:
    dead = Sink()
    dead.close()
    alive = subscribe(house.meter, wanting(sinks[0]))
    ended = subscribe(house.meter, wanting(dead, end_to=sinks[1].reference))
    number = house.fire(house.meter)
    wait_for(lambda: sinks[0].versions == [number], "the living")
    wait_for(lambda: sinks[1].ends == [Ending.DELIVERY_FAILURE], "the end")
    assert manage(house.meter, ended, RENEW, write_renew(60.0)).fault()[2] == qname(WSE, "UnableToRenew")
    assert manage(house.meter, alive, RENEW, write_renew(60.0)).status == 200
    end(house.meter, alive)


def test_a_sink_that_refuses_events_is_a_dead_one(house: House, sinks: list[Sink]) -> None:
    refusing = Sink(500)
    subscribe(house.meter, wanting(refusing, end_to=sinks[0].reference))
    house.fire(house.meter)
    wait_for(lambda: sinks[0].ends == [Ending.DELIVERY_FAILURE], "the end")
    assert len(refusing.heard) == EventingConfig().attempts
    refusing.close()


def test_a_slow_sink_holds_up_nobody_and_gets_its_events_in_order(house: House, sinks: list[Sink]) -> None:
    slow, quick = sinks
    slow.hold.clear()
    held = subscribe(house.meter, wanting(slow)), subscribe(house.meter, wanting(quick))
    fired = [house.fire(house.meter) for _ in range(5)]
    wait_for(lambda: quick.versions == fired, "the quick one has all")
    assert slow.versions == fired[:1]
    slow.hold.set()
    wait_for(lambda: slow.versions == fired, "the slow one has all, in order")
    end(house.meter, *held)


def test_a_sink_too_slow_for_its_queue_is_told_so(house: House, sinks: list[Sink]) -> None:
    slow, quick = sinks
    slow.hold.clear()
    subscribe(house.meter, wanting(slow, end_to=quick.reference))
    held = subscribe(house.meter, wanting(quick))
    fired = []
    for _ in range(EventingConfig().queue + 1):
        fired.append(house.fire(house.meter))
        wait_for(lambda: quick.versions == fired, "the quick one")
    wait_for(lambda: quick.ends == [Ending.DELIVERY_FAILURE], "the slow one's end")
    end(house.meter, held)


def test_a_device_that_shuts_down_says_so_to_its_subscribers(house: House, sinks: list[Sink]) -> None:
    device = house.open(Role.METER, "grid://h/1/9", house.substation)
    subscribe(device, wanting(sinks[0], end_to=sinks[1].reference))
    subscribe(device, wanting(sinks[0]))  # without EndTo: told nothing
    house.shut(device)
    assert sinks[1].ends == [f"{WSE}/SourceShuttingDown"]
    assert sinks[0].heard == []


def test_a_demand_above_the_limit_is_an_alarm_once(house: House, sinks: list[Sink]) -> None:
    """A tariff moves the heat pump's run to the afternoon, where it is too much."""
    tasks = (
        Task(Kind.HEAT_PUMP, 4_000, 3_600, (4_000, 0, 0)),
        Task(Kind.HOUSEHOLD, 2_000, 3_600, (0, 2_000, 0), 480, 960),
    )
    device = house.open(Role.METER, "grid://h/1/8", house.substation, key=house.operator, tasks=tasks, limit=5_000)
    held = subscribe(device, wanting(sinks[0], DEMAND_ALARM), "/Metering")
    cheap = tariff(1, bands=3).replace(b"0.11", b"0.01")
    assert device.post("/Tariff", plain(SET_TARIFF, cheap), **operator()).status == 202
    (told,) = wait_for(lambda: sinks[0].heard)
    assert told.payload is not None
    found = {etree.QName(child).localname: child.text for child in told.payload}
    assert (found["device"], found["period"], found["energyWh"], found["limitWh"]) == (device.id, "1", "6000", "5000")
    again = cheap.replace(b"<t:version>1<", b"<t:version>2<")
    assert device.post("/Tariff", plain(SET_TARIFF, again), **operator()).status == 202
    house.turn()
    assert len(sinks[0].heard) == 1
    end(device, held)
    house.shut(device)


def test_the_metadata_say_that_both_services_are_event_sources(house: House) -> None:
    for path, name in (("/Tariff", "TariffChanged"), ("/Metering", "DemandAlarm")):
        reply = house.meter.post(path, plain(GET_METADATA, write_get_metadata()))
        (port_type,) = reply.payload.iter("{http://schemas.xmlsoap.org/wsdl/}portType")
        assert port_type.get(EVENT_SOURCE) == "true"
        (operation,) = (one for one in port_type if one.get("name") == name)
        assert [etree.QName(child).localname for child in operation][-1] == "output"
    reply = house.meter.post("/Peers", plain(GET_METADATA, write_get_metadata()))
    (port_type,) = reply.payload.iter("{http://schemas.xmlsoap.org/wsdl/}portType")
    assert port_type.get(EVENT_SOURCE) is None


def test_gossip_carries_the_events_to_subscribers_at_other_devices(house: House, sinks: list[Sink]) -> None:
    """The meter gossips once; each subscriber hears it at the shadow of the device that it is near to."""
    near = [
        subscribe(device, wanting(sink), "/Tariff/gossip")
        for device, sink in zip((house.top, house.neighbour), sinks, strict=True)
    ]
    held = subscribe(house.meter, Subscribe(mode=BY_GOSSIP, filter=(TARIFF_CHANGED,), expires=60.0), **operator())
    fired = house.fire(house.meter)
    for sink in sinks:
        wait_for(lambda sink=sink: sink.versions == [fired], "the event at a subscriber")
        assert sink.heard[0].payload is not None
        assert sink.heard[0].payload.findtext(qname(TARIFF, "device")) == house.meter.id
    assert house.meter.counters["events gossiped"] == 1
    # When nobody wants it so any more, it is gossiped no more; what others do is not heard as this device's own.
    end(house.meter, held)
    house.fire(house.meter)
    assert house.meter.counters["events gossiped"] == 1
    assert [len(sink.versions) for sink in sinks] == [1, 1]
    end(house.top, near[0])
    end(house.neighbour, near[1])
