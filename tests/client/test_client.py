"""The gossip-aware client against a real device: what it asks for arrives, what an answer is worth is read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import zeep
from lxml import etree

from gossip_ws.client import GossipClient, GossipHeader, Unanswered, wanted
from gossip_ws.core.messages import DeviceReply
from gossip_ws.core.peers import Role
from gossip_ws.devices.config import DeviceConfig, Security
from gossip_ws.devices.config_energy import Energy
from gossip_ws.devices.single import Single
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.population import device_id
from gossip_ws.grid.tasks import tasks_of
from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.errors import Fault, LocalError, RemoteError
from gossip_ws.kernel.names import METERING, TARIFF, DeviceId, GossipId
from gossip_ws.kernel.terms import Budget, Filter, Tier, Wanted
from gossip_ws.net.counters import Counters
from gossip_ws.net.http_server import HttpServer
from gossip_ws.ports import Request, Respond, Response
from gossip_ws.security.authority import CallerRule, Trust
from gossip_ws.security.keys import PrivateKey
from gossip_ws.security.passwords import PasswordHash
from gossip_ws.wire.envelope import Addressing, build, parse
from gossip_ws.wire.replies import REPLIES_ACTION, Part, write_part, write_replies
from gossip_ws.wire.terms import decode_wanted, encode_wanted

DAY = date(2026, 11, 21)
TARIFF_VALUE = {
    "id": "flat",
    "version": 1,
    "start": "2026-11-20T00:00:00Z",
    "end": "2099-01-01T00:00:00Z",
    "band": [{"fromMinute": 0, "toMinute": 1440, "price": "0.3"}],
}
ACTIONS = frozenset((f"{TARIFF}:SetTariff", f"{METERING}:GetDemand"))


class Background:
    """An event loop in a thread of its own: zeep blocks the test's."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def background() -> Iterator[Background]:
    made = Background()
    yield made
    made.close()


@pytest.fixture(scope="module")
def device(background: Background) -> Iterator[Single]:
    """A meter that signs for whoever proves to be the dispatcher."""
    rule = CallerRule(ACTIONS, "dispatcher", PasswordHash.of("lights on"))
    single = Single(
        DeviceConfig(
            Role.METER,
            ("127.0.10.1",),
            ("grid://client/ssc/sm",),
            Security(Trust(callers=(rule,)), PrivateKey.generate()),
            identity=device_id("grid://client/ssc/sm"),
            energy=Energy("household", tasks_of(Kind.HOUSEHOLD, (100, 200, 300), 3_000)),
        )
    )
    background.do(single.open())
    yield single
    background.do(single.close())


def url(device: Single, path: str) -> str:
    return str(device.host.http.at(path))


@pytest.fixture
def demand(device: Single) -> Iterator[GossipClient]:
    client = GossipClient(url(device, "/Metering"), user="dispatcher", password="lights on")
    yield client
    client.close()


def test_an_answer_says_what_it_is_worth(demand: GossipClient) -> None:
    answer = demand.call("GetDemand", DAY, wanted=wanted(filter="max", scopes=["grid://client"], timeout=2))
    (row,) = answer.value
    assert (row.category, row.energyWh) == ("household", [100, 200, 300])
    assert answer.report is not None
    assert (answer.report.contributors, answer.report.expected, answer.report.missing) == (1, 1, 0)
    assert len(bytes.fromhex(answer.report.id)) == 32


def test_a_stylesheet_travels_as_text(demand: GossipClient) -> None:
    stylesheet = (Path(__file__).parents[2] / "wsdl" / "demand-sum.xslt").read_text()
    (row,) = demand.call("GetDemand", DAY, wanted=wanted(filter=stylesheet)).value
    assert row.energyWh == [100, 200, 300]


@pytest.mark.parametrize("path", ["/Metering", "/Metering?wsdl", "/Metering/gossip", "/Metering/gossip?wsdl"])
def test_the_shadow_is_found_from_either_wsdl(device: Single, path: str) -> None:
    client = GossipClient(url(device, path))
    assert client.shadow == url(device, "/Metering/gossip")
    assert client.advertised["GetDemand"].policy.aggregate == "sum"
    client.close()


def test_a_fault_comes_with_its_reason(demand: GossipClient) -> None:
    with pytest.raises(RemoteError) as caught:
        demand.call("GetDemand", DAY, wanted=wanted(filter="median"))
    assert caught.value.fault.subcode == "{urn:gossip-ws:2026}FilterNotAllowed"


def test_a_group_that_is_too_small_still_says_how_small(demand: GossipClient) -> None:
    with pytest.raises(RemoteError):
        demand.call("GetDemand", DAY, wanted=wanted(min_group=5))
    report = demand.header.report
    assert report is not None
    assert report.contributors < 5


