"""The six messages on the wire: against a schema written down from the specification, and against bad input."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from lxml import etree

from gossip_ws.dpws.discovery import MAX_DESCRIPTION, TargetService
from gossip_ws.dpws.matching import STRCMP0
from gossip_ws.dpws.messages import (
    MAX_SCOPES,
    MAX_TYPES,
    AppSequence,
    Bye,
    Generation,
    Hello,
    Message,
    Probe,
    ProbeMatches,
    Resolve,
    ResolveMatches,
    Target,
    fresh_id,
)
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import (
    ANONYMOUS,
    DEVICE,
    DPWS,
    DPWS_2006,
    GRID,
    SOAP12,
    WSA,
    WSA_2004,
    WSD,
    WSD_2005,
    DeviceId,
    QName,
    qname,
)
from gossip_ws.wire.discovery import MAX_ID, decode, encode
from gossip_ws.wire.envelope import MAX_UDP_ENVELOPE, parse

SCHEMA = etree.XMLSchema(
    etree.fromstring(f"""
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:d="{WSD}" targetNamespace="{WSD}"
           elementFormDefault="qualified">
  <xs:complexType name="Uris">
    <xs:simpleContent><xs:extension base="d:UriList"><xs:attribute name="MatchBy" type="xs:anyURI"/></xs:extension>
    </xs:simpleContent>
  </xs:complexType>
  <xs:simpleType name="UriList"><xs:list itemType="xs:anyURI"/></xs:simpleType>
  <xs:simpleType name="QNameList"><xs:list itemType="xs:QName"/></xs:simpleType>
  <xs:group name="Endpoint"><xs:sequence>
    <xs:any namespace="{WSA}" processContents="skip"/>
  </xs:sequence></xs:group>
  <xs:group name="Said"><xs:sequence>
    <xs:element name="Types" type="d:QNameList" minOccurs="0"/>
    <xs:element name="Scopes" type="d:Uris" minOccurs="0"/>
    <xs:element name="XAddrs" type="d:UriList" minOccurs="0"/>
  </xs:sequence></xs:group>
  <xs:complexType name="Target"><xs:sequence>
    <xs:group ref="d:Endpoint"/><xs:group ref="d:Said"/>
    <xs:element name="MetadataVersion" type="xs:unsignedInt"/>
  </xs:sequence></xs:complexType>
  <xs:element name="Hello" type="d:Target"/>
  <xs:element name="Bye"><xs:complexType><xs:sequence>
    <xs:group ref="d:Endpoint"/><xs:group ref="d:Said"/>
    <xs:element name="MetadataVersion" type="xs:unsignedInt" minOccurs="0"/>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="Probe"><xs:complexType><xs:sequence>
    <xs:element name="Types" type="d:QNameList" minOccurs="0"/>
    <xs:element name="Scopes" type="d:Uris" minOccurs="0"/>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="ProbeMatches"><xs:complexType><xs:sequence>
    <xs:element name="ProbeMatch" type="d:Target" minOccurs="0" maxOccurs="unbounded"/>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="Resolve"><xs:complexType><xs:sequence><xs:group ref="d:Endpoint"/></xs:sequence></xs:complexType>
  </xs:element>
  <xs:element name="ResolveMatches"><xs:complexType><xs:sequence>
    <xs:element name="ResolveMatch" type="d:Target" minOccurs="0"/>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="AppSequence"><xs:complexType>
    <xs:attribute name="InstanceId" type="xs:unsignedInt" use="required"/>
    <xs:attribute name="SequenceId" type="xs:anyURI"/>
    <xs:attribute name="MessageNumber" type="xs:unsignedInt" use="required"/>
  </xs:complexType></xs:element>
