"""Carries the effects of WS-Discovery out for one device, and finds the Peer Service it belongs to. Who asks is told
the device's addresses in the order that suits the asker.

Multicast is heard once a process, by `Listener`, and shared by all devices behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from gossip_ws.dpws.discovery import HelloDue, MatchDue, RefreshDue, TargetService
from gossip_ws.dpws.effects import Effect, For, Found, Lost, Multicast, ProbeEnded, Unicast
from gossip_ws.dpws.hub import DiscoveryHub
from gossip_ws.dpws.messages import Message, Probe, Resolve, Target
from gossip_ws.dpws.seeker import ProxySilent, Seeker
from gossip_ws.endpoint.courier import by_http, repeated
from gossip_ws.endpoint.told import suited
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.counts import Counts
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.kernel.homes import Home, nearest
from gossip_ws.kernel.names import PEERS, DeviceId, QName, qname
from gossip_ws.ports import Clock, Frame, Network
from gossip_ws.wire.discovery import decode, encode
from gossip_ws.wire.envelope import MAX_UDP_ENVELOPE, parse
from gossip_ws.wire.metadata import get_request, read_get_response

PEER_PORT_TYPE: Final = qname(PEERS, "Peers")
_GET_TIMEOUT = 5.0
_PROBE_AGAIN = 4.0
"""Seconds to the second Probe when no parent was found; longer than APP_MAX_DELAY. Each next wait is twice the last."""
_LONGEST_WAIT = 60.0
_ASKED = 64
"""Possible parents of which it is remembered where they were asked; the one asked first makes room."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What kind of device this one belongs to: whose Peer Service it enrols with."""

    types: tuple[QName, ...]
    scopes: tuple[str, ...]