def test_one_way_is_accepted_and_has_no_report(device: Single) -> None:
    client = GossipClient(url(device, "/Tariff"), user="dispatcher", password="lights on")
    answer = client.call("SetTariff", TARIFF_VALUE)
    assert (answer.value, answer.report) == (None, None)
    assert device.host.endpoint.node.holds(GossipId(bytes.fromhex(answer.id)))
    held = device.host.tariffs.current
    assert held is not None
    assert (held.id, held.version) == ("flat", 1)
    client.close()


@pytest.mark.parametrize(("user", "password"), [("", ""), ("dispatcher", "lights off"), ("stranger", "lights on")])
def test_who_proves_nothing_is_refused(device: Single, user: str, password: str) -> None:
    client = GossipClient(url(device, "/Tariff"), user=user, password=password)
    with pytest.raises(RemoteError) as caught:
        client.call("SetTariff", {**TARIFF_VALUE, "version": 2})
    assert caught.value.fault.subcode == "{urn:gossip-ws:2026}NotAuthorised"
    client.close()


def test_what_the_wsdl_does_not_allow_is_not_sent(device: Single, demand: GossipClient) -> None:
    before = device.host.endpoint.counters.copy()
    for values in ((), (DAY, DAY, DAY)):
        client = demand if values else GossipClient(url(device, "/Tariff"))
        with pytest.raises(LocalError):
            client.call("GetDemand" if values else "SetTariff", *values)
    with pytest.raises(LocalError, match="GetTariff does not gossip"):
        client.call("GetTariff")
    client.close()
    demand.close()
    assert device.host.endpoint.counters == before


def test_a_zeep_client_of_ones_own(device: Single) -> None:
    """Without credentials this device signs nothing: the plugin reads faults as well."""
    header = GossipHeader(wanted(filter="sum"))
    client = zeep.Client(url(device, "/Metering/gossip?wsdl"), plugins=[header])
    with pytest.raises(zeep.exceptions.Fault):
        client.service.GetDemand(DAY)
    assert header.reply is not None
    assert header.report is None
    client.transport.session.close()


def test_the_header_stands_beside_zeeps_own() -> None:
    envelope = etree.fromstring(
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><a/></s:Body></s:Envelope>'
    )
    asked = wanted(filter="mean", group_by="category", fanout=3, rounds=2, types=["{urn:a}B"], binding=Binding.HTTP)
    made, _ = GossipHeader(asked).egress(envelope, {}, None, None)
    assert decode_wanted(parse(etree.tostring(made))) == asked


def test_what_is_wanted() -> None:
    assert wanted() == Wanted()
    assert encode_wanted(wanted()) == b'<g:Wanted xmlns:g="urn:gossip-ws:2026"></g:Wanted>'
    assert wanted(fanout=3, rounds=2).budgets == (Budget(Tier.WAN, 3, 2), Budget(Tier.FAN, 3, 2))
    assert wanted(filter="<a/>").filter == Filter(stylesheet="<a/>")


@pytest.mark.parametrize(
    "bad", [{"fanout": 3}, {"rounds": 3}, {"group_by": "category"}, {"filter": "<a/>", "group_by": "category"}]
)
def test_what_cannot_be_wanted(bad: dict[str, Any]) -> None:
    with pytest.raises(LocalError):
        wanted(**bad)


def test_nobody_there() -> None:
    with pytest.raises(Unanswered, match="no WSDL at"):
        GossipClient("http://127.0.10.9:9/Metering")


def served(background: Background, body: bytes, status: int = 200) -> HttpServer:
    async def opened() -> HttpServer:
        def handle(request: Request, respond: Respond) -> None:
            respond(Response(status, body, "text/xml"))

        server = HttpServer(handle, Counters())
        await server.open("127.0.10.2", 0)
        return server

    server: HttpServer = background.do(opened())
    return server


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 404, Unanswered),
        (b"no WSDL", 200, RemoteError),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 200, RemoteError),
        (b'<definitions xmlns="http://schemas.xmlsoap.org/wsdl/"/>', 200, LocalError),
        (b"x" * 1_100_000, 200, Unanswered),
    ],
    ids=["missing", "no XML", "a DTD", "no gossip", "too large"],
)
def test_what_is_no_wsdl(background: Background, body: bytes, status: int, error: type[Exception]) -> None:
    server = served(background, body, status)
    with pytest.raises(error):
        GossipClient(str(server.address.at("/Metering")))
    background.do(server.close())


def test_an_id_that_is_none_is_not_taken_for_one(background: Background, device: Single) -> None:
    """A stranger answers at the shadow's address: 202, and junk beside it."""
    client = GossipClient(url(device, "/Tariff"))

    async def opened() -> HttpServer:
        server = HttpServer(lambda request, respond: respond(Response(202, gossip_id="../../etc")), Counters())
        await server.open("127.0.10.3", 0)
        return server

    server: HttpServer = background.do(opened())
    client.zeep.service._binding_options["address"] = str(server.address.at("/Tariff/gossip"))
    assert client.call("SetTariff", TARIFF_VALUE).id == ""
    client.close()
    background.do(server.close())


