"""What the endpoint needs of the world, as Protocols. Completions are callbacks: sockets, a simulator's
virtual clock and a worker process all can call one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from gossip_ws.core.account import Known
from gossip_ws.core.effects import Input as Input
from gossip_ws.core.messages import Content, Message, Signature, Tally
from gossip_ws.core.peers import Peer, PeerTable, Relation
from gossip_ws.core.replies import Replies
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.contract import Operation, Shape
from gossip_ws.kernel.errors import Fault
from gossip_ws.kernel.estimate import Estimate
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId, GossipId, QName
from gossip_ws.kernel.terms import Filter, Gathering, Priority, Terms, Wanted

Frame = bytes
"""What a Network moves: one SOAP envelope."""


class Caller(NamedTuple):
    """Who sent a frame, as far as the transport shows: source address, the local address it came in on,
    and the HTTP Basic credentials if any. Nothing in it is proved but the credentials' fit.

    A tuple, as Request is: one of each is made for every frame, and a frozen dataclass takes four times as long."""

    source: Address
    local: str
    user: str = ""
    password: str = ""


class Request(NamedTuple):
    """One received frame. UDP: `method` is empty and `path` too. HTTP: as on the request line; `query` is
    without its question mark; `content_type` and `soap_action` verbatim."""

    frame: Frame
    caller: Caller
    method: str = ""
    path: str = ""
    query: str = ""
    content_type: str = ""
    soap_action: str = ""


def datagram(frame: Frame, source: Address, local: str) -> Request:
    """A frame that came alone. The tuples are made without their constructors, which take twice as long."""
    return _tuple(Request, (frame, _tuple(Caller, (source, local, "", "")), "", "", "", "", ""))


_tuple: Final = tuple.__new__


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back on the same exchange. UDP: an empty body sends nothing. `gossip_id`: of the message that was
    accepted, hexadecimal; HTTP says it in a header of its own, because a 202 has no envelope that could. `accept`: the
    media types that are taken, where a 415 is about that (RFC 9110 section 15.5.16)."""

    status: int
    body: bytes = b""
    content_type: str = "application/soap+xml; charset=utf-8"
    gossip_id: str = ""
    accept: str = ""


Respond = Callable[[Response], None]
"""Called once, now or later."""

Handle = Callable[[Request, Respond], None]
"""What a listener is given: takes every frame that comes in. It is not expected to raise."""


class Network(Protocol):
    """Moves frames. Queues are bounded and go by class; what does not fit is dropped and counted."""

    def send(self, frame: Frame, to: Address) -> None:
        """Best effort, one way: a datagram, or an HTTP POST whose answer is ignored."""

    def backlog(self, priority: Priority) -> float:
        """Seconds until a datagram of this class, sent now, is out; 0 where nothing waits."""

    def multicast(self, frame: Frame) -> None:
        """Best effort, to the WS-Discovery groups of the interfaces in use."""

    def request(self, frame: Frame, to: Address, timeout: float, done: Callable[[Frame | None], None]) -> None:
        """An HTTP request; `done` gets the reply's envelope (faults too), empty where it was accepted without one, or
        None when there was none in time."""


class Clock(Protocol):
    def now(self) -> Instant: ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> None: ...


class Codec(Protocol):
    """bytes <-> gossip messages. Also the only place that knows the canonical form."""

    def decode(self, frame: Frame) -> Message | None:
        """None when the envelope carries no gossip. Raises RemoteError when it is malformed or out of bounds."""

    def encode(self, message: Message) -> Frame:
        """With a fresh wsa:MessageID. The same bytes serve every target."""

    def seal(self, action: str, terms: Terms, body: bytes, sign: Callable[[GossipId], Signature | None]) -> Content:
        """Fix a message at its origin: canonical form, id, signature."""


class Verifier(Protocol):
    """Judges content, and what devices say of themselves, before the node sees it."""

    def verify(self, content: Content, caller: Caller) -> None:
        """Raises RemoteError: bad or missing signature, unknown key, or one that may not originate this action here."""

    def authorise(self, action: str, caller: Caller) -> None:
        """May this device originate `action` for the caller, who signed nothing? Raises RemoteError if not."""

    def issuer(self, caller: Caller) -> str:
        """The user whose password fits, empty when nobody is proved. Raises RemoteError (busy)."""

    def sign(self, id: GossipId) -> Signature | None:
        """This device's own signature; None in development mode without keys."""

    @property
    def originator(self) -> str:
        """The key id that `sign` signs with, or `unsigned`."""

    @property
    def key(self) -> bytes:
        """The 32 octets of this device's own public key, which it registers with; empty without one."""

    def attest(self, statement: bytes) -> Signature | None:
        """This device's signature under what it says of itself; None without a key."""

    def is_attested(self, statement: bytes, signature: Signature, key: bytes) -> bool:
        """Is `signature` under `statement` that of `key`, the 32 octets of a public key?"""


@dataclass(frozen=True, slots=True)
class Reply:
    """A hosted service's answer: the canonical element for the SOAP Body; empty for a one-way operation."""

    body: bytes


