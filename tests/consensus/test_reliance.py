"""Who announces more than its meter sees is believed less, and again when it does as it says."""

import sys
from dataclasses import replace
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid
from hypothesis import given
from hypothesis import strategies as st

from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.deviance import simulated
from gossip_ws.consensus.effects import Believe
from gossip_ws.consensus.member import Member
from gossip_ws.consensus.messages import NEVER, Announce, Metered, Propose
from gossip_ws.consensus.neighbours import SPEAKERS
from gossip_ws.consensus.reliance import DAYS, LEAST, NEIGHBOURS, WHOLE, Reliance, Score
from gossip_ws.consensus.run import PACE
from gossip_ws.kernel.effects import Dropped
from gossip_ws.kernel.instant import Instant

NOW = Instant(1.0, 1.0)


def days(reliance, announced, seen, times):
    first = reliance.score("d").day + 1
    for day in range(first, first + times):
        reliance.heard("d", day, announced)
        reliance.metered("d", day, seen)
    return reliance.score("d").gives


def test_a_score_comes_down_to_what_meters_see_and_up_again():
    one = Reliance()
    assert days(one, (1000, 0), (1000, 500), 3) == WHOLE
    assert days(one, (1000, 0), (400, 900), 1) == 850
    assert abs(days(one, (1000, 0), (400, 900), 30) - 400) < 10
    assert days(one, (1000, 0), (0, 0), 50) == LEAST
    assert days(one, (1000, 0), (1000, 0), 1) > LEAST
    assert days(one, (1000, 0), (1000, 0), 60) == WHOLE


def test_who_takes_less_than_it_needs_is_believed_less_too_and_who_takes_more_is_not():
    one = Reliance()
    days(one, (-1000, 0), (-1500, -300), 3)
    assert one.score("d") == Score("d", WHOLE, WHOLE, 2)
    days(one, (-1000, 0), (-400, 900), 1)
    assert one.score("d") == Score("d", WHOLE, 850, 3)
    assert one.heard("d", 9, (-1000, 0)) == (-850, 0)
    assert one.heard("d", 9, (-100, 0)) == (0, 0)
    # The other way round is not what was announced.
    days(one, (-1000, 0), (1000, 0), 1)
    assert one.score("d") == Score("d", WHOLE, 637, 4)


def test_what_is_given_in_one_hour_does_not_stand_for_what_is_not_needed_in_another():
    one = Reliance()
    days(one, (1000, -1000), (0, -1000), 1)
    assert one.score("d") == Score("d", 750, WHOLE, 0)


def test_of_a_day_of_which_nothing_was_announced_nothing_is_learned():
    one = Reliance()
    days(one, (1000,), (500,), 5)
    before = one.score("d")
    days(one, (0,), (0,), 5)
    assert one.metered("d", 77, (0,)) is None
    assert one.metered("another", 77, (0,)) is None
    one.heard("d", 78, (1000,))
    assert one.metered("d", 78, (0, 0)) is None
    assert one.score("d") == before


def test_a_day_is_judged_once_and_by_what_was_announced_of_it():
    one = Reliance()
    one.heard("d", 4, (1000,))
    one.heard("d", 5, (10,))
    one.heard("d", 5, (0,))
    assert one.metered("d", 4, (600,)) == Score("d", 900, WHOLE, 4)
    # Told again, or of a day before it.
    assert one.metered("d", 4, (0,)) is None
    one.heard("d", 3, (1000,))
    assert one.metered("d", 3, (0,)) is None
    # The most that it announced of the fifth was 10 W.
    assert one.metered("d", 5, (5,)) == Score("d", 800, WHOLE, 5)
    for day in range(6, 6 + DAYS):
        one.heard("d", day, (1000,))
    one.heard("d", 6 + DAYS, (1000,))
    assert one.metered("d", 6, (0,)) is None
    assert one.metered("d", 7, (0,)) == Score("d", 600, WHOLE, 7)


def test_scores_outlive_who_keeps_them():
    one = Reliance()
    days(one, (1000,), (0,), 4)
    again = Reliance(one.scores.values())
    assert again.score("d") == one.score("d") != Score("d")
    assert again.heard("d", 9, (1000,)) == one.heard("d", 9, (1000,))
    again.heard("d", 3, (1000,))
    assert again.metered("d", 3, (1000,)) is None


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
    for day, (announced, seen) in enumerate(story):
        for some, said in zip(one.heard("d", day, announced), announced, strict=True):
            assert min(said, 0) <= some <= max(said, 0)
        before = one.score("d")
        one.metered("d", day, seen)
        after = one.score("d")
        assert LEAST <= min(after.gives, after.needs) <= max(after.gives, after.needs) <= WHOLE
        if seen == announced:
            assert after.gives >= before.gives
            assert after.needs >= before.needs


