"""The smallest hosted service that can be pushed to and pulled from: a device with one number."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gossip_ws.kernel.contract import Field, GossipPolicy, Number, Operation, Shape
from gossip_ws.kernel.names import QName, qname
from gossip_ws.kernel.terms import Style
from gossip_ws.ports import Frame, Invocation, Outcome, Reply

NUMBERS = "urn:gossip-ws:2026:sim"
NOTIFY = f"{NUMBERS}:Notify"
READ = f"{NUMBERS}:Read"


MOST = 1 << 60
"""The largest value: sixty devices may each have a power of two of their own, so that a sum names its contributors."""


def _name(local: str) -> QName:
    return qname(NUMBERS, local)


_SHAPE = Shape(
    response=_name("ReadResponse"),
    path=(),
    row=_name("Number"),
    keys=(),
    fields=(Field(_name("value"), Number.INTEGER, 0, MOST),),
    elements=(_name("value"),),
)


def operations(policy: GossipPolicy) -> dict[str, Operation]:
    """Notify (one-way) and Read (request-response, sum by default), gossip-enabled with `policy`."""
    return {
        NOTIFY: Operation("Notify", NOTIFY, Style.ONE_WAY, _name("Notify"), policy=policy),
        READ: Operation(
            "Read",
            READ,
            Style.REQUEST_RESPONSE,
            _name("Read"),
            _name("ReadResponse"),
            READ + "Response",
            policy,
            _SHAPE,
        ),
    }


def read_response(value: int) -> bytes:
    """The canonical response element that carries `value`."""
    return (
        f'<r:ReadResponse xmlns:r="{NUMBERS}"><r:Number><r:value>{value}</r:value></r:Number></r:ReadResponse>'.encode()
    )


READ_REQUEST = f'<n:Read xmlns:n="{NUMBERS}"></n:Read>'.encode()


def notify_request(text: str) -> bytes:
    """A canonical Notify element; `text` must need no escaping."""
    return f'<n:Notify xmlns:n="{NUMBERS}">{text}</n:Notify>'.encode()


class NumberService:
    """`ports.HostedService` with a number; remembers how often it was notified."""

    service_id = "urn:gossip-ws:2026:sim:numbers"
    path = "/numbers"
    port_type = _name("Numbers")

    def __init__(self, value: int, policy: GossipPolicy | None = None) -> None:
        self.value = value
        self.notified = 0
        self._operations = operations(policy or GossipPolicy(aggregate="sum"))

    @property
    def operations(self) -> Mapping[str, Operation]:
        return self._operations

    def wsdl(self, address: str) -> bytes:
        return b""

    def check(self, operation: Operation, envelope: Frame) -> None:
        """In the simulator nobody calls with anything else."""

    def invoke(self, invocation: Invocation, done: Callable[[Outcome], None]) -> None:
        if invocation.operation.action == NOTIFY:
            self.notified += 1
            done(Reply(b""))
        else:
            done(Reply(read_response(self.value)))
