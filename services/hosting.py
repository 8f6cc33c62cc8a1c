"""A Spyne service as one hosted service of one device: ports.HostedService around a shared Contract.

All that is per device is a path, an id and the device's state. Knows nothing of gossip's messages or of
how an envelope came here. One thread at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from gossip_ws.kernel.contract import Operation
from gossip_ws.kernel.errors import FaultCode, LocalError, RemoteError, receiver_fault
from gossip_ws.kernel.names import QName
from gossip_ws.ports import Frame, Invocation, Outcome, Reply
from gossip_ws.services import _spyne
from gossip_ws.services.contract import Call, contract
from gossip_ws.wire.envelope import parse


class SpyneHosted:
    """One Spyne Service class hosted on a device, with the device's own `state`.

    `namespace` is the target namespace; every device of the process uses the same one for a class.
    `path` defaults to a slash and the service's name; `service_id` to the portType as a URI. `counters`
    holds `invoked`, `refused` (the sender's fault) and `failed` (this side's).
    """

    __slots__ = ("_contract", "_path", "_service_id", "counters", "state")

    def __init__(
        self,
        service: type[_spyne.Service],
        namespace: str,
        state: Any = None,
        *,
        path: str = "",
        service_id: str = "",
    ) -> None:
        if path and not path.startswith("/"):
            raise LocalError(f"a path starts with a slash: {path!r}")
        self._contract = contract(service, namespace)
        self._path = path or "/" + self._contract.name
        self._service_id = service_id or f"{namespace}:{self._contract.name}"
        self.state = state
        self.counters: Counter[str] = Counter()

    @property
    def service_id(self) -> str:
        return self._service_id

    @property
    def path(self) -> str:
        return self._path

    @property
    def port_type(self) -> QName:
        return self._contract.port_type

    @property
    def operations(self) -> Mapping[str, Operation]:
        """By input action; shared by all devices, read-only."""
        return self._contract.operations

    def wsdl(self, address: str) -> bytes:
        """The self-contained WSDL 1.1 of the plain service at `address`, without gossip policy."""
        return self._contract.wsdl(address)

    def check(self, operation: Operation, envelope: Frame) -> None:
        """Raises RemoteError when the payload is not valid for `operation`; nothing is called."""
        self._contract.check(operation, parse(envelope).payload)

    def invoke(self, invocation: Invocation, done: Callable[[Outcome], None]) -> None:
        """Calls `done` before it returns."""
        done(self._outcome(invocation))

    def _outcome(self, invocation: Invocation) -> Outcome:
        self.counters["invoked"] += 1
        told = Call(self.state, invocation.issuer, invocation.now, invocation.source)
        try:
            payload = parse(invocation.envelope).payload
            return Reply(self._contract.answer(invocation.operation, payload, told))
        except RemoteError as error:
            fault = error.fault
        except RecursionError:
            # Deep nesting that the parser and the schema let pass; the stack is free again here.
            fault = receiver_fault("ServiceFailed", "the request is nested too deeply").fault
        self.counters["failed" if fault.code is FaultCode.RECEIVER else "refused"] += 1
        return fault
