"""What all devices share of one service class: its operations, its schema, its WSDL, and the way through Spyne.

Hundreds of devices may live in one process, each with the same few services. Everything Spyne builds
depends on the class alone, so it is built once; what differs travels with each call as a `Call`.
Knows nothing of devices, paths or gossip's messages.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

from lxml import etree

from gossip_ws.kernel.address import Address
from gossip_ws.kernel.contract import Operation
from gossip_ws.kernel.errors import Fault, FaultCode, LocalError, RemoteError, receiver_fault, sender_fault
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import GOSSIP, QName, qname
from gossip_ws.kernel.terms import Style
from gossip_ws.services import _spyne, interface
from gossip_ws.services.shape import element_name, shape_of
from gossip_ws.wire.envelope import canonical
from gossip_ws.wire.soap import action_not_supported

logger = logging.getLogger(__name__)

MAX_REASON: Final = 500
"""Characters of a fault's reason: what a service quotes of a request may be as long as the request."""

_NCNAME = re.compile(r"[A-Za-z_][\w.-]*")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """What an operation is told besides its arguments. `state` is the device's own, as given to its host.

    `issuer` and `source` as in ports.Invocation.
    """

    state: Any
    issuer: str
    now: Instant
    source: Address | None = None


def call(ctx: Any) -> Call:
    """The call that an operation is serving: `ctx` is its first argument."""
    found = ctx.udc
    if not isinstance(found, Call):
        raise LocalError("this service is not hosted by SpyneHosted: there is no device state")
    return found


def state(ctx: Any, kind: type[T]) -> T:
    """The device's state, checked. Raises LocalError when the host was given something else."""
    found = call(ctx).state
    if not isinstance(found, kind):
        raise LocalError(f"the device's state is a {type(found).__name__}, not a {kind.__name__}")
    return found


class _Application(_spyne.Application):
    """Processes without Spyne's logging of every fault: a fault is an answer, and anyone can cause one."""

    def process_request(self, ctx: Any) -> None:
        try:
            ctx.fire_event("method_call")
            if ctx.descriptor.body_style is _spyne.BODY_STYLE_BARE:
                ctx.in_object = [ctx.in_object]
            elif ctx.descriptor.body_style is _spyne.BODY_STYLE_EMPTY:
                ctx.in_object = []
            out = self.call_wrapper(ctx)
            several = ctx.descriptor.body_style is _spyne.BODY_STYLE_WRAPPED and (
                len(ctx.descriptor.out_message._type_info) > 1
            )
            ctx.out_object = out if several else [out]
            ctx.protocol = ctx.outprot_ctx
            ctx.fire_event("method_return_object")
        except Exception as error:  # told to Spyne's listeners and raised on: whose fault it is, the caller decides
            ctx.out_error = error
            ctx.fire_event("method_exception_object")
            raise


class _Server(_spyne.ServerBase):
    """Element in, canonical element out; no socket, no envelope."""

    # What a WSDL names as the transport of its SOAP binding.
    transport = "http://schemas.xmlsoap.org/soap/http"

    def answer(self, payload: etree._Element, told: Call, one_way: bool) -> bytes:
        """Empty for a one-way operation. Raises Spyne's Fault, RemoteError, or whatever the service's code raised."""
        ctx = _spyne.MethodContext(self, _spyne.MethodContext.SERVER)
        ctx.udc = told
        ctx.in_body_doc = payload
        ctx.method_request_string = payload.tag
        (ctx,) = self.app.in_protocol.generate_method_contexts(ctx)
        try:
            self.app.in_protocol.deserialize(ctx, message=self.app.in_protocol.REQUEST)
        except (_spyne.Fault, ArithmeticError, LookupError, ValueError) as error:
            # Valid by the schema, but no value of Python's: a date in the year 20000, say.
            raise _invalid(f"a value cannot be read: {error}") from None
        self.app.process_request(ctx)
        # Spyne would write an empty response, and take a quarter of the call for it.
        if one_way or not ctx.descriptor.out_message.get_element_name() or ctx.out_object is None:
            return b""
        self.app.out_protocol.serialize(ctx, message=self.app.out_protocol.RESPONSE)
        ctx.fire_event("method_return_document")
        return canonical(ctx.out_body_doc[0])


