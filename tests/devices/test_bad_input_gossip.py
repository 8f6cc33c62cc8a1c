"""Messages that nobody may send, that somebody changed, or that came before; wishes that no device grants.

Each costs its sender a fault over HTTP, or vanishes into a counter over UDP. Nothing spreads of it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from town import (
    DEMAND_REQUEST,
    GET_DEMAND,
    GET_TARIFF,
    SET_TARIFF,
    Grid,
    Town,
    as_entry,
    as_hop,
    operator,
    plain,
    signed,
    tariff,
    terms,
    wait_for,
)

from gossip_ws.core.messages import Content, Digest, Partial, Receipt, Standing, Tally
from gossip_ws.core.peers import Role
from gossip_ws.devices.store import SqliteStore
from gossip_ws.kernel.names import GOSSIP, METERING, TARIFF, DeviceId, GossipId, qname
from gossip_ws.kernel.terms import Budget, Filter, Style, Tier, Wanted
from gossip_ws.security.keys import PrivateKey
from gossip_ws.wire.gossip import XmlCodec, encode_wanted

ENTRY = "/Tariff/gossip"
RELAY = "/gossip"


@pytest.fixture
def unharmed(town: Grid) -> Iterator[Grid]:
    """No frame leaves the devices, none gets a tariff, and a good push works afterwards."""
    town.push()
    left, versions = town.settled(), town.versions()
    yield town
    assert town.settled() == left
    assert town.versions() == versions
    town.push()


def refused(town: Grid, frame: bytes, reason: str, path: str = ENTRY, namespace: str = GOSSIP) -> None:
    """Refused at the shadow and at the relays' address, and over UDP in silence."""
    for at in {path, RELAY}:
        reply = town.meter.post(at, frame)
        assert reply.fault() == (400, "Sender", qname(namespace, reason))
        sent = re.search(rb"<wsa:MessageID>([^<]+)<", frame)
        assert sent is not None
        if reason != "Malformed" or b"Hop" in frame:
            assert reply.relates_to == sent.group(1).decode()
    before = town.meter.counters[reason]
    town.meter.datagram(frame)
    assert town.meter.counters[reason] == before + 1


def sealed(content: Content, old: bytes, new: bytes) -> Content:
    """The content with some octets exchanged after it was signed."""
    assert old in content.sealed
    return replace(content, sealed=content.sealed.replace(old, new, 1))


