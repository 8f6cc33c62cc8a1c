"""When those give and take that can choose: so that what is stored is in nobody's way."""

from gossip_ws.consensus.loose import HOLDS, RETURNS, STORES, WAITS, Left, Loose
from gossip_ws.consensus.spread import spread


def test_what_is_held_goes_out_as_early_as_it_is_needed():
    """Though more is missing later: until it is out, nothing else can be held."""
    battery = Left((0, 0, 0, 0), (Loose(HOLDS, (5, 5, 5, 5), 5),))
    house = Left((0, -5, 0, -9))
    assert spread([battery, house], [0, 1]).rests == [[0, 5, 0, 0], [0, -5, 0, -9]]


def test_who_waits_takes_what_comes_late_where_what_comes_early_can_be_stored():
    roof, car = Left((5, -5, 5)), Left((0, 0, 0), (Loose(WAITS, (5, 0, 5), 5),))
    battery = Left((0, 0, 0), (Loose(STORES, (5, 5, 0), 5), Loose(RETURNS, (5, 5, 5), 15)))
    assert spread([roof, car, battery], [0, 1, 2]).rests == [[5, -5, 5], [0, 0, -5], [-5, 0, 0]]
