import sys
from math import inf
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid

from gossip_ws.consensus.checker import Cut
from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.outcome import Scheme, balance


def outcome(scheme, instance, **conditions):
    return balance(scheme, instance, build(instance), Conditions(**conditions), Random(1))


@pytest.mark.parametrize("scheme", Scheme)
def test_every_scheme_keeps_its_promises_and_says_what_is_left_by_level(scheme):
    instance = grid(48, 1, 2)
    found = outcome(scheme, instance, loss=0.1)
    assert found.violations == ()
    assert found.matched == found.optimum
    first, *_, last = found.residual
    assert first.kinds == ("device",)
    assert first.given - last.given == first.needed - last.needed == found.matched
    assert [one.given for one in found.residual] == sorted((one.given for one in found.residual), reverse=True)
    assert found.messages_per_agreement > 1


def test_pairwise_agreement_is_the_cheapest_and_goes_the_least_way():
    instance = grid(96, 2)
    found = {scheme: outcome(scheme, instance) for scheme in Scheme}
    cheapest = min(found, key=lambda scheme: found[scheme].messages_per_agreement)
    assert cheapest is Scheme.PAIRWISE
    assert found[Scheme.PAIRWISE].transport_ratio == 1.0
    assert found[Scheme.TWO_CHOICES].transport_ratio > 1.1
    # Each decision goes to all others, comes back, and goes out again.
    leader = found[Scheme.LEADER]
    assert leader.messages == (3 * len(leader.agreements) + 4) * 95


def test_in_three_parts_only_who_needs_no_majority_goes_on():
    instance = grid(48, 3)
    names = [device.id for device in instance.devices]
    cut = Cut(0.0, inf, tuple(frozenset(names[part::3]) for part in range(3)))
    found = {scheme: outcome(scheme, instance, cuts=(cut,)) for scheme in Scheme}
    assert all(one.violations == () for one in found.values())
    assert found[Scheme.PAIRWISE].matched == found[Scheme.PAIRWISE].optimum > 0
    assert found[Scheme.LEADER].matched == found[Scheme.LEDGER].matched == 0


@pytest.mark.parametrize("scheme", Scheme)
def test_what_was_kept_apart_goes_on_when_the_cut_ends(scheme):
    instance = grid(48, 3)
    names = [device.id for device in instance.devices]
    found = outcome(scheme, instance, cuts=(Cut(0.0, 150.0, tuple(frozenset(names[part::3]) for part in range(3))),))
    assert found.matched == found.optimum
    assert found.violations == ()
