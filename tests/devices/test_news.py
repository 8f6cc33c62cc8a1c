"""Late joiners and reboots: who was not there learns what is in force before anybody asks it.

No device here asks for news by the clock (its period is a day), so what it learns it learned by joining.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from town import (
    DEMAND_REQUEST,
    GET_DEMAND,
    GET_TARIFF,
    GET_TARIFF_REQUEST,
    SET_TARIFF,
    Device,
    Reply,
    Town,
    as_entry,
    operator,
    plain,
    signed,
    tariff,
    terms,
    wait_for,
)

from gossip_ws.core.messages import Content, Tally
from gossip_ws.core.peers import Role
from gossip_ws.kernel.names import TARIFF, qname
from gossip_ws.wire.nodes import decode_report


class Street(Town):
    """An information system, a substation, one meter."""

    def __init__(self) -> None:
        super().__init__()
        self.top = self.open(Role.INFORMATION_SYSTEM, "grid://street", key=self.operator)
        self.substation = self.open(Role.SUBSTATION, "grid://street/1", self.top)
        self.meter = self.open(Role.METER, "grid://street/1/1", self.substation)

    def push(self, version: int) -> None:
        """To everybody who is up."""
        reply = self.top.post("/Tariff/gossip", plain(SET_TARIFF, tariff(version)), **operator())
        assert reply.status == 202
        self.have(version)

    def enter(self, at: Device, content: Content) -> Reply:
        """A client that signed by itself."""
        return at.post("/Tariff/gossip", as_entry(content))

    def have(self, version: int) -> None:
        wait_for(lambda: {device.version for device in self.devices} == {version}, f"version {version} everywhere")


@pytest.fixture
def street() -> Iterator[Street]:
    made = Street()
    yield made
    made.close()


def test_a_new_meter_has_the_tariff_in_force_before_it_is_asked(street: Street) -> None:
    for version in (1, 2, 3):
        street.push(version)
    newcomer = street.open(Role.METER, "grid://street/1/2", street.substation)
    street.have(3)
    assert newcomer.counters["delivered"] == 1  # the two before it came to nobody's mind
    # And whoever joins below it has it from there.
    street.open(Role.APPLIANCE, "grid://street/1/2/1", newcomer)
    street.have(3)
    answer = newcomer.post("/Tariff", plain(GET_TARIFF, GET_TARIFF_REQUEST)).payload
    assert answer.findtext(f".//{qname(TARIFF, 'version')}") == "3"


def test_a_new_substation_has_it_and_its_meters_had_it_from_it(street: Street) -> None:
    street.push(1)
    substation = street.open(Role.SUBSTATION, "grid://street/2", street.top)
    street.open(Role.METER, "grid://street/2/1", substation)
    street.have(1)


def test_what_is_outside_its_area_is_none_of_a_newcomers_business(street: Street) -> None:
    content = signed(street.client, SET_TARIFF, tariff(1), terms(scopes=("grid://street/1/1",), latest=True))
    assert street.enter(street.top, content).status == 202
    wait_for(lambda: street.meter.version == 1)
    other = street.open(Role.METER, "grid://street/1/2", street.substation)
    street.settled()
    assert (other.version, other.counters["delivered"]) == (0, 0)


@pytest.mark.parametrize("moved", [False, True])
def test_a_meter_that_was_down_during_a_push_has_it_when_it_is_up_again(street: Street, moved: bool) -> None:
    """Also when it comes back at another address, as from a DHCP lease."""
    street.push(1)
    again = street.crash(street.meter)
    street.push(2)
    if moved:
        street.open(Role.METER, "grid://street/1/1", street.substation, device=again.device)
    else:
        street.open(Role.METER, "grid://street/1/1", street.substation, again=again)
    street.have(2)


def test_a_parent_that_was_down_has_it_from_its_own_parent(street: Street) -> None:
    """At once, though the tariff has been spreading for less than a second."""
    # Not while the meter's registration and its two questions are at the door: asyncio leaks what it has half accepted.
    wait_for(lambda: street.meter.host.network.counters.http_received >= 3)
    again = street.crash(street.substation)
    street.enter(street.top, signed(street.client, SET_TARIFF, tariff(1), terms(latest=True)))
    back = street.open(Role.SUBSTATION, "grid://street/1", street.top, again=again)
    wait_for(lambda: back.version == 1)


def test_an_older_tariff_that_comes_after_a_newer_is_taken_nowhere(street: Street) -> None:
    old = signed(street.client, SET_TARIFF, tariff(1), terms(latest=True))
    new = signed(street.client, SET_TARIFF, tariff(2), terms(latest=True))
    assert street.enter(street.top, new).status == 202
    street.have(2)
    fault = street.enter(street.top, old).fault()
    assert fault[0] == 400
    assert fault[2].endswith("}Superseded")
    street.settled()
    assert [device.counters["delivered"] for device in street.devices] == [0, 1, 1]


def test_a_tariff_of_another_issuer_is_not_superseded(street: Street) -> None:
    theirs = signed(street.client, SET_TARIFF, tariff(1, id="theirs"), terms(latest=True))
    street.push(7)
    assert street.enter(street.top, theirs).status == 202
    wait_for(
        lambda: [device.host.tariffs.held(street.client.id) is not None for device in street.devices] == [True] * 3
    )


def test_a_meter_that_reboots_in_the_middle_of_a_pull_declines(street: Street) -> None:
    """It cannot know whether its value is in already; the substation reports it instead of waiting for it."""
    down = street.crash(street.meter)
    replies: list[Reply] = []
    asked = len(street.substation.network.sent)
    client = street.later(
        lambda: replies.append(street.top.post("/Metering/gossip", plain(GET_DEMAND, DEMAND_REQUEST), **operator()))
    )
    wait_for(lambda: len(street.substation.network.sent) > asked + 1, "the substation has asked its meter")
    rebooted = street.open(Role.METER, "grid://street/1/1", street.substation, again=down)
    client.join()
    assert rebooted.counters["older than this boot"] >= 1
    report = decode_report(replies[0].envelope)
    assert report is not None
    assert report[1] == Tally(contributors=2, expected=3, failed=1)