def test_credentials_do_not_follow_a_shadow_to_another_host(background: Background, device: Single) -> None:
    """A WSDL is not signed: whoever serves one could name an address where passwords are collected."""
    elsewhere = url(device, "/Metering/gossip")
    client = GossipClient(url(device, "/Metering"))
    server = served(background, client._fetch(url(device, "/Metering")))
    client.close()
    with pytest.raises(LocalError, match="credentials stay with"):
        GossipClient(str(server.address.at("/Metering")), user="dispatcher", password="lights on")
    plain = GossipClient(str(server.address.at("/Metering")))
    assert plain.shadow == elsewhere
    plain.close()
    background.do(server.close())


def test_every_reply_comes_with_its_device(device: Single, demand: GossipClient) -> None:
    ((name, value),) = demand.replies("GetDemand", DAY, wanted=wanted(scopes=["grid://client"], timeout=2))
    assert name == device.host.settings.device
    assert [(row.category, row.energyWh) for row in value] == [("household", [100, 200, 300])]
    assert demand.header.report is not None
    assert demand.header.report.contributors == 1


def test_replies_are_of_an_operation_that_has_some(device: Single, demand: GossipClient) -> None:
    with pytest.raises(LocalError, match="does not gossip"):
        next(demand.replies("GetNothing"))
    tariffs = GossipClient(url(device, "/Tariff"), user="dispatcher", password="lights on")
    with pytest.raises(LocalError, match="one-way"):
        next(tariffs.replies("SetTariff", TARIFF_VALUE))
    tariffs.close()


def part(number: int, of: int, value: bytes) -> bytes:
    """What an entry answers: one reply in each part."""
    replies = write_replies((DeviceReply(DeviceId(f"urn:uuid:{number}"), value),))
    return build(Addressing(REPLIES_ACTION), replies, write_part(Part(GossipId(bytes(32)), number, of)))


DEMANDED = (
    f'<GetDemandResponse xmlns="{METERING}"><GetDemandResult><Demand><category>farm</category>'
    f"{'<energyWh>7</energyWh>' * 3}</Demand></GetDemandResult></GetDemandResponse>"
).encode()


@pytest.mark.parametrize(
    "content_type", ["multipart/related", "multipart/related; boundary=a"], ids=["no boundary", "no parts"]
)
def test_whose_answer_cannot_be_read_is_blamed_for_it(
    background: Background, device: Single, content_type: str
) -> None:
    client = GossipClient(url(device, "/Metering"))
    server = HttpServer(lambda request, respond: respond(Response(200, b"--a--", content_type)), Counters())
    background.do(server.open("127.0.10.3", 0))
    client.zeep.service._binding_options["address"] = str(server.address.at("/Metering/gossip"))
    with pytest.raises(Unanswered):
        client.call("GetDemand", DAY)
    client.close()
    background.do(server.close())


def test_an_address_that_is_none_is_not_the_fault_of_the_values(device: Single) -> None:
    client = GossipClient(url(device, "/Metering"))
    client.zeep.service._binding_options["address"] = "http://["
    with pytest.raises(Unanswered, match="no answer"):
        client.call("GetDemand", DAY)
    client.close()


@pytest.mark.parametrize(
    ("answers", "count", "error"),
    [
        ([part(1, 2, DEMANDED), part(2, 2, DEMANDED)], 2, None),
        ([part(1, 2, DEMANDED), part(1, 2, DEMANDED)], 1, Unanswered),
        ([part(1, 2, DEMANDED), part(2, 3, DEMANDED)], 1, Unanswered),
        ([part(1, 2, DEMANDED), b"junk"], 1, RemoteError),
        ([part(1, 2, DEMANDED), b"x" * 40_000], 1, RemoteError),
        ([build(Addressing(), DEMANDED)], 0, Unanswered),
        ([part(1, 1, b"<odd/>")], 1, None),
    ],
    ids=["whole", "the same part", "more parts", "junk", "too large", "no parts", "not its response"],
)
def test_parts_are_believed_as_far_as_they_fit_together(
    background: Background, device: Single, answers: list[bytes], count: int, error: type[Exception] | None
) -> None:
    """A device that is not what it says it is, behind the WSDL of a real one."""
    real = url(device, "/Metering")
    plain = GossipClient(real)
    wsdl = plain._fetch(real)
    plain.close()
    told = list(answers)

    def handle(request: Request, respond: Respond) -> None:
        if request.method == "GET":
            address = str(server.address.at("")).encode()
            respond(Response(200, wsdl.replace(str(device.host.http).encode(), address), "text/xml"))
        else:
            respond(Response(200, told.pop(0)))

    server = HttpServer(handle, Counters())
    background.do(server.open("127.0.10.2", 0))
    client = GossipClient(str(server.address.at("/Metering")))
    got: list[Any] = []
    with pytest.raises(error) if error is not None else nullcontext():
        got.extend(client.replies("GetDemand", DAY))
    assert len(got) == count
    assert [isinstance(one.value, Fault) for one in got] == [b"odd" in answers[0]] * count
    client.close()
    background.do(server.close())
