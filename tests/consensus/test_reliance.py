"""Who announces more than its meter sees is believed less, and again when it does as it says."""

import sys
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid
from hypothesis import given
from hypothesis import strategies as st

from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.deviance import simulated
from gossip_ws.consensus.member import Member
from gossip_ws.consensus.messages import NEVER, Announce, Propose
from gossip_ws.consensus.reliance import LEAST, NEIGHBOURS, WHOLE, Reliance
from gossip_ws.consensus.run import PACE
from gossip_ws.kernel.instant import Instant


def days(reliance, announced, seen, times):
    for _ in range(times):
        reliance.heard("d", announced)
        reliance.metered("d", seen)
    return reliance.score("d")


def test_a_score_comes_down_to_what_meters_see_and_up_again():
    one = Reliance()
    assert days(one, (1000, 0), (1000, 500), 3) == WHOLE
    assert days(one, (1000, 0), (400, 900), 1) == 850
    assert abs(days(one, (1000, 0), (400, 900), 30) - 400) < 10
    assert days(one, (1000, 0), (0, 0), 50) == LEAST
    assert days(one, (1000, 0), (1000, 0), 1) > LEAST
    assert days(one, (1000, 0), (1000, 0), 60) == WHOLE


def test_on_a_day_on_which_nothing_was_announced_nothing_is_learned():
    one = Reliance()
    days(one, (1000,), (500,), 5)
    before = one.score("d")
    assert days(one, (-1000,), (0,), 5) == before
    one.metered("d", (0,))
    assert one.score("d") == before


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(-5000, 5000), min_size=2, max_size=2).map(tuple),
            st.lists(st.integers(-5000, 5000), min_size=2, max_size=2).map(tuple),
        ),
        max_size=20,
    )
)
def test_a_score_is_bounded_and_never_more_is_believed_than_said(story):
    one = Reliance()
    for announced, seen in story:
        for some, said in zip(one.heard("d", announced), announced, strict=True):
            assert min(said, 0) <= some <= max(said, 0)
            assert said > 0 or some == said
        one.metered("d", seen)
        assert LEAST <= one.score("d") <= WHOLE


def test_who_has_sold_what_is_believed_of_it_has_nothing_left():
    one = Reliance()
    days(one, (1000,), (500,), 40)
    share = one.score("d")
    assert one.heard("d", (1000,)) == (share,)
    assert one.heard("d", (1000 - share,)) == (0,)
    assert one.taken("d", (600,)) == (600 * share // WHOLE,)
    assert one.taken("another", (600,)) == (600,)


def test_memory_is_bounded():
    one = Reliance()
    for number in range(NEIGHBOURS + 50):
        one.heard(f"d{number}", (1000,))
    for number in range(NEIGHBOURS + 50):
        one.metered(f"d{number}", (0,))
    assert sum(one.score(f"d{number}") < WHOLE for number in range(NEIGHBOURS + 50)) == NEIGHBOURS


def test_a_buyer_takes_of_a_neighbour_what_it_believes():
    hierarchy = build(grid(64, 1))
    now, reliance = Instant(1.0, 1.0), Reliance()
    for _ in range(40):
        reliance.heard("d9", (1000,))
        reliance.metered("d9", (500,))
    buyer = Member("d8", hierarchy, PACE, reliance=reliance)
    buyer.start(0, (-2000,), now)
    buyer.receive(Announce(0, 2, (1000,), NEVER), "d9", now)
    buyer.receive(Propose("d9/1.0", 0, (1000,), 1), "d9", now)
    assert buyer.rest == (-2000 + reliance.score("d9"),)


def test_what_was_displaced_by_false_announcements_is_matched_again_when_they_are_weighed():
    """Seed 2: there is as much given as needed, so whatever is promised falsely is missing."""
    instance = grid(64, 2)
    giving = sorted(device.id for device in instance.devices if max(device.watts) > 0)
    false = set(Random(2).sample(giving, len(giving) * 3 // 10))
    plain, weighed = (
        simulated(instance, build(instance), false, Conditions(), Random(2), 10, weighed=weighed).days
        for weighed in (False, True)
    )
    assert not any(day.violations for day in (*plain, *weighed))
    assert weighed[0] == plain[0] == plain[-1]
    assert all(later.delivered > earlier.delivered for earlier, later in zip(weighed, weighed[3::3], strict=False))
    assert weighed[-1].delivered > plain[-1].delivered
