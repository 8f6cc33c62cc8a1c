"""What plain push and anti-entropy do, held to their theory over many seeds.

Each bound is three standard errors of the mean of independent runs. Where the theory gives the distribution, its
own deviation is used, so that a test's width does not follow from what it measured.
"""

from collections import Counter
from math import sqrt
from random import Random
from statistics import fmean, stdev

import pytest
from swarms import PUSH

from gossip_ws.core.messages import Tally
from gossip_ws.kernel.contract import GossipPolicy
from gossip_ws.kernel.terms import Variant
from gossip_ws.sim.numbers import NOTIFY, READ, READ_REQUEST, read_response
from gossip_ws.sim.swarm import swarm
from gossip_ws.sim.world import Weather, World
from gossip_ws.theory import anti_entropy, coverage, exact

NEVER = 1e9
"""A period of repair that no run lives to see."""


def reached_by_push(seed, n, fanout, loss):
    """How many one plain push reaches, the origin included."""
    world = World(seed, Weather(loss=loss))
    devices, services = swarm(world, n, fanout, 32, pull_period=NEVER, view_scopes=())
    devices[0].push(NOTIFY, PUSH)
    world.run(until=10)
    return sum(service.notified for service in services)


def chain(n, fanout, loss):
    """P(exactly k reached), by k, from the steps of `theory.exact`, for relays that never send back.

    The origin draws among n - 1 others. A relay leaves out whom it has the message from as well: its unreached
    targets are drawn among n - 2, which is the step of a chain of n - 1 devices. Who sends when does not matter,
    so the senders are spent one by one, until none is left who has not sent.
    """
    now = Counter({left: float(exact.missed(n, fanout, loss, n - 1, 1, left)) for left in range(n - 1 - fanout, n)})
    ends = Counter()
    step = {
        u: {left: float(exact.missed(n - 1, fanout, loss, u, 1, left)) for left in range(max(0, u - fanout), u + 1)}
        for u in range(n - 1)
    }
    for spent in range(1, n + 1):
        then = Counter()
        for unreached, weight in now.items():
            if n - unreached == spent:
                ends[n - unreached] += weight
                continue
            for left, likely in step[unreached].items():
                then[left] += weight * likely
        now = then
    return ends


@pytest.mark.parametrize(("n", "fanout", "loss", "runs"), [(10, 3, 0.1, 400), (24, 4, 0.2, 250), (40, 5, 0.1, 150)])
def test_plain_push_follows_the_exact_chain(n, fanout, loss, runs):
    """Coverage: sqrt(variance of the chain / runs). Atomic delivery, a coin of bias p: sqrt(p (1 - p) / runs)."""
    theory = chain(n, fanout, loss)
    assert sum(theory.values()) == pytest.approx(1)
    mean = sum(k * p for k, p in theory.items())
    deviation = sqrt(sum((k - mean) ** 2 * p for k, p in theory.items()))
    samples = [reached_by_push(seed, n, fanout, loss) for seed in range(runs)]
    assert abs(fmean(samples) - mean) < 3 * deviation / sqrt(runs)
    everyone = theory[n]
    assert abs(samples.count(n) / runs - everyone) < 3 * sqrt(everyone * (1 - everyone) / runs)
    # The published chain lets a relay draw its own sender, a wasted target: it can only promise less.
    assert exact.mean_coverage(n, fanout, loss) < mean / n
    assert exact.all_reached(n, fanout, loss) < everyone


def test_coverage_of_a_thousand_follows_the_formulas():
    """c = 1 - exp(-f c (1 - e)), and the mean field. Both are limits of many devices: their own error is of the order
    of one device in n, which is added to three standard errors of the measured mean."""
    n, fanout, loss = 1000, 3, 0.2
    samples = [reached_by_push(seed, n, fanout, loss) / n for seed in range(6)]
    width = 3 * stdev(samples) / sqrt(len(samples)) + 1 / n
    assert width < 0.03, "wide enough to say nothing"
    assert abs(fmean(samples) - coverage.eventual_coverage(fanout, loss)) < width
    assert abs(fmean(samples) - coverage.mean_field(n, fanout, 32, loss)[-1] / n) < width


