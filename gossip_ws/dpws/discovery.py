"""One device as WS-Discovery sees it, a target service: says Hello and Bye, answers Probe and Resolve.

A function of its inputs: no clock, no socket, no XML; chance and the instance id come from outside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from gossip_ws.dpws.config import DiscoveryConfig
from gossip_ws.dpws.duplicates import RecentIds
from gossip_ws.dpws.effects import Effect, Multicast, Unicast
from gossip_ws.dpws.matching import Criteria, Subject, criteria, rule_not_supported
from gossip_ws.dpws.messages import (
    MAX_SCOPES,
    MAX_TYPES,
    MAX_UINT32,
    MAX_XADDRS,
    AppSequence,
    Bye,
    Hello,
    Message,
    Probe,
    ProbeMatches,
    Request,
    Resolve,
    ResolveMatches,
    Target,
    fresh_id,
)
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.allowance import Allowance
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import LocalError, sender_fault
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import ANONYMOUS, DEVICE, DISCOVERY_PROXY, WSA, DeviceId, QName

MAX_DESCRIPTION = 2_400
"""Octets of id, types, scopes and addresses together: what leaves a datagram of MAX_UDP_ENVELOPE_SIZE (4,096)
room for the envelope around them."""


class State(Enum):
    """Where a target service stands."""

    OFF = "off"
    """Not started, or left: silent."""
    ANNOUNCING = "announcing"
    """Answers; a Hello is due: the first, or one for changed metadata."""
    JOINED = "joined"
    """Answers; the last Hello says all there is to say."""


@dataclass(frozen=True, slots=True)
class HelloDue:
    """Stale when the service was started again, or stopped, since."""

    device: DeviceId
    life: int


@dataclass(frozen=True, slots=True)
class MatchDue:
    """The answer to one multicast request; stale like HelloDue."""

    device: DeviceId
    life: int
    request: Request
    source: Address


@dataclass(frozen=True, slots=True)
class RefreshDue:
    """The proxy is told again; stale like HelloDue."""

    device: DeviceId
    life: int


Timer = HelloDue | MatchDue | RefreshDue


class TargetService:
    """One device. Methods return effects; only `directed` answers at once.

    `instance_id` must be greater than at any earlier start of the device (seconds since 1970 do);
    `target.metadata_version` is the one held before the restart, or one more when anything changed since.
    `proxy`: a discovery proxy that is told as well, and told again, what the group is told. Raises LocalError when the
    target has neither the type dpws:Device (R1020) nor that of a proxy, is too large for a datagram, or its scopes and
    addresses are no absolute URIs.
    """

    __slots__ = (
        "_answers",
        "_config",
        "_dice",
        "_instance_id",
        "_life",
        "_number",
        "_pending",
        "_proxy",
        "_recent",
        "_refreshing",
        "state",
        "subject",
        "target",
    )

    def __init__(
        self,
        target: Target,
        *,
        instance_id: int,
        dice: Dice,
        config: DiscoveryConfig | None = None,
        proxy: Address | None = None,
    ) -> None:
        if not 0 <= instance_id <= MAX_UINT32:
            raise LocalError(f"an instance id is an unsigned 32-bit integer, not {instance_id}")
        check(target)
        self.target = target
        self.subject = Subject.of(target)
        self.state = State.OFF
        self._config = config or DiscoveryConfig()
        self._answers = Allowance(self._config.answers, self._config.answers)
        self._dice = dice
        self._instance_id = instance_id
        self._life = 0
        self._number = 0
        self._pending = 0
        self._proxy = proxy
        self._recent = RecentIds(self._config.remembered)
        self._refreshing = False

    @property
    def device(self) -> DeviceId:
        return self.target.device

    def start(self) -> list[Effect]:
        """Join: answer from now on, and say Hello after a random delay. Raises LocalError when started."""
        if self.state is not State.OFF:
            raise LocalError(f"already started: {self.device}")
        return self._become_announcing()

    def stop(self) -> list[Effect]:
        """Leave: Bye at once, and nothing after it; nothing at all when not started."""
        if self.state is State.OFF:
            return []
        self._become_off()
        version = self.target.metadata_version
        effects: list[Effect] = [
            Multicast(Bye(self.device, self._next(), fresh_id(self._dice), version, generation=generation))
            for generation in self._config.announce
        ]
        if self._proxy is not None:
            bye = Bye(self.device, self._next(), fresh_id(self._dice), version, str(self._proxy))
            effects.append(Unicast(bye, self._proxy))
        return effects

    def metadata_changed(
        self,
        *,
        types: tuple[QName, ...] | None = None,
        scopes: tuple[str, ...] | None = None,
        xaddrs: tuple[str, ...] | None = None,
    ) -> list[Effect]:
        """What is given replaces what was held. MetadataVersion goes up by one, unless all that is given was held
        already; given nothing, it does, since a model name or a hosted service may be what changed. A Hello follows,
        one for all changes made before it is due. Raises LocalError, nothing changed, as the constructor does."""
        held = self.target
        target = replace(
            held,
            types=held.types if types is None else types,
            scopes=held.scopes if scopes is None else scopes,
            xaddrs=held.xaddrs if xaddrs is None else xaddrs,
        )
        if target == held and (types, scopes, xaddrs) != (None, None, None):
            return []
        target = replace(target, metadata_version=held.metadata_version + 1)
        check(target)
        self.target = target
        self.subject = Subject.of(target)
        return self._become_announcing() if self.state is State.JOINED else []

    def receive(self, message: Message, source: Address, now: Instant) -> list[Effect]:
        """A multicast message. What asks for another device, or does not match, is met with silence."""
        if not self._recent.first_time(message.message_id):
            return [Dropped("duplicate")]
        if not isinstance(message, Probe | Resolve):
            return [Dropped("not for a target service")]
        if isinstance(message, Probe):
            wanted = criteria(message)
            if wanted is None:
                return [Dropped("matching rule not supported")]
            if not wanted.met_by(self.subject):
                return [Dropped("no match")]
        elif message.device != self.device:
            return [Dropped("no match")]
        return self.answer(message, source, now)

    def answer(self, request: Request, source: Address, now: Instant) -> list[Effect]:
        """A multicast request that is new and known to match: `receive` and the hub found so."""
        if self.state is State.OFF:
            return [Dropped("not started")]
        if request.reply_to not in ("", ANONYMOUS):
            # R1018 allows it; answering an address from an unsigned header would aim us at anybody.
            return [Dropped("reply address not anonymous")]
        if self._pending >= self._config.pending:
            return [Dropped("too many answers waiting")]
        self._pending += 1
        delay = self._dice.uniform(0.0, self._config.app_max_delay)
        return [SetTimer(MatchDue(self.device, self._life, request, source), delay)]

    def timer(self, timer: Timer, now: Instant) -> list[Effect]:
        """One of our own timers came back."""
        if timer.life != self._life or timer.device != self.device:
            return [Dropped("stale timer")]
        match timer:
            case HelloDue():
                first, self.state = not self._refreshing, State.JOINED
                effects: list[Effect] = [
                    Multicast(Hello(self.target, self._next(), fresh_id(self._dice), generation=generation))
                    for generation in self._config.announce
                ]
                return effects + self._tell_proxy(again=first)
            case RefreshDue():
                return self._tell_proxy(again=True)
            case MatchDue():
                self._pending -= 1
                return [Unicast(self._match(timer.request, matched=True), timer.source)]

    def directed(self, request: Request, now: Instant) -> ProbeMatches | ResolveMatches:
        """A request sent to this device alone, over HTTP or by unicast: answered at once, and when nothing matches
        with no match (R1021, R1022). Raises RemoteError for an unknown matching rule or a reply address that
        is not anonymous."""
        wanted = judged(request)
        matched = request.device == self.device if isinstance(request, Resolve) else wanted.met_by(self.subject)
        return self._match(request, matched=matched)

    def asked(self, request: Request, source: Address, now: Instant) -> list[Effect]:
        """`directed` by a datagram to this device alone: one answer for all its copies, and so many a second. Raises
        RemoteError as `directed` does."""
        dropped = self.not_answered(request, now)
        return [dropped] if dropped is not None else [Unicast(self.directed(request, now), source)]

    def not_answered(self, request: Request, now: Instant) -> Dropped | None:
        """Why a request by a datagram is not answered: there were too many, or it is a copy. None is counted as one
        answer."""
        if self._answers.is_spent(now.monotonic):
            return Dropped("too many requests by datagram")
        if not self._recent.first_time(request.message_id):
            return Dropped("duplicate")
        self._answers.spend()
        return None

    def hello_to(self, request: Request) -> Hello:
        """What a discovery proxy says to who asked the group: ask me (WS-Discovery 1.1 section 2.2.2)."""
        app, message_id = self._next(), fresh_id(self._dice)
        return Hello(self.target, app, message_id, ANONYMOUS, request.message_id, request.generation)

    def _become_announcing(self) -> list[Effect]:
        if self.state is State.OFF:
            self._life += 1
            self._refreshing = False
            self._pending = 0
        self.state = State.ANNOUNCING
        delay = self._dice.uniform(0.0, self._config.app_max_delay)
        return [SetTimer(HelloDue(self.device, self._life), delay)]

    def _tell_proxy(self, *, again: bool) -> list[Effect]:
        """Hello to the proxy alone, and `again` after a while."""
        if self._proxy is None:
            return []
        hello = Hello(self.target, self._next(), fresh_id(self._dice), str(self._proxy))
        effects: list[Effect] = [Unicast(hello, self._proxy)]
        if again:
            self._refreshing = True
            delay = self._config.refresh * self._dice.uniform(0.9, 1.1)
            effects.append(SetTimer(RefreshDue(self.device, self._life), delay))
        return effects

    def _become_off(self) -> None:
        self.state = State.OFF
        self._life += 1

    def _next(self) -> AppSequence:
        self._number += 1
        return AppSequence(self._instance_id, self._number)

    def _match(self, request: Request, *, matched: bool) -> ProbeMatches | ResolveMatches:
        return self.reply(request, (self.target,) if matched else ())

    def reply(self, request: Request, found: tuple[Target, ...]) -> ProbeMatches | ResolveMatches:
        """The answer that names `found`, as this service's next message; of a Resolve, the first."""
        app, message_id = self._next(), fresh_id(self._dice)
        if isinstance(request, Resolve):
            own = found[0] if found else None
            return ResolveMatches(own, app, message_id, request.message_id, generation=request.generation)
        return ProbeMatches(found, app, message_id, request.message_id, generation=request.generation)


