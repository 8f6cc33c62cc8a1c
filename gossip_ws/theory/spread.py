"""What a message needs among the equals of one group, by variant, and what it costs there: all by formula.

A variant is planned as the core carries it out. Eager push by `reach`. Push-pull as the same with one message more of
each device, the digest, on which whoever lacks the content fetches it. Lazy push by `lazy`. Eager and lazy pull by
`anti_entropy`: every period each device sends one digest to one other, who sends what the asker lacks (its id, in lazy
pull) and fetches what it lacks itself. The adaptive variant spreads over the few links that membership keeps, whatever
the fanout, and no formula here says how far: it is refused.

Knows nothing of tiers, parents or their rosters.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Final

from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Variant
from gossip_ws.theory import anti_entropy, coverage
from gossip_ws.theory.lazy import TRIES, limit, lost_once, reach_lazily
from gossip_ws.theory.planner import dead, fanout_of, least_fanout, rounds_of
from gossip_ws.theory.reach import Push, Reach, reach, timely
from gossip_ws.theory.traffic import ADVERT, DIGEST, FETCH, PAYLOAD

PERIODS: Final = 10_000
"""Beyond so many a pull is not planned."""
PULLS: Final = (Variant.EAGER_PULL, Variant.LAZY_PULL)


@dataclass(frozen=True, slots=True)
class Link:
    """loss: of one datagram. delay: seconds that it takes, one way. bandwidth: bit/s that a device sends with. period:
    mean seconds between two digests of a device."""

    loss: float = 0.0
    delay: float = 0.0
    bandwidth: float = inf
    period: float = 10.0

    def sending(self, octets: float) -> float:
        """Seconds."""
        return octets * 8 / self.bandwidth


@dataclass(frozen=True, slots=True)
class Spread:
    """fanout: others that each device sends to; of a pull, whom it asks in a period. rounds: hops at most, or periods.
    reach: what that promises. envelopes, octets: sent by a live device in the mean. seconds: until everyone has it, in
    the mean where everyone gets it; a hop takes as long as the last of its messages. Until then, too, the digests of a
    pull are counted."""

    fanout: int
    rounds: int
    reach: Reach
    envelopes: float
    octets: float
    seconds: float


def spread(n: int, crashed: float, link: Link, target: float, variant: Variant) -> Spread:
    """The least fanout with which all live devices of `n` are reached with probability `target`, and its rounds.

    Raises LocalError where no fanout is enough, for a target that is no probability, and for the adaptive variant.
    """
    if not 0 < target < 1:
        raise LocalError(f"a target lies between 0 and 1, not {target:g}")
    gone = dead(n, crashed)
    if variant is Variant.ADAPTIVE:
        raise LocalError("adaptive spreads over the links that membership keeps, not by a fanout: it is not planned")
    if n - gone == 1:
        return Spread(0, 0, Reach(1.0, 1.0), 0.0, 0.0, 0.0)
    if variant in PULLS:
        return _asked(n, gone, link, target, variant)
    found = (
        _announced(n, gone, link, target) if variant is Variant.LAZY_PUSH else _pushed(n, gone, link, target, variant)
    )
    if found.reach.all_reached < target:
        raise LocalError(
            f"no fanout reaches all of {n - gone} live devices with probability {target:g}: "
            f"all {n - 1} others, at {link.loss:.0%} loss, give {found.reach.all_reached:.4g}"
        )
    return found


def _pushed(n: int, gone: int, link: Link, target: float, variant: Variant) -> Spread:
    arrives = 1 - link.loss
    more = arrives**3 if variant is Variant.PUSH_PULL else 0.0
    push = Push(n, gone, fanout_of(n, gone, link.loss, target, more), link.loss, more)
    found = reach(push)
    envelopes, octets = float(push.fanout), float(push.fanout * PAYLOAD)
    if more:
        fetches = arrives * _asked_in_time(push)
        envelopes += 1 + fetches * (1 + arrives)
        octets += DIGEST + fetches * (FETCH + arrives * PAYLOAD)
    hop = link.delay + link.sending(push.fanout * PAYLOAD)
    return _costing(push, found, envelopes, octets, hop)


def _announced(n: int, gone: int, link: Link, target: float) -> Spread:
    loss = lost_once(link.loss)
    most = limit(n - gone, link.loss)
    if most < target:
        raise LocalError(
            f"no fanout of a lazy push reaches all of {n - gone} live devices with probability {target:g}: fetches are "
            f"lost too, at {link.loss:.0%} loss, and {most:.4g} is the most; digests bring the rest later"
        )
    likely = coverage.fanout_all_reached(n, loss, gone / n, target)
    fanout = least_fanout(n, likely, lambda one: reach_lazily(n, gone, one, link.loss).all_reached >= target)
    fetches = 1 / (1 - link.loss) ** 2
    payloads = 1 / (1 - link.loss)
    octets = fanout * ADVERT + fetches * FETCH + payloads * PAYLOAD
    hop = 3 * link.delay + link.sending(fanout * (ADVERT + PAYLOAD) + FETCH)
    found = reach_lazily(n, gone, fanout, link.loss)
    return _costing(Push(n, gone, fanout, loss), found, fanout + fetches + payloads, octets, hop)


def _costing(push: Push, found: Reach, envelopes: float, octets: float, hop: float) -> Spread:
    """What each device sends that is reached, and hops of so many seconds."""
    hops = sum(1 - share for share in timely(push)) if found.all_reached else 0.0
    share = found.coverage
    return Spread(push.fanout, rounds_of(push), found, envelopes * share, octets * share, hops * hop)


def _asked_in_time(push: Push) -> float:
    """Of the digests that devices send when they are reached, the share that finds one which lacks the message."""
    course = coverage.mean_field(push.n, push.fanout, rounds_of(push), push.loss, push.gone / push.n)
    asking = [course[0], *(after - before for before, after in pairwise(course))]
    found = sum(many * (push.live - reached) for many, reached in zip(asking, course, strict=True))
    return found / (push.live * (push.n - 1))


def _asked(n: int, gone: int, link: Link, target: float, variant: Variant) -> Spread:
    arrives, live = 1 - link.loss, n - gone
    fails = 1 - arrives**2
    payload = 1.0 if variant is Variant.EAGER_PULL else 1 - fails ** (1 + TRIES)
    # Among the live, a call counts that goes to one of them.
    answered = (live - 1) / (n - 1)
    pull = answered * arrives**2 * payload
    waited, met, lacking = 0.0, 0.0, 1 - 1 / live
    for rounds, (everyone, having) in enumerate(anti_entropy.course(live, answered * arrives**3, pull), 1):
        waited += 1 - everyone
        met += lacking * (1 - lacking)
        lacking = 1 - having
        if everyone >= target:
            # A digest that arrived at one who has what the other lacks, or lacks what it has: one, and one of those.
            news = met * answered * arrives
            adverts, fetches, payloads = 0.0, 1.0, 1 + arrives
            if variant is Variant.LAZY_PULL:
                again = arrives * sum(fails**tried for tried in range(1 + TRIES))
                adverts, fetches, payloads = 1.0, 1 + again, arrives * (1 + again)
            return Spread(
                1,
                rounds,
                Reach(everyone, having),
                1 + waited + news * (adverts + fetches + payloads),
                (1 + waited) * DIGEST + news * (adverts * ADVERT + fetches * FETCH + payloads * PAYLOAD),
                (1 + waited) * link.period,
            )
        if rounds == PERIODS:
            break
    raise LocalError(f"a pull among {live} live devices takes more than {PERIODS} periods at {link.loss:.0%} loss")
