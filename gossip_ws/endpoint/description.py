"""What a device tells of itself: WS-Transfer Get, GetMetadata, directed discovery, and its WSDLs. Each asker is told
the addresses of its hosted services where it asked: it has just reached them there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gossip_ws.dpws.metadata import Host, Hosted, Metadata, Relationship, ThisDevice, ThisModel
from gossip_ws.endpoint.discovery import Discovery
from gossip_ws.endpoint.server import DEVICE_PATH, GOSSIP_PATH
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.homes import Home
from gossip_ws.kernel.names import WSA, DeviceId, QName, qname, split
from gossip_ws.ports import Caller, HostedService
from gossip_ws.wire import discovery as discovery_codec
from gossip_ws.wire.envelope import MAX_ENVELOPE, Envelope
from gossip_ws.wire.generation import spoken
from gossip_ws.wire.metadata import (
    GET,
    GET_METADATA,
    GET_METADATA_RESPONSE,
    GET_RESPONSE,
    of_service,
    read_get_metadata,
    write_get_metadata_response,
    write_get_response,
)
from gossip_ws.wire.soap import reply_envelope
from gossip_ws.wire.wsdl import Addresses, Form, annotate, in_form, shadow

_XML = "text/xml; charset=utf-8"
_COMPLETE = "wsdl=complete"
_FORMS = {"wsdl": Form.PLAIN, "wsdl=soap11": Form.SOAP11, _COMPLETE: Form.COMPLETE}
"""By the query of a GET. Who types `?wsdl` by hand, or has a toolkit that does, may know nothing of DPWS."""


@dataclass(frozen=True, slots=True)
class _Page:
    """One hosted service, or the shadow of one, at its path."""

    service: HostedService
    port_type: QName
    service_id: str
    is_shadow: bool


class DeviceDescription:
    """Answers for one device at `http` (its address without path). `discovery` is None where it is not announced.
    `homes` says at any time where else the device is at home."""

    def __init__(
        self,
        device: DeviceId,
        types: tuple[QName, ...],
        model: ThisModel,
        this: ThisDevice,
        http: Address,
        services: tuple[HostedService, ...],
        discovery: Discovery | None,
        homes: Callable[[], Sequence[Home]] = tuple,
    ) -> None:
        self._http = http
        self._homes = homes
        self._model = model
        self._this = this
        self._host = Host(device, types)
        self._discovery = discovery
        self._pages: dict[str, _Page] = {}
        for service in services:
            self._add(service, service.path, is_shadow=False)
            if any(operation.policy is not None for operation in service.operations.values()):
                self._add(service, service.path + GOSSIP_PATH, is_shadow=True)
        # What a device must not say of itself shows at its start, and not when somebody asks.
        self._metadata("")

    def _metadata(self, local: str) -> Metadata:
        http = self.at(local)
        hosted = (
            Hosted((str(http.at(path)),), (page.port_type,), page.service_id) for path, page in self._pages.items()
        )
        return Metadata(self._model, self._this, Relationship(self._host, tuple(hosted)))

    def answer(self, path: str, envelope: Envelope, caller: Caller) -> bytes | None:
        message = discovery_codec.decode(envelope)
        if message is not None:
            if self._discovery is None or path not in ("", DEVICE_PATH):
                raise sender_fault("ActionNotSupported", "no discovery at this address", namespace=WSA)
            return self._discovery.unicast(message, caller.source, caller.local)
        relates_to = envelope.addressing.message_id
        action = envelope.addressing.action
        names = spoken(envelope.addressing)
        if action == GET and path == DEVICE_PATH:
            return reply_envelope(GET_RESPONSE, relates_to, write_get_response(self._metadata(caller.local), names))
        page = self._pages.get(path)
        relationship = self._metadata(caller.local).relationship if action == GET_METADATA else None
        if page is not None and relationship is not None:
            dialect = read_get_metadata(envelope.payload)
            told = of_service(relationship, page.service_id, wsdl=self._wsdl(page, caller.local, Form.COMPLETE))
            reply = reply_envelope(GET_METADATA_RESPONSE, relates_to, write_get_metadata_response(told, dialect, names))
            if len(reply) > MAX_ENVELOPE:
                # R0026: strict clients take no larger envelope; a GET has no limit.
                location = f"{self.at(caller.local).at(path)}?{_COMPLETE}"
                told = of_service(relationship, page.service_id, wsdl_location=location)
                body = write_get_metadata_response(told, dialect, names)
                reply = reply_envelope(GET_METADATA_RESPONSE, relates_to, body)
            return reply
        return None

    def at(self, local: str) -> Address:
        """Where HTTP is taken at one of the device's hosts, which may have a zone: each has a port of its own."""
        host = local.partition("%")[0]
        found = (home.http for home in self._homes() if home.http is not None and home.http.host == host)
        return next(found, self._http)

    def document(self, path: str, query: str, local: str) -> tuple[bytes, str] | None:
        page, form = self._pages.get(path), _FORMS.get(query.lower())
        return (self._wsdl(page, local, form), _XML) if page is not None and form is not None else None

    def _add(self, service: HostedService, path: str, *, is_shadow: bool) -> None:
        port_type, service_id = service.port_type, service.service_id
        if is_shadow:
            namespace, local = split(port_type)
            port_type, service_id = qname(namespace, local + "Gossip"), service_id + ":gossip"
        self._pages[path] = _Page(service, port_type, service_id, is_shadow)

    def _wsdl(self, page: _Page, local: str, form: Form) -> bytes:
        service, http = page.service, self.at(local)
        plain, gossip = str(http.at(service.path)), str(http.at(service.path + GOSSIP_PATH))
        operations = tuple(service.operations.values())
        addresses = Addresses(plain, gossip)
        wsdl = service.wsdl(plain)
        told = shadow(wsdl, operations, addresses) if page.is_shadow else annotate(wsdl, operations, addresses)
        return in_form(told, form)
