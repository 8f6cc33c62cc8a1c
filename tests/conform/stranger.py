"""A DPWS device that is not ours: a small responder of templates over HTTP and UDP, which may do one thing wrong.

It shares no code with the library but the sockets of its datagrams, so that a mistake cannot be made on both sides.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

from lxml import etree

from gossip_ws.kernel.address import Address
from gossip_ws.net.counters import Counters
from gossip_ws.net.multicast import Group, Multicast
from gossip_ws.net.udp import UdpSocket, bound_socket

S12 = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://www.w3.org/2005/08/addressing"
WSD = "http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01"
DPWS = "http://docs.oasis-open.org/ws-dd/ns/dpws/2009/01"
WSX = "http://schemas.xmlsoap.org/ws/2004/09/mex"
WXF = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WSE = "http://schemas.xmlsoap.org/ws/2004/08/eventing"
TNS = "urn:stranger"
ADHOC = "urn:docs-oasis-open-org:ws-dd:ns:discovery:2009:01"
NS = {"s": S12, "a": WSA, "d": WSD, "e": WSE, "x": WSX}
EPR = "urn:uuid:0f1e2d3c-4b5a-4678-9abc-def012345678"
SCOPE = "http://plant.example/hall/Line2"
ONE_WAY = f'<t:Ping xmlns:t="{TNS}"/>'.encode()

WSDL = f"""<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:t="{TNS}" targetNamespace="{TNS}"
 xmlns:s="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:wse="{WSE}"
 xmlns:wsam="http://www.w3.org/2007/05/addressing/metadata" xmlns:wsp="http://www.w3.org/ns/ws-policy"
 xmlns:dpws="{DPWS}">
 <wsp:Policy Name="profile"><dpws:Profile wsp:Optional="true"/></wsp:Policy>
 <wsdl:types><xs:schema targetNamespace="{TNS}">
  <xs:element name="Ping"/><xs:element name="Rang"/></xs:schema></wsdl:types>
 <wsdl:message name="Ping"><wsdl:part name="p" element="t:Ping"/></wsdl:message>
 <wsdl:message name="Rang"><wsdl:part name="p" element="t:Rang"/></wsdl:message>
 <wsdl:portType name="Bell" wse:EventSource="true">
  <wsdl:operation name="Ping"><wsdl:input message="t:Ping" wsam:Action="{TNS}:Ping"/></wsdl:operation>
  <wsdl:operation name="Rang"><wsdl:output message="t:Rang" wsam:Action="{TNS}:Rang"/></wsdl:operation>
 </wsdl:portType>
 <wsdl:binding name="Bell" type="t:Bell"><wsp:PolicyReference URI="#profile"/>
  <s:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
  <wsdl:operation name="Ping"><s:operation/><wsdl:input><s:body use="literal"/></wsdl:input></wsdl:operation>
  <wsdl:operation name="Rang"><s:operation/><wsdl:output><s:body use="literal"/></wsdl:output></wsdl:operation>
 </wsdl:binding></wsdl:definitions>"""


@dataclass(frozen=True)
class Probed:
    """A Probe (`device` empty) or a Resolve."""

    types: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    rule: str = ""
    device: str = ""
    frame: bytes = b""


Edit = Callable[[str], str]


@dataclass(frozen=True)
class Deviation:
    """What is done wrong, and the rules that it breaks.

    `edit`: of the envelope of a kind of answer (by HTTP, or `match` by datagram). `instead`: one kind answered as if
    it were another. `status`, `content_type`: of a kind. `multicast`: how a multicast question is answered (`match`,
    `empty` or not at all), None for as it should be. `gaps`: seconds between copies. `copy`: edit of the n-th copy.
    """

    rules: frozenset[str] = frozenset()
    edit: dict[str, Edit] = field(default_factory=dict)
    instead: dict[str, str] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    content_type: dict[str, str] = field(default_factory=dict)
    multicast: Callable[[Probed], str | None] = lambda probed: None
    gaps: tuple[float, ...] = (0.1,)
    copy: Callable[[str, int], str] = lambda envelope, number: envelope
    forgets: bool = False
    takes_chunks: bool = True
    junk: str = ""
    """`answer` or `die`."""
    announcements: Sequence[str] = ("Bye", "Hello")
    announced: Edit = lambda envelope: envelope
    extra: str = ""
    """A match that is sent beside its own."""
    epr: str = EPR
    raw: bytes | None = None
    """What HTTP says to everything but the first Get."""


HONEST = Deviation()


class Stranger:
    def __init__(self, host: str, group: Group, deviation: Deviation = HONEST) -> None:
        self.deviation = deviation
        self.host, self.group = host, group
        self.url = ""
        self.numbers = itertools.count(1)
        self.heard: set[str] = set()
        self.subscribed = False
        self.dead = False
        self.asked = 0
        self.gets = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Stranger:
        self.server = await asyncio.start_server(self.serve, self.host, 0)
        self.url = f"http://{self.host}:{self.server.sockets[0].getsockname()[1]}/device"
        self.socket = UdpSocket(bound_socket(self.host, 0), self.received, Counters())
        self.ears = Multicast((self.host,), self.group)
        self.ears.open(self.multicasted)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        self.ears.close()
        self.socket.close()
        self.server.close()
        await self.server.wait_closed()

    def later(self, work) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # -- envelopes

    def envelope(self, action: str, body: str, relates: str = "", headers: str = "") -> str:
        related = f"<a:RelatesTo>{relates}</a:RelatesTo>" if relates else ""
        return (
            f'<s:Envelope xmlns:s="{S12}" xmlns:a="{WSA}" xmlns:d="{WSD}" xmlns:p="{DPWS}" xmlns:e="{WSE}"'
            f' xmlns:x="{WSX}" xmlns:t="{TNS}"><s:Header><a:Action>{action}</a:Action>'
            f"<a:MessageID>urn:uuid:{uuid4()}</a:MessageID>{related}{headers}</s:Header>"
            f"<s:Body>{body}</s:Body></s:Envelope>"
        )

    def fault(
        self, subcode: str, relates: str, action: str = f"{WSA}/fault", code: str = "Sender", detail: str = ""
    ) -> str:
        inner = f"<s:Subcode><s:Value>{subcode}</s:Value></s:Subcode>" if subcode else ""
        body = f"<s:Fault><s:Code><s:Value>s:{code}</s:Value>{inner}</s:Code>"
        body += '<s:Reason><s:Text xml:lang="en">no</s:Text></s:Reason>'
        body += f"<s:Detail>{detail}</s:Detail>" if detail else ""
        return self.envelope(action, f"{body}</s:Fault>", relates)

    def sequence(self) -> str:
        return f'<d:AppSequence InstanceId="1000" MessageNumber="{next(self.numbers)}"/>'

    def target(self) -> str:
        return (
            f"<a:EndpointReference><a:Address>{self.deviation.epr}</a:Address></a:EndpointReference>"
            f"<d:Types>p:Device t:Thing</d:Types><d:Scopes>{SCOPE}</d:Scopes>"
            f"<d:XAddrs>{self.url}</d:XAddrs><d:MetadataVersion>3</d:MetadataVersion>"
        )

    def matches(self, name: str, relates: str, *, empty: bool = False) -> str:
        inner = "" if empty else f"<d:{name}Match>{self.target()}</d:{name}Match>"
        body = f"<d:{name}Matches>{inner}</d:{name}Matches>"
        return self.envelope(f"{WSD}/{name}Matches", body, relates, self.sequence())

    def metadata(self) -> str:
        def section(dialect: str, content: str) -> str:
            return f'<x:MetadataSection Dialect="{dialect}">{content}</x:MetadataSection>'

        model = "<p:Manufacturer>Acme</p:Manufacturer><p:ModelName>Bell</p:ModelName>"
        return (
            "<x:Metadata>"
            + section(f"{DPWS}/ThisModel", f"<p:ThisModel>{model}</p:ThisModel>")
            + section(f"{DPWS}/ThisDevice", "<p:ThisDevice><p:FriendlyName>Front door</p:FriendlyName></p:ThisDevice>")
            + section(f"{DPWS}/Relationship", self.relationship())
            + "</x:Metadata>"
        )

    def relationship(self) -> str:
        def epr(uri: str) -> str:
            return f"<a:EndpointReference><a:Address>{uri}</a:Address></a:EndpointReference>"

        hosted = f"{epr(self.at('/bell'))}<p:Types>t:Bell</p:Types><p:ServiceId>bell</p:ServiceId>"
        host = f"<p:Host>{epr(self.deviation.epr)}<p:Types>p:Device t:Thing</p:Types></p:Host>"
        return f'<p:Relationship Type="{DPWS}/host">{host}<p:Hosted>{hosted}</p:Hosted></p:Relationship>'

    def at(self, path: str) -> str:
        return self.url.removesuffix("/device") + path

    # -- HTTP

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split()[1].partition("?")[0]
            chunked = "chunked" in head.lower()
            frame = b""
            if chunked:
                while size := int(await reader.readline(), 16):
                    frame += (await reader.readexactly(size + 2))[:-2]
                await reader.readline()
            elif length := re.search(r"content-length: *(\d+)", head, re.IGNORECASE):
                frame = await reader.readexactly(int(length[1]))
            self.asked += 1
            if self.deviation.raw is not None and self.asked > 2:
                writer.write(self.deviation.raw)
            else:
                writer.write(self.response(path, frame, chunked))
            await writer.drain()
        writer.close()

    def response(self, path: str, frame: bytes, chunked: bool) -> bytes:
        deviation = self.deviation
        if chunked and not deviation.takes_chunks:
            return b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\n\r\n"
        kind = self.kind(path, frame)
        answered = deviation.instead.get(kind, kind)
        root = etree.fromstring(frame)
        relates = "".join(root.xpath("//a:MessageID/text()", namespaces=NS))
        made = self.made(answered, relates)
        for name in (kind, "any"):
            made = deviation.edit.get(name, str)(made)
        failed = "<s:Fault>" in made
        status = deviation.status.get(kind, (400 if failed else 200) if made else 202)
        content_type = deviation.content_type.get(kind, "application/soap+xml; charset=utf-8")
        body = made.encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nContent-Type: {content_type}\r\n\r\n"
        return head.encode() + body

    def kind(self, path: str, frame: bytes) -> str:
        """What is asked, by HTTP."""
        root = etree.fromstring(frame)
        if root.tag != f"{{{S12}}}Envelope":
            self.later(self.announce())
            return "version"
        if root.xpath("s:Header/*[@s:mustUnderstand='true']", namespaces=NS):
            return "must_understand"
        if root.xpath("s:Header/a:ReplyTo", namespaces=NS):
            return "reply_to"
        action = "".join(root.xpath("s:Header/a:Action/text()", namespaces=NS))
        if not action:
            return "no_action"
        if path == "/device" and action == f"{WXF}/Get":
            self.gets += 1
            return ("get", "get_again", "get_url", "get_chunked")[min(self.gets, 4) - 1]
        if path == "/device" and action == f"{WSD}/Probe":
            probed = read_probe(frame)
            if probed.rule:
                return "probe_rule"
            return "probe_miss" if "NoSuchType" in str(probed.types) else "probe"
        if path == "/bell":
            return self.bell_kind(action, root)
        if path == "/manager" and action.startswith(WSE):
            if not self.subscribed:
                return "gone"
            self.subscribed = not action.endswith("/Unsubscribe")
            return action.rpartition("/")[2].lower()
        return "unknown"

    def bell_kind(self, action: str, root: etree._Element) -> str:
        if action == f"{WSX}/GetMetadata/Request":
            return "metadata"
        if action == f"{TNS}:Ping":
            return "ping"
        if action != f"{WSE}/Subscribe":
            return "unknown_at_bell"

        def first(path: str) -> str:
            return "".join(root.xpath(f"string({path})", namespaces=NS))

        if not first("//e:Delivery/@Mode").endswith("/Push"):
            return "sub_mode"
        if root.xpath("//e:Filter", namespaces=NS) and not first("//e:Filter/@Dialect").startswith(DPWS):
            return "sub_dialect"
        if "NoSuchAction" in first("//e:Filter/text()"):
            return "sub_nothing"
        notify_to = first("//e:NotifyTo/a:Address/text()")
        if not notify_to.startswith("http"):
            return "sub_address"
        if first("//e:EndTo/a:Address/text()"):
            return "sub_end"
        if first("//e:Expires/text()") == "PT0S":
            return "sub_time"
        self.subscribed = True
        self.later(self.notify(notify_to))
        return "subscribe" if first("//e:Filter") else "subscribe_all"

    def made(self, kind: str, relates: str) -> str:
        """The answer of a kind, as it should be."""
        wse, wsd, dpws = f"{WSE}/fault", f"{WSD}/fault", f"{DPWS}/fault"
        rules = "<d:SupportedMatchingRules>x</d:SupportedMatchingRules>"
        match kind:
            case "get" | "get_url" | "get_again" | "get_chunked":
                return self.envelope(f"{WXF}/GetResponse", self.metadata(), relates)
            case "metadata":
                sections = f'<x:MetadataSection Dialect="{DPWS}/Relationship">{self.relationship()}</x:MetadataSection>'
                sections += f'<x:MetadataSection Dialect="http://schemas.xmlsoap.org/wsdl/">{WSDL}</x:MetadataSection>'
                return self.envelope(f"{WSX}/GetMetadata/Response", f"<x:Metadata>{sections}</x:Metadata>", relates)
            case "probe":
                return self.matches("Probe", relates)
            case "probe_miss":
                return self.matches("Probe", relates, empty=True)
            case "probe_rule":
                return self.fault("d:MatchingRuleNotSupported", relates, wsd, detail=rules)
            case "version":
                return self.fault("", "", code="VersionMismatch")
            case "must_understand":
                return self.fault("", relates, code="MustUnderstand")
            case "reply_to":
                return self.fault("a:InvalidAddressingHeader", relates)
            case "ping":
                return ""
            case "subscribe" | "subscribe_all":
                manager = f"<e:SubscriptionManager><a:Address>{self.at('/manager')}</a:Address></e:SubscriptionManager>"
                body = f"<e:SubscribeResponse>{manager}<e:Expires>PT1M</e:Expires></e:SubscribeResponse>"
                return self.envelope(f"{WSE}/SubscribeResponse", body, relates)
            case "sub_mode":
                return self.fault("e:DeliveryModeRequestedUnavailable", relates, wse)
            case "sub_dialect":
                return self.fault("e:FilteringRequestedUnavailable", relates, wse)
            case "sub_nothing":
                return self.fault("p:FilterActionNotSupported", relates, dpws)
            case "sub_address" | "sub_end":
                return self.fault("a:DestinationUnreachable", relates)
            case "sub_time":
                return self.fault("e:InvalidExpirationTime", relates, wse)
            case "renew":
                body = "<e:RenewResponse><e:Expires>PT2M</e:Expires></e:RenewResponse>"
                return self.envelope(f"{WSE}/RenewResponse", body, relates)
            case "getstatus":
                body = "<e:GetStatusResponse><e:Expires>PT2M</e:Expires></e:GetStatusResponse>"
                return self.envelope(f"{WSE}/GetStatusResponse", body, relates)
            case "unsubscribe":
                return self.envelope(f"{WSE}/UnsubscribeResponse", "", relates)
            case "gone":
                return self.fault("e:InvalidMessage", relates, wse)
        return self.fault("a:ActionNotSupported", relates)

    async def notify(self, to: str) -> None:
        token = '<c:Token xmlns:c="urn:gossip-ws:conform" a:IsReferenceParameter="true">token</c:Token>'
        frame = self.deviation.edit.get("event", str)(self.envelope(f"{TNS}:Rang", "<t:Rang/>", headers=token)).encode()
        where = urlsplit(to)
        _, writer = await asyncio.open_connection(where.hostname, where.port)
        head = f"POST {where.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml\r\n"
        writer.write(f"{head}Content-Length: {len(frame)}\r\n\r\n".encode() + frame)
        await writer.drain()
        writer.close()

    # -- UDP

    def received(self, frame: bytes, source: Address) -> None:
        """Junk, by unicast."""
        if self.deviation.junk == "answer":
            self.socket.send(self.fault("", "").encode(), source.host, source.port)
        self.dead = self.deviation.junk == "die"

    def multicasted(self, frame: bytes, source: Address) -> None:
        root = etree.fromstring(frame)
        message_id = root.findtext(f".//{{{WSA}}}MessageID") or ""
        if self.dead or (message_id in self.heard and not self.deviation.forgets) or b"Matches" in frame:
            return
        if not root.xpath("//d:Probe | //d:Resolve", namespaces=NS):
            return
        self.heard.add(message_id)
        probed = read_probe(frame)
        answer = self.deviation.multicast(probed)
        if answer is None:
            answer = "match" if fits(probed, self.deviation.epr) else ""
        if answer:
            name = "Resolve" if probed.device else "Probe"
            made = self.deviation.edit.get("match", str)(self.matches(name, message_id, empty=answer == "empty"))
            self.later(self.repeat(made, source))
            if self.deviation.extra:
                self.later(self.repeat(made.replace(EPR, self.at(self.deviation.extra)), source))

    async def repeat(self, envelope: str, to: Address) -> None:
        await asyncio.sleep(0.03)
        for number, gap in enumerate((0.0, *self.deviation.gaps)):
            await asyncio.sleep(gap)
            self.socket.send(self.deviation.copy(envelope, number).encode(), to.host, to.port)

    async def announce(self) -> None:
        """As if it were restarted."""
        for name in self.deviation.announcements:
            inner = self.target() if name == "Hello" else self.target().partition("<d:Types>")[0]
            sequence = self.sequence()
            headers = f"<a:To>{ADHOC}</a:To>" + (sequence.replace("1000", "1001") if name == "Hello" else sequence)
            made = self.envelope(f"{WSD}/{name}", f"<d:{name}>{inner}</d:{name}>", headers=headers)
            self.socket.send(self.deviation.announced(made).encode(), self.group.host, self.group.port)


def read_probe(frame: bytes) -> Probed:
    root = etree.fromstring(frame)
    types = root.find(f".//{{{WSD}}}Types")
    names = []
    for word in (types.text or "").split() if types is not None else ():
        prefix, _, local = word.rpartition(":")
        names.append(f"{{{types.nsmap[prefix]}}}{local}")
    scopes = root.find(f".//{{{WSD}}}Scopes")
    return Probed(
        tuple(names),
        tuple((scopes.text or "").split()) if scopes is not None else (),
        (scopes.get("MatchBy") or "") if scopes is not None else "",
        "".join(root.xpath("//d:Resolve//a:Address/text()", namespaces=NS)),
        frame,
    )


def fits(probed: Probed, epr: str = EPR) -> bool:
    if probed.device:
        return probed.device == epr
    if not set(probed.types) <= {f"{{{DPWS}}}Device", f"{{{TNS}}}Thing"}:
        return False
    return all(scope_fits(scope, probed.rule) for scope in probed.scopes)


def scope_fits(scope: str, rule: str) -> bool:
    if rule == f"{WSD}/strcmp0":
        return scope == SCOPE
    if rule not in ("", f"{WSD}/rfc3986"):
        return False
    asked, own = urlsplit(scope), urlsplit(SCOPE)
    path = [part for part in asked.path.split("/") if part]
    return (asked.scheme, asked.netloc.lower()) == (own.scheme, own.netloc) and own.path.split("/")[1:][
        : len(path)
    ] == path