Frames = Callable[[Content, Grid], bytes]
WAYS: dict[str, Frames] = {
    "from a client": lambda content, town: as_entry(content),
    "from a peer": lambda content, town: as_hop(content, town.other_meter.id, receipt=True),
    "from nobody": lambda content, town: as_hop(content, "urn:uuid:00000000-0000-4000-8000-000000000000"),
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def good(town: Grid, **on: Any) -> Content:
    return signed(town.client, SET_TARIFF, tariff(town.next_version()), terms(**on))


def unsigned(town: Grid) -> Content:
    return XmlCodec().seal(SET_TARIFF, terms(originator=town.client.id), tariff(7), lambda _: None)


TAMPERED: dict[str, tuple[Callable[[Grid], Content], str]] = {
    "unsigned": (unsigned, "Unsigned"),
    "by a key that nobody knows": (lambda town: signed(town.stranger, SET_TARIFF, tariff(7)), "UnknownKey"),
    "forged": (lambda town: signed(town.client, SET_TARIFF, tariff(7), signer=town.stranger), "BadSignature"),
    "in another's name": (
        lambda town: signed(town.client, SET_TARIFF, tariff(7), terms(originator=town.operator.id)),
        "NotAuthorised",
    ),
    "another price": (lambda town: sealed(good(town), b">0.10<", b">0.01<"), "BadSignature"),
    "another fanout": (lambda town: sealed(good(town), b'Fanout="3"', b'Fanout="9"'), "BadSignature"),
    "another lifetime": (
        lambda town: sealed(good(town), b'Expires="20', b'Expires="21'),
        "LifetimeTooLong",
    ),
    "another area": (
        lambda town: sealed(good(town, scopes=("grid://town/1",)), b"grid://town/1<", b"grid://town/2<"),
        "BadSignature",
    ),
    "another action": (lambda town: sealed(good(town), b":SetTariff</wsa", b":GetTariff</wsa"), "NotAuthorised"),
    "an action that the key may not originate": (
        lambda town: signed(town.client, GET_TARIFF, tariff(7)),
        "NotAuthorised",
    ),
    "issued tomorrow": (lambda town: good(town, issued=time.time() + 3600, expires=time.time() + 7200), "NotYetIssued"),
    "expired": (lambda town: good(town, issued=time.time() - 7200, expires=time.time() - 3600), "Expired"),
    "another style": (lambda town: good(town, style=Style.REQUEST_RESPONSE, timeout=2.0), "NotGossiped"),
    "no signature but its name": (
        lambda town: sealed(good(town), b'Scheme="urn:gossip-ws:2026:ed25519"', b'Scheme="urn:x"'),
        "Malformed",
    ),
}


@ways
@pytest.mark.parametrize(("make", "reason"), TAMPERED.values(), ids=TAMPERED)
def test_what_is_not_signed_as_it_should_be(
    unharmed: Grid, way: Frames, make: Callable[[Grid], Content], reason: str
) -> None:
    refused(unharmed, way(make(unharmed), unharmed), reason)


def test_the_very_same_message_again(town: Grid) -> None:
    content = good(town)
    entry, hop = as_entry(content), as_hop(content, town.other_meter.id)
    assert town.meter.post(ENTRY, entry).status == 202
    wait_for(lambda: len(set(town.versions())) == 1)
    left, versions = town.settled(), town.versions()
    assert town.meter.post(ENTRY, entry).fault() == (400, "Sender", qname(GOSSIP, "Duplicate"))
    assert town.appliance.post(ENTRY, entry).fault() == (400, "Sender", qname(GOSSIP, "Duplicate"))
    before = town.meter.counters["duplicate"]
    for _ in range(20):
        town.meter.datagram(hop)
    assert town.meter.post(RELAY, hop).status == 202
    assert town.meter.counters["duplicate"] == before + 21
    assert town.settled() == left
    assert town.versions() == versions


def test_a_message_after_its_expiry(unharmed: Grid) -> None:
    """Within what clocks may differ, too: the signature still counts then, the message does not spread."""
    late = good(unharmed, issued=time.time() - 60, expires=time.time() - 1)
    assert unharmed.meter.post(ENTRY, as_entry(late)).fault() == (400, "Sender", qname(GOSSIP, "Expired"))
    before = unharmed.meter.counters["expired"]
    unharmed.meter.datagram(as_hop(late, unharmed.other_meter.id))
    assert unharmed.meter.counters["expired"] == before + 1


def test_an_older_tariff_after_a_reboot(tmp_path: Path) -> None:
    """The ids seen are gone with the memory; the version held is not."""
    town = Town()
    try:
        device = "urn:uuid:11111111-1111-4111-8111-111111111111"
        before = town.run(lambda: opened(tmp_path))
        meter = town.open(Role.METER, "grid://t/1/1", store=before, device=device)
        old, new = (signed(town.client, SET_TARIFF, tariff(version)) for version in (5, 6))
        for content in (old, new):
            assert meter.post(ENTRY, as_entry(content)).status == 202
        assert meter.version == 6
        town.shut(meter)
        town.run(lambda: closed(before))
        after = town.run(lambda: opened(tmp_path))
        meter = town.open(Role.METER, "grid://t/1/1", store=after, device=device)
        assert meter.version == 6
        assert meter.post(ENTRY, as_entry(old)).fault() == (400, "Sender", qname(TARIFF, "StaleVersion"))
        meter.datagram(as_hop(old, "urn:uuid:22222222-2222-4222-8222-222222222222"))
        assert meter.counters["delivery refused by the service"] == 1
        assert meter.version == 6
        assert meter.post(ENTRY, as_entry(new)).status == 202
        assert meter.post(ENTRY, as_entry(signed(town.client, SET_TARIFF, tariff(7)))).status == 202
        assert meter.version == 7
        town.shut(meter)
        town.run(lambda: closed(after))
    finally:
        town.close()


async def opened(folder: Path) -> SqliteStore:
    return SqliteStore(folder / "store.sqlite")


async def closed(store: SqliteStore) -> None:
    store.close()


NUMBERS = ["-1", "1000000000000", "70000", "many", "", " ", "5.5", "1e3", "0x10", "٣", "+3", "NaN", "9" * 4_000]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", ["Fanout", "Rounds"])
def test_numbers_that_are_none_in_what_a_caller_wants(unharmed: Grid, name: str, number: str) -> None:
    block = encode_wanted(Wanted(budgets=(Budget(Tier.WAN, 3, 3), Budget(Tier.FAN, 3, 3)))).decode()
    block = block.replace(f'{name}="3"', f'{name}="{number}"', 1)
    frame = plain(SET_TARIFF, tariff(9), block.encode(), message_id="urn:uuid:6")
    reply = unharmed.top.post(ENTRY, frame, **operator())
    assert reply.fault() == (400, "Sender", qname(GOSSIP, "Malformed"))
    assert reply.relates_to == "urn:uuid:6"


@pytest.mark.parametrize("budget", [Budget(Tier.WAN, 65, 3), Budget(Tier.WAN, 3, 33), Budget(Tier.WAN, 65_535, 65_535)])
def test_a_budget_above_the_devices_own_cap(unharmed: Grid, budget: Budget) -> None:
    frame = plain(SET_TARIFF, tariff(9), encode_wanted(Wanted(budgets=(budget,))))
    reply = unharmed.top.post(ENTRY, frame, **operator())
    assert reply.fault() == (400, "Sender", qname(GOSSIP, "BudgetTooLarge"))


WISHES = {
    "twice": (b"<g:Wanted/><g:Wanted/>", "DuplicateHeader"),
    "an unknown variant": (b'<g:Wanted Variant="shout"/>', "Malformed"),
    "an unknown attribute": (b'<g:Wanted Speed="9"/>', "Malformed"),
    "an unknown element": (b"<g:Wanted><g:Bribe/></g:Wanted>", "Malformed"),
    "no lifetime": (b'<g:Wanted LifetimeMs="0"/>', "Malformed"),
    "a year": (b'<g:Wanted LifetimeMs="31536000000"/>', None),
    "a scope that is empty": (b"<g:Wanted><g:Scope/></g:Wanted>", "Malformed"),
    "nine scopes": (b"<g:Wanted>" + b"<g:Scope>a:b</g:Scope>" * 9 + b"</g:Wanted>", "TooMany"),
    "two budgets for a tier": (
        b"<g:Wanted>" + b'<g:Budget Tier="wan" Fanout="1" Rounds="1"/>' * 2 + b"</g:Wanted>",
        "Malformed",
    ),
    "a tier that is none": (b'<g:Wanted><g:Budget Tier="moon" Fanout="1" Rounds="1"/></g:Wanted>', "Malformed"),
    "a filter": (b'<g:Wanted><g:Filter Name="sum"/></g:Wanted>', "FilterNotAllowed"),
}


@pytest.mark.parametrize(("block", "reason"), WISHES.values(), ids=WISHES)
def test_wishes_that_are_not_granted(unharmed: Grid, block: bytes, reason: str | None) -> None:
    block = block.replace(b"<g:Wanted", b'<g:Wanted xmlns:g="%b"' % GOSSIP.encode())
    status, code, subcode = unharmed.top.post(ENTRY, plain(SET_TARIFF, tariff(9), block), **operator()).fault()
    assert (status, code) == (400, "Sender")
    assert subcode == qname(GOSSIP, reason) if reason else subcode.startswith(f"{{{GOSSIP}}}")


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", ["Fanout", "Rounds"])
def test_numbers_that_are_none_in_the_terms(unharmed: Grid, name: str, number: str) -> None:
    value = rb'%b="\d+"' % name.encode()
    content = good(unharmed)
    content = replace(content, sealed=re.sub(value, f'{name}="{number}"'.encode(), content.sealed, count=1))
    if len(content.sealed) > 3_500:
        assert unharmed.meter.post(ENTRY, as_entry(content)).status == 400
        return
    refused(unharmed, as_entry(content), "Malformed")


IN_A_HOP = [(name, number) for name in ("Rounds", "Hops", "AgeMs") for number in NUMBERS]
IN_A_HOP.remove(("AgeMs", "70000"))


@pytest.mark.parametrize(("name", "number"), IN_A_HOP)
def test_numbers_that_are_none_in_a_hop(unharmed: Grid, name: str, number: str) -> None:
    frame = as_hop(good(unharmed), unharmed.other_meter.id)
    frame = re.sub(rb' %b="\d+"' % name.encode(), f' {name}="{number}"'.encode(), frame, count=1)

    def refusals() -> int:
        return sum(unharmed.meter.counters[reason] for reason in ("Malformed", "OverBudget", "TooLarge"))

    before = refusals()
    assert unharmed.meter.post(RELAY, frame).status == 400
    unharmed.meter.datagram(frame)
    assert refusals() == before + 2


def test_rounds_above_the_signed_budget(unharmed: Grid) -> None:
    """A relay that wants more of a message than its origin gave."""
    content = good(unharmed)
    for tier, rounds in ((Tier.WAN, 3), (Tier.FAN, 65_535), (Tier.HAN, 1)):
        refused(unharmed, as_hop(content, unharmed.other_meter.id, tier=tier, rounds=rounds), "OverBudget", RELAY)


def test_local_caps_hold_whatever_an_originator_signed(town: Grid) -> None:
    huge = tuple(Budget(tier, 65_535, 65_535) for tier in Tier)
    start = town.settled()
    marks = [len(device.network.sent) for device in town.devices]
    assert town.meter.post(ENTRY, as_entry(good(town, budgets=huge))).status == 202
    wait_for(lambda: len(set(town.versions())) == 1)
    assert town.settled() - start < 50
    for device, mark in zip(town.devices, marks, strict=True):
        for frame, _ in device.network.sent[mark:]:
            for rounds in re.findall(rb'<g:Hop [^>]*Rounds="(\d+)"', frame):
                assert int(rounds) <= 32


STYLESHEET = (
    '<xsl:stylesheet version="1.0" g:forms="same" xmlns:g="urn:gossip-ws:2026" exclude-result-prefixes="g" '
    f'xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:m="{METERING}">%s</xsl:stylesheet>'
)


def template(body: str) -> str:
    return STYLESHEET % f'<xsl:template match="/">{body}</xsl:template>'


DOUBLING = '<xsl:variable name="v0" select="string(/)"/>' + "".join(
    f'<xsl:variable name="v{n + 1}" select="concat($v{n}, $v{n})"/>' for n in range(20)
)
FILTERS = {
    "no XML": "sum of everything, please",
    "no stylesheet": "<sum/>",
    "nothing in it": STYLESHEET % "",
    "reads a file": template("<xsl:copy-of select=\"document('/etc/passwd')\"/>"),
    "includes a file": STYLESHEET % '<xsl:include href="file:///etc/passwd"/>',
    "an entity": f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>{template("<a>&e;</a>")}',
    "writes a file": template(
        '<e:document xmlns:e="http://exslt.org/common" xsl:extension-element-prefixes="e" href="made.xml"/>'
    ),
    "recursion": STYLESHEET % '<xsl:template match="/" name="t"><xsl:call-template name="t"/></xsl:template>',
    "eats memory": template(DOUBLING + '<a><xsl:value-of select="string-length($v20)"/></a>'),
    "hangs": template('<xsl:for-each select="//*">' * 6 + "<b/>" + "</xsl:for-each>" * 6),
}


@pytest.mark.parametrize("text", FILTERS.values(), ids=FILTERS)
def test_a_filter_that_is_not_allowed(unharmed: Grid, text: str) -> None:
    worker = unharmed.runner.pid
    frame = plain(GET_DEMAND, DEMAND_REQUEST, encode_wanted(Wanted(filter=Filter(stylesheet=text))))
    reply = unharmed.top.post("/Metering/gossip", frame, **operator())
    assert reply.fault() == (400, "Sender", qname(GOSSIP, "FilterNotAllowed"))
    # A key that may ask does not make it better: neither at the entry nor on the way.
    on = terms(Style.REQUEST_RESPONSE, filter=Filter(stylesheet=text))
    content = signed(unharmed.client, GET_DEMAND, DEMAND_REQUEST, on)
    refused(unharmed, as_entry(content), "FilterNotAllowed", "/Metering/gossip")
    refused(unharmed, as_hop(content, unharmed.substation.id), "FilterNotAllowed", RELAY)
    assert unharmed.runner.pid == worker


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        (b'<g:Filter Name="median"/>', "FilterNotAllowed"),
        (b'<g:Filter Name="sum" GroupBy="owner"/>', "FilterNotAllowed"),
        (b"<g:Filter/>", "Malformed"),
        (b'<g:Filter Name="sum"/><g:Filter Name="max"/>', "Malformed"),
        (b'<g:Filter Name="sum"><xsl/></g:Filter>', "Malformed"),
        (b"<g:Filter>" + b"x" * 8_193 + b"</g:Filter>", "FilterTooLarge"),
        (b'<g:Filter Name="%b"/>' % (b"x" * 65), "Malformed"),
    ],
)
def test_a_filter_that_is_none(unharmed: Grid, chosen: bytes, reason: str) -> None:
    block = b'<g:Wanted xmlns:g="%b">%b</g:Wanted>' % (GOSSIP.encode(), chosen)
    reply = unharmed.top.post("/Metering/gossip", plain(GET_DEMAND, DEMAND_REQUEST, block), **operator())
    assert reply.fault() == (400, "Sender", qname(GOSSIP, reason))


