"""What the appliances of a grid could move: chargers and heat pumps that wait, batteries.

SimBench says when energy was used, not what could have waited: the windows are those of `tasks`, which says why. Of a
battery it says how large it is, not how full: it begins the day empty, and what its profile gives is left out.
Knows no meter and no place.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from gossip_ws.consensus.ability import Ability, Need, Storage
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.population import Appliance
from gossip_ws.grid.tariff import DAY, PERIOD
from gossip_ws.grid.tasks import PREHEATING, WORKING_HOURS

HOURS: Final = 24
Watts = tuple[int, ...]


def moved(appliance: Appliance, drawn: Watts) -> tuple[Ability, Watts] | None:
    """What it can move, and the W by period that it draws all the same, negative; None when nothing
    of it can wait. drawn: W by period of its profile, negative."""
    periods = len(drawn)
    match appliance.kind:
        case Kind.STORAGE if appliance.capacity and appliance.power:
            # A Wh is so much in W summed over periods.
            capacity = max(1, appliance.capacity * periods // HOURS)
            return Ability((), Storage(capacity, appliance.power, appliance.power)), (0,) * periods
        case Kind.HOME_CHARGER:
            needs, left = _wait(drawn, (0, DAY), 100, appliance.power, (0, periods))
        case Kind.WORK_CHARGER:
            window = (WORKING_HOURS[0] * 60, WORKING_HOURS[1] * 60)
            needs, left = _wait(drawn, window, 100, appliance.power, (0, periods))
        case Kind.HEAT_PUMP:
            needs, left = (), drawn
            for start, end in pairwise(range(0, DAY + 1, PERIOD)):
                more, left = _wait(
                    left, (max(0, start - PERIOD), end), PREHEATING, appliance.power, _periods(start, end, periods)
                )
                needs += more
        case _:
            return None
    return (Ability(needs), left) if needs else None


def _periods(start: int, end: int, periods: int) -> tuple[int, int]:
    """Those that lie wholly between two minutes of the day."""
    return -(-start * periods // DAY), end * periods // DAY


def _wait(
    drawn: Watts, window: tuple[int, int], percent: int, power: int, of: tuple[int, int]
) -> tuple[tuple[Need, ...], Watts]:
    """`percent` of what is drawn in the periods `of` waits, anywhere in a window of minutes; the rest does not."""
    since, finish_by = _periods(*window, len(drawn))
    first, end = max(of[0], since), min(of[1], finish_by)
    waits = [watts * percent // -100 if first <= period < end else 0 for period, watts in enumerate(drawn)]
    left = tuple(watts + some for watts, some in zip(drawn, waits, strict=True))
    # What cannot wait goes through the same plug.
    most = max(power + min(left), max(waits))
    energy = sum(waits)
    if not energy:
        return (), drawn
    return (Need(energy, most, since, finish_by),), left
