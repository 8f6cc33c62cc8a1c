"""What one device can still take and give beside what it has promised: never more than fits, whatever becomes of it."""

from hypothesis import given
from hypothesis import strategies as st

from gossip_ws.consensus.ability import Ability, Need, Storage, Store, Waiting
from gossip_ws.consensus.loose import HOLDS, RETURNS, STORES, WAITS, Left, Loose, is_sound, movable, together
from gossip_ws.consensus.movements import served

NOTHING = (0, 0, 0)


def store(capacity, charge, discharge, initial=0, *, settled=NOTHING, taken=NOTHING, given=NOTHING, promised=NOTHING):
    return Store(Storage(capacity, charge, discharge, initial), settled, taken, given, promised)


def test_a_need_takes_its_energy_within_its_window_and_its_power():
    needs = Waiting([Need(7, 4, 1, 3)], NOTHING)
    assert needs.left() == Loose(WAITS, (0, 4, 4), 7)
    assert needs.more((9, 9, 9)) == (0, 4, 3)
    after = Waiting([Need(7, 4, 1, 3)], (0, 3, 0))
    assert after.left() == Loose(WAITS, (0, 1, 4), 4)


def test_what_one_need_has_left_is_no_room_in_the_window_of_another():
    both = Waiting([Need(4, 4, 0, 1), Need(4, 4, 2, 3)], (4, 0, 0))
    assert both.left() == Loose(WAITS, (0, 0, 4), 4)
    # One that could be in either window makes way.
    both = Waiting([Need(4, 4, 0, 3), Need(4, 4, 0, 1)], (4, 0, 0))
    assert both.left().watts == (4, 4, 4)


needs = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 6), st.integers(1, 12)).map(
        lambda drawn: Need(drawn[3], drawn[2], drawn[0], min(4, drawn[0] + drawn[1]))
    ),
    min_size=1,
    max_size=4,
)
offers = st.lists(st.tuples(*[st.integers(0, 6)] * 4), max_size=6)


@given(needs, offers)
def test_needs_never_take_what_does_not_fit_and_always_what_does(wanted, offered):
    took = (0, 0, 0, 0)
    for watts in offered:
        waiting = Waiting(wanted, took)
        more = waiting.more(watts)
        assert all(0 <= some <= most for some, most in zip(more, watts, strict=True))
        assert all(some <= most for some, most in zip(more, waiting.left().watts, strict=True))
        took = tuple(a + b for a, b in zip(took, more, strict=True))
        assert served(Ability(tuple(wanted)), took) == sum(took)
        for period in range(4):
            one = tuple(int(number == period) for number in range(4))
            fits = served(Ability(tuple(wanted)), tuple(a + b for a, b in zip(took, one, strict=True))) > sum(took)
            assert (Waiting(wanted, took).left().watts[period] > 0) == fits


def test_storage_gives_only_what_it_holds_from_then_to_the_end():
    full = store(10, 5, 4, 6)
    assert full.discharged((9, 9, 9)) == (4, 2, 0)
    assert store(10, 5, 9, 6).charged((9, 9, 9)) == (4, 0, 0)
    # Promised for the last period: it is not there in any before.
    assert store(10, 5, 4, 6, promised=(0, 0, 4)).discharged((9, 9, 9)) == (2, 0, 0)
    # Taken in the second period: it is there from then on.
    assert store(10, 5, 4, settled=(0, 5, 0), taken=(0, 5, 0)).discharged((9, 9, 9)) == (0, 4, 1)


def test_storage_takes_no_more_than_could_come_out_again():
    # 4 W in each of two periods that are left, and 6 W are there: the room is larger.
    assert store(10, 5, 4, 6).charged((9, 9, 9)) == (2, 0, 0)
    assert store(10, 5, 4, 6).left()[0] == Loose(STORES, (2, 0, 0), 2)
    # What is there and promised comes out anyway.
    assert store(20, 5, 4, 4, promised=(0, 0, 4)).charged((9, 0, 0)) == (4, 0, 0)
    # Nothing goes in last.
    assert store(10, 5, 4).charged((0, 0, 9)) == NOTHING


def test_what_is_in_doubt_is_reckoned_both_ways():
    doubtful = store(10, 9, 9, taken=(8, 0, 0))
    assert doubtful.charged((0, 9, 0)) == (0, 2, 0)
    assert doubtful.discharged((0, 9, 0)) == (0, 0, 0)
    # Proposed and not yet made: it is neither there, nor is there room for more.
    proposed = store(10, 9, 9, 10, promised=(6, 0, 0))
    assert proposed.discharged((9, 9, 9)) == (3, 1, 0)
    assert proposed.charged((9, 9, 9)) == NOTHING


def test_what_storage_says_of_itself():
    returns = Loose(RETURNS, (4, 4, 4), 12)
    assert store(10, 5, 4, 3).left() == (Loose(STORES, (5, 1, 0), 6), Loose(HOLDS, (3, 3, 3), 3), returns)
    assert store(10, 5, 4).left() == (Loose(STORES, (5, 4, 0), 9), returns)


def test_what_is_traded_is_taken_off_what_is_on_schedule_first():
    left = Left((5, -3, 0), (Loose(WAITS, (0, 4, 4), 6), Loose(STORES, (2, 2, 2), 3), Loose(HOLDS, (1, 0, 2), 2)))
    after = left.after((6, -5, -1))
    assert after.rest == (0, 0, 0)
    assert after.loose == (
        Loose(WAITS, (0, 2, 3), 3),
        Loose(STORES, (2, 2, 2), 3),
        Loose(HOLDS, (0, 0, 1), 1),
    )
    assert left.could_give((9, 9, 9)) == (6, 0, 1)
    waits = Left((0, -3, 0), left.loose[:1])
    assert waits.after((0, -5, -1)).since(waits) == (0, -5, -1)


def test_bounds_of_a_sum_are_sums_of_bounds():
    one = movable(Loose(WAITS, (3, 0), 3))
    other = movable(Loose(WAITS, (2, 2), 3), Loose(HOLDS, (0, 1), 1))
    assert together([one, other], 2) == (Loose(WAITS, (5, 2), 6), Loose(HOLDS, (0, 1), 1))
    assert together([], 2) == movable(Loose(WAITS, (0, 0), 5)) == movable(Loose(WAITS, (3, 3), 0)) == ()


def test_nonsense_is_no_word_of_what_can_be_moved():
    assert is_sound(())
    assert is_sound((Loose(WAITS, (1, 0), 1), Loose(HOLDS, (1, 0), 1)))
    assert not is_sound((Loose(WAITS, (1, 0), 1), Loose(WAITS, (1, 0), 1)))
    assert not is_sound((Loose("sleeps", (1, 0), 1),))
    assert not is_sound((Loose(WAITS, (1, -1), 1),))
    assert not is_sound((Loose(WAITS, (1, 1), -1),))