Outcome = Reply | Fault


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a hosted service is told besides the envelope. `issuer`: key id whose signature was verified (so
    versions can be scoped to it), or the user, or empty for a plain call. `source`: where it came from, as
    far as the transport shows."""

    operation: Operation
    envelope: Frame
    issuer: str
    now: Instant
    source: Address | None = None


class HostedService(Protocol):
    """One hosted service of a device: an original, that knows nothing of gossip."""

    @property
    def service_id(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def port_type(self) -> QName: ...

    @property
    def operations(self) -> Mapping[str, Operation]:
        """By input action."""

    def wsdl(self, address: str) -> bytes:
        """The self-contained WSDL 1.1 of the plain service at `address`, without gossip policy."""

    def check(self, operation: Operation, envelope: Frame) -> None:
        """Is the envelope's payload a call of `operation`, by its schema? Does nothing else. Raises RemoteError."""

    def invoke(self, invocation: Invocation, done: Callable[[Outcome], None]) -> None:
        """Never raises for what a client sent: that is a Fault outcome."""


@dataclass(frozen=True, slots=True)
class Combination:
    """`value` in partial form (or, at the entry, as the operation's response element); `refused` are the
    indices of inputs that are malformed or out of the declared range and were left out. `estimate`: at the entry,
    of a filter that estimates."""

    value: bytes
    refused: tuple[int, ...] = ()
    estimate: Estimate | None = None


class Combiner(Protocol):
    def check(self, filter: Filter, shape: Shape | None, gathering: Gathering = Gathering.TREE) -> None:
        """Raises RemoteError when the filter is no filter, is not in the allowed subset, or does not fit the shape or
        the gathering."""

    def combine(
        self,
        filter: Filter,
        shape: Shape | None,
        inputs: tuple[Input, ...],
        final: bool,
        done: Callable[[Combination | Fault], None],
        gathering: Gathering = Gathering.TREE,
    ) -> None: ...


class Gossip(Protocol):
    """What a hosted service may ask of its device's endpoint. Carried by its application's config."""

    @property
    def device(self) -> DeviceId: ...

    @property
    def own(self) -> Peer:
        """This device as others register it: its subtree and incarnation as of now."""

    def own_towards(self, other: Address) -> Peer:
        """The same, with the address that suits whoever is at `other`."""

    @property
    def peers(self) -> PeerTable: ...

    @property
    def sent(self) -> int:
        """Envelopes that this device has sent to others so far, as a node: of gossip, repair and membership."""

    def register(self, peer: Peer, source: Address) -> float:
        """Take a registration or a refresh; returns the lease in seconds. Raises RemoteError over quota."""

    def known(self, about: GossipId) -> Known:
        """What this device knows of a message: whether it has it, and whom its answer to a request leaves out."""

    def forget(self, device: DeviceId) -> None:
        """Drop a peer that has unregistered. One that is not held is no error."""

    def originate(self, action: str, body: bytes, wanted: Wanted | None = None) -> None:
        """Start a one-way gossip of this device's own, signed by it: the only way in which a notification starts.
        Raises LocalError when this device has no such operation, RemoteError when it cannot be accepted."""

    def notify(self, action: str, body: bytes) -> None:
        """An event of this device's own, `body` a valid output of its notification `action`: to whoever subscribed to
        it. Raises LocalError when this device has no such notification, RemoteError when it is not valid and somebody
        would get it."""

    def tell(self, action: str, body: bytes, to: Sequence[Address]) -> None:
        """Send a one-way call to one other device's hosted service, at the first of its addresses that takes an
        envelope of that size. Best effort; not gossip, and not signed by this layer."""

    def find(self, service: Address, scopes: tuple[str, ...], limit: int, found: Found) -> None:
        """Ask another device's Peer Service for at most `limit` peers that lie under one of `scopes`."""

    def ask(self, action: str, body: bytes, wanted: Wanted, answered: Answered) -> None:
        """Ask other devices, and this one if it is meant (solicit-response): `body` is a request of the operation
        `action`, `wanted` says whom. Signed by this device.

        Raises LocalError when this device has no such operation, RemoteError when it cannot be accepted (Busy: too
        many of its questions are open); then `answered` is not called.
        """


Answered = Callable[[bytes | Fault | Replies, Tally], None]
"""Called once, with the response element (Replies where each single one was wanted) or why there is none, and whom it
stands for. It is not expected to raise."""


Found = Callable[[tuple[Peer, ...] | None], None]
"""Called once, with the peers, or None where there was no answer."""


class Directory(Protocol):
    """How a Peer Service is spoken to: envelopes of its operations, from the client's side."""

    def register(self, peer: Peer) -> Frame: ...

    def registered(self, reply: Frame) -> tuple[float, Peer]:
        """(lease in seconds, the registrar's own entry). Raises RemoteError, the service's own fault too."""

    def unregister(self, device: DeviceId) -> Frame: ...

    def ask(
        self, types: tuple[QName, ...], scopes: tuple[str, ...], limit: int, relation: Relation | None
    ) -> Frame: ...

    def peers(self, reply: Frame) -> tuple[Peer, ...]:
        """Raises RemoteError."""


class Store(Protocol):
    """Small durable memory: a value by name. Writing is durable on return."""

    def get(self, name: str) -> bytes | None: ...

    def put(self, name: str, value: bytes) -> None: ...
