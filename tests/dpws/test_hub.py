"""Many devices behind one listener: only those a message can matter to are asked."""

from __future__ import annotations

from random import Random
from time import process_time

import pytest

from gossip_ws.dpws.config import DiscoveryConfig
from gossip_ws.dpws.discovery import TargetService
from gossip_ws.dpws.effects import For, Found, Lost, Multicast
from gossip_ws.dpws.hub import DiscoveryHub
from gossip_ws.dpws.matching import LDAP, NONE, STRCMP0, UUID
from gossip_ws.dpws.messages import AppSequence, Bye, Hello, Message, Probe, ProbeMatches, Resolve, Target
from gossip_ws.dpws.seeker import Seeker
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DEVICE, GRID, WSD, DeviceId, QName, qname

METER = qname(GRID, "SmartMeter")
APPLIANCE = qname(GRID, "Appliance")
SOURCE = Address.parse("soap.udp://127.0.0.9:49152")
NOW = Instant(0.0, 1_700_000_000.0)


def device(area: int, meter: int, appliance: int = 0) -> DeviceId:
    return DeviceId(f"urn:uuid:{area}-{meter}-{appliance}")


def service(area: int, meter: int, appliance: int = 0) -> TargetService:
    scope = f"grid://city/ssc-{area}/sm-{meter}" + (f"/ied-{appliance}" if appliance else "")
    kind = APPLIANCE if appliance else METER
    target = Target(device(area, meter, appliance), (DEVICE, kind), (scope,), ("http://127.0.0.1/",))
    return TargetService(target, instance_id=1, dice=Random(area * 1000 + meter), config=CONFIG)


CONFIG = DiscoveryConfig(pending=2048)


def city(areas: int, meters: int) -> DiscoveryHub:
    """Per meter, the meter and one appliance."""
    hub = DiscoveryHub()
    for area in range(areas):
        for meter in range(1, meters + 1):
            for appliance in (0, 1):
                one = service(area, meter, appliance)
                one.start()
                hub.add(one)
    return hub


def owners(hub: DiscoveryHub, message: Message) -> list[DeviceId]:
    effects = hub.receive(message, SOURCE, NOW)
    assert all(isinstance(effect, For) and isinstance(effect.effect, SetTimer) for effect in effects)
    return [effect.owner for effect in effects if isinstance(effect, For)]


@pytest.mark.parametrize(
    ("types", "scopes", "rule", "expected"),
    [
        ((), (), "", 12),
        ((METER,), (), "", 6),
        ((DEVICE,), ("grid://CITY/ssc-1",), "", 4),
        ((METER,), ("grid://city/ssc-1",), "", 2),
        ((), ("grid://city/ssc-1", "grid://city/ssc-2"), "", 0),
        ((), ("grid://city/ssc-1/sm-2", "grid://city"), "", 2),
        ((), ("grid://city/ssc-1/sm-2",), STRCMP0, 1),
        ((), ("grid://city/ssc-1",), STRCMP0, 0),
        ((), ("grid://city/./ssc-1",), "", 0),
        ((), ("grid://elsewhere",), "", 0),
        ((qname("urn:other", "SmartMeter"),), (), "", 0),
        ((), ("grid://city/ssc-1" + "/x" * 500,), "", 0),
    ],
)
def test_a_probe_reaches_those_that_match(
    types: tuple[QName, ...], scopes: tuple[str, ...], rule: str, expected: int
) -> None:
    hub = city(areas=3, meters=2)
    probe = Probe("urn:m:1", types, scopes, rule)
    reached = owners(hub, probe)
    assert len(reached) == expected
    # The same as if each device had been asked by itself.
    alone = city(areas=3, meters=2)._services.values()
    assert set(reached) == {one.device for one in alone if isinstance(one.receive(probe, SOURCE, NOW)[0], SetTimer)}


def test_scopes_deeper_than_the_index_are_compared_to_the_end() -> None:
    hub = DiscoveryHub()
    deep = "grid://city" + "/x" * 60
    one = TargetService(Target(device(1, 1), (DEVICE,), (deep + "/y",)), instance_id=1, dice=Random(1))
    one.start()
    hub.add(one)
    assert owners(hub, Probe("urn:m:1", (), (deep,))) == [one.device]
    assert owners(hub, Probe("urn:m:2", (), (deep + "/z",))) == []


def test_the_answer_comes_from_the_device_itself() -> None:
    hub = city(areas=1, meters=1)
    (effect,) = hub.receive(Probe("urn:m:1", (METER,)), SOURCE, NOW)
    assert isinstance(effect, For)
    assert isinstance(effect.effect, SetTimer)
    meter = hub._services[effect.owner]
    (answer,) = meter.timer(effect.effect.timer, NOW)
    assert isinstance(answer.message, ProbeMatches)  # type: ignore[union-attr]
    assert answer.message.matches == (meter.target,)  # type: ignore[union-attr]


def test_a_resolve_reaches_one_and_a_copy_nobody() -> None:
    hub = city(areas=3, meters=2)
    resolve = Resolve(device(2, 1), "urn:m:1")
    assert owners(hub, resolve) == [device(2, 1)]
    assert hub.receive(resolve, SOURCE, NOW) == [Dropped("duplicate")]
    assert hub.receive(Resolve(DeviceId("urn:uuid:none"), "urn:m:2"), SOURCE, NOW) == []


def test_what_nobody_can_use() -> None:
    hub = city(areas=1, meters=1)
    unknown = Probe("urn:m:1", match_by=WSD + "/mine")
    assert hub.receive(unknown, SOURCE, NOW) == [Dropped("matching rule not supported")]
    matches = ProbeMatches((), AppSequence(1, 1), "urn:m:2", "urn:m:1")
    assert hub.receive(matches, SOURCE, NOW) == [Dropped("an answer is not multicast")]


