"""Carries a Node's effects out: sends, sets timers, invokes, combines, registers. What comes of them goes back to it.

Refuses to know where a message starts and who may start it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from gossip_ws.core.effects import (
    Act,
    Answer,
    AskAgain,
    AskPeers,
    Combine,
    Effect,
    Enrol,
    FetchAgain,
    Invoke,
    Leave,
    MergeAgain,
    ReplyAgain,
    ServeAgain,
)
from gossip_ws.core.messages import Alive, alive_statement
from gossip_ws.core.node import Node
from gossip_ws.core.peers import Peer, Relation
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.contract import Operation
from gossip_ws.kernel.counts import Counts
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.errors import Fault, LocalError, RemoteError
from gossip_ws.kernel.names import GossipId, QName
from gossip_ws.ports import (
    Clock,
    Codec,
    Combination,
    Combiner,
    Directory,
    Found,
    Frame,
    HostedService,
    Network,
    Outcome,
    Reply,
    Verifier,
)
from gossip_ws.wire.envelope import MAX_UDP_ENVELOPE
from gossip_ws.wire.priority import claimed_priority

ENROL_TIMEOUT = 5.0
LEAVE_TIMEOUT = 1.0
_LATE = 0.05
"""Seconds by which a timer may be late before that means that this process is behind with its work."""
_POSTPONED = 8
"""Times that a resend is put off for that. A process that is always behind must resend nevertheless."""
_RESENDS = (ServeAgain, AskAgain, ReplyAgain, MergeAgain, FetchAgain)
Waiting = Callable[[Answer], None]
"""Gets the answer to a request that was made here: Replies if, and only if, each single one was asked for."""
Deliver = Callable[[Operation, bytes, str, Callable[[Outcome], None]], None]
"""Call the hosted service here: operation, body, issuer, and who takes what it replies."""


@dataclass(frozen=True, slots=True)
class World:
    """What an endpoint is given: see `ports` for each."""

    network: Network
    codec: Codec
    verifier: Verifier
    clock: Clock
    combiner: Combiner
    directory: Directory


class Hosting:
    """Which hosted service serves which action."""

    def __init__(self, services: Iterable[HostedService] = ()) -> None:
        self.services: list[HostedService] = []
        self.by_action: dict[str, HostedService] = {}
        for service in services:
            self.add(service)

    def add(self, service: HostedService) -> None:
        """Raises LocalError when a path or an action is taken already."""
        taken = any(service.path == other.path for other in self.services)
        if taken or not self.by_action.keys().isdisjoint(service.operations):
            raise LocalError(f"two hosted services at one path or with one action: {service.path}")
        self.services.append(service)
        self.by_action.update(dict.fromkeys(service.operations, service))

    def operation(self, action: str) -> Operation | None:
        service = self.by_action.get(action)
        return service.operations[action] if service is not None else None


class Carrier:
    """Of one node. Its completions may come at once, or much later."""

    __slots__ = ("_behind", "_counters", "_deliver", "_hosting", "_node", "_waiting", "_work", "_working", "world")

    def __init__(self, node: Node, hosting: Hosting, world: World, counters: Counts, deliver: Deliver) -> None:
        self.world = world
        self._node = node
        self._hosting = hosting
        self._counters = counters
        self._deliver = deliver
        self._work: deque[Iterable[Effect]] = deque()
        self._working = False
        # How long what the effects in hand send waits here before it is out (s).
        self._behind = 0.0
        self._waiting: dict[GossipId, Waiting] = {}

    def wait_for(self, id: GossipId, waiting: Waiting) -> None:
        """`waiting` gets the answer."""
        self._waiting[id] = waiting

    def leave(self, service: Address, done: Callable[[], None]) -> None:
        """Unregister with a Peer Service; `done` when it has heard, or does not answer."""
        frame = self.world.directory.unregister(self._node.config.device)
        self.world.network.request(frame, service, LEAVE_TIMEOUT, lambda _: done())

    def carry_out(self, effects: Iterable[Effect]) -> None:
        """Completions that come back at once are queued behind: effects of one input stay together."""
        if self._working:
            self._work.append(effects)
            return
        self._working = True
        try:
            while True:
                self._behind = 0.0
                for effect in effects:
                    # Most of what comes in a storm is here already.
                    if isinstance(effect, Dropped):
                        self._counters[effect.reason] += 1
                    else:
                        self._do(effect)
                if not self._work:
                    break
                effects = self._work.popleft()
        finally:
            self._working = False

    def _do(self, effect: Act) -> None:
        match effect:
            case Send():
                self._send(effect)
            case SetTimer():
                # An answer can be late only once the question is out: what waits here is not sent again.
                delay = effect.delay + (self._behind if isinstance(effect.timer, _RESENDS) else 0.0)
                self._wait(effect.timer, delay)
            case Invoke():
                self._invoke(effect)
            case Combine():
                self._combine(effect)
            case Answer():
                waiting = self._waiting.pop(effect.id, None)
                if waiting is not None:
                    waiting(effect)
            case Enrol():
                self._enrol(effect)
            case Leave():
                self.leave(effect.service, lambda: None)
            case AskPeers():
                self._ask_peers(effect)

    def _send(self, effect: Send) -> None:
        message = effect.message
        if isinstance(message, Alive) and message.sender == self._node.config.device:
            statement = alive_statement(message.sender, message.incarnation)
            message = replace(message, signature=self.world.verifier.attest(statement))
        frame = self.world.codec.encode(message)
        targets = effect.to
        if len(frame) > MAX_UDP_ENVELOPE:
            targets = tuple(to for to in targets if to.binding is not Binding.UDP)
            self._counters["too large for a datagram"] += len(effect.to) - len(targets)
        self._counters["sent"] += len(targets)
        self._counters[f"sent {type(message).__name__}"] += len(targets)
        send = self.world.network.send
        for to in targets:
            send(frame, to)
        self._behind = max(self._behind, self.world.network.backlog(claimed_priority(frame)))

    def _wait(self, timer: Any, delay: float, postponed: int = 0) -> None:
        clock = self.world.clock
        due = clock.now().monotonic + delay

        def expired() -> None:
            late = clock.now().monotonic - due
            if late > _LATE and postponed < _POSTPONED and isinstance(timer, _RESENDS):
                # This process was busy for so long, and an answer that came meanwhile is still to be handled.
                self._wait(timer, late, postponed + 1)
            else:
                self._expired(timer)

        clock.call_later(delay, expired)

    def _expired(self, timer: Any) -> None:
        self.carry_out(self._node.timer(timer, self.world.clock.now()))

    def _invoke(self, effect: Invoke) -> None:
        operation = self._hosting.operation(effect.action)
        if operation is None:
            raise LocalError(f"the node invoked what is not hosted: {effect.action}")
        self._counters["delivered"] += 1

        def done(outcome: Outcome) -> None:
            value = outcome.body if isinstance(outcome, Reply) else outcome
            self.carry_out(self._node.invoked(effect.id, value, self.world.clock.now()))

        self._deliver(operation, effect.body, effect.originator, done)

    def _combine(self, effect: Combine) -> None:
        operation = self._hosting.operation(effect.action)

        def done(result: Combination | Fault) -> None:
            now = self.world.clock.now()
            if isinstance(result, Fault):
                self.carry_out(self._node.combined(effect.id, result, (), now))
            else:
                self.carry_out(self._node.combined(effect.id, result.value, result.refused, now, result.estimate))

        shape = operation.shape if operation is not None else None
        self.world.combiner.combine(effect.filter, shape, effect.inputs, effect.final, done, effect.gathering)

    def _enrol(self, effect: Enrol) -> None:
        directory = self.world.directory

        def done(frame: Frame | None) -> None:
            now = self.world.clock.now()
            try:
                if frame is None:
                    raise LocalError("no answer")
                lease, registrar = directory.registered(frame)
            except (RemoteError, LocalError):
                self._counters["enrolment failed"] += 1
                self.carry_out(self._node.enrol_failed(now))
                return
            self.carry_out(self._node.enrolled(lease, registrar, now))

        self.world.network.request(directory.register(effect.peer), effect.service, ENROL_TIMEOUT, done)

    def _ask_peers(self, effect: AskPeers) -> None:
        def done(peers: tuple[Peer, ...] | None) -> None:
            if peers is not None:
                self.carry_out(self._node.peers_told(peers, self.world.clock.now(), effect.relation))

        self.find(effect.service, effect.scopes, effect.limit, done, effect.types, effect.relation)

    def find(
        self,
        service: Address,
        scopes: tuple[str, ...],
        limit: int,
        found: Found,
        types: tuple[QName, ...] = (),
        relation: Relation | None = None,
    ) -> None:
        """Ask a Peer Service for peers that have all `types`, lie in `scopes` and stand to it in `relation`."""
        directory = self.world.directory

        def done(frame: Frame | None) -> None:
            try:
                peers = directory.peers(frame) if frame is not None else None
            except RemoteError:
                self._counters["peer service answered nonsense"] += 1
                peers = None
            found(peers)

        self.world.network.request(directory.ask(types, scopes, limit, relation), service, ENROL_TIMEOUT, done)