def periods_of_digests(seed, n, period):
    """Periods until everyone has a message that only digests spread."""
    world = World(seed)
    policy = GossipPolicy(variant=Variant.EAGER_PULL)
    devices, services = swarm(world, n, 4, 4, policy, pull_period=period, view_scopes=())
    world.run(until=period)
    devices[0].push(NOTIFY, PUSH)
    assert world.run_until(lambda: all(service.notified for service in services), 60 * period)
    return world.time / period - 1


def periods_by_hand(seed, n):
    """The same process with nothing but dice: who calls draws a partner, then both have what one of them has."""
    dice = Random(seed)
    due = {k: dice.uniform(0.5, 1.5) for k in range(n)}
    informed: set[int] = set()
    while len(informed) < n:
        caller = min(due, key=due.__getitem__)
        time = due[caller]
        due[caller] += dice.uniform(0.5, 1.5)
        if time >= 1:
            informed = informed or {0}
            partner = dice.choice([k for k in range(n) if k != caller])
            if caller in informed or partner in informed:
                informed |= {caller, partner}
    return time - 1


def test_push_pull_digests_take_as_long_as_the_dice_say():
    """Difference of two means of independent runs: its standard error is sqrt(s1^2 / r1 + s2^2 / r2). The period of
    100 s makes the delays of the network, some 0.1 s a contact, vanish: 0.001 periods in each of some ten hops."""
    measured = [periods_of_digests(seed, 200, 100.0) for seed in range(20)]
    expected = [periods_by_hand(seed, 200) for seed in range(100)]
    error = sqrt(stdev(measured) ** 2 / len(measured) + stdev(expected) ** 2 / len(expected))
    assert abs(fmean(measured) - fmean(expected)) < 3 * error + 0.01


def rounds_of_digests(seed, n, loss):
    """Rounds until everyone has what one has, when all ask one partner at the same moment. Delays are all the same,
    so a digest finds its partner as it was when the round began."""
    world = World(seed, Weather(loss=loss, least=0.01, most=0.01))
    devices, services = swarm(world, n, 4, 4, GossipPolicy(variant=Variant.EAGER_PULL), pull_period=NEVER)
    devices[0].push(NOTIFY, PUSH)
    rounds = 0
    while not all(service.notified for service in services):
        for device in devices:
            device.endpoint.ask_for_news()
        world.run(until=world.time + 1)
        rounds += 1
    return rounds


@pytest.mark.parametrize(("n", "loss", "runs"), [(60, 0.0, 120), (60, 0.2, 120), (150, 0.1, 30)])
def test_rounds_of_digests_are_those_of_the_chain(n, loss, runs):
    """Who asks and lacks: the digest and the payload have to arrive. Who asks and has: digest, fetch and payload."""
    arrives = 1 - loss
    expected = anti_entropy.mean_rounds(n, push=arrives**3, pull=arrives**2)
    measured = [rounds_of_digests(seed, n, loss) for seed in range(runs)]
    assert abs(fmean(measured) - expected) < 3 * stdev(measured) / sqrt(runs)


def test_a_count_without_duplicate_suppression_is_wrong_and_ours_is_not():
    """The control: who counts every copy of the request and passes each on counts 1 + f + f^2 + ... + f^r, whatever
    n is: 156 of 30 devices with f = 5 and r = 3. A device is in ours once, by the sum that names all thirty."""
    n, fanout, rounds = 30, 5, 3
    dice = Random(1)

    def naive(own: int, left: int) -> Counter[int]:
        counted = Counter([own])
        for peer in dice.sample([k for k in range(n) if k != own], fanout) if left else ():
            counted += naive(peer, left - 1)
        return counted

    counted = naive(0, rounds)
    assert counted.total() == 1 + fanout + fanout**2 + fanout**3 > 5 * n
    assert max(counted.values()) > 1

    devices, services = swarm(World(1), n, fanout, 8)
    for k, service in enumerate(services):
        service.value = 1 << k
    answers = devices[0].pull(READ, READ_REQUEST)
    devices[0].world.run(until=15)
    ((value, tally),) = answers
    assert value == read_response((1 << n) - 1)
    assert tally == Tally(n, n)
