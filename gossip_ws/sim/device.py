"""A device in the simulator: the real node and endpoint on a simulated clock and network."""

from __future__ import annotations

from random import Random
from typing import Final

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import Answer
from gossip_ws.core.messages import Tally
from gossip_ws.core.node import Node
from gossip_ws.core.peers import Peer
from gossip_ws.core.replies import Replies
from gossip_ws.endpoint.carrier import Hosting
from gossip_ws.endpoint.carrier import World as Given
from gossip_ws.endpoint.endpoint import Endpoint
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.filters.runner import BlockingRunner
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import Fault, LocalError, RemoteError
from gossip_ws.kernel.terms import Wanted
from gossip_ws.ports import Caller, Codec, Combiner, Frame, HostedService, Request, Respond, Response, Verifier
from gossip_ws.security.development import DevelopmentVerifier
from gossip_ws.sim.parcels import (
    ObjectCodec,
    ObjectDirectory,
    Parcel,
    PeersAsked,
    PeersTold,
    Registered,
    Registration,
    Unregistered,
)
from gossip_ws.sim.world import HostClock, HostNetwork, World

_ACCEPTED: Final = Response(202)
_OBJECTS: Final = ObjectCodec()
"""All devices share it: it holds nothing."""


class SimDevice:
    """One device, up from construction. Its address is `config.udp`."""

    __slots__ = ("_codec", "address", "config", "endpoint", "world")

    def __init__(
        self,
        world: World,
        config: NodeConfig,
        services: tuple[HostedService, ...],
        *,
        codec: Codec | None = None,
        verifier: Verifier | None = None,
        combiner: Combiner | None = None,
    ) -> None:
        if config.udp is None:
            raise LocalError("a simulated device needs a soap.udp address")
        self.world = world
        self.config = config
        self.address: Address = config.udp
        self._codec = codec or _OBJECTS
        # Its own dice: what one device does then does not depend on how often another one throws.
        dice = Random(world.dice.getrandbits(64))
        hosting = Hosting(services)
        given = Given(
            HostNetwork(world, self.address),
            self._codec,
            verifier or DevelopmentVerifier(),
            HostClock(world, self.address.host),
            combiner or FilterCombiner(BlockingRunner()),
            ObjectDirectory(),
        )
        self.endpoint = Endpoint(Node(config, dice, world.now(), hosting.by_action.keys()), hosting, given)
        world.attach(self.address.host, self.handle)
        self.endpoint.up()

    @property
    def peer(self) -> Peer:
        return self.endpoint.own

    def handle(self, request: Request, respond: Respond) -> None:
        """What the world calls: gossip by the codec, registration by parcels."""
        try:
            told = self._enrolment(request.frame, request.caller) if request.method else None
            if told is not None:
                respond(Response(200, Parcel.of(told)))
                return
            message = self._codec.decode(request.frame)
            if message is not None:
                self.endpoint.gossip(message, request.caller)
                respond(_ACCEPTED)
        except RemoteError as error:
            self.endpoint.counters[error.fault.subcode] += 1
            respond(Response(400))

    def _enrolment(self, frame: Frame, caller: Caller) -> Registered | PeersTold | None:
        match frame.content if isinstance(frame, Parcel) else None:
            case Registration(peer):
                return Registered(self.endpoint.register(peer, caller.source), self.peer)
            case Unregistered(device):
                self.endpoint.forget(device)
                return PeersTold(())
            case PeersAsked(types, scopes, limit, relation):
                table = self.endpoint.peers
                found = table.select(types, scopes, limit)
                return PeersTold(tuple(p for p in found if relation is None or table.relation_of(p) is relation))
            case _:
                return None

    def push(self, action: str, body: bytes, wanted: Wanted | None = None) -> None:
        """Originate a one-way message here."""
        operation = self.endpoint.hosting.operation(action)
        if operation is None:
            raise LocalError(f"not hosted: {action}")
        self.endpoint.start(operation, body, wanted or Wanted())

    def pull(
        self, action: str, body: bytes, wanted: Wanted | None = None
    ) -> list[tuple[bytes | Fault | Replies, Tally]]:
        """Originate a request here; the answer is appended to the returned list when it comes."""
        operation = self.endpoint.hosting.operation(action)
        if operation is None:
            raise LocalError(f"not hosted: {action}")
        answers: list[tuple[bytes | Fault | Replies, Tally]] = []

        def waiting(answer: Answer) -> None:
            answers.append((answer.value, answer.tally))

        self.endpoint.start(operation, body, wanted or Wanted(), waiting)
        return answers
