"""What is due comes in order of time, and what comes at once in the order in which it was put in."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gossip_ws.sim.agenda import Agenda


def nothing() -> None:
    """Called by nobody here."""


def test_what_is_due_at_once_comes_in_the_order_in_which_it_was_put_in():
    agenda = Agenda()
    for name in ("a", "b", "c"):
        agenda.put(0.5, nothing, name)
    assert [name for _, _, _, (name,) in agenda.until(1.0)] == ["a", "b", "c"]


def test_nothing_comes_before_its_time_and_all_is_kept_until_then():
    agenda = Agenda()
    agenda.put(0.0012, nothing, "soon")
    agenda.put(0.0018, nothing, "in the same slot")
    agenda.put(7_000.0, nothing, "much later")
    assert [name for _, _, _, (name,) in agenda.until(0.0015)] == ["soon"]
    # Its slot is at hand already, and this comes before it.
    agenda.put(0.0016, nothing, "in between")
    assert [name for _, _, _, (name,) in agenda.until(1.0)] == ["in between", "in the same slot"]
    agenda.put(2.0, nothing, "before what was looked at")
    assert [name for _, _, _, (name,) in agenda.until(7_000.0)] == ["before what was looked at", "much later"]
    assert list(agenda.until(1e9)) == []


def test_arguments_are_handed_back():
    agenda = Agenda()
    agenda.put(0.1, nothing, 1, "two")
    assert list(agenda.until(0.1)) == [(0.1, 1, nothing, (1, "two"))]


@given(st.integers(0, 2**32), st.sampled_from([1e-5, 1e-3, 0.05, 10.0]))
def test_it_is_in_order_whatever_is_put_in_while_it_is_taken_out(seed, span):
    """As a simulation does: each thing that happens puts in some more, later than now."""
    dice, agenda, put, taken = Random(seed), Agenda(), [], []
    for _ in range(5):
        put.append(dice.uniform(0.0, span))
        agenda.put(put[-1], nothing)
    for due in agenda.until(3 * span):
        taken.append(due[:2])
        if len(put) < 200:
            for _ in range(dice.randrange(3)):
                put.append(due[0] + dice.choice([0.0, dice.uniform(0.0, span)]))
                agenda.put(put[-1], nothing)
    assert taken == sorted(taken)
    assert [time for time, _ in taken] == sorted(time for time in put if time <= 3 * span)