TARIFFS = {
    "ends before it starts": (lambda: tariff(9, days=(3, 2)), "BadTariff"),
    "ends when it starts": (lambda: tariff(9, days=(3, 3)), "BadTariff"),
    "ended yesterday": (lambda: tariff(1_000, days=(-3, -1)), "Expired"),
    "no time zone": (lambda: re.sub(rb"Z</t:", b"</t:", tariff(9)), "BadTariff"),
    "bands out of order": (lambda: tariff(9).replace(b">480<", b">960<"), "BadTariff"),
    "absurdly ahead": (lambda: tariff(2**62), "VersionJump"),
}


@pytest.mark.parametrize(("body", "reason"), TARIFFS.values(), ids=TARIFFS)
def test_a_tariff_that_cannot_be(unharmed: Grid, body: Callable[[], bytes], reason: str) -> None:
    # At the original's address versions are the caller's own, and it has set none yet.
    for path in ("/Tariff", ENTRY) if reason != "VersionJump" else (ENTRY,):
        reply = unharmed.top.post(path, plain(SET_TARIFF, body(), message_id="urn:uuid:7"), **operator())
        assert reply.fault() == (400, "Sender", qname(TARIFF, reason))
        assert reply.relates_to == "urn:uuid:7"


@pytest.mark.parametrize("version", ["0", "-1", "9223372036854775808", "one", ""])
def test_a_version_that_is_no_number(unharmed: Grid, version: str) -> None:
    body = tariff(9).replace(b"<t:version>9<", f"<t:version>{version}<".encode())
    for path in ("/Tariff", ENTRY):
        reply = unharmed.top.post(path, plain(SET_TARIFF, body), **operator())
        assert reply.fault() == (400, "Sender", qname(GOSSIP, "InvalidPayload"))
    assert unharmed.meter.post(ENTRY, as_entry(signed(unharmed.client, SET_TARIFF, body))).status == 400