def judged(request: Request) -> Criteria:
    """What a directed request asks for: nothing in particular for a Resolve. Raises RemoteError for an unknown
    matching rule or a reply address that is not anonymous."""
    if request.reply_to not in ("", ANONYMOUS):
        reason = f"only the anonymous reply address is supported, not {request.reply_to}"
        raise sender_fault("InvalidAddressingHeader", reason, namespace=WSA)
    if isinstance(request, Resolve):
        return Criteria(frozenset())
    wanted = criteria(request)
    if wanted is None:
        raise rule_not_supported(request)
    return wanted


def check(target: Target) -> None:
    """Raises LocalError when a device must not describe itself so."""
    if DEVICE not in target.types and DISCOVERY_PROXY not in target.types:
        raise LocalError(f"a DPWS device has the type {DEVICE} (R1020): {target.device}")
    if not 0 <= target.metadata_version <= MAX_UINT32:
        raise LocalError(f"a metadata version is an unsigned 32-bit integer, not {target.metadata_version}")
    if len(target.types) > MAX_TYPES or len(target.scopes) > MAX_SCOPES or len(target.xaddrs) > MAX_XADDRS:
        raise LocalError(f"at most {MAX_TYPES} types, {MAX_SCOPES} scopes and {MAX_XADDRS} addresses: {target.device}")
    for uri in (target.device, *target.scopes, *target.xaddrs):
        if ":" not in uri or any(character.isspace() for character in uri):
            raise LocalError(f"not an absolute URI: {uri!r}")
    if octets(target) > MAX_DESCRIPTION:
        said = f"{octets(target)} octets of types, scopes and addresses"
        raise LocalError(f"{said}, at most {MAX_DESCRIPTION} fit a datagram")


def octets(target: Target) -> int:
    """What its id, types, scopes and addresses take up in a message."""
    texts = (target.device, *target.types, *target.scopes, *target.xaddrs)
    # An ampersand is five octets in XML.
    return sum(len(text.encode()) + 4 * text.count("&") + 1 for text in texts)
