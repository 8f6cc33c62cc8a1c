"""What a device's listeners are handed: routes by path and Action, speaks WS-Addressing around every service.

A hosted service's own address gets today's behaviour; its shadow's gets the same operation spread or
gathered. `/gossip` is where relays send to. A datagram's path is that of its wsa:To.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Protocol

from gossip_ws.core.effects import Answer
from gossip_ws.core.messages import Content, Gossip
from gossip_ws.core.replies import Replies
from gossip_ws.endpoint.carrier import Waiting
from gossip_ws.endpoint.collected import Asker, Collected
from gossip_ws.endpoint.endpoint import Endpoint, Told
from gossip_ws.endpoint.faults import fault_response, in_kind
from gossip_ws.endpoint.paths import DEVICE_PATH as DEVICE_PATH
from gossip_ws.endpoint.paths import GOSSIP_PATH as GOSSIP_PATH
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.contract import Operation
from gossip_ws.kernel.errors import Fault, RemoteError, sender_fault
from gossip_ws.kernel.names import ANONYMOUS, WSA, GossipId, qname
from gossip_ws.kernel.terms import Style, Wanted
from gossip_ws.ports import Caller, Frame, HostedService, Outcome, Reply, Request, Respond, Response
from gossip_ws.wire.envelope import (
    MAX_UDP_ENVELOPE,
    Addressing,
    Envelope,
    canonical,
    content_prefixes,
    header_fault,
    parse,
)
from gossip_ws.wire.generation import GROUPS
from gossip_ws.wire.media import parameters
from gossip_ws.wire.mtom import is_mtom, pack, unpack
from gossip_ws.wire.nodes import encode_report
from gossip_ws.wire.replies import GET_REPLIES_ACTION, REPLIES_ACTION, read_get_replies
from gossip_ws.wire.soap import (
    ADDRESSING_HEADERS,
    NotUnderstood,
    action_not_supported,
    destination_unreachable,
    header_required,
    message_id_of,
    read_understood,
    reply_envelope,
)
from gossip_ws.wire.soap11 import CONTENT_TYPE as SOAP11_CONTENT_TYPE
from gossip_ws.wire.soap11 import is_legacy, may_be_soap11, to_soap11, to_soap12
from gossip_ws.wire.terms import WANTED, decode_wanted

_ACCEPTED: Final = Response(202)
_KNOWN = ADDRESSING_HEADERS | {WANTED}
_CHARSETS: Final = frozenset(("", "utf-8", "utf-16", "us-ascii"))
"""UTF-8 and UTF-16, which every XML parser reads, and what is a part of the former."""
_MULTIPART: Final = "multipart/"
"""SOAP with attachments, where it is no MTOM. Any other media type is read by its octets: many a client names a wrong
one."""
_ACCEPT: Final = "application/soap+xml, text/xml"


class Description(Protocol):
    """Answers what DPWS asks of a device itself: metadata, directed probes, WSDL."""

    def answer(self, path: str, envelope: Envelope, caller: Caller) -> bytes | None:
        """The reply envelope, empty where none is owed, or None when the message is none of description's.

        Raises RemoteError.
        """

    def at(self, local: str) -> Address:
        """Where HTTP is taken, without path, at the host `local`."""

    def document(self, path: str, query: str, local: str) -> tuple[bytes, str] | None:
        """(body, content type) of a GET that came to the host `local`, or None."""


class _Side(Enum):
    HOSTED = "hosted"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class _Route:
    service: HostedService
    side: _Side


class SoapServer:
    """One device's front: `handle` is what UDP and HTTP listeners call."""

    def __init__(self, endpoint: Endpoint, description: Description) -> None:
        self.endpoint = endpoint
        self._description = description
        self._routes: dict[str, _Route] = {}
        self._collected = Collected(endpoint.world.clock, endpoint.node.config.max_part)
        for service in endpoint.hosting.services:
            self._routes[service.path] = _Route(service, _Side.HOSTED)
            if any(operation.policy is not None for operation in service.operations.values()):
                self._routes[service.path + GOSSIP_PATH] = _Route(service, _Side.SHADOW)

    def handle(self, request: Request, respond: Respond) -> None:
        """Never raises for what came from outside."""
        if not request.method:
            self._datagram(request, respond)
        elif request.method == "GET":
            found = self._description.document(request.path, request.query, request.caller.local)
            respond(Response(200, *found) if found is not None else Response(404))
        elif request.path in self._routes and is_mtom(request.content_type):
            self._packaged(request, respond)
        elif request.content_type.lstrip().lower().startswith(_MULTIPART):
            self.endpoint.counters["unsupported media type"] += 1
            respond(Response(415, accept=_ACCEPT))
        elif parameters(request.content_type).get("charset", "").lower() not in _CHARSETS:
            self.endpoint.counters["unsupported charset"] += 1
            respond(Response(415))
        else:
            self._post(*self._in_soap12(request, respond))

    # -- SOAP-over-UDP -------------------------------------------------------------------------

    def _datagram(self, request: Request, respond: Respond) -> None:
        """Junk and faults get no answer: a datagram's source proves nothing."""
        endpoint = self.endpoint
        try:
            if len(request.frame) > MAX_UDP_ENVELOPE:
                raise sender_fault("TooLarge", f"a datagram has at most {MAX_UDP_ENVELOPE} octets")
            message = endpoint.world.codec.decode(request.frame)
            if isinstance(message, Gossip) and not message.hop.sender:
                self._entry(message.content, None, request, self._only_replies(respond))
            elif message is not None:
                endpoint.gossip(message, request.caller)
            else:
                self._plain_datagram(request, self._only_replies(respond))
        except RemoteError as error:
            self._count(error.fault)

    def _plain_datagram(self, request: Request, respond: Respond) -> None:
        envelope = read_understood(request.frame, _KNOWN)
        respond = in_kind(envelope.addressing, respond)
        described = self._description.answer("", envelope, request.caller)
        if described is not None:
            respond(Response(200, described))
            return
        route = self._addressed(envelope)
        self._call(route, _operation(route, envelope), envelope, request, respond)

    def _addressed(self, envelope: Envelope) -> _Route:
        """Over UDP wsa:To carries the path. One that names the device alone means the original of the action."""
        addressing = envelope.addressing
        route = self._routes.get(_path(addressing.to))
        if route is None and addressing.to == self.endpoint.device:
            service = self.endpoint.hosting.by_action.get(addressing.action)
            route = _Route(service, _Side.HOSTED) if service is not None else None
        if route is None:
            raise _action_not_supported(addressing.action)
        return route

    def _only_replies(self, respond: Respond) -> Respond:
        """No fault goes back, nor what a datagram does not hold."""

        def reply(response: Response) -> None:
            if response.status != 200 or not response.body:
                return
            if len(response.body) > MAX_UDP_ENVELOPE:
                self.endpoint.counters["reply too large for a datagram"] += 1
            else:
                respond(response)

        return reply

    # -- HTTP ----------------------------------------------------------------------------------

    def _packaged(self, request: Request, respond: Respond) -> None:
        """What comes in MTOM's packaging is answered in it; only a packaging that cannot be read is not."""
        try:
            frame, content_type = unpack(request.frame, request.content_type)
        except RemoteError as error:
            self._count(error.fault)
            respond(fault_response(error.fault, ""))
            return
        plain = request._replace(frame=frame, content_type=content_type)
        self._post(*self._in_soap12(plain, lambda response: respond(_in_mtom(response))))

    def _in_soap12(self, request: Request, respond: Respond) -> tuple[Request, Respond]:
        """What a hosted service is asked in SOAP 1.1, as if it were in SOAP 1.2; anything else as it is."""
        frame: Frame | None = None
        if request.path in self._routes and may_be_soap11(request.frame, request.content_type):
            try:
                frame = to_soap12(request.frame)
            except RemoteError:
                # It will be refused as in SOAP 1.2; only the fault is told in words that the client reads.
                frame = request.frame if is_legacy(request.content_type) else None
        if frame is None:
            return request, respond
        return request._replace(frame=frame), lambda response: respond(_in_soap11(response))

    def _post(self, request: Request, respond: Respond) -> None:
        relates_to = ""
        route = self._routes.get(request.path)
        try:
            managed = self.endpoint.events.serves(request.path)
            if route is None and request.path not in (GOSSIP_PATH, DEVICE_PATH) and not managed:
                respond(Response(404))
                return
            if request.path == GOSSIP_PATH or (route is not None and route.side is _Side.SHADOW):
                message = self.endpoint.world.codec.decode(request.frame)
                if isinstance(message, Gossip) and not message.hop.sender:
                    self._entry(message.content, route, request, respond)
                    return
                if message is not None:
                    self.endpoint.gossip(message, request.caller)
                    respond(_ACCEPTED)
                    return
            envelope = read_understood(request.frame, _KNOWN)
            relates_to = envelope.addressing.message_id
            respond = in_kind(envelope.addressing, respond)
            self._check_addressing(envelope, request)
            described = self._description.answer(request.path, envelope, request.caller)
            if described is not None:
                respond(Response(200, described) if described else _ACCEPTED)
                return
            here = self._description.at(request.caller.local)
            subscribed = self.endpoint.events.answer(request.path, envelope, request.caller, here)
            if subscribed is not None:
                respond(Response(200, subscribed))
                return
            if route is None:
                raise _action_not_supported(envelope.addressing.action)
            if route.side is _Side.SHADOW and envelope.addressing.action == GET_REPLIES_ACTION:
                respond(self._part(envelope, request.caller))
                return
            self._call(route, _operation(route, envelope), envelope, request, respond)
        except RemoteError as error:
            self._count(error.fault)
            blocks = error.blocks if isinstance(error, NotUnderstood) else b""
            respond(fault_response(error.fault, relates_to or message_id_of(request.frame), blocks))

    # -- calls ---------------------------------------------------------------------------------

    def _entry(self, content: Content, route: _Route | None, request: Request, respond: Respond) -> None:
        """A client's own signed message: it enters here without credentials. Raises RemoteError."""
        operations = route.service.operations if route is not None else None
        operation = self.endpoint.hosting.operation(content.action)
        elsewhere = operations is not None and content.action not in operations
        if operation is None or elsewhere or operation.is_notification:
            raise _action_not_supported(content.action)
        addressing = parse(request.frame).addressing
        if request.method:
            _check_anonymous(addressing)
        relates_to = addressing.message_id
        asker = Asker(operation.action, request.caller, signed=True)
        waiting = self._report(operation, relates_to, respond, asker)
        self.endpoint.enter(content, request.caller, waiting, self._told(relates_to, respond))

    def _part(self, envelope: Envelope, caller: Caller) -> Response:
        """A further part of the replies, for whoever may have the first. Raises RemoteError."""
        id, number = read_get_replies(envelope.payload)
        found = self._collected.of(id, caller)
        if not found.asker.signed:
            self.endpoint.world.verifier.authorise(found.asker.action, caller)
        body, blocks = found.part(number)
        return Response(200, reply_envelope(REPLIES_ACTION, envelope.addressing.message_id, body, blocks))

    def _call(
        self, route: _Route, operation: Operation, envelope: Envelope, request: Request, respond: Respond
    ) -> None:
        """Raises RemoteError before anything was done."""
        endpoint, caller = self.endpoint, request.caller
        relates_to = envelope.addressing.message_id
        policy = operation.policy
        if operation.is_notification or (route.side is _Side.SHADOW and policy is None):
            raise _action_not_supported(operation.action)
        if route.side is _Side.SHADOW or (policy is not None and operation.style is Style.ONE_WAY):
            # What changes a device is closed to strangers at the original's address as well.
            endpoint.world.verifier.authorise(operation.action, caller)
        if route.side is _Side.HOSTED:
            issuer = endpoint.world.verifier.issuer(caller) if caller.user else ""
            reply = self._reply(operation, relates_to, respond)
            endpoint.invoke(operation, request.frame, issuer, reply, caller.source)
            return
        if envelope.payload is None:
            raise sender_fault("Malformed", "an empty Body is no call of an operation")
        body = canonical(envelope.payload, content_prefixes(envelope.payload))
        wanted = decode_wanted(envelope) or Wanted()
        # The device signs for the caller: here as everywhere, the issuer is the one that signed.
        waiting = self._report(operation, relates_to, respond, Asker(operation.action, caller, signed=False))
        endpoint.start(operation, body, wanted, waiting, self._told(relates_to, respond), caller.source)

    def _told(self, relates_to: str, respond: Respond) -> Told:
        def told(fate: GossipId | Fault) -> None:
            if isinstance(fate, Fault):
                self._count(fate)
                respond(fault_response(fate, relates_to))
            else:
                respond(Response(202, gossip_id=fate.hex()))

        return told

    def _reply(self, operation: Operation, relates_to: str, respond: Respond) -> Callable[[Outcome], None]:
        def done(outcome: Outcome) -> None:
            if isinstance(outcome, Reply):
                if operation.style is Style.ONE_WAY:
                    respond(_ACCEPTED)
                else:
                    respond(Response(200, reply_envelope(operation.reply_action, relates_to, outcome.body)))
            else:
                self._count(outcome)
                respond(fault_response(outcome, relates_to))

        return done

    def _report(self, operation: Operation, relates_to: str, respond: Respond, asker: Asker) -> Waiting:
        def answered(answer: Answer) -> None:
            report = encode_report(answer.id, answer.tally, answer.gathering, answer.estimate)
            if isinstance(answer.value, Fault):
                respond(fault_response(answer.value, relates_to, report))
            elif isinstance(answer.value, Replies):
                # Who wants every reply has said so: it knows that this is not the operation's own response.
                body, blocks = self._collected.keep(answer.id, asker, report, answer.value).part(1)
                respond(Response(200, reply_envelope(REPLIES_ACTION, relates_to, body, blocks)))
            else:
                respond(Response(200, reply_envelope(operation.reply_action, relates_to, answer.value, report)))

        return answered

    # -- WS-Addressing -------------------------------------------------------------------------

    def _check_addressing(self, envelope: Envelope, request: Request) -> None:
        addressing, path = envelope.addressing, request.path
        if not addressing.action and any(block.tag in ADDRESSING_HEADERS for block in envelope.headers):
            raise header_required("Action")
        said = request.soap_action.strip().strip('"')
        if addressing.action and said not in ("", addressing.action):
            # WS-Addressing 1.0 SOAP binding section 4.2: where both are said, they say the same.
            raise header_fault("ActionMismatch", qname(WSA, "Action"), f"SOAPAction says {said}")
        _check_anonymous(addressing)
        to = addressing.to
        named = to in ("", ANONYMOUS, self.endpoint.device) or (path == DEVICE_PATH and to in GROUPS)
        # A device behind a name or an address translation does not know all its transport addresses.
        if not named and not (to.lower().startswith(("http://", "https://")) and _path(to) == path):
            raise destination_unreachable(to)

    def _count(self, fault: Fault) -> None:
        self.endpoint.counters[fault.subcode.rpartition("}")[2]] += 1