def test_what_its_own_key_signed_is_judged_where_it_enters(town: Grid) -> None:
    """Otherwise a slip of an originator would go to every device, to be refused by each."""
    town.push()
    newest = signed(town.client, SET_TARIFF, tariff(town.next_version()))
    assert town.meter.post(ENTRY, as_entry(newest)).status == 202
    wait_for(lambda: len(set(town.versions())) == 1)
    left = town.settled()
    for body, reason in (
        (tariff(9, days=(3, 2)), "BadTariff"),
        (tariff(1), "StaleVersion"),
        (tariff(10**9), "VersionJump"),
    ):
        reply = town.meter.post(ENTRY, as_entry(signed(town.client, SET_TARIFF, body)))
        assert reply.fault() == (400, "Sender", qname(TARIFF, reason))
    assert town.settled() == left


NOBODY = DeviceId("urn:uuid:33333333-3333-4333-8333-333333333333")
ABOUT = GossipId(bytes(32))
SAYINGS = {
    "a partial": lambda sender: Partial(ABOUT, sender, Tally(1, 1), b"<a/>"),
    "a receipt": lambda sender: Receipt(ABOUT, sender, Standing.TAKEN),
    "a digest": lambda sender: Digest(sender, ()),
}


@pytest.mark.parametrize("say", SAYINGS.values(), ids=SAYINGS)
def test_what_a_stranger_says(unharmed: Grid, say: Callable[[DeviceId], Any]) -> None:
    """And what somebody says in a peer's name, from where that peer is not."""
    for sender in (NOBODY, unharmed.appliance.id, unharmed.substation.id):
        before = unharmed.meter.counters["unknown sender"]
        frame = XmlCodec().encode(say(sender))
        unharmed.meter.datagram(frame)
        unharmed.meter.datagram(frame, source="127.0.0.99")
        assert unharmed.meter.post(RELAY, frame).status == 202
        assert unharmed.meter.counters["unknown sender"] == before + 3


