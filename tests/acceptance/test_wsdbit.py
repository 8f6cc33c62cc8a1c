"""The published scenarios of WSDBIT, the interoperability tool for devices of Windows, and which test plays each.

`SCENARIOS` is the map. What is played elsewhere has the scenario's number in its docstring there; the rest is here.
"ours": our client or a plain one asks our device. "outside": other people's client asks it, or ours asks their device.
The tool waits 10 s for silence; here it is waited for as long as an answer may be delayed.
"""

from __future__ import annotations

import ast
import asyncio
import datetime as dt
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal as Exact
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from test_device import client
from test_soap_over_udp import CLIENT, SCOPE, Ear, device, eventually, free_group
from town import Device, Town

from gossip_ws.core.peers import Role
from gossip_ws.devices.finding import WAIT, Found, discover
from gossip_ws.dpws.messages import Bye, Generation, Hello, Probe, ProbeMatches, Resolve, ResolveMatches
from gossip_ws.kernel.names import DEVICE, DeviceId, qname
from gossip_ws.net.multicast import Group
from gossip_ws.services import (
    AnyXml,
    Boolean,
    ByteArray,
    ComplexModel,
    DateTime,
    Decimal,
    Double,
    Integer,
    Service,
    SpyneHosted,
    Unicode,
    rpc,
    state,
)
from gossip_ws.wire.discovery import encode
from gossip_ws.wire.envelope import message_id

TESTS = Path(__file__).parents[1]
HERE = "acceptance/test_wsdbit.py"
EVENTING = "devices/test_eventing.py"
SINGLE = "devices/test_single.py"
NS = "urn:acceptance:simple"
TYPE = {"Content-Type": "application/soap+xml; charset=utf-8"}


@dataclass(frozen=True)
class Scenario:
    """`ours`, `outside`: tests, as file::function below tests/. `missing`: why nobody plays a side, or it at all."""

    title: str
    ours: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    missing: str = ""


SCENARIOS = {
    "1.1": Scenario(
        "start, shutdown, start",
        (
            f"{HERE}::test_hello_bye_and_hello_again",
            f"{SINGLE}::test_a_device_that_is_started_again_says_the_same_version_until_it_is_changed",
        ),
        ("interop/test_sdc11073.py::test_it_hears_hello_and_bye",),
    ),
    "1.2": Scenario(
        "Resolve",
        (f"{HERE}::test_a_resolve_is_answered_by_the_device_that_is_meant",),
        ("interop/test_sdc11073_device.py::test_ours_resolves_it",),
    ),
    "1.3": Scenario(
        "Probe by nothing, by type, by scope, and for what is not there",
        (f"{HERE}::test_a_probe_finds_what_matches_and_nothing_else",),
        (
            "interop/test_sdc11073.py::test_it_finds_a_device_by_type_and_scope",
            "interop/test_sdc11073_device.py::test_ours_finds_it_and_reads_what_it_is",
            "interop/test_gsoap.py::test_its_discovery_finds_a_device",
        ),
    ),
    "1.4": Scenario(
        "directed Probe",
        ("devices/test_device.py::test_a_directed_probe",),
        (
            "interop/test_sdc11073.py::test_its_directed_probe_is_answered",
            "interop/test_sdc11073_device.py::test_ours_finds_it_and_reads_what_it_is",
        ),
    ),
    "1.5": Scenario(
        "metadata without discovery",
        ("devices/test_device.py::test_a_get_tells_the_services_and_their_shadows",),
        ("interop/test_sdc11073.py::test_it_reads_what_a_device_is_and_what_it_hosts",),
    ),
    "2.1": Scenario("OneWay", (), (f"{HERE}::test_one_way",), "zeep plays the client: ours is zeep, with gossip"),
    "2.2": Scenario("TwoWay", (), (f"{HERE}::test_two_way",), "as 2.1"),
    "2.3": Scenario("TypeCheck", (), (f"{HERE}::test_type_check",), "as 2.1"),
    "2.4": Scenario("AnyCheck", (), (f"{HERE}::test_any_check",), "as 2.1"),
    "3": Scenario(
        "attachments",
        (),
        (f"{HERE}::test_attachments",),
        "as 2.1; zeep writes no MTOM, so its envelope is packaged here",
    ),
    "4.1": Scenario(
        "subscribe, fire, renew, fire, unsubscribe, silence",
        (f"{EVENTING}::test_subscribe_fire_renew_fire_unsubscribe_silence",),
        (
            "interop/test_sdc11073_eventing.py::test_it_subscribes_renews_asks_and_unsubscribes",
            "interop/test_sdc11073_device.py::test_ours_subscribes_renews_and_unsubscribes",
        ),
    ),
    "4.2": Scenario(
        "the duration that was asked for",
        (f"{EVENTING}::test_the_duration_that_was_asked_for_is_the_one_that_is_answered",),
        (
            "interop/test_sdc11073_eventing.py::test_it_subscribes_renews_asks_and_unsubscribes",
            "interop/test_sdc11073_device.py::test_ours_subscribes_renews_and_unsubscribes",
        ),
    ),
    "4.3": Scenario(
        "two subscriptions",
        (f"{EVENTING}::test_two_subscriptions_are_independent",),
        ("interop/test_sdc11073_device.py::test_ours_ends_one_of_two",),
    ),
    "4.4": Scenario(
        "a filter that nothing passes",
        (f"{EVENTING}::test_a_filter_that_nothing_passes_is_refused",),
        ("interop/test_sdc11073_eventing.py::test_it_is_refused_a_filter_that_nothing_passes",),
    ),
}


