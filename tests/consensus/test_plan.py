import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip_ws.consensus.instance import Feeder
from gossip_ws.consensus.log import Agreement
from gossip_ws.consensus.messages import Served
from gossip_ws.consensus.optimum import jain, transport_ratio
from gossip_ws.consensus.plan import Flow, Standing, plan
from gossip_ws.consensus.turns import MOST, Turn, Turns

LINE = Feeder((0, 0, 1, 2, 3), (0, 10, 10, 10, 10))


def test_neighbours_at_the_end_of_the_line_are_matched_first():
    standings = [
        Standing("a", 1, (5,)),
        Standing("b", 2, (-3,)),
        Standing("c", 3, (4,)),
        Standing("d", 4, (-4,)),
    ]
    assert plan(LINE, standings) == (Flow("a", "b", (3,)), Flow("c", "d", (4,)))


def test_where_all_give_or_all_need_there_is_no_plan():
    assert plan(LINE, [Standing("a", 1, (5, -1)), Standing("b", 2, (3, -2))]) == ()
    assert plan(LINE, []) == ()


def test_of_equals_the_one_that_was_served_longest_ago_comes_first():
    standings = [
        Standing("pv", 1, (4,)),
        Standing("a", 2, (-4,), Served(7, 3)),
        Standing("b", 2, (-4,), Served(5, 9)),
        Standing("c", 2, (-4,), Served(7, 2)),
    ]
    assert plan(LINE, standings, day=8) == (Flow("pv", "b", (4,)),)


def test_within_a_day_they_take_turns():
    periods = 12
    standings = [Standing("pv", 1, (4,) * periods)] + [Standing(name, 2, (-4,) * periods) for name in "abc"]
    given = {flow.buyer: sum(flow.watts) for flow in plan(LINE, standings)}
    assert given == {"a": 16, "b": 16, "c": 16}
    assert jain(given.values()) == 1.0


def test_a_cluster_has_as_many_turns_as_there_are_in_it():
    periods = 12
    many = Standing("cluster", 2, (-8,) * periods, Served(many=2))
    standings = [Standing("pv", 1, (4,) * periods), many, Standing("one", 2, (-4,) * periods)]
    given = {flow.buyer: sum(flow.watts) for flow in plan(LINE, standings)}
    assert given == {"cluster": 32, "one": 16}


def test_the_turns_of_a_cluster_come_one_by_one_as_those_in_it_have_waited():
    """Two in it were served at 2 and at 8, as it says of the first and of all; one beside it at 5."""
    turns = Turns([Turn("cluster", Served(2, 1, 2, 6)), Turn("one", Served(5, 1))])
    order = []
    for at in range(10, 16):
        numbers = [0, 1]
        turns.sort(numbers)
        order.append(numbers[0])
        turns.give(numbers[0], 4, 8 if numbers[0] == 0 else 4, at)
    assert order == [0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize("served", [Served(-1, 0, 1 << 62, 1 << 62), Served(5, 1, -7, -9), Served(9, 1, 2, 1 << 40)])
def test_what_nobody_can_have_fared_costs_nothing(served):
    turns = Turns([Turn("liar", served), Turn("one", Served(3, 1))])
    for at in range(4, 200):
        numbers = [0, 1]
        turns.sort(numbers)
        turns.give(numbers[0], 1, 1, at)
    assert turns._waiting.keys() <= {0}
    assert all(len(waiting) <= MOST for waiting in turns._waiting.values())


tree = st.lists(st.integers(0, 20), min_size=1, max_size=12).map(
    lambda picks: Feeder(
        (0, *(pick % (n + 1) for n, pick in enumerate(picks))), (0, *(n + 1 for n in range(len(picks))))
    )
)


@given(tree, st.data())
def test_a_plan_matches_all_that_can_be_and_goes_no_further_than_it_has_to(feeder, data):
    buses = st.integers(0, len(feeder.parent) - 1)
    offers = st.tuples(*[st.integers(-5, 5)] * 3)
    standings = [
        Standing(f"d{n}", bus, rest) for n, (bus, rest) in enumerate(data.draw(st.lists(st.tuples(buses, offers))))
    ]
    flows = plan(feeder, standings)
    for period in range(3):
        column = [standing.rest[period] for standing in standings]
        given = sum(watts for watts in column if watts > 0)
        needed = -sum(watts for watts in column if watts < 0)
        assert sum(flow.watts[period] for flow in flows) == min(given, needed)
        for standing in standings:
            sold = sum(flow.watts[period] for flow in flows if flow.seller == standing.name)
            bought = sum(flow.watts[period] for flow in flows if flow.buyer == standing.name)
            assert sold <= max(0, standing.rest[period])
            assert bought <= max(0, -standing.rest[period])
    bus = {standing.name: standing.bus for standing in standings}
    made = [Agreement("x", flow.seller, flow.buyer, flow.watts, 1, 0, 0.0) for flow in flows]
    assert transport_ratio(feeder, bus, made) == 1.0
