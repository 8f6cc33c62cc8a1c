"""One device's endpoint: hands frames to the protocols and carries their effects out.

The only place that does so. Decoding and judging come before the node; what takes time comes back as a
completion. Everything runs on one thread, in the order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from gossip_ws.core.account import Known
from gossip_ws.core.effects import (
    Answer,
)
from gossip_ws.core.messages import Alive, Content, Gossip, Message, alive_statement
from gossip_ws.core.node import Node
from gossip_ws.core.peers import Peer, PeerTable
from gossip_ws.endpoint.carrier import Carrier, Hosting, Waiting, World
from gossip_ws.endpoint.entry import check_gathering, check_singling, fix_terms
from gossip_ws.endpoint.eventing import EventSources
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.contract import Operation
from gossip_ws.kernel.counts import Counts
from gossip_ws.kernel.errors import Fault, GossipError, LocalError, RemoteError, receiver_fault, sender_fault
from gossip_ws.kernel.homes import Home
from gossip_ws.kernel.names import WSA, DeviceId, GossipId
from gossip_ws.kernel.terms import Style, Wanted
from gossip_ws.ports import (
    Answered,
    Caller,
    Found,
    Frame,
    HostedService,
    Invocation,
    Outcome,
    Reply,
)
from gossip_ws.wire.envelope import (
    MAX_ENVELOPE,
    MAX_UDP_ENVELOPE,
    Addressing,
    build,
    canonical,
    content_prefixes,
    message_id,
    parse,
)

MAX_ASKING = 8
"""Questions of the hosted services here that are open at once: each has a place in the table of every device."""
Told = Callable[[GossipId | Fault], None]
"""Told of a one-way message that was to start here: its id once it is on its way, or why it was refused and went
nowhere."""


@lru_cache(maxsize=2)
def _framed(action: str, body: bytes) -> Frame:
    """What came by gossip, as the hosted service takes it. A process with many devices frames it once for all."""
    return build(Addressing(action=action), body)


class Endpoint:
    """Carries a Node's effects out, and feeds it. Implements `ports.Gossip` for the hosted services."""

    __slots__ = ("_asking", "_carrier", "_now", "counters", "events", "hosting", "node")

    def __init__(self, node: Node, hosting: Hosting, world: World) -> None:
        self.node = node
        self.hosting = hosting
        self.counters = Counts()
        """Envelopes sent, in all and by kind of message, and received; drops by reason."""
        self._carrier = Carrier(node, hosting, world, self.counters, self._deliver)
        self._now = world.clock.now
        self._asking = 0
        self.events = EventSources(
            hosting.services, world.network, world.clock, world.verifier, self.counters, self._spread_event
        )

    @property
    def world(self) -> World:
        return self._carrier.world

    @world.setter
    def world(self, world: World) -> None:
        self._carrier.world = world
        self._now = world.clock.now

    # -- ports.Gossip --------------------------------------------------------------------------

    @property
    def device(self) -> DeviceId:
        return self.node.config.device

    @property
    def peers(self) -> PeerTable:
        return self.node.peers

    @property
    def own(self) -> Peer:
        return self.node.self_peer

    def own_towards(self, other: Address) -> Peer:
        return self.node.own_towards(other)

    @property
    def sent(self) -> int:
        return self.counters["sent"]

    def register(self, peer: Peer, source: Address) -> float:
        lease, effects = self.node.register(peer, self._now(), source)
        self._carrier.carry_out(effects)
        return lease

    def known(self, about: GossipId) -> Known:
        return self.node.known(about)

    def forget(self, device: DeviceId) -> None:
        self._carrier.carry_out(self.node.forget(device))

    def originate(self, action: str, body: bytes, wanted: Wanted | None = None) -> None:
        """Start a one-way gossip of this device's own, signed by it."""
        operation = self.hosting.operation(action)
        if operation is None or operation.style is not Style.ONE_WAY:
            raise LocalError(f"no one-way operation of this device: {action}")
        self.start(operation, body, wanted or Wanted(), told=self._count_refusal)
        if operation.is_notification:
            self.events.fire(self.hosting.by_action[action], action, body, gossiped=True)

    def notify(self, action: str, body: bytes) -> None:
        """An event of this device's own: to its subscribers, and by gossip if one of them wants it so."""
        operation = self.hosting.operation(action)
        if operation is None or not operation.is_notification:
            raise LocalError(f"no notification of this device: {action}")
        if len(self.events.manager):
            service = self.hosting.by_action[action]
            service.check(operation, build(Addressing(action=action), body))
            self.events.fire(service, action, body)

    def tell(self, action: str, body: bytes, to: Sequence[Address]) -> None:
        """One one-way call to another device, by datagram where the envelope fits into one."""
        for address in to:
            frame = build(Addressing(action=action, message_id=message_id(), to=str(address)), body)
            if len(frame) <= (MAX_UDP_ENVELOPE if address.binding is Binding.UDP else MAX_ENVELOPE):
                self.counters["sent"] += 1
                self.counters["sent octets of calls"] += len(frame)
                self.world.network.send(frame, address)
                return
        self.counters["call too large for where it goes"] += 1

    def find(self, service: Address, scopes: tuple[str, ...], limit: int, found: Found) -> None:
        self._carrier.find(service, scopes, limit, found)

    def ask(self, action: str, body: bytes, wanted: Wanted, answered: Answered) -> None:
        """Ask other devices in this device's name; at most `MAX_ASKING` questions are open at once."""
        operation = self.hosting.operation(action)
        if operation is None or operation.style is not Style.REQUEST_RESPONSE:
            raise LocalError(f"no request-response operation of this device: {action}")
        if self._asking >= MAX_ASKING:
            raise receiver_fault("Busy", f"{MAX_ASKING} questions of this device are open")

        def waiting(answer: Answer) -> None:
            self._asking -= 1
            answered(answer.value, answer.tally)

        self._asking += 1
        try:
            self.start(operation, body, wanted, waiting)
        except GossipError:
            self._asking -= 1
            raise

    # -- inputs --------------------------------------------------------------------------------

    def up(self) -> None:
        """The device is reachable: enrol, ask for news from time to time."""
        self._carrier.carry_out(self.node.start(self._now()))

    def down(self, done: Callable[[], None]) -> None:
        """The device is about to go: say so to its subscribers, its neighbours and the Peer Service. `done` when they
        heard, or did not answer."""

        def leave() -> None:
            service, farewell = self.node.stop()
            self._carrier.carry_out(farewell)
            if service is None:
                done()
            else:
                self._carrier.leave(service, done)

        self.events.close(leave)

    def moved(self, homes: tuple[Home, ...]) -> None:
        """The device's addresses are others, all with the gossip endpoint's path."""
        self._carrier.carry_out(self.node.moved(homes, self._now()))

    def ask_for_news(self) -> None:
        """Ask a peer at random for what was missed, now."""
        self._carrier.carry_out(self.node.ask_for_news(self._now()))

    def service_found(self, service: Address) -> None:
        """Discovery found a Peer Service to enrol with."""
        self._carrier.carry_out(self.node.service_found(service, self._now()))

    def gossip(self, message: Message, caller: Caller) -> None:
        """One decoded message from another node. Raises RemoteError when it is not to be believed; nothing changed."""
        self.counters["received"] += 1
        node = self.node
        if isinstance(message, Gossip):
            if not message.hop.sender:
                raise sender_fault("Malformed", "a hop without a sender")
            if not node.holds(message.content.id):
                # Before it is marked seen, delivered or passed on.
                self._judge(message.content, caller)
        elif isinstance(message, Alive) and not self._is_attested(message):
            self.counters["not signed by its subject"] += 1
            return
        self._carrier.carry_out(node.receive(message, caller.source, self._now()))

    def enter(self, content: Content, caller: Caller, waiting: Waiting | None = None, told: Told | None = None) -> None:
        """A client's own signed message starts here; `waiting` and `told` as in `start`. Raises RemoteError."""
        self.counters["received"] += 1
        operation = self._judge(content, caller)
        if operation is None:
            raise sender_fault("ActionNotSupported", f"not hosted here: {content.action}", namespace=WSA)
        self._enter(operation, content, caller.source, waiting, told)

    def start(
        self,
        operation: Operation,
        body: bytes,
        wanted: Wanted,
        waiting: Waiting | None = None,
        told: Told | None = None,
        source: Address | None = None,
    ) -> None:
        """Fix, sign and spread a message of this device's own, or of a caller at `source` that it signs for.

        `waiting` gets the answer to a request, `told` the fate of a one-way message. Raises RemoteError when it
        cannot be accepted; then nothing was sent.
        """
        world = self.world
        terms = fix_terms(
            operation, wanted, self.node.config, self.node.peers, world.verifier.originator, world.clock.now().wall
        )
        if terms.filter is not None:
            world.combiner.check(terms.filter, operation.shape, terms.gathering)
        content = world.codec.seal(operation.action, terms, body, world.verifier.sign)
        self._enter(operation, content, source, waiting, told)

    def invoke(
        self,
        operation: Operation,
        envelope: Frame,
        issuer: str,
        done: Callable[[Outcome], None],
        source: Address | None = None,
    ) -> None:
        """Call the hosted service of this device. A notification that it takes has come by gossip: subscribers at the
        shadow are told."""
        service = self.hosting.by_action[operation.action]
        if operation.is_notification:
            done = self._handing_on(service, operation, envelope, done)
        service.invoke(Invocation(operation, envelope, issuer, self._now(), source), done)

    # -- what starts here ----------------------------------------------------------------------

    def _judge(self, content: Content, caller: Caller) -> Operation | None:
        """The operation, None when it is not hosted here. Raises RemoteError."""
        self.world.verifier.verify(content, caller)
        operation = self.hosting.operation(content.action)
        terms = content.terms
        if operation is not None and (operation.policy is None or operation.style is not terms.style):
            raise sender_fault("NotGossiped", f"{content.action} does not gossip, or not as {terms.style.value}")
        check_singling(terms, operation.policy if operation is not None else None)
        check_gathering(terms)
        if terms.filter is not None:
            shape = operation.shape if operation is not None else None
            self.world.combiner.check(terms.filter, shape, terms.gathering)
        return operation

    def _enter(
        self,
        operation: Operation,
        content: Content,
        source: Address | None,
        waiting: Waiting | None,
        told: Told | None,
    ) -> None:
        """What is no call of the operation spreads nowhere. Of a one-way operation the service here is the first
        to judge: what it refuses is told to the caller."""
        self.node.check_new(content, self._now())
        frame = build(Addressing(action=operation.action), content.body)
        self.hosting.by_action[operation.action].check(operation, frame)
        if operation.style is Style.REQUEST_RESPONSE:
            self._originate(content, waiting)
            return

        def judged(outcome: Outcome) -> None:
            fault = outcome if isinstance(outcome, Fault) else None
            try:
                if fault is None:
                    self._originate(content, None, delivered=True)
            except RemoteError as error:
                fault = error.fault
            if told is not None:
                told(content.id if fault is None else fault)

        # What goes a single hop comes from the service here: it is for its peers.
        if self.node.is_target(content) and not content.terms.one_hop:
            self.invoke(operation, frame, content.terms.originator, judged, source)
        else:
            judged(Reply(b""))

    def _handing_on(
        self, service: HostedService, operation: Operation, envelope: Frame, done: Callable[[Outcome], None]
    ) -> Callable[[Outcome], None]:
        def taken(outcome: Outcome) -> None:
            payload = parse(envelope).payload if isinstance(outcome, Reply) else None
            if payload is not None:
                self.events.heard(service, operation.action, canonical(payload, content_prefixes(payload)))
            done(outcome)

        return taken

    def _spread_event(self, action: str, body: bytes, scopes: tuple[str, ...]) -> None:
        try:
            self.start(
                self.hosting.by_action[action].operations[action], body, Wanted(scopes=scopes), told=self._count_refusal
            )
        except GossipError:
            # Its subscribers by push have it all the same.
            self.counters["own message refused"] += 1

    def _count_refusal(self, fate: GossipId | Fault) -> None:
        if isinstance(fate, Fault):
            self.counters["own message refused"] += 1

    def _originate(self, content: Content, waiting: Waiting | None, *, delivered: bool = False) -> None:
        effects = self.node.originate(content, self._now(), delivered=delivered)
        if waiting is not None:
            self._carrier.wait_for(content.id, waiting)
        self._carrier.carry_out(effects)

    def _deliver(self, operation: Operation, body: bytes, issuer: str, done: Callable[[Outcome], None]) -> None:
        self.invoke(operation, _framed(operation.action, body), issuer, done)

    def _is_attested(self, alive: Alive) -> bool:
        """By the key that its subject registered with. Who has none is told by its address, which the node knows."""
        subject = self.node.peers.reachable(alive.sender)
        if subject is None or not subject.key:
            return True
        statement = alive_statement(alive.sender, alive.incarnation)
        signature = alive.signature
        return signature is not None and self.world.verifier.is_attested(statement, signature, subject.key)
