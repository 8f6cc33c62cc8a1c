"""Asks one device everything, by HTTP and by datagram, and keeps what comes back. Judges nothing.

What it sends changes nothing at the device, but for subscriptions that it ends again: no operation of a hosted service
is called that the caller does not name.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from gossip_ws.conform import frames
from gossip_ws.conform.contract import read_contract
from gossip_ws.conform.datagrams import Mouth, Question
from gossip_ws.conform.evidence import FINDING, Announcement, Evidence, ServiceSeen
from gossip_ws.conform.frames import Asked
from gossip_ws.conform.http import Exchange, get, post
from gossip_ws.conform.reading import Message, epr_address, matches, names_in, read, read_xml
from gossip_ws.conform.scopes import scope_questions
from gossip_ws.conform.subscribing import ask_events
from gossip_ws.endpoint.server import DEVICE_PATH
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import DEVICE, DPWS, WSD, QName, qname
from gossip_ws.net.counters import Counters
from gossip_ws.net.http_server import HttpServer
from gossip_ws.net.multicast import Group, Multicast
from gossip_ws.ports import Frame, Request, Respond, Response
from gossip_ws.wire.metadata import GET, MEX, WSDL

MAX_SERVICES: Final = 16
"""Hosted services that are asked."""
MAX_ASKING: Final = 60.0
"""Seconds after which no further hosted service is asked: each may be as slow as it likes."""
_MAX_SECTIONS: Final = 4
MAX_ANNOUNCEMENTS: Final = 64
_MAX_HEARD: Final = 64
_AGAIN: Final = 0.15
"""Seconds to the copy of a question: a datagram may be lost (SOAP-over-UDP 1.1 appendix A)."""
_NO_TYPE: Final = qname(frames.NOWHERE, "NoSuchType")
_NO_DEVICE: Final = "urn:uuid:00000000-0000-4000-8000-00000000d095"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a device is examined.

    `interfaces`: the addresses that multicast goes out from; none: nothing is asked by multicast. `wait`: seconds
    in which answers to multicast are taken; a device may wait 2.5 s (DPWS 1.1 APP_MAX_DELAY) and repeats itself.
    `timeout`: seconds for one HTTP exchange. `listen`: seconds to wait at the end for the device to be restarted.
    `one_way`: the Body element of a one-way operation that may be called; empty for none.
    """

    interfaces: tuple[str, ...] = ()
    group: Group = field(default_factory=Group)
    wait: float = 4.0
    timeout: float = 5.0
    listen: float = 0.0
    one_way: bytes = b""


async def examine(target: str, settings: Settings) -> Evidence:
    """Everything about the device with the transport address (http) or the endpoint reference `target`.

    Raises LocalError when it does not answer there, or the call makes no sense.
    """
    if settings.one_way and read_xml(settings.one_way) is None:
        raise LocalError("the Body element of the one-way operation is no XML")
    examination = _Examination(settings)
    try:
        return await examination.run(target)
    finally:
        await examination.close()


class Sink:
    """Where a device may send what it was told to send elsewhere: notifications, misdirected replies."""

    def __init__(self) -> None:
        self.heard: Final[list[Message]] = []
        self._server = HttpServer(self._handle, Counters())

    async def open(self, host: str) -> None:
        await self._server.open(host, 0)

    async def close(self) -> None:
        await self._server.close(grace=0)

    def at(self, path: str) -> str:
        return str(self._server.address.at(path))

    def _handle(self, request: Request, respond: Respond) -> None:
        message = read(request.frame)
        if message is not None and len(self.heard) < _MAX_HEARD:
            self.heard.append(message)
        respond(Response(202))


