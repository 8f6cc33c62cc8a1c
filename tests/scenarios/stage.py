"""A stage for a few named nodes: virtual time, a network that does as it is told, and a transcript of it all.

The nodes are the real ones; everything around them is here in its simplest form. Each message takes `LATENCY`. A
line of the transcript is a message as it is sent, a timer that led to something, what a node did, or what befell it.
Who is in whose view, and who looks after whom, goes on unwritten: it would drown the rest.
A name is a role and a number, as in `tests.core.builders`: is0, ssc1, sm1, ied1.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from gossip_ws.core.account import device_digest
from gossip_ws.core.effects import (
    Answer,
    AskAgain,
    AskPeers,
    ChallengeAgain,
    Combine,
    Deadline,
    Effect,
    Enrol,
    EnrolAgain,
    FetchAgain,
    Invoke,
    KeepViews,
    LookAgain,
    PullNews,
    ReplyAgain,
    ServeAgain,
    Timer,
)
from gossip_ws.core.messages import (
    Ack,
    Advert,
    Content,
    Digest,
    Fetch,
    Gossip,
    MembershipMessage,
    Message,
    Partial,
    Ping,
    Prune,
    Receipt,
    Tally,
)
from gossip_ws.core.node import Node
from gossip_ws.core.peers import Peer
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.errors import Fault, RemoteError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.terms import Budget, Style, Tier
from tests.core.builders import NOW, address, content, device, node, peer

LATENCY = 0.01
"""Seconds that each message takes."""
FOREVER = 1e6
BUDGETS = Budget(Tier.WAN, 2, 2), Budget(Tier.FAN, 2, 1), Budget(Tier.HAN, 0, 0)
"""Two peers a relay, few rounds."""
NAMES = [f"{role}{number}" for role in ("is", "ssc", "sm", "ied") for number in range(10)]
BY_DEVICE = {device(name): name for name in NAMES}
BY_ADDRESS = {address(name): name for name in NAMES}
BY_COVER = {device_digest(device(name)): name for name in NAMES}
REASONS = {
    "duplicate": "a duplicate",
    "superseded": "superseded: neither delivered nor passed on",
    "older than this boot": "was issued before it started: it may have answered then",
}
_TIMERS: dict[type, str] = {
    ServeAgain: "no receipt yet",
    AskAgain: "no answer yet",
    ReplyAgain: "its partial has no receipt yet",
    Deadline: "its time is up",
    FetchAgain: "what was advertised has not come",
    PullNews: "asks for news",
    ChallengeAgain: "the challenge was not met yet",
    EnrolAgain: "registers again",
}


@dataclass
class Trouble:
    """What the network does to the next message of a kind from one node to another."""

    sender: str
    receiver: str
    kind: type
    what: str
    delay: float = 0.0


class Stage:
    """One story. `told` is its transcript so far."""

    def __init__(self, **settings: Any) -> None:
        self.told: list[str] = []
        self.time = 0.0
        self.nodes: dict[str, Node] = {}
        self.values: dict[str, int] = {}
        self._settings = {"pull_period": FOREVER, **settings}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._names: dict[bytes, str] = {}
        self._faults: list[Trouble] = []
        self._island: frozenset[str] = frozenset()
        self._boots: dict[str, int] = {}
        self._challengers: set[str] = set()
        self._nonces: set[bytes] = set()

    # -- who is there --------------------------------------------------------------------------

    def add(self, name: str, *known: str | Peer, value: int = 0, elders: Iterable[str] = (), **settings: Any) -> None:
        """A node that knows others already. Its service answers a request with `value`."""
        peers = [peer(one) if isinstance(one, str) else one for one in known]
        self.values[name] = value
        self._boots[name] = self._boots.get(name, 0) + 1
        config = {**self._settings, **settings, "incarnation": self._boots[name]}
        made = node(name, *peers, booted=self.now(), **config)
        for elder in elders:
            made.peers.put_elder(peer(elder))
        self.nodes[name] = made

    def up(self, name: str) -> None:
        """It starts: enrols if it has a seed, and asks for news from time to time."""
        self._do(name, self.nodes[name].start(self.now()))

    def crash(self, name: str) -> None:
        self.say(name, "crashes")
        del self.nodes[name]

    # -- what the network does -----------------------------------------------------------------

    def lose(self, sender: str, receiver: str, kind: type) -> None:
        self._faults.append(Trouble(sender, receiver, kind, "lost"))

    def double(self, sender: str, receiver: str, kind: type) -> None:
        self._faults.append(Trouble(sender, receiver, kind, "comes twice"))

    def delay(self, sender: str, receiver: str, kind: type, seconds: float) -> None:
        self._faults.append(Trouble(sender, receiver, kind, f"takes {seconds:g} s", seconds))

    def cut(self, *island: str) -> None:
        """Nothing passes between these and the others."""
        self._island = frozenset(island)
        self._note(f"{', '.join(island)} cut off from the others")

    def heal(self) -> None:
        self._island = frozenset()
        self._note("healed")

    # -- what happens --------------------------------------------------------------------------

    def start(self, name: str, text: str, **terms: Any) -> Content:
        """A one-way message enters here."""
        what = self._content(text, Style.ONE_WAY, terms)
        self.say(name, f'starts "{text}", {what.terms.variant.value}')
        self._originate(name, what)
        return what

    def ask(self, name: str, text: str, **terms: Any) -> Content:
        """A request for a sum enters here."""
        what = self._content(text, Style.REQUEST_RESPONSE, terms)
        self.say(name, f'asks for "{text}", within {what.terms.timeout:g} s')
        self._originate(name, what)
        return what

    def at(self, time: float, act: Callable[[], Any]) -> None:
        """Something that befalls them at `time` (s)."""
        self._push(time - self.time, act)

    def run(self, until: float) -> None:
        while self._due and self._due[0][0] <= until:
            self.time, _, act = heapq.heappop(self._due)
            act()
        self.time = until

    def now(self) -> Instant:
        return Instant(NOW.monotonic + self.time, NOW.wall + self.time)

    # -- carrying effects out ------------------------------------------------------------------

    def _originate(self, name: str, what: Content) -> None:
        try:
            self._do(name, self.nodes[name].originate(what, self.now()))
        except RemoteError as error:
            self.say(name, f"refuses it: {error.fault.reason}")

    def _do(self, name: str, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._send(name, effect)
                case SetTimer():
                    self._set(name, effect)
                case Dropped():
                    self.say(name, f"drops it: {REASONS.get(effect.reason, effect.reason)}")
                case Invoke():
                    self._invoke(name, effect)
                case Combine():
                    total = sum(int(one.value) for one in effect.inputs)
                    done = self.nodes[name].combined(effect.id, str(total).encode(), (), self.now())
                    self._do(name, done)
                case Answer():
                    answer = effect.value.reason if isinstance(effect.value, Fault) else effect.value.decode()
                    self.say(name, f"ANSWERS {answer}: {_tally(effect.tally)}")
                case Enrol():
                    self._enrol(name, effect)
                case AskPeers():
                    self._ask_peers(name, effect)

    def _send(self, name: str, effect: Send) -> None:
        targets = [BY_ADDRESS[to] for to in effect.to]
        told = not isinstance(effect.message, MembershipMessage | Ping | Ack) or self._is_challenge(
            name, effect.message
        )
        if told:
            self._line(f"{name} -> {', '.join(targets)}: {self._written(effect.message)}")
        for target in targets:
            fault = self._fault(name, target, effect.message)
            if (name in self._island) != (target in self._island) or (fault is not None and fault.what == "lost"):
                if told:
                    self._note(f"lost on the way to {target}")
                continue
            if fault is not None:
                self._note(f"to {target} it {fault.what}")
            for _ in range(2 if fault is not None and fault.what == "comes twice" else 1):
                self._push(
                    fault.delay if fault is not None and fault.delay else LATENCY,
                    self._arrival(target, effect.message, address(name)),
                )

    def _is_challenge(self, name: str, message: Message) -> bool:
        """Of a Peer Service to a newcomer, and not of one that looks whether somebody is alive; or its answer."""
        if isinstance(message, Ping):
            self._nonces |= {message.nonce} if name in self._challengers else set()
        return isinstance(message, Ping | Ack) and message.nonce in self._nonces

    def _arrival(self, target: str, message: Message, source: Address) -> Callable[[], None]:
        def arrive() -> None:
            if target in self.nodes:
                self._do(target, self.nodes[target].receive(message, source, self.now()))

        return arrive

    def _fault(self, sender: str, receiver: str, message: Message) -> Trouble | None:
        for fault in self._faults:
            if (fault.sender, fault.receiver) == (sender, receiver) and isinstance(message, fault.kind):
                self._faults.remove(fault)
                return fault
        return None

    def _set(self, name: str, effect: SetTimer) -> None:
        timer, boot = effect.timer, self._boots[name]

        def expire() -> None:
            if name not in self.nodes or self._boots[name] != boot:
                return
            effects = self.nodes[name].timer(timer, self.now())
            told = not isinstance(timer, KeepViews | LookAgain)
            if told and any(not isinstance(one, SetTimer) for one in effects):
                self.say(name, f"timer: {self._timer(timer)}")
            self._do(name, effects)

        self._push(effect.delay, expire)

    def _invoke(self, name: str, effect: Invoke) -> None:
        text = effect.body.decode()
        if effect.id in self.nodes[name]._requests:
            self.say(name, f"reads its own value, {self.values[name]}")
            outcome = str(self.values[name]).encode()
        else:
            self.say(name, f'delivers "{text}"')
            outcome = b""
        self._do(name, self.nodes[name].invoked(effect.id, outcome, self.now()))

    def _enrol(self, name: str, effect: Enrol) -> None:
        service = BY_ADDRESS[effect.service]
        self._line(f"{name} -> {service}: registers")

        def register() -> None:
            if service not in self.nodes:
                return
            self._challengers.add(service)
            lease, effects = self.nodes[service].register(effect.peer, self.now(), address(name))
            self._line(f"{service} -> {name}: taken in for {lease:g} s")
            registrar = self.nodes[service].self_peer
            self._push(LATENCY, lambda: self._do(name, self.nodes[name].enrolled(lease, registrar, self.now())))
            self._do(service, effects)

        self._push(LATENCY, register)

    def _ask_peers(self, name: str, effect: AskPeers) -> None:
        service = BY_ADDRESS[effect.service]

        def told() -> None:
            table = self.nodes[service].peers
            found = tuple(
                one
                for one in table.select(effect.types, effect.scopes, effect.limit)
                if effect.relation is None or table.relation_of(one) is effect.relation
            )
            self._push(LATENCY, lambda: self._do(name, self.nodes[name].peers_told(found, self.now(), effect.relation)))

        self._line(f"{name} -> {service}: who {'else' if effect.relation is None else 'above you'} is there?")
        self._push(LATENCY, told)

    # -- writing it down -----------------------------------------------------------------------

    def _content(self, text: str, style: Style, terms: dict[str, Any]) -> Content:
        issued = self.now().wall
        fixed = {"budgets": BUDGETS, "issued": issued, "expires": issued + 600, **terms}
        made = content(text, style, **fixed)
        self._names[made.id] = self._names[made.id[:8]] = text
        return made

    def _written(self, message: Message) -> str:
        match message:
            case Gossip(what, hop) if what.terms.style is Style.REQUEST_RESPONSE:
                chain = " > ".join(BY_DEVICE[one] for one in hop.ancestors)
                return f'asks for "{self._names[what.id]}", within {hop.remaining:.2f} s, askers {chain}'
            case Gossip(what, hop):
                wanted = ", receipt wanted" if hop.receipt else ""
                return f'"{self._names[what.id]}", rounds left in the {hop.tier.value}: {hop.rounds}{wanted}'
            case Receipt():
                return f'"{self._names[message.about]}" {message.standing.value}'
            case Partial():
                value = message.value.decode() or "nothing"
                covers = ", covers " + ", ".join(BY_COVER[one] for one in message.cover) if message.cover else ""
                passed = " > ".join(BY_DEVICE[one] for one in message.bypassing)
                return f"partial {value}: {_tally(message.tally)}{covers}{', passing by ' + passed if passed else ''}"
            case Digest():
                return f"digest: holds {self._listed(message.held)}"
            case Advert():
                return f"advert: has {self._listed(message.ids)}"
            case Fetch():
                return (
                    f"fetch: send me {self._listed(message.ids)}{', and at once from now on' if message.graft else ''}"
                )
            case Prune():
                return "prune: from now on ids only"
            case Ping():
                return "ping, with a nonce"
            case Ack():
                return "ack, with the nonce"
            case _:
                return type(message).__name__.lower()

    def _listed(self, heads: tuple[bytes, ...]) -> str:
        return ", ".join(f'"{self._names[head]}"' for head in heads) or "nothing"

    def _timer(self, timer: Timer) -> str:
        return _TIMERS.get(type(timer), type(timer).__name__)

    def say(self, name: str, what: str) -> None:
        """A line that begins with who did it."""
        self._line(f"{name} {what}")

    def _note(self, what: str) -> None:
        self._line(f"    ~~ {what}")

    def _line(self, text: str) -> None:
        self.told.append(f"{self.time:7.3f}  {text}")

    def _push(self, delay: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (round(self.time + delay, 9), self._count, act))


def _tally(tally: Tally) -> str:
    parts = [f"{tally.contributors} of {tally.expected} devices"]
    for name in ("missing", "failed", "late", "uncertain"):
        if getattr(tally, name):
            parts.append(f"{getattr(tally, name)} {name}")
    return ", ".join(parts)


def with_subtree(name: str, subtree: int) -> Peer:
    """A peer that has registered devices below it."""
    return replace(peer(name), subtree=subtree)