</xs:schema>""")
)

METER = qname(GRID, "SmartMeter")
ME = DeviceId("urn:uuid:00000000-0000-4000-8000-000000000001")
FULL = Target(
    ME,
    (DEVICE, METER, qname("urn:vendor?a&b", "Ding")),
    ("grid://city/ssc-3/sm-1", "http://x/?a=1&b=2"),
    ("http://127.0.0.5:8080/device", "http://[fd00::1]:80/device"),
    7,
)
BARE = Target(ME, metadata_version=0)
APP = AppSequence(1_700_000_000, 12)
MESSAGES: list[Message] = [
    Hello(FULL, APP, "urn:uuid:1"),
    Hello(BARE, AppSequence(2**32 - 1, 0, "urn:uuid:sequence"), "urn:uuid:1"),
    Bye(ME, APP, "urn:uuid:2", 7),
    Bye(ME, APP, "urn:uuid:2"),
    Probe("urn:uuid:3"),
    Probe("urn:uuid:3", (DEVICE, METER), ("grid://city",), STRCMP0, reply_to="http://127.0.0.1/"),
    ProbeMatches((FULL,), APP, "urn:uuid:4", "urn:uuid:3"),
    ProbeMatches((FULL, BARE), APP, "urn:uuid:4", "urn:uuid:3"),
    ProbeMatches((), APP, "urn:uuid:4", "urn:uuid:3"),
    Resolve(ME, "urn:uuid:5"),
    ResolveMatches(FULL, APP, "urn:uuid:6", "urn:uuid:5"),
    ResolveMatches(None, APP, "urn:uuid:6", "urn:uuid:5"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_there_and_back_and_as_the_schema_has_it(message: Message) -> None:
    frame = encode(message)
    assert decode(frame) == message
    assert decode(parse(frame)) == message
    assert encode(message) == frame
    envelope = parse(frame)
    name = type(message).__name__
    assert envelope.addressing.action == f"{WSD}/{name}"
    assert envelope.payload is not None
    assert envelope.payload.tag == qname(WSD, name)
    # Each on its own: in the envelope, a schema would be asked for SOAP's too.
    SCHEMA.assertValid(etree.fromstring(etree.tostring(envelope.payload)))
    app = envelope.header(qname(WSD, "AppSequence"))
    assert (app is None) == isinstance(message, Probe | Resolve)
    if app is not None:
        SCHEMA.assertValid(etree.fromstring(etree.tostring(app)))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_the_draft_there_and_back(message: Message) -> None:
    """2005/04, DPWS 2006/02 and WS-Addressing 2004/08: its schema differs from 1.1's in the names, and in a Bye."""
    message = replace(message, generation=Generation.DRAFT)
    if isinstance(message, Bye):
        message = replace(message, metadata_version=None)
    if isinstance(message, Probe) and message.match_by:
        message = replace(message, match_by=f"{WSD_2005}/strcmp0")
    frame = encode(message)
    assert decode(frame) == message
    for namespace in (WSA, WSD, DPWS):
        assert namespace.encode() not in frame
    envelope = parse(frame)
    name = type(message).__name__
    assert envelope.addressing.wsa == WSA_2004
    assert envelope.addressing.action == f"{WSD_2005}/{name}"
    assert envelope.payload is not None
    assert envelope.payload.tag == qname(WSD_2005, name)
    later = etree.tostring(envelope.payload).replace(WSD_2005.encode(), WSD.encode())
    SCHEMA.assertValid(etree.fromstring(later.replace(WSA_2004.encode(), WSA.encode())))


def test_the_draft_as_its_peers_compare_it_by_text() -> None:
    """wsdd looks for `wsdp:Device`, wsdd2 for headers whose prefix is wsa."""
    hello = encode(Hello(FULL, APP, "urn:uuid:1", generation=Generation.DRAFT)).decode()
    group = "urn:schemas-xmlsoap-org:ws:2005:04:discovery"
    for said in ("<soap:Envelope ", "<wsa:Action>", f"<wsa:To>{group}</wsa:To>", "<wsd:Hello ", ">wsdp:Device "):
        assert said in hello
    match = encode(ProbeMatches((FULL,), APP, "urn:uuid:4", "urn:uuid:3", generation=Generation.DRAFT)).decode()
    assert "<wsa:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</wsa:To>" in match
    assert "<wsa:RelatesTo>urn:uuid:3</wsa:RelatesTo>" in match


def test_windows_asks_in_the_draft() -> None:
    """As Windows 10 asks for printers and computers: a reply by name, its type qualified."""
    frame = (
        f'<soap:Envelope xmlns:soap="{SOAP12}" xmlns:wsa="{WSA_2004}" xmlns:wsd="{WSD_2005}" xmlns:wsdp="{DPWS_2006}">'
        "<soap:Header><wsa:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</wsa:To>"
        f"<wsa:Action>{WSD_2005}/Probe</wsa:Action><wsa:MessageID>urn:uuid:9</wsa:MessageID>"
        f"<wsa:ReplyTo><wsa:Address>{WSA_2004}/role/anonymous</wsa:Address></wsa:ReplyTo></soap:Header>"
        "<soap:Body><wsd:Probe><wsd:Types>wsdp:Device</wsd:Types></wsd:Probe></soap:Body></soap:Envelope>"
    ).encode()
    assert decode(frame) == Probe("urn:uuid:9", (DEVICE,), reply_to=f"{WSA}/anonymous", generation=Generation.DRAFT)