class Contract:
    """One service class under one namespace. Made by `contract`, once."""

    def __init__(self, service: type[_spyne.Service], namespace: str) -> None:
        self.service = service
        self.namespace = namespace
        self.name: str = service.get_service_name()
        self.port_type = qname(namespace, self.name)
        for method in service.public_methods.values():
            if method.aux is not None or method.in_header or method.out_header:
                raise LocalError(f"{self.name}.{method.name}: auxiliary methods and SOAP headers are not hosted here")
        application = _Application(
            [service],
            namespace,
            name=self.name,
            in_protocol=_spyne.Soap12(),
            out_protocol=_spyne.Soap12(),
        )
        self._server = _Server(application)
        self.operations: Mapping[str, Operation] = MappingProxyType(
            {operation.action: operation for operation in map(self._operation, service.public_methods.values())}
        )
        self._wsdl, self._schema = interface.build(application.interface, self.operations)

    def _operation(self, method: Any) -> Operation:
        name = method.operation_name
        # WS-Addressing 1.0 Metadata section 4.4.4 separates by the namespace's own kind of separator.
        separator = ":" if self.namespace.startswith("urn:") else "/"
        action = self.namespace.rstrip(separator) + separator + name
        policy = getattr(self.service, "gossip_policies", {}).get(name)
        request = element_name(method.in_message, self.namespace)
        if is_one_way(method):
            return Operation(name, action, Style.ONE_WAY, request, policy=policy)
        return Operation(
            name,
            action,
            Style.REQUEST_RESPONSE,
            request,
            response=element_name(method.out_message, self.namespace),
            reply_action=action + "Response",
            policy=policy,
            shape=shape_of(method.out_message, self.namespace),
        )

    def wsdl(self, address: str) -> bytes:
        """The self-contained WSDL 1.1 for a service at `address`."""
        return interface.at(self._wsdl, address)

    def check(self, operation: Operation, payload: etree._Element | None) -> etree._Element:
        """The payload, a valid request of `operation`. Raises RemoteError when it is none."""
        if payload is None:
            raise _invalid(f"the Body is empty, {operation.name} wants a {operation.request}")
        if payload.tag != operation.request:
            reason = f"action {operation.action} does not go with the body {payload.tag}"
            raise action_not_supported(operation.action, reason[:MAX_REASON])
        try:
            self._schema.assertValid(payload)
        except etree.DocumentInvalid as error:
            raise _invalid(str(error)) from None
        return payload

    def answer(self, operation: Operation, payload: etree._Element | None, told: Call) -> bytes:
        """The canonical response element; empty for a one-way operation.

        Raises RemoteError for whatever was wrong with the request and for whatever the service raised.
        """
        payload = self.check(operation, payload)
        try:
            return self._server.answer(payload, told, operation.style is Style.ONE_WAY)
        except RemoteError:
            raise
        except _spyne.Fault as fault:
            raise RemoteError(self._fault(fault)) from None
        except Exception:  # its reason stays here: it may quote what is nobody's business
            logger.exception("%s failed", operation.action)
            raise receiver_fault("ServiceFailed", f"{operation.name} failed inside the service") from None

    def _fault(self, fault: _spyne.Fault) -> Fault:
        """A SOAP 1.2 subcode is a qualified name: a service's own lies in the service's namespace."""
        head, _, sub = fault.faultcode.partition(".")
        code = FaultCode.SENDER if head in ("Client", "Sender") else FaultCode.RECEIVER
        name = sub.partition(".")[0]
        subcode: QName = qname(self.namespace, name) if _NCNAME.fullmatch(name) else qname(GOSSIP, "ServiceFault")
        detail = b""
        if isinstance(fault.detail, dict) and len(fault.detail) == 1:
            detail = canonical(interface.element_of(fault.detail))
        return Fault(code, subcode, str(fault.faultstring)[:MAX_REASON] or name or "fault", detail)


def is_one_way(method: Any) -> bool:
    """An operation that declares no return type has no response (its MethodDescriptor is asked)."""
    members = getattr(method.out_message, "_type_info", None)
    return members is not None and len(members) == 0


_contracts: dict[type[_spyne.Service], Contract] = {}


def contract(service: type[_spyne.Service], namespace: str) -> Contract:
    """The one contract of a service class in this process.

    Raises LocalError when the class already stands under another namespace: Spyne writes the namespace
    into the class's own messages.
    """
    held = _contracts.get(service)
    if held is None:
        held = _contracts[service] = Contract(service, namespace)
    if held.namespace != namespace:
        raise LocalError(f"{held.name} is already hosted under {held.namespace}")
    return held


def _invalid(reason: str) -> RemoteError:
    return sender_fault("InvalidPayload", reason[:MAX_REASON])
