"""Who speaks first: a device that raises an alarm by itself, and one whose own service asks the others. On sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree
from town import DEMAND_REQUEST, GET_DEMAND, Device, Town, as_entry, operator, plain, signed, wait_for

from gossip_ws.core.messages import Tally
from gossip_ws.core.peers import Role
from gossip_ws.core.replies import Replies
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.tasks import Task
from gossip_ws.kernel.errors import Fault, RemoteError
from gossip_ws.kernel.names import METERING
from gossip_ws.kernel.terms import ALL, Filter, Priority, Wanted
from gossip_ws.ports import Gossip, HostedService
from gossip_ws.services import Service, SpyneHosted, Unicode, gossip_enabled, notification, rpc, state

ALARMS = "urn:example:alarms"
RAISE = f"{ALARMS}:Tamper"


@gossip_enabled(Tamper=notification(priority=Priority.PROTECTION, fanout=3, rounds=2))
class AlarmService(Service):
    """What a vendor writes: every device takes alarms, and any may raise one."""

    __service_name__ = "Alarm"

    @rpc(Unicode(min_occurs=1, nillable=False))
    def Tamper(ctx: Any, meter: str) -> None:
        state(ctx, list).append(meter)


class Alarms:
    """The service's state on each device, and each device's gossip."""

    def __init__(self) -> None:
        self.heard: dict[str, list[str]] = {}
        self.gossip: dict[str, Gossip] = {}

    def make(self, gossip: Gossip) -> HostedService:
        self.gossip[gossip.device] = gossip
        return SpyneHosted(AlarmService, ALARMS, self.heard.setdefault(gossip.device, []))

    def of(self, device: Device) -> list[str]:
        return self.heard[device.id]


def tamper(name: str) -> bytes:
    return f'<a:Tamper xmlns:a="{ALARMS}"><a:meter>{name}</a:meter></a:Tamper>'.encode()


class Village(Town):
    """An information system, two substations, two meters at each; every device signs with a key that all know."""

    def __init__(self) -> None:
        super().__init__(frozenset({RAISE, GET_DEMAND}))
        self.alarms = Alarms()
        given: dict[str, Any] = {"key": self.operator, "services": (self.alarms.make,)}
        self.top = self.open(Role.INFORMATION_SYSTEM, "grid://village", **given)
        self.substations = [self.open(Role.SUBSTATION, f"grid://village/{s}", self.top, **given) for s in (1, 2)]
        self.meters = [
            self.open(
                Role.METER,
                f"{above.host.settings.scopes[0]}/{m}",
                above,
                tasks=(Task(Kind.HEAT_PUMP, 1_000 * m, 3_600, (0, 1_000 * m, 0)),),
                **given,
            )
            for above in self.substations
            for m in (1, 2)
        ]
        wait_for(lambda: sum(p.subtree for p in self.top.host.endpoint.peers) == 6, "subtrees")

    def call(self, device: Device, what: str, *arguments: Any) -> Any:
        """In the devices' loop, as a service's own code would."""

        async def made() -> Any:
            return getattr(self.alarms.gossip[device.id], what)(*arguments)

        return self.run(made)


@pytest.fixture(scope="module")
def village() -> Iterator[Village]:
    made = Village()
    yield made
    made.close()


def test_an_alarm_of_a_meter_reaches_its_substation_the_information_system_and_everybody_in_scope(village):
    meter = village.meters[0]
    village.call(meter, "originate", RAISE, tamper("all"))
    wait_for(lambda: all("all" in heard for heard in village.alarms.heard.values()), "the alarm everywhere")
    assert [heard.count("all") for heard in village.alarms.heard.values()] == [1] * 7


def test_an_alarm_for_one_area_goes_no_further_down_than_that(village):
    meter, neighbour = village.meters[:2]
    substation = village.substations[0]
    # For whoever is a device of this area: its substation, and the meters there.
    village.call(meter, "originate", RAISE, tamper("area"), Wanted(scopes=("grid://village/1",)))
    concerned = (meter, neighbour, substation)
    wait_for(lambda: all("area" in village.alarms.of(one) for one in concerned), "the alarm in its area")
    others = [one for one in village.devices if one not in concerned]
    # What would have gone out by mistake has gone out with the rest: a later alarm for all comes behind it.
    village.call(meter, "originate", RAISE, tamper("later"))
    wait_for(lambda: all("later" in heard for heard in village.alarms.heard.values()), "the later alarm")
    assert [one for one in others if "area" in village.alarms.of(one)] == []


def test_no_client_raises_an_alarm(village):
    """It is an output of the device: there is nothing to call, whoever asks, at whichever address."""
    frame = plain(RAISE, tamper("forged"))
    for path in ("/Alarm", "/Alarm/gossip"):
        for headers in ({}, operator()):
            status, _, subcode = village.top.post(path, frame, **headers).fault()
            assert (status, subcode.rpartition("}")[2]) == (400, "ActionNotSupported")
    own = as_entry(signed(village.client, RAISE, tamper("forged")))
    for path in ("/gossip", "/Alarm/gossip"):
        assert village.top.post(path, own).fault()[2].endswith("}ActionNotSupported")
    assert not any("forged" in heard for heard in village.alarms.heard.values())


def test_both_wsdls_show_a_notification(village):
    for path in ("/Alarm?wsdl=complete", "/Alarm/gossip?wsdl=complete"):
        root = etree.fromstring(village.top.get(path).body)
        wsdl = {"w": "http://schemas.xmlsoap.org/wsdl/"}
        (operation,) = root.xpath("//w:portType/w:operation[@name='Tamper']", namespaces=wsdl)
        assert [etree.QName(child).localname for child in operation if child.tag.startswith("{")][-1] == "output"
        assert operation.find("w:input", wsdl) is None


def energies(value: bytes) -> list[int]:
    return [int(one.text or "") for one in etree.fromstring(value).iter(f"{{{METERING}}}energyWh")]


def test_a_substations_own_service_asks_its_meters_without_any_client(village):
    substation = village.substations[0]
    answers: list[tuple[bytes | Fault | Replies, Tally]] = []

    def answered(value: bytes | Fault | Replies, tally: Tally) -> None:
        answers.append((value, tally))

    own_area = Wanted(scopes=("grid://village/1",), timeout=3.0)
    village.call(substation, "ask", GET_DEMAND, DEMAND_REQUEST, own_area, answered)
    wait_for(lambda: answers, "an answer")
    ((value, tally),) = answers
    assert tally == Tally(contributors=3, expected=3)
    assert isinstance(value, bytes)
    assert sum(energies(value)) == 3_000

    every = Wanted(scopes=("grid://village/1",), timeout=3.0, filter=Filter(name=ALL))
    village.call(substation, "ask", GET_DEMAND, DEMAND_REQUEST, every, answered)
    wait_for(lambda: len(answers) == 2, "the replies")
    value, tally = answers[1]
    assert isinstance(value, Replies)
    assert {one.device: sum(energies(one.value)) for one in value.singles} == {
        substation.id: 0,
        village.meters[0].id: 1_000,
        village.meters[1].id: 2_000,
    }
    assert tally == Tally(contributors=3, expected=3)


def test_a_meter_asks_everybody(village):
    answers: list[tuple[bytes | Fault | Replies, Tally]] = []
    village.call(
        village.meters[3],
        "ask",
        GET_DEMAND,
        DEMAND_REQUEST,
        Wanted(timeout=3.0),
        lambda value, tally: answers.append((value, tally)),
    )
    wait_for(lambda: answers, "an answer")
    ((value, tally),) = answers
    assert tally == Tally(contributors=7, expected=7)
    assert isinstance(value, bytes)
    assert sum(energies(value)) == 6_000


def test_a_question_that_cannot_be_asked_is_refused_at_once(village):
    answers: list[Any] = []
    with pytest.raises(RemoteError):
        village.call(
            village.top,
            "ask",
            GET_DEMAND,
            DEMAND_REQUEST,
            Wanted(timeout=86_400.0),
            lambda value, tally: answers.append(value),
        )
    assert answers == []