def test_the_map_and_the_docstrings_say_the_same() -> None:
    mapped = {(test, number) for number, one in SCENARIOS.items() for side in (one.ours, one.outside) for test in side}
    told = set()
    for file in TESTS.rglob("test_*.py"):
        source = file.read_text()
        if "WSDBIT" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for numbers in re.findall(r"WSDBIT ([\d., ]*\d)", ast.get_docstring(node) or ""):
                    name = f"{file.relative_to(TESTS)}::{node.name}"
                    told |= {(name, ".".join(one.split(".")[:2])) for one in re.split(r",\s*", numbers)}
    assert told == mapped
    assert all(one.missing for one in SCENARIOS.values() if not (one.ours and one.outside))


# -- 1. Device and service inspection


def test_hello_bye_and_hello_again() -> None:
    """WSDBIT 1.1: the same device, the same metadata version."""
    group = free_group()

    async def play(heard: Ear) -> None:
        for number in (1, 2):
            single = device(group)
            await single.open()
            try:
                await eventually(lambda number=number: len(of(heard, Hello)) == number)
            finally:
                await single.close()
            await eventually(lambda number=number: len(of(heard, Bye)) == number)

    with closing(Ear(group)) as heard:
        asyncio.run(play(heard))
        hellos, byes = of(heard, Hello), of(heard, Bye)
        assert {one.target.device for one in hellos} == {one.device for one in byes}
        first, again = (one.target for one in hellos)
        assert (first.device, first.metadata_version) == (again.device, again.metadata_version)


def of(heard: Ear, kind: type[Any]) -> list[Any]:
    """The messages of a kind, each once, of the later generation."""
    messages = (copies[0].message for copies in heard.copies(kind))
    return [one for one in messages if one.generation is Generation.OASIS]


SEARCHES: dict[str, tuple[tuple[Any, ...], tuple[str, ...]]] = {
    "type": ((DEVICE,), ()),
    "scope": ((), (SCOPE,)),
    "scope in other letters": ((), (SCOPE.replace("udp", "UDP"),)),
    "no such type": ((qname("urn:nobody", "Bogus"),), ()),
}
NOBODY = DeviceId("urn:uuid:00000000-0000-0000-0000-000000000000")


