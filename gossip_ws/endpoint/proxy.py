"""Carries a discovery proxy's effects out, and hands it what comes in: the group's messages, datagrams, HTTP.

Its one path is `/proxy`. It is no DPWS device: it has no metadata and no services.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from gossip_ws.dpws.effects import Check, Effect, Found, Lost, Multicast, ProbeEnded, Unicast
from gossip_ws.dpws.messages import Message, Probe, Resolve
from gossip_ws.dpws.proxy import DiscoveryProxy
from gossip_ws.endpoint.courier import TIMEOUT, repeated
from gossip_ws.endpoint.faults import fault_response, in_kind
from gossip_ws.endpoint.told import suited
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.counts import Counts
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import Fault, RemoteError
from gossip_ws.kernel.homes import Home
from gossip_ws.kernel.names import ANONYMOUS
from gossip_ws.ports import Clock, Frame, Network, Request, Respond, Response
from gossip_ws.wire.discovery import decode, encode
from gossip_ws.wire.envelope import MAX_UDP_ENVELOPE, message_id
from gossip_ws.wire.generation import GROUPS
from gossip_ws.wire.soap import (
    ADDRESSING_HEADERS,
    action_not_supported,
    destination_unreachable,
    message_id_of,
    read_understood,
)

PROXY_PATH: Final = "/proxy"


class ProxyServer:
    """One discovery proxy on a Network. `receive` is what a multicast listener calls, `handle` what the other
    listeners call. `homes` says at any time where it is at home; of one that has a single address it need not."""

    def __init__(
        self,
        proxy: DiscoveryProxy,
        network: Network,
        clock: Clock,
        dice: Dice,
        homes: Callable[[], Sequence[Home]] = tuple,
    ) -> None:
        self.proxy = proxy
        self.counters = Counts()
        self._network = network
        self._clock = clock
        self._dice = dice
        self._homes = homes

    def start(self) -> None:
        """Say Hello, and ask who is there."""
        self._carry_out(self.proxy.start(self._clock.now()))

    def stop(self) -> None:
        """Say Bye."""
        self._carry_out(self.proxy.stop())

    def moved(self, xaddrs: tuple[str, ...]) -> None:
        """The proxy is asked at these addresses from now on: a Hello says so, and who is there is asked again."""
        self._carry_out(self.proxy.moved(xaddrs, self._clock.now()))

    def receive(self, frame: Frame, source: Address) -> None:
        """A datagram to the group; junk is counted and dropped."""
        message = self._read_datagram(frame)
        if message is not None:
            self._carry_out(self.proxy.receive(message, source, self._clock.now()))

    def handle(self, request: Request, respond: Respond) -> None:
        """Never raises for what came from outside."""
        if not request.method:
            self._datagram(request)
        elif request.path != PROXY_PATH:
            respond(Response(404))
        elif request.method != "POST":
            respond(Response(405))
        else:
            self._post(request, respond)

    def _read_datagram(self, frame: Frame) -> Message | None:
        try:
            message = decode(frame, MAX_UDP_ENVELOPE)
        except RemoteError as error:
            self._count(error.fault)
            return None
        if message is None:
            self.counters["not discovery"] += 1
        return message

    def _datagram(self, request: Request) -> None:
        message, source, now = self._read_datagram(request.frame), request.caller.source, self._clock.now()
        if message is None:
            return
        if not isinstance(message, Probe | Resolve):
            self._carry_out(self.proxy.hear(message, source, now))
            return
        try:
            answer = self.proxy.asked(message, source, now)
        except RemoteError as error:
            # A datagram's source proves nothing: no fault goes there.
            self._count(error.fault)
            return
        self._carry_out(answer)

    def _post(self, request: Request, respond: Respond) -> None:
        relates_to = ""
        try:
            envelope = read_understood(request.frame, ADDRESSING_HEADERS)
            relates_to = envelope.addressing.message_id
            respond = in_kind(envelope.addressing, respond)
            to = envelope.addressing.to
            here = to in ("", ANONYMOUS, self.proxy.service.device) or to in GROUPS
            if not here and not to.partition("?")[0].endswith(PROXY_PATH):
                raise destination_unreachable(to)
            message = decode(envelope)
            if message is None:
                action = envelope.addressing.action
                raise action_not_supported(action, f"a discovery proxy does not know {action}")
            if isinstance(message, Probe | Resolve):
                answer, caller = self.proxy.answer(message, self._clock.now()), request.caller
                respond(Response(200, encode(self._suited(answer, caller.source.host, caller.local))))
                return
            self._carry_out(self.proxy.hear(message, request.caller.source, self._clock.now()))
            respond(Response(202))
        except RemoteError as error:
            self._count(error.fault)
            respond(fault_response(error.fault, relates_to or message_id_of(request.frame)))

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Multicast(message=message):
                    frame = encode(message)
                    repeated(lambda frame=frame: self._network.multicast(frame), self._clock, self._dice)  # type: ignore[misc]
                case Unicast(message=message, to=to):
                    self._unicast(message, to)
                case Check():
                    self._check(effect)
                case SetTimer(timer=timer, delay=delay):
                    self._clock.call_later(delay, lambda timer=timer: self._expired(timer))  # type: ignore[misc]
                case Found():
                    self.counters["found"] += 1
                case Lost():
                    self.counters["lost"] += 1
                case ProbeEnded():
                    self.counters["probes ended"] += 1
                case Dropped(reason=reason):
                    self.counters[reason] += 1

    def _unicast(self, message: Message, to: Address) -> None:
        frame = encode(self._suited(message, to.host))
        if len(frame) > MAX_UDP_ENVELOPE:
            self.counters["reply too large for a datagram"] += 1
        else:
            repeated(lambda: self._network.send(frame, to), self._clock, self._dice)

    def _suited(self, message: Message, asker: str, local: str = "") -> Message:
        return suited(message, self.proxy.service.device, self._homes(), asker, local, PROXY_PATH)

    def _expired(self, timer: Any) -> None:
        self._carry_out(self.proxy.timer(timer, self._clock.now()))

    def _check(self, check: Check) -> None:
        """Any answer says that somebody is there: who speaks no directed Probe answers with a fault."""
        probe = encode(Probe(message_id(), to=check.device))

        def done(reply: Frame | None) -> None:
            self._carry_out(self.proxy.checked(check.device, reply is not None, self._clock.now()))

        self._network.request(probe, check.address, TIMEOUT, done)

    def _count(self, fault: Fault) -> None:
        self.counters[fault.subcode.rpartition("}")[2]] += 1
