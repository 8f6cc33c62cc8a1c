"""Whom a push reaches, infect and die: the chain in doubles for hundreds of devices, a formula for more.

Every device that is reached first sends once. What is said of it, beyond the closed forms of `coverage`:

The chain. Who sends when makes no difference to who is reached in the end, so senders are spent one by one. With u
devices unreached one sender reaches j new ones with the probability of `Push.hits`: a hypergeometric number of its
distinct targets is unreached, and a binomial number of those messages arrives. All terms are positive, so
doubles do where inclusion and exclusion (`exact`) needs rationals. It is exact; the work is senders x width x fanout.

The formula, above `LIMIT` devices. A push fails in one of two ways. It dies early: the chain of the first `_EARLY`
senders says how likely that is. Or it spreads and leaves out a few: a given device is missed by all of the m live
devices but itself with probability (1 - h)^(m-1), h the chance that one sender hits it, and those who are missed are
nearly independent of one another, so that their number is Poisson:

    P(all) = (1 - P(dies early)) exp(-(m - 1) (1 - h)^(m-1)).

It differs from the textbook's exp(-n' exp(-f(1-e)(1-q))) by the finite m, the distinct targets and the early death.
Against the chain at 300 devices it is 1e-4 too high where it says 0.91, 1e-6 where it says 0.999.

Rounds. What a limit of rounds costs is decided by luck at the start and hardly by any later. So the first `_BY_CHANCE`
rounds are gone through exactly, or nearly all of them among few devices, and from each state that they can end in the
mean field goes on.

Knows nothing of repair, retries or time.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log1p
from typing import Final

from gossip_ws.kernel.errors import LocalError
from gossip_ws.theory.draws import NEGLIGIBLE, Outcomes, binomial, hypergeometric

LIMIT: Final = 512
"""Devices that the chain is walked for; above it the formula is within 1e-4."""
_EARLY: Final = 24
"""Senders after whom a push that still lives dies no more."""
_BY_CHANCE: Final = 2
_FEW: Final = 24
"""Devices among whom luck decides to the end; it is over after `_ALL_BY_CHANCE` rounds but once in a million."""
_ALL_BY_CHANCE: Final = 6
_FAINT: Final = 1e-14
"""States less likely are not followed."""
_SETTLED: Final = 1e-9
_HORIZON: Final = 256


@dataclass(frozen=True, slots=True)
class Push:
    """n: devices. gone: those of them that are off, never the origin, and swallow what they are sent. fanout: distinct
    others that each sender sends to, each message lost with probability `loss`. more: the probability that one message
    beyond those, to one other at random, arrives as well."""

    n: int
    gone: int
    fanout: int
    loss: float
    more: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.gone < self.n and 0 <= self.fanout < max(self.n, 2)):
            raise LocalError(f"no such push: n={self.n}, crashed={self.gone}, fanout={self.fanout}")
        if not (0 <= self.loss <= 1 and 0 <= self.more <= 1):
            raise LocalError(f"not probabilities: loss={self.loss}, more={self.more}")

    @property
    def live(self) -> int:
        """Devices that are on, the origin among them."""
        return self.n - self.gone

    @property
    def hit(self) -> float:
        """The probability that one sender reaches a given other device."""
        if self.n == 1:
            return 0.0
        others = self.n - 1
        return 1 - (1 - self.fanout * (1 - self.loss) / others) * (1 - self.more / others)

    @property
    def misses(self) -> float:
        """The logarithm of the probability that one sender does not."""
        return log1p(-self.hit) if self.hit < 1 else -1e9

    def hits(self, unreached: int) -> Outcomes:
        """How many of `unreached` devices one sender reaches."""
        arriving = _arriving(self.fanout, self.loss)
        found: dict[int, float] = defaultdict(float)
        for sent, weight in hypergeometric(self.n - 1, unreached, self.fanout):
            for new, likely in arriving[sent]:
                found[new] += weight * likely
        if self.more:
            for new, likely in list(found.items()):
                if new == unreached:
                    continue
                again = likely * self.more * (unreached - new) / (self.n - 1)
                found[new] -= again
                found[new + 1] += again
        return list(found.items())


@lru_cache(maxsize=16)
def _arriving(most: int, loss: float) -> tuple[Outcomes, ...]:
    """Of 0, 1, ... `most` messages, how many arrive."""
    return tuple(binomial(sent, 1 - loss) for sent in range(most + 1))


@dataclass(frozen=True, slots=True)
class Reach:
    """all_reached: the probability that every live device is. coverage: the expected share of the live that is."""

    all_reached: float
    coverage: float


@lru_cache(maxsize=256)
def reach(push: Push) -> Reach:
    """With as many rounds as it takes."""
    return _by_chain(push) if push.n <= LIMIT else _by_formula(push)


@lru_cache(maxsize=64)
def timely(push: Push) -> tuple[float, ...]:
    """Of the pushes that reach everyone, the share that has done so after 0, 1, 2, ... rounds; the last is all but 1.

    Raises LocalError for a push that practically never reaches everyone.
    """
    states: dict[tuple[int, int], float] = {(1, push.live - 1): 1.0}
    done = [float(push.live == 1)]
    for _ in range(_BY_CHANCE if push.live > _FEW else _ALL_BY_CHANCE):
        states = _round(push, states)
        done.append(sum(weight for (_, left), weight in states.items() if left == 0))
    # Where somebody is left and nobody sends, it has died.
    alive = {(senders, left): weight for (senders, left), weight in states.items() if senders or not left}
    course = [(weight, float(senders), float(left)) for (senders, left), weight in alive.items()]
    while True:
        moved: list[tuple[float, float, float]] = []
        now = fresh = 0.0
        for weight, senders, left in course:
            still = left * exp(push.misses * senders)
            moved.append((weight, left - still, still))
            now += weight * exp(-still)
            fresh += weight * (left - still)
        course = moved
        done.append(now)
        if fresh <= _SETTLED or len(done) > _HORIZON:
            break
    if done[-1] < NEGLIGIBLE:
        raise LocalError(f"a push with fanout {push.fanout} reaches never all of {push.live} devices")
    return tuple(min(1.0, share / done[-1]) for share in done)


def _round(push: Push, states: dict[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """One round more, from (senders, unreached)."""
    hits: dict[int, Outcomes] = {}
    then: dict[tuple[int, int], float] = defaultdict(float)
    for (senders, unreached), weight in states.items():
        now = {unreached: weight}
        for _ in range(senders):
            now = _one_more(push, now, hits, _SETTLED / 100 / weight)
        for left, likely in now.items():
            then[unreached - left, left] += likely
    return then


def _one_more(push: Push, now: dict[int, float], hits: dict[int, Outcomes], faint: float = _FAINT) -> dict[int, float]:
    """One sender more: probabilities by how many are unreached."""
    then: dict[int, float] = defaultdict(float)
    for unreached, weight in now.items():
        if weight < faint:
            continue
        outcomes = hits.get(unreached)
        if outcomes is None:
            outcomes = hits[unreached] = push.hits(unreached)
        for new, likely in outcomes:
            then[unreached - new] += weight * likely
    return then


def _by_chain(push: Push) -> Reach:
    live = push.live
    hits: dict[int, Outcomes] = {}
    now = {live - 1: 1.0}
    everyone = mean = 0.0
    for spent in range(live + 1):
        # Nobody is left to reach, or nobody to send.
        for unreached in [unreached for unreached in now if unreached == 0 or live - unreached == spent]:
            weight = now.pop(unreached)
            mean += weight * (live - unreached)
            everyone += weight if unreached == 0 else 0.0
        now = _one_more(push, now, hits)
    return Reach(min(1.0, everyone), min(1.0, mean / live))


def _by_formula(push: Push) -> Reach:
    live = push.live
    dies = dies_early(push)
    missed = (live - 1) * exp(push.misses * (live - 1))
    return Reach((1 - dies) * exp(-missed), (1 - dies) * _share(push))


def dies_early(push: Push) -> float:
    """The probability that it stops with less than half of the live reached, within its first senders."""
    hits: dict[int, Outcomes] = {}
    now = {push.live - 1: 1.0}
    died = 0.0
    for spent in range(min(_EARLY, push.live // 2 + 1)):
        died += now.pop(push.live - spent, 0.0)
        now = _one_more(push, now, hits)
    return min(1.0, died)


def _share(push: Push) -> float:
    """The share of the live that a push which spreads reaches: the positive root of c = 1 - (1 - h)^(m c)."""
    c = 1.0
    for _ in range(10_000):
        following = 1 - exp(push.misses * push.live * c)
        if c - following <= 1e-15:
            break
        c = following
    return c
