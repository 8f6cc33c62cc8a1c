"""Two substations, each with two meters, over real sockets: who has a message, whom an answer left out, by name.

The dead die before the questions; the tests of this file follow one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import zeep
from requests import Session
from requests.auth import HTTPBasicAuth
from streets import Streets
from town import GET_REPORT, PASSWORD, USER, Device, Town, plain, wait_for
from zeep.exceptions import Fault

from gossip_ws.client import GossipClient, wanted
from gossip_ws.core.peers import Role
from gossip_ws.devices.reports import Name, ask, names
from gossip_ws.kernel.names import REPORT

ASKED = wanted(timeout=1.5)
DAY = date(2026, 11, 21)
TARIFF = {"id": "winter", "start": "2026-11-20T00:00:00Z", "end": "2126-11-20T00:00:00Z"}
BAND = {"fromMinute": 0, "toMinute": 1440, "price": "0.2"}


def push(streets: Streets, version: int) -> str:
    """The id that the device says of what it has accepted."""
    client = streets.client("Tariff")
    try:
        return client.call("SetTariff", {**TARIFF, "version": version, "band": [BAND]}).id
    finally:
        client.close()


@pytest.fixture
def report(streets: Streets) -> Iterator[GossipClient]:
    client = streets.client("Report")
    yield client
    client.close()


def named(*devices: Device, standing: str = "missing", behind: int = 1) -> set[Name]:
    return {Name(device.id, standing, behind) for device in devices}


def test_nobody_has_what_was_never_pushed_and_pages_name_everybody_once(streets: Streets, report: GossipClient) -> None:
    everybody = sorted(device.id for device in streets.town.devices)
    for limit in (1, 2, 3, 7, 200):
        read: list[str] = []
        complete = False
        while not complete:
            answer = report.call(
                "GetReport",
                about="00" * 32,
                of="push",
                limit=limit,
                wanted=ASKED,
                **({"after": read[-1]} if read else {}),
            )
            assert answer.report is not None
            assert (answer.report.contributors, answer.value.held, answer.value.devices) == (7, 0, 7)
            page = [one.device for one in answer.value.names.lacking]
            assert len(page) <= limit
            read += page
            complete = answer.value.names.complete
        assert read == everybody


def test_everybody_has_what_was_pushed(streets: Streets, report: GossipClient) -> None:
    id = push(streets, 1)
    wait_for(lambda: all(device.version == 1 for device in streets.town.devices), "version 1")
    page = ask(report, id, "push", ASKED)
    assert (page.held, page.report.contributors, page.report.expected, page.names) == (7, 7, 7, ())


def test_a_client_that_knows_no_gossip_calls_it_from_the_wsdl_alone(streets: Streets) -> None:
    id = push(streets, 2)
    wait_for(lambda: all(device.version == 2 for device in streets.town.devices), "version 2")
    session = Session()
    plain_client = zeep.Client(
        streets.meters[0].url("/Report?wsdl"), transport=zeep.Transport(session=session, timeout=5)
    )
    told: Any = plain_client.service.GetReport(about=id, of="push", limit=5)
    assert (told.held, told.devices, told.names.complete, told.names.lacking) == (1, 1, True, [])
    told = plain_client.service.GetReport(about="00" * 32, of="push", limit=5)
    assert [(one.device, one.standing, one.devices) for one in told.names.lacking] == [
        (streets.meters[0].id, "missing", 1)
    ]
    with pytest.raises(Fault):
        plain_client.service.GetReport(about="00" * 31, of="push", limit=5)
    session.auth = HTTPBasicAuth(USER, PASSWORD)
    shadow = zeep.Client(streets.top.url("/Report/gossip?wsdl"), transport=zeep.Transport(session=session, timeout=9))
    told = shadow.service.GetReport(about=id, of="push", limit=5)
    assert (told.held, told.devices) == (7, 7)
    session.close()


def test_a_stranger_asks_one_device_and_not_the_grid(streets: Streets) -> None:
    asking = f'<GetReport xmlns="{REPORT}"><about>{"00" * 32}</about><of>push</of><limit>5</limit></GetReport>'
    frame = plain(GET_REPORT, asking.encode())
    assert streets.top.post("/Report", frame).status == 200
    assert streets.top.post("/Report/gossip", frame).fault()[0] >= 400


def test_a_service_that_refuses_is_told_from_a_message_that_did_not_come(
    streets: Streets, report: GossipClient
) -> None:
    meter = streets.ahead(9)
    id = push(streets, 3)
    others = [device for device in streets.town.devices if device is not meter]
    wait_for(lambda: all(device.version == 3 for device in others), "version 3")
    wait_for(lambda: meter.counters["delivery refused by the service"] == 1, "refused")
    page = ask(report, id, "push", ASKED)
    assert (page.held, page.report.contributors) == (6, 7)
    assert set(page.names) == named(meter, standing="refused")


def test_a_dead_meter_and_then_a_dead_substation_are_named_by_who_waited_for_them(
    streets: Streets, report: GossipClient
) -> None:
    metering = streets.client("Metering")
    streets.crash(streets.meters[0])
    answer = metering.call("GetDemand", DAY, wanted=ASKED)
    assert answer.report is not None
    assert (answer.report.contributors, answer.report.expected, answer.report.missing) == (6, 7, 1)
    found = names(report, answer.report.id, "request", ASKED, 1)
    assert (set(found.told), found.unnamed) == (named(streets.meters[0]), 0)

    streets.crash(streets.substations[1])
    answer = metering.call("GetDemand", DAY, wanted=ASKED)
    assert answer.report is not None
    assert (answer.report.contributors, answer.report.expected, answer.report.missing) == (3, 7, 4)
    found = names(report, answer.report.id, "request", ASKED, 4)
    assert set(found.told) == named(streets.meters[0]) | named(streets.substations[1], behind=3)
    assert found.unnamed == 0
    metering.close()


def test_a_page_that_no_datagram_holds_climbs_by_http_and_is_whole() -> None:
    """So many names are some 3,600 octets of one partial: with the envelope around it more than a datagram has."""
    town = Town()
    top = town.open(Role.INFORMATION_SYSTEM, "grid://town", key=town.operator)
    substation = town.open(Role.SUBSTATION, "grid://town/1", top)
    for number in range(45):
        town.open(Role.METER, f"grid://town/1/{number}", substation)
    wait_for(lambda: sum(peer.subtree for peer in top.host.endpoint.peers) == 46, "subtrees")
    client = GossipClient(top.url("/Report"), user=USER, password=PASSWORD)
    page = ask(client, "00" * 32, "push", wanted(timeout=5.0))
    assert (page.held, page.report.contributors, page.complete) == (0, 47, True)
    assert [name.device for name in page.names] == sorted(device.id for device in town.devices)
    assert substation.counters["too large for a datagram"] == 0
    client.close()
    town.close()