@dataclass(frozen=True)
class Inspection:
    """What came of every question, asked at the same time. `answers`: to those of the plain socket."""

    device: str
    found: dict[str, tuple[Found, ...]]
    answers: dict[str, list[Any]]


@pytest.fixture(scope="module")
def inspection() -> Inspection:
    group = free_group()

    async def play(plain: Ear) -> Inspection:
        single = device(group)
        await single.open()
        try:
            me = single.host.settings.device
            asked = {
                "wildcard": Probe(message_id()),
                "resolve": Resolve(me, message_id()),
                "resolve nobody": Resolve(NOBODY, message_id()),
            }
            for message in asked.values():
                plain.send(encode(message), (group.host, group.port))
            # They end when the longest delay of an answer is over, and that of the answers to the others is too.
            found = await asyncio.gather(*(search(group, *wanted) for wanted in SEARCHES.values()))
            await eventually(lambda: len(plain.listen()) >= 4)
        finally:
            await single.close()
        messages = {one.message.message_id: one.message for one in plain.seen}.values()  # type: ignore[union-attr]
        answers = {
            name: [one for one in messages if getattr(one, "relates_to", "") == message.message_id]
            for name, message in asked.items()
        }
        return Inspection(me, dict(zip(SEARCHES, found, strict=True)), answers)

    with closing(Ear()) as plain:
        return asyncio.run(play(plain))


async def search(group: Group, types: tuple[Any, ...], scopes: tuple[str, ...]) -> tuple[Found, ...]:
    return await discover([CLIENT], group, types=types, scopes=scopes, within=WAIT)


def test_a_resolve_is_answered_by_the_device_that_is_meant(inspection: Inspection) -> None:
    """WSDBIT 1.2"""
    (answer,) = inspection.answers["resolve"]
    assert isinstance(answer, ResolveMatches)
    assert answer.match is not None
    assert answer.match.device == inspection.device
    assert answer.match.xaddrs
    assert inspection.answers["resolve nobody"] == []


def test_a_probe_finds_what_matches_and_nothing_else(inspection: Inspection) -> None:
    """WSDBIT 1.3"""
    (answer,) = inspection.answers["wildcard"]
    assert isinstance(answer, ProbeMatches)
    assert [one.device for one in answer.matches] == [inspection.device]
    found = {name: [one.device for one in devices] for name, devices in inspection.found.items()}
    here = [inspection.device]
    assert found == {"type": here, "scope": here, "scope in other letters": [], "no such type": []}
    assert all(one.services for devices in inspection.found.values() for one in devices)


# -- 2. Simple and advanced control


class Types(ComplexModel):
    __namespace__ = NS
    truth = Boolean
    whole = Integer
    real = Double
    exact = Decimal
    text = Unicode
    moment = DateTime


class SimpleService(Service):
    @rpc(Integer)
    def OneWay(ctx: Any, value: int) -> None:
        state(ctx, list).append(value)

    @rpc(Integer, Integer, _returns=Integer)
    def TwoWay(ctx: Any, x: int, y: int) -> int:
        return x + y

    @rpc(Types, _returns=Types)
    def TypeCheck(ctx: Any, values: Any) -> Any:
        return values

    @rpc(ByteArray, _returns=ByteArray)
    def TwoWayAttachment(ctx: Any, content: Any) -> Any:
        state(ctx, list).append(len(b"".join(content)))
        return content

    @rpc(AnyXml, _returns=AnyXml)
    def AnyCheck(ctx: Any, content: Any) -> Any:
        return content


TAKEN: list[int] = []


@pytest.fixture(scope="module")
def simple() -> Iterator[Device]:
    town = Town()
    yield town.open(Role.METER, "grid://simple/1/1", services=(lambda _: SpyneHosted(SimpleService, NS, TAKEN),))
    town.close()