@pytest.mark.parametrize("say", [SAYINGS["a partial"], SAYINGS["a receipt"]], ids=["a partial", "a receipt"])
def test_what_a_peer_says_of_nothing(unharmed: Grid, say: Callable[[DeviceId], Any]) -> None:
    frame = XmlCodec().encode(say(unharmed.appliance.id))
    unharmed.meter.datagram(frame, source=unharmed.appliance.udp.host)
    counters = unharmed.meter.counters
    assert counters["partial of nothing"] + counters["receipt of nothing"] > 0


def test_a_request_of_a_stranger_is_not_joined(town: Grid) -> None:
    content = signed(town.client, GET_DEMAND, DEMAND_REQUEST, terms(Style.REQUEST_RESPONSE))
    left = town.settled()
    before = town.meter.counters["unknown sender"]
    town.meter.datagram(as_hop(content, NOBODY, remaining=2.0, receipt=True))
    town.meter.datagram(as_hop(content, town.substation.id, remaining=2.0, receipt=True))
    assert town.meter.counters["unknown sender"] == before + 2
    # At most it asks its Peer Service who that might be.
    assert town.settled() - left <= 1


def test_who_signs_by_no_key_originates_nothing(unharmed: Grid) -> None:
    """A device does not sign for an anonymous caller, a wrong password, or from an address without a rule."""
    frame = plain(SET_TARIFF, tariff(9), message_id="urn:uuid:8")
    for path in ("/Tariff", ENTRY):
        for headers in ({}, operator(password="guess"), operator(user="somebody"), {"Authorization": "Basic ???"}):
            reply = unharmed.top.post(path, frame, **headers)
            assert reply.fault() == (400, "Sender", qname(GOSSIP, "NotAuthorised"))
            assert reply.relates_to == "urn:uuid:8"
        # The right password at a device that has no key to sign with.
        reply = unharmed.meter.post(path, frame, **operator())
        assert reply.fault() == (400, "Sender", qname(GOSSIP, "NotAuthorised"))
    for device in (unharmed.top, unharmed.meter):
        for path in ("/Tariff", ENTRY):
            before = device.counters["NotAuthorised"]
            device.datagram(plain(SET_TARIFF, tariff(9), to=device.url(path)))
            assert device.counters["NotAuthorised"] == before + 1


def test_keys_are_not_made_up(unharmed: Grid) -> None:
    key = PrivateKey.generate()
    refused(unharmed, as_entry(signed(key, SET_TARIFF, tariff(9))), "UnknownKey")
