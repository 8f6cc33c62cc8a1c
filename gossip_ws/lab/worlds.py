"""The real core in a simulated world: what becomes of a message among some thousands of devices, frame by frame.

Each device is the node and the endpoint that run on sockets. It knows nothing of how the population engine draws, and
nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

import numpy as np

from gossip_ws.core.messages import Advert, Digest, Fetch, Gossip, Prune
from gossip_ws.kernel.contract import GossipPolicy
from gossip_ws.kernel.errors import Fault, LocalError, RemoteError
from gossip_ws.kernel.names import GossipId
from gossip_ws.kernel.terms import Budget, Tier, Variant, Wanted
from gossip_ws.lab.trial import Outcomes, Trial
from gossip_ws.sim.device import SimDevice
from gossip_ws.sim.numbers import NOTIFY, notify_request
from gossip_ws.sim.parcels import ObjectCodec
from gossip_ws.sim.swarm import swarm
from gossip_ws.sim.world import Weather, World
from gossip_ws.wire.gossip import XmlCodec

MOST: Final = 30_000
"""Devices: each takes some 33 KB, with those that it knows."""
ALL_KNOWN: Final = 2_000
"""Up to so many devices everybody knows everybody."""
DRAWN: Final = 50
"""Others that a device draws whom it knows where they are more; as many draw it."""
PERIOD: Final = 10.0
"""Seconds between two questions for news: what a device has by default."""
WARM_UP: Final = 20
"""Messages after which the adaptive variant has made its tree."""

_NEVER: Final = 1e9
_AFTERMATH: Final = 300.0
"""Seconds after which nobody fetches any more what it was told of."""
_SETTLED: Final = 15.0
"""The same for the adaptive variant; the views begin to notice who is off after some six."""
_STEP: Final = 0.01
_PULLS: Final = (Variant.EAGER_PULL, Variant.LAZY_PULL)
_SPREADING: Final = tuple(f"sent {kind.__name__}" for kind in (Gossip, Digest, Advert, Fetch, Prune))
_PAYLOADS: Final = f"sent {Gossip.__name__}"


class Codecs(StrEnum):
    """What travels between the devices."""

    OBJECTS = "objects"
    """The messages themselves."""
    XML = "xml"
    """Envelopes, written and parsed as on the wire; two to three times slower."""


def run(
    trial: Trial,
    repeat: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
    *,
    codec: Codecs = Codecs.OBJECTS,
    known: int | None = None,
    in_step: bool = False,
) -> Outcomes:
    """`repeat` repetitions of `trial`; the same for the same arguments.

    A push goes on until all is quiet; the periodic repair is off, so that it is the push alone that is seen. A pull
    ends when all who are on have the message, after `trial.rounds` periods at the latest; its rounds are periods.
    Envelopes are those about the message; membership's are not counted. Who is off is cut off for one repetition.

    known: how many others each device draws whom it knows; None: all up to `ALL_KNOWN` devices, else `DRAWN`. The
    repetitions follow one another in one world, where nothing is left of the one before but who knows whom. Where
    something would be, each has a world of its own: a pull whose devices go on asking, and the adaptive variant, whose
    tree is made by `WARM_UP` messages before.

    in_step: all frames take the same time, and all devices ask for news at the same moment, as the population engine
    has it; else 5 to 50 ms, and at moments of their own. Raises LocalError for numbers out of bounds.
    """
    check(trial)
    if repeat < 1 or seed < 0:
        raise LocalError(f"at least one repetition, and a seed that is not negative: {repeat}, {seed}")
    alone = trial.variant is Variant.ADAPTIVE or (trial.variant in _PULLS and not in_step)
    rows = []
    one = None
    for number in range(repeat):
        if one is None or alone:
            one = _Swarm(trial, seed * repeat + number if alone else seed, codec, known, in_step)
        rows.append(one.repetition())
        if progress is not None:
            progress(number + 1)
    return Outcomes(*np.array(rows, np.int64).T)


def check(trial: Trial) -> None:
    """Raises LocalError for a trial of more than `MOST` devices."""
    if trial.nodes > MOST:
        raise LocalError(f"the real core is simulated with at most {MOST} devices, not {trial.nodes}")


class _Swarm:
    """A world and its devices, for one repetition after the other."""

    def __init__(self, trial: Trial, seed: int, codec: Codecs, known: int | None, in_step: bool) -> None:
        self._trial = trial
        self._in_step = in_step
        self._pulls = trial.variant in _PULLS
        self._messages = 0
        weather = Weather(trial.loss, least=_STEP, most=_STEP) if in_step else Weather(trial.loss)
        self._world = World(seed, weather)
        self._expired = 0.0
        if known is None and trial.nodes > ALL_KNOWN:
            known = max(DRAWN, trial.fanout)
        self._lifetime = (trial.rounds + 1) * PERIOD if self._pulls else _AFTERMATH
        self._devices, _ = swarm(
            self._world,
            trial.nodes,
            trial.fanout,
            trial.rounds,
            GossipPolicy(variant=trial.variant, lifetime=self._lifetime),
            known=known,
            codec=XmlCodec if codec is Codecs.XML else _shared_codec,
            max_fanout=trial.nodes,
            max_rounds=max(trial.rounds, 1),
            peer_limit=trial.nodes,
            pull_period=PERIOD if self._pulls and not in_step else _NEVER,
            view_scopes=("",) if trial.variant is Variant.ADAPTIVE else (),
        )
        # Each asks at moments of its own by then; of the adaptive variant, each has neighbours.
        self._pass(2 * PERIOD)
        if trial.variant is Variant.ADAPTIVE:
            for _ in range(WARM_UP):
                self._originate()
                self._pass(_SETTLED / 5)

    def repetition(self) -> tuple[int, int, int, int, int]:
        """live, reached, rounds, envelopes, payloads."""
        world, trial = self._world, self._trial
        world.heal()
        # Whatever the repetition before has left is expired by then.
        self._pass(max(self._expired - world.time, 0.0))
        off = set(world.dice.sample(range(1, trial.nodes), trial.nodes - trial.live))
        world.partition(*([self._devices[number].address.host] for number in off))
        live = [device for number, device in enumerate(self._devices) if number not in off]
        envelopes, payloads = _sent(live, _SPREADING), _sent(live, (_PAYLOADS,))
        self._expired = world.time + self._lifetime
        id = self._originate()
        if self._pulls:
            rounds = self._pull(id, live)
        else:
            self._pass(_SETTLED if trial.variant is Variant.ADAPTIVE else _AFTERMATH / 2)
            rounds = max(device.endpoint.node.hops(id) or 0 for device in live)
        reached = _reached(id, live)
        envelopes = _sent(live, _SPREADING) - envelopes
        return len(live), reached, rounds, envelopes, _sent(live, (_PAYLOADS,)) - payloads

    def _originate(self) -> GossipId:
        """The first device originates the next message."""
        self._messages += 1
        endpoint, trial = self._devices[0].endpoint, self._trial
        operation = endpoint.hosting.operation(NOTIFY)
        assert operation is not None, "every device of the swarm hosts it"
        fates: list[GossipId | Fault] = []
        wanted = Wanted(budgets=(Budget(Tier.WAN, trial.fanout, trial.rounds),))
        endpoint.start(operation, notify_request(f"news {self._messages}"), wanted, told=fates.append)
        (fate,) = fates
        if isinstance(fate, Fault):
            raise RemoteError(fate)
        return fate

    def _pull(self, id: GossipId, live: Iterable[SimDevice]) -> int:
        """Period after period, until all have it. In which one did the last get it?"""
        trial, last, before = self._trial, 0, 1
        for period in range(1, trial.rounds + 1):
            if before == trial.live:
                break
            if self._in_step:
                for device in live:
                    device.endpoint.ask_for_news()
            self._pass(PERIOD)
            reached = _reached(id, live)
            if reached > before:
                last, before = period, reached
        return last

    def _pass(self, seconds: float) -> None:
        self._world.run(until=self._world.time + seconds)


_OBJECTS: Final = ObjectCodec()


def _shared_codec() -> ObjectCodec:
    """It holds nothing, so one serves all."""
    return _OBJECTS


def _sent(devices: Iterable[SimDevice], kinds: tuple[str, ...]) -> int:
    return sum(device.endpoint.counters[kind] for device in devices for kind in kinds)


def _reached(id: GossipId, devices: Iterable[SimDevice]) -> int:
    return sum(device.endpoint.node.hops(id) is not None for device in devices)