class Discovery:
    """One device's part in WS-Discovery. `enrol` is told the address of a Peer Service that was found, `is_enrolled`
    says whether one has the device now. `homes` says at any time where the device is at home; of one that has a single
    address it need not."""

    def __init__(
        self,
        target: TargetService,
        network: Network,
        clock: Clock,
        dice: Dice,
        *,
        parent: Wish | None = None,
        enrol: Callable[[Address], None] | None = None,
        is_enrolled: Callable[[], bool] = lambda: True,
        homes: Callable[[], Sequence[Home]] = tuple,
        proxy: Address | None = None,
    ) -> None:
        self.target = target
        self.counters = Counts()
        self.seeker: Seeker | None = None
        if parent is not None:
            self.seeker = Seeker(dice=dice, own=target.device, types=parent.types, scopes=parent.scopes, proxy=proxy)
        self._network = network
        self._clock = clock
        self._dice = dice
        self._parent = parent
        self._enrol = enrol
        self._is_enrolled = is_enrolled
        self._homes = homes
        self._turn = 0
        # When the next Probe for a parent is due (monotonic s).
        self._due = inf
        self._asked: dict[DeviceId, Address] = {}
        self._running = False

    def start(self) -> None:
        """Announce the device, and look for its parent."""
        self._running = True
        self.carry_out(self.target.start())
        self._probe()
        if self._parent is not None:
            self._look_again_in()

    def stop(self) -> None:
        """Say Bye."""
        self._running = False
        self.carry_out(self.target.stop())

    def moved(self, xaddrs: tuple[str, ...]) -> None:
        """The device is reached at these addresses from now on: a Hello says so, and who has no parent yet looks for
        it there. Probes are not sorted by addresses, so a hub need not know."""
        self.carry_out(self.target.metadata_changed(xaddrs=xaddrs))
        self._probe()

    def unicast(self, message: Message, source: Address, local: str = "") -> bytes:
        """A discovery message that came to this device alone; the reply envelope for a request over HTTP, else empty:
        what answers a datagram is repeated, as any datagram is.

        `local` is the host that it was sent to. Raises RemoteError for an unknown matching rule.
        """
        now = self._clock.now()
        if isinstance(message, Probe | Resolve):
            if source.binding is not Binding.UDP:
                return encode(self._suited(self.target.directed(message, now), source.host, local))
            self.carry_out(self.target.asked(message, source, now))
            return b""
        if self.seeker is not None:
            self.carry_out(self.seeker.receive(message, source, now))
        return b""

    def carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Multicast():
                    frame = encode(effect.message)
                    self._repeated(lambda frame=frame: self._network.multicast(frame))  # type: ignore[misc]
                case Unicast(message=message, to=to) if to.binding is Binding.HTTP:
                    self._ask(message, to)
                case Unicast(to=to):
                    frame = encode(self._suited(effect.message, to.host))
                    self._repeated(lambda frame=frame, to=to: self._network.send(frame, to))  # type: ignore[misc]
                case SetTimer():
                    self._clock.call_later(effect.delay, lambda timer=effect.timer: self._expired(timer))  # type: ignore[misc]
                case Found(target=found):
                    self._found(found)
                case ProbeEnded():
                    self.counters["probes ended"] += 1
                case Lost(device=device):
                    self._asked.pop(device, None)
                case Dropped():
                    self.counters[effect.reason] += 1

    def _suited(self, message: Message, asker: str, local: str = "") -> Message:
        return suited(message, self.target.device, self._homes(), asker, local)

    def _expired(self, timer: Any) -> None:
        now = self._clock.now()
        if isinstance(timer, HelloDue | MatchDue | RefreshDue):
            self.carry_out(self.target.timer(timer, now))
        elif self.seeker is not None:
            self.carry_out(self.seeker.timer(timer, now))

    def _repeated(self, send: Callable[[], None]) -> None:
        repeated(send, self._clock, self._dice)

    def _ask(self, message: Message, to: Address) -> None:
        def answered(found: Message | None) -> None:
            if found is None:
                # Nobody is there: no need to wait for DP_MAX_TIMEOUT.
                self._expired(ProxySilent(message.message_id))
            elif self.seeker is not None:
                self.carry_out(self.seeker.receive(found, to, self._clock.now()))

        by_http(self._network, message, to, answered, self.counters)

    def _probe(self, wait: float = _PROBE_AGAIN) -> None:
        """Ask for a parent, again and again until one was found. What was to ask again before does so no more."""
        self._turn += 1
        self._due = inf
        if self._running and self.seeker is not None and self._parent is not None and not self._asked:
            now = self._clock.now()
            try:
                self.carry_out(self.seeker.probe(now, types=self._parent.types, scopes=self._parent.scopes))
            except LocalError:
                # Addresses that come and go within seconds: what is asked already is as good.
                self.counters["too many Probes open"] += 1
            self._probe_in(wait, min(2 * wait, _LONGEST_WAIT))

    def _probe_in(self, wait: float, then: float) -> None:
        """Ask for a parent in `wait` seconds or half as long again, unless that is due sooner, and `then` the next."""
        delay = wait * self._dice.uniform(1.0, 1.5)
        due = self._clock.now().monotonic + delay
        if due < self._due:
            self._turn, self._due = self._turn + 1, due
            turn = self._turn
            self._clock.call_later(delay, lambda: self._probe(then) if turn == self._turn else None)

    def _look_again_in(self) -> None:
        self._clock.call_later(_LONGEST_WAIT * self._dice.uniform(1.0, 1.5), self._look_again)

    def _look_again(self) -> None:
        """A parent that was found and does not have this device, or no more, is looked for as if it had never been: it
        may be elsewhere, or another one in its place, and their Hello lost."""
        if not self._running:
            return
        if self._asked and not self._is_enrolled():
            self._asked.clear()
            self._probe()
        self._look_again_in()

    def _found(self, target: Target) -> None:
        """Ask a possible parent where its Peer Service is (WS-Transfer Get): once, and again when it is there no
        more."""
        if self._enrol is None or self._asked.get(target.device) in target.http:
            return
        address = nearest(self._homes(), target.http)
        if address is None:
            return
        self._asked.pop(target.device, None)
        while len(self._asked) >= _ASKED:
            del self._asked[next(iter(self._asked))]
        self._asked[target.device] = address
        frame = get_request(target.device)

        def done(reply: Frame | None) -> None:
            service = _peer_service(reply)
            if service is None:
                # Not up yet, or no parent after all: what else answers, or this one later, may be. Not at once: whoever
                # answers Probes and nothing else would be asked without end, and two of them twice as often each time.
                self.counters["no Peer Service found"] += 1
                if self._asked.get(target.device) == address:
                    del self._asked[target.device]
                self._probe_in(_PROBE_AGAIN, _PROBE_AGAIN)
            elif self._enrol is not None:
                self._enrol(service)

        self._network.request(frame, address, _GET_TIMEOUT, done)


class Listener:
    """What a process's multicast listener calls: each message is parsed once, for all devices behind it."""

    def __init__(self, clock: Clock) -> None:
        self.hub = DiscoveryHub()
        self.counters = Counts()
        self._clock = clock
        self._members: dict[DeviceId, Discovery] = {}

    @property
    def members(self) -> Mapping[DeviceId, Discovery]:
        return self._members

    def add(self, member: Discovery) -> None:
        device = member.target.device
        self.hub.add(member.target)
        if member.seeker is not None:
            self.hub.follow(device, member.seeker)
        self._members[device] = member

    def remove(self, device: DeviceId) -> None:
        self.hub.remove(device)
        self._members.pop(device, None)

    def receive(self, frame: Frame, source: Address) -> None:
        """Junk is counted and dropped."""
        try:
            message = decode(frame, MAX_UDP_ENVELOPE)
        except RemoteError as error:
            self.counters[error.fault.subcode.rpartition("}")[2]] += 1
            return
        if message is None:
            self.counters["not discovery"] += 1
            return
        for effect in self.hub.receive(message, source, self._clock.now()):
            if isinstance(effect, For):
                self._members[effect.owner].carry_out((effect.effect,))
            else:
                self.counters[effect.reason] += 1


def _peer_service(reply: Frame | None) -> Address | None:
    """Where the device that answered a Get has its Peer Service."""
    if reply is None:
        return None
    try:
        relationship = read_get_response(parse(reply).payload).relationship
        for hosted in relationship.hosted if relationship is not None else ():
            if PEER_PORT_TYPE in hosted.types:
                return Address.parse(hosted.addresses[0])
    except (RemoteError, LocalError):
        pass
    return None