def test_who_has_sold_what_is_believed_of_it_has_nothing_left():
    one = Reliance()
    days(one, (1000,), (500,), 40)
    share = one.score("d").gives
    assert one.heard("d", 99, (1000,)) == (share,)
    assert one.heard("d", 99, (1000 - share,)) == (0,)
    assert one.taken("d", 100, (600,)) == (600 * share // WHOLE,)
    assert one.taken("another", 100, (600,)) == (600,)
    # Of what is offered once more nothing is taken.
    assert one.taken("d", 99, (600,)) == (0,)


def test_memory_is_bounded():
    one = Reliance()
    names = [f"d{number}" for number in range(NEIGHBOURS + 50)]
    for name in names:
        for day in range(20):
            one.heard(name, day, (1000,))
    for name in names:
        one.metered(name, 19, (0,))
    assert sum(one.score(name).gives < WHOLE for name in names) == NEIGHBOURS
    assert one.score(names[0]).gives == WHOLE > one.score(names[-1]).gives
    assert (len(one._announced), {len(days) for days in one._announced.values()}) == (NEIGHBOURS, {DAYS})


def member(device, reliance):
    made = Member(device, build(grid(64, 1)), PACE, reliance=reliance)
    made.start(0, (-2000,), NOW)
    return made


def test_a_buyer_takes_of_a_neighbour_what_it_believes():
    reliance = Reliance()
    days(reliance, (1000,), (500,), 40)
    reliance = Reliance([replace(score, device="d9", day=-1) for score in reliance.scores.values()])
    buyer = member("d8", reliance)
    buyer.receive(Announce(0, 2, (1000,), NEVER), "d9", NOW)
    buyer.receive(Propose("d9/1.0", 0, (1000,), 1), "d9", NOW)
    assert buyer.rest == (-2000 + reliance.score("d9").gives,)


def test_what_a_meter_has_seen_is_told_to_the_neighbours_and_what_they_make_of_it_is_kept():
    hierarchy = build(grid(64, 1))
    one = member("d9", None)
    [spread] = one.metered(0, (400,))
    cluster = hierarchy.home["d9"]
    assert (spread.cluster, set(spread.to)) == (cluster, set(hierarchy.clusters[cluster].children) - {"d9"})
    assert spread.message == Metered(0, (400,))
    other = member("d8", Reliance())
    other.receive(Announce(0, 2, (1000,), NEVER), "d9", NOW)
    assert other.receive(spread.message, "d9", NOW) == [Believe(Score("d9", 850, WHOLE, 0))]
    assert other.receive(spread.message, "d9", NOW) == [Dropped("nothing learned")]
    # Of another nano grid, whoever says so; and where nobody is weighed.
    far = next(device for device, home in hierarchy.home.items() if home != cluster)
    assert other.receive(spread.message, far, NOW) == [Dropped("not in the place to say so")]
    assert member("d8", None).receive(spread.message, "d9", NOW) == [Dropped("all are believed")]


def test_what_is_said_of_another_day_is_not_what_was_announced():
    """Else a device could fill its neighbours' memory with days to come, and would never be judged."""
    other = member("d8", Reliance())
    other.receive(Announce(0, 2, (1000,), NEVER), "d9", NOW)
    for day in range(1, 9):
        other.receive(Announce(day, 2 + day, (1,), NEVER), "d9", NOW)
    assert other.receive(Metered(0, (0,)), "d9", NOW) == [Believe(Score("d9", 750, WHOLE, 0))]


def test_in_a_larger_cluster_those_are_told_who_speak_for_it():
    instance = grid(100, 3, area=50, feeder=50)
    hierarchy = build(instance)
    device, home = next((one, home) for one, home in hierarchy.home.items() if hierarchy.clusters[home].level > 1)
    one = Member(device, hierarchy, PACE)
    one.start(0, (10,), NOW)
    [spread] = one.metered(0, (5,))
    assert spread.cluster == home
    assert spread.to == tuple(other for other in hierarchy.candidates(home) if other != device)[:SPEAKERS]


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
    assert all(later.given > earlier.given for earlier, later in zip(weighed, weighed[3::3], strict=False))
    assert weighed[-1].given > plain[-1].given