def _operation(route: _Route, envelope: Envelope) -> Operation:
    """By wsa:Action where it was sent; a plain legacy message is dispatched by its body."""
    operations = route.service.operations
    action = envelope.addressing.action
    if action:
        if action not in operations:
            raise _action_not_supported(action)
        return operations[action]
    for operation in operations.values():
        if envelope.payload is not None and envelope.payload.tag == operation.request:
            return operation
    name = envelope.payload.tag if envelope.payload is not None else "an empty Body"
    raise _action_not_supported(str(name))


def _path(uri: str) -> str:
    """The path of an absolute URI with an authority, `/` for any other."""
    return "/" + uri.partition("://")[2].partition("/")[2].partition("?")[0]


def _in_soap11(response: Response) -> Response:
    if not response.body:
        return response
    # SOAP 1.1 section 6.2: a fault is always 500.
    status = response.status if response.status < 400 else 500
    return replace(response, status=status, body=to_soap11(response.body), content_type=SOAP11_CONTENT_TYPE)


def _in_mtom(response: Response) -> Response:
    if not response.body:
        return response
    body, content_type = pack(response.body, response.content_type)
    return replace(response, body=body, content_type=content_type)


def _check_anonymous(addressing: Addressing) -> None:
    """DPWS 1.1 R0031: over HTTP the reply goes back on the same exchange, nowhere else. Raises RemoteError."""
    for header, address in (("ReplyTo", addressing.reply_to), ("FaultTo", addressing.fault_to)):
        if address not in ("", ANONYMOUS):
            reason = "over HTTP only the anonymous address is served"
            raise header_fault("OnlyAnonymousAddressSupported", qname(WSA, header), reason)


def _action_not_supported(action: str) -> RemoteError:
    return action_not_supported(action, f"not an operation of this service: {action}")
