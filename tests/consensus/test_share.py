from hypothesis import given
from hypothesis import strategies as st

from gossip_ws.consensus.flow import Network
from gossip_ws.consensus.loose import WAITS, Loose
from gossip_ws.consensus.share import assign, assign_in_turn, fill

PERIODS = 4
watts = st.tuples(*[st.integers(0, 6)] * PERIODS)
wants = st.lists(st.builds(Loose, st.just(WAITS), watts, st.integers(0, 15)), max_size=5)


def largest(supply, wanted):
    network = Network()
    source, sink = network.nodes(2)
    periods = network.nodes(PERIODS)
    for node, some in zip(periods, supply, strict=True):
        network.edge(source, node, some)
    for one in wanted:
        want = network.node()
        for node, some in zip(periods, one.watts, strict=True):
            network.edge(node, want, some)
        network.edge(want, sink, one.total)
    return network.push(source, sink)


@given(watts, wants)
def test_as_much_is_shared_out_as_can_be_and_nobody_gets_more_than_it_can_take(supply, wanted):
    found = assign(supply, wanted)
    assert sum(map(sum, found)) == largest(supply, wanted)
    for one, row in zip(wanted, found, strict=True):
        assert sum(row) <= one.total
        assert all(0 <= some <= most for some, most in zip(row, one.watts, strict=True))
    for period, some in enumerate(supply):
        assert sum(row[period] for row in found) <= some


@given(watts, wants)
def test_who_comes_first_gets_as_much_as_if_it_were_alone(supply, wanted):
    found = assign(supply, wanted)
    for number in range(len(wanted)):
        before = wanted[: number + 1]
        assert sum(map(sum, found[: number + 1])) == largest(supply, before)


@given(watts, watts, wants)
def test_more_later_is_as_good_as_all_at_once(early, late, wanted):
    found = assign(early, wanted)
    used = [sum(row[period] for row in found) for period in range(PERIODS)]
    left = list(late)
    fill(left, wanted, found)
    after = [sum(row[period] for row in found) for period in range(PERIODS)]
    # What a period has given stays given.
    assert [now - before for now, before in zip(after, used, strict=True)] == [
        some - rest for some, rest in zip(late, left, strict=True)
    ]
    both = [used[period] + late[period] for period in range(PERIODS)]
    assert sum(after) == largest(both, wanted)


def test_the_period_in_which_most_is_left_is_taken_first():
    assert assign((3, 9, 5), [Loose(WAITS, (4, 4, 4), 6)]) == [[0, 4, 2]]


@given(watts, wants)
def test_the_period_whose_turn_it_is_first_gives_as_much_as_if_it_were_alone_and_no_less_is_shared_out(supply, wanted):
    found = assign_in_turn(supply, wanted, range(PERIODS)[::-1])
    assert sum(map(sum, found)) == largest(supply, wanted)
    last = (0,) * (PERIODS - 1) + supply[-1:]
    assert sum(row[-1] for row in found) == largest(last, wanted)