@pytest.mark.parametrize("generation", Generation)
def test_suppression_is_a_relation_of_its_own(generation: Generation) -> None:
    hello = Hello(FULL, APP, "urn:uuid:1", ANONYMOUS, "urn:uuid:7", generation)
    frame = encode(hello)
    assert decode(frame) == hello
    kind = {Generation.OASIS: f'"{WSD}/Suppression"', Generation.DRAFT: '"wsd:Suppression"'}[generation]
    assert f"RelationshipType={kind}" in frame.decode()
    # Related in any other way it suppresses nothing.
    assert decode(frame.replace(b"Suppression", b"Suppressio")) == replace(hello, relates_to="")


def test_requests_go_to_the_group_and_answers_to_the_anonymous_one() -> None:
    group = "urn:docs-oasis-open-org:ws-dd:ns:discovery:2009:01"
    for message in MESSAGES:
        answer = isinstance(message, ProbeMatches | ResolveMatches)
        addressing = parse(encode(message)).addressing
        assert addressing.to == (WSA + "/anonymous" if answer else group)
        assert bool(addressing.relates_to) == answer


def test_the_usual_prefixes_for_peers_that_compare_text() -> None:
    frame = encode(Hello(FULL, APP, "urn:uuid:1")).decode()
    for text in ("<wsa:Action>", "<wsd:Hello ", "<wsd:AppSequence ", ">dpws:Device ", f'xmlns:dpws="{DPWS}"'):
        assert text in frame


def body(inner: str, name: str = "Probe", headers: str = "", action: str | None = None) -> bytes:
    action = f"{WSD}/{name}" if action is None else action
    return (
        f'<s:Envelope xmlns:s="{SOAP12}" xmlns:a="{WSA}" xmlns:d="{WSD}" xmlns="urn:default" xmlns:p="{DPWS}">'
        f"<s:Header><a:Action>{action}</a:Action><a:MessageID>urn:uuid:9</a:MessageID>{headers}</s:Header>"
        f"<s:Body>{inner}</s:Body></s:Envelope>"
    ).encode()


EPR = f"<a:EndpointReference><a:Address>{ME}</a:Address></a:EndpointReference>"
VERSION = "<d:MetadataVersion>1</d:MetadataVersion>"
SEQUENCE = '<d:AppSequence InstanceId="1" MessageNumber="2"/>'
RELATED = "<a:RelatesTo>urn:uuid:8</a:RelatesTo>"


def test_names_in_content_take_the_namespaces_that_are_in_scope() -> None:
    inner = '<d:Probe xmlns:q="urn:q"><d:Types xmlns:p="urn:other">p:Device q:T Plain</d:Types></d:Probe>'
    probe = decode(body(inner))
    assert isinstance(probe, Probe)
    assert probe.types == (QName("{urn:other}Device"), QName("{urn:q}T"), QName("{urn:default}Plain"))


def test_extensions_and_white_space_are_no_matter() -> None:
    inner = (
        f'<d:Hello xmlns:v="urn:vendor" v:x="1"><v:More/>{EPR}<d:Types>\n p:Device\n</d:Types><v:More/>'
        f"<d:Scopes> grid://a\n\tgrid://b </d:Scopes><d:XAddrs/><d:MetadataVersion> 03 </d:MetadataVersion></d:Hello>"
    )
    hello = decode(body(inner, "Hello", SEQUENCE))
    assert hello == Hello(Target(ME, (DEVICE,), ("grid://a", "grid://b"), (), 3), AppSequence(1, 2), "urn:uuid:9", "")


def test_what_is_no_discovery() -> None:
    for action in ("", "urn:other", WSD, f"{WSD}/", f"{WSD}/Other", f"{WSD}x/Probe", "/Probe"):
        assert decode(body("<d:Probe/>", action=action)) is None