def test_one_way(simple: Device) -> None:
    """WSDBIT 2.1: accepted, nothing comes back, and it is there."""
    assert client(simple, "/SimpleService").service.OneWay(value=41) is None
    assert TAKEN == [41]


def test_two_way(simple: Device) -> None:
    """WSDBIT 2.2: the sum."""
    assert client(simple, "/SimpleService").service.TwoWay(x=2_147_483_600, y=-17) == 2_147_483_583


def test_type_check(simple: Device) -> None:
    """WSDBIT 2.3: each value as it was sent."""
    sent = {
        "truth": True,
        "whole": -(2**40),
        "real": 1.5e-300,
        "exact": Exact("12345678901234567890.0123456789"),
        "text": " <&> \u00fcber\U0001f50c ]]>",
        "moment": dt.datetime(2026, 2, 28, 23, 59, 59, 250_000, dt.UTC),
    }
    service = client(simple, "/SimpleService").service
    back = service.TypeCheck(values=sent)
    assert {name: back[name] for name in sent} == sent


def test_any_check(simple: Device) -> None:
    """WSDBIT 2.4: an element of somebody else's schema comes back as it was sent."""
    sent = etree.fromstring(
        '<o:other xmlns:o="urn:acceptance:other" plain="1" o:own="a &amp; b">'
        "mixed <o:in/>\u00fc<bare>&lt;</bare> text</o:other>"
    )
    asking = client(simple, "/SimpleService")
    # zeep writes anyType as text; the element is put into the envelope that it made.
    message = asking.create_message(asking.service, "AnyCheck", content="")
    (content,) = message.iter(f"{{{NS}}}content")
    content.append(deepcopy(sent))
    answer = asking.transport.post_xml(asking.service._binding_options["address"], message, TYPE)
    (back,) = etree.fromstring(answer.content).iter(f"{{{NS}}}AnyCheckResult")
    (back,) = back
    assert etree.tostring(back, method="c14n", exclusive=True) == etree.tostring(sent, method="c14n", exclusive=True)


@pytest.mark.parametrize("content", [b"\0", bytes(range(256)) * 40, b"\r\n--MIME--\r\n" * 3], ids=len)
def test_attachments(content: bytes, simple: Device) -> None:
    """WSDBIT 3: octets that travel beside the envelope arrive, and come back byte for byte."""
    asking = client(simple, "/SimpleService")
    message = asking.create_message(asking.service, "TwoWayAttachment", content=b"")
    (place,) = message.iter(f"{{{NS}}}content")
    place.text = None
    etree.SubElement(place, "{http://www.w3.org/2004/08/xop/include}Include", href="cid:octets@client")
    boundary = "uuid:0f3c=MIME"
    told = (
        f'multipart/related; type="application/xop+xml"; start="<root@client>"; boundary="{boundary}"; '
        'start-info="application/soap+xml"'
    )
    root = (
        f"--{boundary}\r\nContent-ID: <root@client>\r\nContent-Type: application/xop+xml; charset=utf-8; "
        'type="application/soap+xml"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
    )
    octets = (
        f"\r\n--{boundary}\r\nContent-ID: <octets@client>\r\nContent-Type: application/octet-stream\r\n"
        "Content-Transfer-Encoding: binary\r\n\r\n"
    )
    packed = root.encode() + etree.tostring(message) + octets.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    answer = asking.transport.post(asking.service._binding_options["address"], packed, {"Content-Type": told})
    assert answer.status_code == 200
    # Python's own reader of multipart, not ours.
    parts = message_from_bytes(
        b"Content-Type: " + answer.headers["Content-Type"].encode() + b"\r\n\r\n" + answer.content
    )
    (envelope,) = parts.get_payload()
    assert envelope.get_content_type() == "application/xop+xml"
    (back,) = etree.fromstring(envelope.get_payload(decode=True)).iter(f"{{{NS}}}TwoWayAttachmentResult")
    assert b64decode(back.text) == content
    assert TAKEN[-1] == len(content)
