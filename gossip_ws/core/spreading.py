"""Gathering without a tree: neighbours exchange what they have combined so far, until all hold the same.

Every device keeps one accumulator a request and exchanges it with one peer at random, push-pull. What comes
together must bear to be taken in more than once: the filter's affair. Nobody is counted here, and nobody can
be: an answer says how many devices are registered, and not how many are in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil, log, log2
from typing import Final

from gossip_ws.core.choice import Choice
from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import Answer, Combine, Deadline, Effect, Input, Invoke, MergeAgain
from gossip_ws.core.messages import Content, Merge, Tally
from gossip_ws.core.peers import Peer, PeerTable, Relation
from gossip_ws.core.spread import binding_for
from gossip_ws.kernel.allowance import Allowance
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.errors import Fault, FaultCode
from gossip_ws.kernel.estimate import Estimate
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import GOSSIP, DeviceId, GossipId, qname
from gossip_ws.kernel.scopes import any_covers
from gossip_ws.kernel.terms import Filter, Gathering

MAX_WAITING: Final = 8
"""Accumulators that wait for the filter; a neighbour's next exchange makes up for what is dropped."""
_SPARE_ROUNDS: Final = 3


def quiet_rounds(population: int) -> int:
    """Rounds without news after which a device of so many takes what it has for all there is.

    By push-pull a value is everywhere after log3 n + O(ln ln n) rounds (Karp et al., 2000): nothing new for as long
    as that, and three rounds more, means that hardly anything is still on its way.
    """
    return ceil(log(max(population, 2), 3)) + _SPARE_ROUNDS


@dataclass(slots=True)
class _Spread:
    """One request at this node. `value`: the accumulator, empty while there is none. `seed`: for draws over the own
    value, the same ones however often it is combined."""

    content: Content
    is_entry: bool
    until: float
    seed: int
    own_awaited: bool
    busy_until: float
    own: Fault | bytes | None = None
    value: bytes = b""
    waiting: list[Merge] = field(default_factory=list)
    merging: tuple[Merge, ...] = ()
    with_own: bool = False
    """The own reply is in the inputs that are being combined."""
    combining: bool = False
    concluding: bool = False
    answering: bool = False
    answered: bool = False
    rounds: int = 0
    quiet: int = 0
    heard: bool = False
    turn: int = 0
    resting: bool = False
    """It asks nobody any more; it still answers, and news wakes it."""