HELLO = f"<d:Hello>{EPR}{VERSION}</d:Hello>"


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"<",
        b"<!DOCTYPE x><x/>",
        body(""),
        body("<d:Resolve/>"),
        body("<Probe/>"),
        body("<d:Probe><d:Types>nowhere:Device</d:Types></d:Probe>"),
        body("<d:Probe><d:Types>p:</d:Types></d:Probe>"),
        body("<d:Probe><d:Types>p:A</d:Types><d:Types>p:B</d:Types></d:Probe>"),
        body(f"<d:Probe><d:Types>{'p:A ' * (MAX_TYPES + 1)}</d:Types></d:Probe>"),
        body(f"<d:Probe><d:Types>p:{'A' * 2049}</d:Types></d:Probe>"),
        body(f"<d:Probe><d:Scopes>{'urn:a ' * (MAX_SCOPES + 1)}</d:Scopes></d:Probe>"),
        body(f"<d:Probe><d:Scopes>urn:{'a' * 2048}</d:Scopes></d:Probe>"),
        body('<d:Probe><d:Scopes MatchBy="a b"/></d:Probe>'),
        body("<d:Resolve/>", "Resolve"),
        body(f"<d:Resolve>{EPR}{EPR}</d:Resolve>", "Resolve"),
        body("<d:Resolve><a:EndpointReference/></d:Resolve>", "Resolve"),
        body(f"<d:Resolve>{EPR.replace(ME, 'urn:' + 'x' * MAX_ID)}</d:Resolve>", "Resolve"),
        body(HELLO, "Hello"),
        body(HELLO, "Hello", SEQUENCE * 2),
        body(HELLO, "Hello", SEQUENCE.replace('"1"', '"-1"')),
        body(HELLO, "Hello", SEQUENCE.replace('"1"', '"4294967296"')),
        body(HELLO, "Hello", SEQUENCE.replace('"1"', f'"{"9" * 5000}"')),
        body(HELLO, "Hello", SEQUENCE.replace('"1"', '"1_0"')),
        body(HELLO, "Hello", SEQUENCE.replace('"1"', '"\u0661"')),
        body(HELLO, "Hello", '<d:AppSequence InstanceId="1"/>'),
        body(f"<d:Hello>{EPR}</d:Hello>", "Hello", SEQUENCE),
        body(f"<d:Hello>{EPR}{VERSION * 2}</d:Hello>", "Hello", SEQUENCE),
        body(f"<d:Hello>{VERSION}</d:Hello>", "Hello", SEQUENCE),
        body(f"<d:Bye>{EPR}<d:MetadataVersion/></d:Bye>", "Bye", SEQUENCE),
        body("<d:ProbeMatches/>", "ProbeMatches", SEQUENCE),
        body("<d:ProbeMatches/>", "ProbeMatches", SEQUENCE + RELATED * 2),
        body("<d:ProbeMatches/>", "ProbeMatches", RELATED),
        body(f"<d:ProbeMatches>{'<d:ProbeMatch/>' * 65}</d:ProbeMatches>", "ProbeMatches", SEQUENCE + RELATED),
        body(
            f"<d:ResolveMatches>{f'<d:ResolveMatch>{EPR}{VERSION}</d:ResolveMatch>' * 2}</d:ResolveMatches>",
            "ResolveMatches",
            SEQUENCE + RELATED,
        ),
        body("<d:Probe/>").replace(b"urn:uuid:9", b""),
        body("<d:Probe/>").replace(b"urn:uuid:9", b"x" * (MAX_ID + 1)),
    ],
)
def test_what_is_malformed_or_too_much_is_the_senders_fault(frame: bytes) -> None:
    with pytest.raises(RemoteError):
        decode(frame)


def test_a_limit_for_datagrams() -> None:
    frame = body(f"<d:Probe><!--{'x' * 4096}--></d:Probe>")
    assert isinstance(decode(frame), Probe)
    with pytest.raises(RemoteError):
        decode(frame, MAX_UDP_ENVELOPE)


@pytest.mark.parametrize("scope", ["grid://city/{}", "grid://city/&&&&&&&&&&{}", "g:{}"])
def test_whatever_a_device_may_say_of_itself_fits_a_datagram(scope: str) -> None:
    """The largest description the constructor takes, to the longest request id."""
    dice = Random(1)
    types = (DEVICE, *(QName(f"{{u:{n}}}T") for n in range(MAX_TYPES - 1)))
    scopes: tuple[str, ...] = ()
    largest = None
    while len(scopes) < MAX_SCOPES:
        scopes += (scope.format("x" * (75 - len(scope))),)
        try:
            largest = TargetService(Target(ME, types, scopes), instance_id=2**32 - 1, dice=dice)
        except LocalError:
            break
    assert largest is not None
    assert sum(map(len, largest.target.scopes)) > MAX_DESCRIPTION / 4
    for generation in Generation:
        answer = largest.directed(Probe("x" * MAX_ID, generation=generation), Instant(0, 0))
        assert len(encode(answer)) <= MAX_UDP_ENVELOPE


def test_a_fresh_id_is_a_uuid_of_version_4() -> None:
    dice = Random(1)
    found = {fresh_id(dice) for _ in range(1000)}
    assert len(found) == 1000
    for one in found:
        digits = one.removeprefix("urn:uuid:")
        assert [len(part) for part in digits.split("-")] == [8, 4, 4, 4, 12]
        assert digits[14] == "4"
        assert digits[19] in "89ab"


def test_junk_never_ends_otherwise_than_in_a_remote_error() -> None:
    dice = Random(7)
    frames = [encode(replace(message, generation=generation)) for message in MESSAGES for generation in Generation]
    for _ in range(6000):
        frame = bytearray(dice.choice(frames))
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(frame))
            frame[at : at + dice.randrange(4)] = dice.randbytes(dice.randrange(4))
        try:
            decode(bytes(frame))
        except RemoteError:
            continue