def test_rules_that_no_index_knows() -> None:
    hub = DiscoveryHub()
    for number, scopes in enumerate([(), ("ldap://h/ou=a,dc=b",), ("uuid:550e8400-e29b-41d4-a716-446655440000",)]):
        one = TargetService(Target(device(1, number), (DEVICE,), scopes), instance_id=1, dice=Random(1))
        one.start()
        hub.add(one)
    assert owners(hub, Probe("urn:m:1", match_by=NONE)) == [device(1, 0)]
    assert owners(hub, Probe("urn:m:2", (), ("ldap://h/dc=b",), LDAP)) == [device(1, 1)]
    assert owners(hub, Probe("urn:m:3", (), ("urn:uuid:550E8400-e29b-41d4-a716-446655440000",), UUID)) == [device(1, 2)]


def test_a_device_that_moved_is_found_where_it_is_now() -> None:
    hub = city(areas=2, meters=1)
    hub.metadata_changed(device(0, 1), scopes=("grid://city/ssc-9/sm-1",), types=(DEVICE, APPLIANCE))
    assert owners(hub, Probe("urn:m:1", (), ("grid://city/ssc-9",))) == [device(0, 1)]
    assert owners(hub, Probe("urn:m:2", (METER,), ("grid://city/ssc-0",))) == []
    assert device(0, 1) in owners(hub, Probe("urn:m:3", (APPLIANCE,)))
    with pytest.raises(LocalError):
        hub.metadata_changed(DeviceId("urn:uuid:none"))


def test_who_is_removed_hears_nothing() -> None:
    hub = city(areas=1, meters=1)
    with pytest.raises(LocalError):
        hub.add(service(0, 1))
    hub.follow(device(0, 1), Seeker(dice=Random(1)))
    with pytest.raises(LocalError):
        hub.follow(device(0, 1), Seeker(dice=Random(1)))
    hub.remove(device(0, 1))
    hub.remove(device(0, 1))
    assert owners(hub, Probe("urn:m:1", (METER,))) == []
    assert owners(hub, Probe("urn:m:2")) == [device(0, 1, 1)]
    assert hub.receive(Hello(Target(DeviceId("urn:uuid:x")), AppSequence(1, 1), "urn:m:3"), SOURCE, NOW) == []
    hub.add(service(0, 1))
    hub.follow(device(0, 1), Seeker(dice=Random(1)))


def test_hello_and_bye_reach_the_seekers_that_look_there_or_knew_the_device() -> None:
    hub = DiscoveryHub()
    everywhere, there, elsewhere = (DeviceId(f"urn:uuid:{name}") for name in ("everywhere", "there", "elsewhere"))
    hub.follow(everywhere, Seeker(dice=Random(1)))
    hub.follow(there, Seeker(dice=Random(1), scopes=("grid://city/ssc-1",)))
    hub.follow(elsewhere, Seeker(dice=Random(1), scopes=("grid://city/ssc-2",)))
    meter = service(1, 1).target
    hello = hub.receive(Hello(meter, AppSequence(1, 1), "urn:m:1"), SOURCE, NOW)
    assert hello == [For(everywhere, Found(meter)), For(there, Found(meter))]
    moved = Target(meter.device, meter.types, ("grid://city/ssc-2/sm-1",), meter.xaddrs, 2)
    hello = hub.receive(Hello(moved, AppSequence(1, 2), "urn:m:2"), SOURCE, NOW)
    assert {effect.owner for effect in hello if isinstance(effect, For)} == {everywhere, there, elsewhere}
    bye = hub.receive(Bye(meter.device, AppSequence(1, 3), "urn:m:3"), SOURCE, NOW)
    assert bye == [For(owner, Lost(meter.device)) for owner in (everywhere, there, elsewhere)]
    assert hub.receive(Bye(device(9, 9), AppSequence(1, 1), "urn:m:4"), SOURCE, NOW) == []


def test_900_devices_that_probe_and_greet_their_areas_cost_little() -> None:
    """45 areas of 20 devices. Asking each of the 900 of every Probe would be 810,000 questions; only the
    18,000 of the areas are asked. It takes some 0.1 s; the bound leaves room for a slow machine."""
    hub = city(areas=45, meters=10)
    everyone = [one.target for one in hub._services.values()]
    for target in everyone:
        area = target.scopes[0].rpartition("/sm-")[0]
        hub.follow(target.device, Seeker(dice=Random(1), own=target.device, scopes=(area,)))
    assert len(everyone) == 900
    began = process_time()
    answers = found = 0
    for number, target in enumerate(everyone):
        area = target.scopes[0].rpartition("/sm-")[0]
        for _copy in range(2):
            answers += len(hub.receive(Probe(f"urn:p:{number}", (DEVICE,), (area,)), SOURCE, NOW))
            hello = hub.receive(Hello(target, AppSequence(1, 1), f"urn:h:{number}"), SOURCE, NOW)
            found += sum(isinstance(effect, For) for effect in hello)
    took = process_time() - began
    assert answers == 900 * 20 + 900  # and one Dropped for each second copy
    assert found == 900 * 19
    assert took < 3.0


def test_a_device_that_was_not_started_is_silent() -> None:
    hub = DiscoveryHub(DiscoveryConfig(remembered=1))
    one = service(1, 1)
    hub.add(one)
    assert hub.receive(Probe("urn:m:1"), SOURCE, NOW) == [For(one.device, Dropped("not started"))]
    (due,) = one.start()
    assert isinstance(due, SetTimer)
    assert isinstance(one.timer(due.timer, NOW)[0], Multicast)