class _Examination:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._mouth = Mouth(settings.interfaces, settings.group)
        self._ears: Multicast | None = None
        self._sink = Sink()
        self._evidence = Evidence("")

    async def close(self) -> None:
        self._mouth.close()
        if self._ears is not None:
            self._ears.close()
        await self._sink.close()

    async def run(self, target: str) -> Evidence:
        seen, settings = self._evidence, self._settings
        if not settings.interfaces:
            seen.no_multicast = "nothing was asked by multicast"
        else:
            self._listen()
        address = await self._located(target)
        seen.url = str(address)
        await self._sink.open(await _facing(address))
        if not seen.device and not seen.no_multicast:
            seen.no_multicast = "the device tells no endpoint reference to know its answers by"
        await asyncio.gather(self._by_http(address), self._by_datagram())
        if settings.listen:
            await asyncio.sleep(settings.listen)
        return seen

    # -- where it is -----------------------------------------------------------------------------

    async def _located(self, target: str) -> Address:
        """The address that answers a Get; the evidence has the Get, and the endpoint reference as far as told."""
        seen = self._evidence
        if target.lower().startswith(("http://", "https://", "soap.udp://")):
            given = Address.parse(target)
            if given.binding is not Binding.HTTP:
                raise LocalError(f"a device is asked by http: {target}")
            # Where only host and port are given, the path may be that of this library's own devices.
            candidates = [given] if given.path not in ("", "/") else [given, given.at(DEVICE_PATH)]
        else:
            seen.device = target
            candidates = await self._resolved(target)
        for address in candidates:
            await self._post("get", address, frames.get(seen.device or str(address)))
            message = seen.get
            if message is None or (message.fault is not None and address is not candidates[-1]):
                continue
            if not seen.device:
                await self._post("directed", address, frames.probe())
                directed = seen.http["directed"].message
                found = matches(directed) if directed is not None else ()
                # What discovery calls it is what its answers by datagram are known by.
                seen.device = next((one.epr for one in found if one.epr), "") or seen.host_address()
            return address
        raise LocalError(f"no device answers at {', '.join(map(str, candidates))}: {seen.http['get']}")

    async def _resolved(self, device: str) -> list[Address]:
        if not self._settings.interfaces:
            raise LocalError("an endpoint reference is found by multicast, and there is no interface for that")
        await self._find({"find": frames.resolve(device)})
        told = [uri for one in self._evidence.own_matches("find") for uri in one.xaddrs]
        if not told:
            raise LocalError(f"nobody knows {device} (asked from {', '.join(self._settings.interfaces)})")
        addresses = []
        for uri in dict.fromkeys(told):
            try:
                address = Address.parse(uri)
            except LocalError:
                continue
            if address.binding is Binding.HTTP:
                addresses.append(address)
        if not addresses:
            raise LocalError(f"{device} has no http address: {' '.join(told[:4])}")
        return addresses

    # -- by HTTP ---------------------------------------------------------------------------------

    async def _by_http(self, address: Address) -> None:
        seen = self._evidence
        to = seen.device or str(address)
        await self._post("get_again", address, frames.get(to))
        await self._post("get_url", address, frames.get(str(address)))
        await self._post("chunked", address, frames.get(to), chunked=True)
        await self._post("no_action", address, frames.without_action(to))
        await self._post("unknown", address, frames.unknown_action(to))
        await self._post("not_understood", address, frames.not_understood(to))
        await self._post("version", address, frames.other_version(to))
        elsewhere = frames.request(GET, to, reply_to=self._sink.at("/reply"))
        await self._post("reply_to", address, elsewhere)
        if "directed" not in seen.http:
            await self._post("directed", address, frames.probe())
        await self._post("directed_miss", address, frames.probe([DEVICE, _NO_TYPE]))
        scope = f"{frames.NOWHERE}:scope"
        await self._post("directed_rule", address, frames.probe((), [scope], f"{frames.NOWHERE}:no-such-rule"))
        await self._ask_services(address)
        source = next((one for one in seen.services if one.contract and one.contract.event_sources), None)
        if source is not None:
            seen.events = await ask_events(source, self._sink.at("/sink"), self._settings.timeout)
            seen.events.notifications = self._sink.heard
        if self._settings.one_way:
            await self._call_one_way()

    async def _post(self, name: str, to: Address, asked: Asked, *, chunked: bool = False) -> None:
        within = self._settings.timeout
        self._evidence.http[name] = await post(to, asked.frame, asked.message_id, within=within, chunked=chunked)

    async def _ask_services(self, device: Address) -> None:
        seen = self._evidence
        hosted = [one for part in seen.sections("Relationship") for one in part.findall(qname(DPWS, "Hosted"))]
        until = asyncio.get_running_loop().time() + MAX_ASKING
        for element in hosted[:MAX_SERVICES]:
            if asyncio.get_running_loop().time() > until:
                break
            uri = epr_address(element)
            service_id = (element.findtext(qname(DPWS, "ServiceId")) or "").strip()
            types = element.find(qname(DPWS, "Types"))
            seen.services.append(await self._service(service_id, () if types is None else names_in(types), uri, device))
        seen.left_out = len(hosted) - len(seen.services)

    async def _service(self, id: str, types: tuple[QName, ...], uri: str, device: Address) -> ServiceSeen:
        within = self._settings.timeout
        try:
            address = Address.parse(uri)
            if address.binding is not Binding.HTTP:
                raise LocalError(f"not an http address: {uri}")
        except LocalError as error:
            nothing = Exchange("", error=str(error))
            return ServiceSeen(id, types, uri, nothing, nothing)
        asked, unknown = frames.get_metadata(uri), frames.unknown_action(uri)
        metadata = await post(address, asked.frame, asked.message_id, within=within)
        refused = await post(address, unknown.frame, unknown.message_id, within=within)
        service = ServiceSeen(id, types, uri, metadata, refused)
        documents = await self._documents(metadata.message, {(one.host, one.port) for one in (address, device)})
        if documents:
            service.contract = read_contract(documents)
        return service

    async def _documents(self, message: Message | None, own: set[tuple[str, int]]) -> list[etree._Element]:
        """The WSDLs of a GetMetadata response; one that lies elsewhere is fetched from the device itself only."""
        documents = []
        if message is None or message.payload is None:
            return []
        sections = message.payload.iterfind(qname(MEX, "MetadataSection"))
        of_wsdl = [section for section in sections if section.get("Dialect", "").strip() == WSDL]
        for section in of_wsdl[:_MAX_SECTIONS]:
            documents += section.findall(qname(WSDL, "definitions"))
            location = (section.findtext(qname(MEX, "Location")) or "").strip()
            try:
                address = Address.parse(location)
            except LocalError:
                continue
            if address.binding is Binding.HTTP and (address.host, address.port) in own:
                root = read_xml((await get(address, within=self._settings.timeout)).body)
                if root is not None and root.tag == qname(WSDL, "definitions"):
                    documents.append(root)
        return documents

    async def _call_one_way(self) -> None:
        seen = self._evidence
        root = read_xml(self._settings.one_way)
        for service in seen.services:
            operations = service.contract.one_way if service.contract is not None else {}
            action = operations.get(str(root.tag)) if root is not None else None
            if action is not None and root is not None:
                asked = frames.request(action, service.address, etree.tostring(root))
                address = Address.parse(service.address)
                seen.one_way = await post(address, asked.frame, asked.message_id, within=self._settings.timeout)
                return
        seen.no_one_way = "no hosted service has a one-way operation for the element that was given"

    # -- by datagram -------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Hear what the device announces meanwhile. Without the group it is not heard, and the rules say so."""
        ears = Multicast(self._settings.interfaces, self._settings.group)
        try:
            ears.open(self._announced)
        except LocalError:
            return
        self._ears = ears

    def _announced(self, frame: Frame, source: Address) -> None:
        message = read(frame)
        if message is None or message.payload is None or len(self._evidence.announcements) >= MAX_ANNOUNCEMENTS:
            return
        is_hello = message.payload.tag == qname(WSD, "Hello")
        is_bye = message.payload.tag == qname(WSD, "Bye")
        device = self._evidence.device
        if not device or not (is_hello or is_bye) or epr_address(message.payload) != device:
            return
        # Copies of an old one come in between those of a new one.
        if all(one.message.message_id != message.message_id for one in self._evidence.announcements):
            self._evidence.announcements.append(Announcement(message, is_hello))

    async def _by_datagram(self) -> None:
        seen = self._evidence
        if seen.no_multicast:
            return
        await self._find(dict(zip(FINDING, (frames.probe(), frames.resolve(seen.device)), strict=True)))
        if not seen.sources():
            return
        await self._send_junk()
        own = [*seen.own_matches("find"), *seen.own_matches("find_resolve")]
        types = next((one.types for one in own if one.types), ())
        scopes = next((one.scopes for one in own if one.scopes), ())
        questions = {
            "thrice": frames.probe(),
            "types": frames.probe(types),
            "types_miss": frames.probe([DEVICE, _NO_TYPE]),
            "resolve": frames.resolve(seen.device),
            "resolve_miss": frames.resolve(_NO_DEVICE),
            **scope_questions(scopes),
        }
        self._ask({"once": frames.probe(), **questions})
        for _ in range(2):
            await asyncio.sleep(_AGAIN)
            for name in questions:
                self._mouth.ask(seen.udp[name])
            questions = {"thrice": questions["thrice"]}
        await asyncio.sleep(self._settings.wait)

    def _ask(self, questions: dict[str, Asked]) -> None:
        for name, asked in questions.items():
            question = self._evidence.udp[name] = Question(asked.message_id, asked.frame)
            self._mouth.ask(question)

    async def _find(self, questions: dict[str, Asked]) -> None:
        """Ask, and wait until the device has answered or had its time."""
        seen, loop = self._evidence, asyncio.get_running_loop()
        # A Resolve that found the device is kept beside the Probe that comes later.
        self._ask({name: asked for name, asked in questions.items() if name not in seen.udp})
        until = loop.time() + self._settings.wait
        again = loop.time() + _AGAIN
        while not seen.sources() and (left := until - loop.time()) > 0:
            self._mouth.arrived.clear()
            try:
                async with asyncio.timeout(min(left, max(again - loop.time(), 0)) if again else left):
                    await self._mouth.arrived.wait()
            except TimeoutError:
                if again and loop.time() >= again:
                    again = 0.0
                    for name in questions:
                        self._mouth.ask(seen.udp[name])

    async def _send_junk(self) -> None:
        """To the device alone: others on the network did not ask to be tested."""
        seen = self._evidence
        junk = seen.junk = Question("", b"")
        for source in sorted(seen.sources())[:1]:
            for frame in frames.JUNK:
                junk.frame = frame
                self._mouth.ask(junk, source)


async def _facing(address: Address) -> str:
    """This machine's address that the device can reach it at."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
        family, _, _, _, where = found[0]
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(where)
            return str(sock.getsockname()[0])
    except OSError as error:
        raise LocalError(f"no way to {address}: {error}") from None