class Spreading:
    """The requests of one node that are gathered by exchange."""

    def __init__(self, config: NodeConfig, table: PeerTable, dice: Dice, choice: Choice) -> None:
        self._config = config
        self._table = table
        self._dice = dice
        self._choice = choice
        self._open: dict[GossipId, _Spread] = {}
        self._allowance = Allowance(config.merge_rate, ceil(config.merge_rate))

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, id: GossipId) -> bool:
        return id in self._open

    def is_full(self, now: Instant) -> bool:
        """One that has not ended is never evicted: half the grid may still want its accumulator."""
        for id in [id for id, state in self._open.items() if state.until <= now.monotonic]:
            if self._open[id].answered or not self._open[id].is_entry:
                del self._open[id]
        return len(self._open) >= self._config.spread_limit

    def join(self, content: Content, age: float, now: Instant, *, is_entry: bool, contributes: bool) -> list[Effect]:
        """Take part: invoke the own service if the device `contributes`, exchange with others.

        `age` (s) is the request's; one that is over needs nobody any more.
        """
        remaining = content.terms.timeout - age
        if remaining <= 0:
            return [Dropped("too late to take part")]
        if is_entry:
            # The answer has to be made, and to be on its way, while the client still waits.
            remaining *= 1 - self._config.hop_margin
        busy = now.monotonic + min(remaining / 2, self._config.spread_patience)
        state = _Spread(content, is_entry, now.monotonic + remaining, self._dice.getrandbits(64), contributes, busy)
        self._open[content.id] = state
        effects: list[Effect] = []
        if contributes:
            effects.append(Invoke(content.id, content.action, content.body, content.terms.originator))
        effects.append(SetTimer(Deadline(content.id), remaining))
        if self._peers(state):
            effects.append(self._next_round(state))
        else:
            state.resting = True
        return effects

    def invoked(self, id: GossipId, outcome: bytes | Fault) -> list[Effect]:
        """The own service replied; from here on its value is frozen for this request."""
        state = self._open.get(id)
        if state is None or not state.own_awaited or state.own is not None:
            return [Dropped("invocation out of turn")]
        state.own = outcome
        if isinstance(outcome, Fault):
            return self._settle(state)
        state.with_own = True
        return self._combine(state)

    def merge(self, merge: Merge, now: Instant) -> list[Effect]:
        """A neighbour's accumulator."""
        state = self._open.get(merge.about)
        if state is None:
            return [Dropped("merge of nothing")]
        if self._allowance.is_spent(now.monotonic):
            return [Dropped("too many merges")]
        self._allowance.spend()
        state.heard = True
        if not merge.value or merge.value == state.value:
            if not merge.wants_reply:
                return []
            return self._reply(state, merge.sender, b"" if merge.value else state.value)
        if len(state.waiting) >= MAX_WAITING:
            return [Dropped("too many merges")]
        state.waiting.append(merge)
        return self._combine(state)

    def merge_again(self, timer: MergeAgain, now: Instant) -> list[Effect]:
        """One round: exchange with one peer, or rest because nothing has been new for long."""
        state = self._open.get(timer.id)
        if state is None or timer.turn != state.turn or state.resting:
            return []
        if state.heard:
            # Only who heard from others knows that they have nothing new.
            state.quiet += 1
            state.heard = False
        peers = self._peers(state)
        own_settled = not state.own_awaited or state.own is not None
        is_quiet = own_settled and state.quiet >= quiet_rounds(self._population())
        if not peers or (is_quiet and now.monotonic >= state.busy_until):
            state.resting = True
            return self._settle(state)
        if state.rounds >= self._config.spread_rounds:
            state.resting = True
            return [Dropped("spread without an end")]
        state.rounds += 1
        merge = Merge(state.content.id, self._config.device, state.value, wants_reply=True)
        return [self._send(state, merge, self._draw(peers)), self._next_round(state)]

    def deadline(self, id: GossipId) -> list[Effect]:
        """Time is up: the entry answers with what it has, others forget the request."""
        state = self._open.get(id)
        if state is None:
            return []
        if state.is_entry and not state.answered:
            state.resting = True
            return self._conclude(state)
        del self._open[id]
        return []

    def combined(
        self, id: GossipId, value: bytes | Fault, refused: Iterable[int], estimate: Estimate | None
    ) -> list[Effect]:
        """The filter ran. `refused` are indices of inputs left out as malformed or out of range."""
        state = self._open.get(id)
        if state is None or not state.combining:
            return [Dropped("combination out of turn")]
        state.combining = False
        if state.answering:
            effects = self._answer(state, value, estimate)
            return effects + self._combine(state) if state.waiting else effects
        merges, with_own, held = state.merging, state.with_own, bool(state.value)
        state.merging, state.with_own = (), False
        if isinstance(value, Fault):
            if with_own:
                state.own = value
            return [*(Dropped("accumulator refused") for _ in merges), *self._settle(state)]
        out = set(refused)
        effects = []
        if with_own and held in out:
            # Index 0 is what was held, if anything was; then comes the own value.
            state.own = _fault("ValueRefused", "the value of this device is malformed or out of its declared range")
        first = held + with_own
        taken = [merge for index, merge in enumerate(merges, first) if index not in out]
        effects += [Dropped("accumulator refused")] * (len(merges) - len(taken))
        if len(out) < len(merges) + first and value != state.value:
            state.value = value
            state.quiet = 0
            if state.resting and self._peers(state) and not (state.concluding or state.answered):
                state.resting = False
                effects.append(self._next_round(state))
        for merge in taken:
            if merge.wants_reply:
                effects += self._reply(state, merge.sender, b"" if merge.value == state.value else state.value)
        return [*effects, *(self._combine(state) if state.waiting else self._settle(state))]

    # -- steps ---------------------------------------------------------------------------------

    def _combine(self, state: _Spread) -> list[Effect]:
        if state.combining:
            return []
        inputs = [Input(state.value, 1, own=False)] if state.value else []
        if state.with_own and isinstance(state.own, bytes):
            inputs.append(Input(state.own, 1, own=True, seed=state.seed))
        state.merging, state.waiting = tuple(state.waiting), []
        inputs += [Input(merge.value, 1, own=False) for merge in state.merging]
        state.combining = True
        return [self._filter(state, tuple(inputs), final=False)]

    def _settle(self, state: _Spread) -> list[Effect]:
        """The entry answers once it rests and its own service has replied, or when the time is up."""
        if not state.is_entry or state.combining or state.answered:
            return []
        ready = state.resting and (not state.own_awaited or state.own is not None)
        return self._conclude(state) if ready or state.concluding else []

    def _conclude(self, state: _Spread) -> list[Effect]:
        state.concluding = True
        if state.combining:
            # What is being combined goes in; `combined` comes back here.
            return []
        if not state.value:
            return self._answer(state, _fault("NoContributors", "no device contributed a value"), None)
        state.combining = state.answering = True
        return [self._filter(state, (Input(state.value, 1, own=False),), final=True)]

    def _answer(self, state: _Spread, value: bytes | Fault, estimate: Estimate | None) -> list[Effect]:
        state.answering, state.answered = False, True
        if isinstance(value, Fault) and isinstance(state.own, Fault):
            value = state.own
        return [Answer(state.content.id, value, self._tally(state), Gathering.SPREAD, estimate)]

    def _filter(self, state: _Spread, inputs: tuple[Input, ...], *, final: bool) -> Combine:
        content = state.content
        # The entry refuses what names no filter, and so does every relay.
        chosen = content.terms.filter or Filter(name="")
        return Combine(content.id, content.action, chosen, inputs, final, Gathering.SPREAD)

    def _tally(self, state: _Spread) -> Tally:
        """Of the others nothing is known but that they are registered: all of them are uncertain."""
        own = isinstance(state.own, bytes)
        failed = isinstance(state.own, Fault)
        terms = state.content.terms
        others = 0
        for kind in (Relation.EQUAL, Relation.CHILD):
            for peer in self._table.related(kind):
                if terms.types:
                    fits = set(terms.types).issubset(peer.types) and any_covers(terms.scopes, peer.scopes)
                    others += int(fits)
                elif any_covers(terms.scopes, peer.scopes):
                    others += peer.subtree
        missing = int(state.own_awaited and state.own is None)
        expected = int(state.own_awaited) + others
        return Tally(int(own), expected, missing=missing, failed=int(failed), uncertain=others)

    def _next_round(self, state: _Spread) -> SetTimer:
        state.turn += 1
        wait = self._config.spread_period * self._dice.uniform(2 / 3, 4 / 3)
        return SetTimer(MergeAgain(state.content.id, state.turn), wait)

    def _peers(self, state: _Spread) -> list[tuple[Peer, ...]]:
        """Whom to exchange with, a group for each relation that has anybody."""
        scopes = state.content.terms.scopes
        groups = (self._table.up(kind, scopes) for kind in Relation)
        return [peers for peers in groups if peers]

    def _draw(self, groups: list[tuple[Peer, ...]]) -> Peer:
        """One at random. A relation weighs as the logarithm of its size: a parent among two hundred equals is met
        often enough to join the areas, and a roster of hundreds does not fall upon its parent all at once."""
        weights = [log2(1 + len(peers)) for peers in groups]
        left = self._dice.random() * sum(weights)
        chosen = groups[-1]
        for peers, weight in zip(groups, weights, strict=True):
            left -= weight
            if left < 0:
                chosen = peers
                break
        return self._choice.one(chosen)

    def _population(self) -> int:
        return self._table.subtree + sum(peer.subtree for peer in self._table.related(Relation.EQUAL))

    def _reply(self, state: _Spread, to: DeviceId, value: bytes) -> list[Effect]:
        peer = self._table.reachable(to)
        if peer is None:
            return [Dropped("asker is gone")]
        return [self._send(state, Merge(state.content.id, self._config.device, value), peer)]

    def _send(self, state: _Spread, merge: Merge, peer: Peer) -> Send:
        return Send(merge, (peer.address(binding_for(state.content.terms, len(merge.value))),))


def _fault(name: str, reason: str) -> Fault:
    return Fault(FaultCode.RECEIVER, qname(GOSSIP, name), reason)
